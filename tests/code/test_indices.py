"""Trees whose nodes lead elsewhere are refused before anything follows them."""

import numpy as np
import pytest
import skops.io
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
)
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier, ExtraTreeRegressor

from pipeline import storage
from pipeline.errors import UserError
from pipeline.models.trees import HistGradientBoosting

RNG = np.random.default_rng(0)
X = RNG.normal(size=(300, 3))
X[:, 2] = RNG.integers(0, 4, 300)
Y = (X[:, 0] + (X[:, 2] == 1) > 0).astype(int)
WHOLE = {
    "tree": DecisionTreeClassifier(),
    "tree in a pipeline": make_pipeline(StandardScaler(), ExtraTreeRegressor()),
    "forest": ExtraTreesClassifier(3),
    "array of trees": GradientBoostingClassifier(n_estimators=3),
    "histogram": HistGradientBoosting(max_iter=3),
    "k-d tree": KNeighborsClassifier(algorithm="kd_tree"),
    "ball tree": KNeighborsClassifier(algorithm="ball_tree"),
    "no tree": LogisticRegression(),
}


@pytest.mark.parametrize("name", WHOLE)
def test_what_scikit_learn_fitted_is_read(name, tmp_path):
    model = WHOLE[name].fit(X, Y)
    storage.dump(model, tmp_path / "it.skops")
    np.testing.assert_array_equal(storage.load(tmp_path / "it.skops").predict(X), model.predict(X))


def change_tree(field, value):
    def change(model):
        state = model.tree_.__getstate__()
        state["nodes"][field][0] = value
        model.tree_.__setstate__(state)

    return change


def change_histogram(field, value):
    def change(model):
        inner = model._predictors[0][0].nodes
        inner[field][np.flatnonzero(inner["is_leaf"] == 0)[0]] = value

    return change


def change_categories(model):
    model._predictors[0][0].nodes["is_categorical"][0] = 1
    model._predictors[0][0].nodes["bitset_idx"][0] = 5_000


def change_neighbours(place, field, value):
    def change(model):
        state = list(model._tree.__getstate__())
        part = state[place] if field is None else state[place][field]
        part[0] = value
        model._tree.__setstate__(tuple(state))

    return change


@pytest.mark.parametrize(
    ("model", "change"),
    [
        (DecisionTreeClassifier(), change_tree("left_child", 10**9)),
        (DecisionTreeClassifier(), change_tree("left_child", 0)),
        (DecisionTreeClassifier(), change_tree("right_child", -7)),
        (DecisionTreeClassifier(), change_tree("feature", 3)),
        (DecisionTreeClassifier(), change_tree("feature", -1)),
        (HistGradientBoostingClassifier(max_iter=2), change_histogram("left", 4_000_000_000)),
        (HistGradientBoostingClassifier(max_iter=2), change_histogram("right", 0)),
        (HistGradientBoostingClassifier(max_iter=2), change_histogram("feature_idx", 3)),
        (HistGradientBoostingClassifier(max_iter=2), change_categories),
        (KNeighborsClassifier(algorithm="kd_tree"), change_neighbours(1, None, 10**9)),
        (KNeighborsClassifier(algorithm="kd_tree"), change_neighbours(2, "idx_end", 10**9)),
        (KNeighborsClassifier(algorithm="ball_tree"), change_neighbours(2, "idx_start", -9)),
    ],
)
def test_an_index_that_is_out_of_range_is_refused(model, change, tmp_path):
    fitted = model.fit(X, Y)
    change(fitted)
    skops.io.dump(fitted, tmp_path / "it.skops")
    with pytest.raises(UserError, match=r"it\.skops is damaged.*out of range"):
        storage.load(tmp_path / "it.skops")


def test_a_tree_of_an_estimator_of_fewer_features_is_refused(tmp_path):
    fitted = DecisionTreeClassifier(random_state=0).fit(X, Y)
    assert fitted.tree_.feature.max() == 2
    fitted.n_features_in_ = 2
    skops.io.dump(fitted, tmp_path / "it.skops")
    with pytest.raises(UserError, match="out of range"):
        storage.load(tmp_path / "it.skops")
