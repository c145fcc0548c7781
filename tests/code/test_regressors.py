"""Models of numbers: what their libraries would fit, and the squared error that they report."""

import importlib
from functools import partial

import numpy as np
import pytest
import torch
import yaml
from lightgbm import LGBMRegressor
from sklearn import ensemble
from sklearn.metrics import mean_squared_error, r2_score
from sklearn.utils.estimator_checks import parametrize_with_checks

from pipeline import formats
from pipeline.models.networks.tables import MLP
from pipeline.models.networks.tabm import TabM
from pipeline.models.neural_net import NeuralNetRegressor
from pipeline.models.trees import (
    ExtraTreesRegressor,
    HistGradientBoostingRegressor,
    LightGBMRegressor,
    RandomForestRegressor,
)
from pipeline.paths import ROOT

RNG = np.random.default_rng(0)
X = RNG.normal(size=(400, 5)).astype(np.float32)
# Far from 0 and of a wide range, as prices are.
Y = 50_000 + 3_000 * X[:, 0] + 2_000 * X[:, 1] ** 2 + 1_500 * RNG.normal(size=400)
TRAIN, VALIDATION = (X[:250], Y[:250]), (X[250:], Y[250:])
QUIET = {"n_jobs": 1, "deterministic": True, "force_row_wise": True, "verbose": -1}
BOOSTING = {"n_estimators": 200, "learning_rate": 0.3, "random_state": 0} | QUIET
HISTOGRAM = {"max_iter": 100, "early_stopping": True, "n_iter_no_change": 8, "random_state": 0}
SMALL_MLP = partial(MLP, hidden=[16])


def net(**options):
    settings = {"lr": 0.02, "max_epochs": 60, "patience": 10, "device": "cpu", "random_state": 0}
    return NeuralNetRegressor(**{"network": SMALL_MLP} | settings | options)


MODELS = {
    "lightgbm": partial(LightGBMRegressor, early_stopping_round=8, **BOOSTING),
    "random_forest": partial(RandomForestRegressor, 25, random_state=0),
    "extra_trees": partial(ExtraTreesRegressor, 25, random_state=0),
    "hist_gradient_boosting": partial(HistGradientBoostingRegressor, **HISTOGRAM),
    "neural_net": net,
    "tabm": partial(net, network=partial(TabM, members=4, units=16, layers=1, embedding=4)),
}
EXTRA = {
    "catboost": {"iterations": 100, "early_stopping_rounds": 8, "verbose": False}
    | {"allow_writing_files": False, "thread_count": 1},
    "ebm": {"interactions": 0, "outer_bags": 1, "n_jobs": 1, "max_rounds": 400},
    "xgboost": {"n_estimators": 100, "early_stopping_rounds": 8, "n_jobs": 1},
}
EACH = pytest.mark.parametrize(
    "name", [*MODELS, *(pytest.param(one, marks=pytest.mark.extra(one)) for one in EXTRA)]
)


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Compute in one thread: threads cost more than they bring to networks this small."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def configured(name):
    return yaml.safe_load((ROOT / f"conf/model/{name}.yaml").read_text("utf-8"))


def build(name):
    if name in MODELS:
        return MODELS[name]()
    module, _, target = configured(name)["_target_"]["regression"].rpartition(".")
    return getattr(importlib.import_module(module), target)(random_state=0, **EXTRA[name])


@EACH
def test_it_reports_the_squared_error_and_predicts_the_same_once_loaded(name, tmp_path):
    reported = []
    model = build(name).fit(*TRAIN, VALIDATION, lambda *step: reported.append(step))

    losses = [point["validation/squared_error"] for _, point in reported]
    found = model.predict(VALIDATION[0])
    # Forests, EBM and scikit-learn's boosting keep their last state, the others their best.
    ends = (losses[-1], min(losses))
    assert mean_squared_error(VALIDATION[1], found) == pytest.approx(ends[0], rel=2e-2) or (
        mean_squared_error(VALIDATION[1], found) == pytest.approx(ends[1], rel=1e-4)
    )
    # It has learned something.
    assert r2_score(VALIDATION[1], found) > 0.5
    trusted = configured(name).get("trusted", [])
    kind = formats.save(model, tmp_path, trusted)
    again = formats.load(kind, tmp_path, trusted)
    np.testing.assert_array_equal(again.predict(X), model.predict(X))


def test_boosting_is_lightgbms_with_its_early_stopping():
    reported = []
    model = build("lightgbm").fit(*TRAIN, VALIDATION, lambda *step: reported.append(step))

    losses = [point["validation/squared_error"] for _, point in reported]
    best = int(np.argmin(losses)) + 1
    assert len(losses) == best + 8 < 200
    expected = LGBMRegressor(**BOOSTING | {"n_estimators": best}).fit(*TRAIN)
    np.testing.assert_allclose(model.predict(X), expected.predict(X))
    train = mean_squared_error(TRAIN[1], expected.predict(TRAIN[0]))
    assert reported[best - 1][1]["train/squared_error"] == pytest.approx(train)


def test_boosting_with_another_objective_stops_on_the_squared_error():
    reported = []
    model = LightGBMRegressor(early_stopping_round=8, objective="l1", metric="l2", **BOOSTING)
    model.fit(*TRAIN, VALIDATION, lambda *step: reported.append(step))

    found = mean_squared_error(VALIDATION[1], model.predict(VALIDATION[0]))
    assert found == pytest.approx(min(one["validation/squared_error"] for _, one in reported))
    with pytest.raises(
        ValueError, match=r"stops on the squared error, not on 'l1': .* set metric to l2"
    ):
        LightGBMRegressor(objective="l1", **BOOSTING).fit(*TRAIN, VALIDATION)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (RandomForestRegressor, ensemble.RandomForestRegressor),
        (ExtraTreesRegressor, ensemble.ExtraTreesRegressor),
    ],
)
def test_a_forest_grown_in_steps_is_scikit_learns(ours, theirs):
    reported = []
    grown = ours(25, random_state=3).fit(*TRAIN, VALIDATION, lambda *step: reported.append(step))

    at_once = theirs(25, random_state=3).fit(*TRAIN)
    np.testing.assert_allclose(grown.predict(X), at_once.predict(X), rtol=1e-12)
    assert [step for step, _ in reported][-1] == 25
    found = mean_squared_error(VALIDATION[1], at_once.predict(VALIDATION[0]))
    assert reported[-1][1]["validation/squared_error"] == pytest.approx(found)


def test_histogram_boosting_reports_the_squared_errors_of_its_rounds():
    reported = []
    model = HistGradientBoostingRegressor(**HISTOGRAM | {"max_iter": 5})
    model.fit(*TRAIN, VALIDATION, lambda *step: reported.append(step))

    assert reported[-1][1] == pytest.approx(
        {
            f"{part}/squared_error": mean_squared_error(y, model.predict(rows))
            for part, (rows, y) in (("train", TRAIN), ("validation", VALIDATION))
        }
    )


@parametrize_with_checks(
    [NeuralNetRegressor(SMALL_MLP, max_epochs=60, lr=0.02, device="cpu", random_state=0)],
    expected_failed_checks=lambda estimator: {
        "check_methods_subset_invariance": (
            "matrix products of 32 bits round otherwise in a batch of another size"
        ),
    },
    # It depends on the processor.
    xfail_strict=False,
)
def test_it_is_a_scikit_learn_regressor(estimator, check):
    check(estimator)


def test_a_network_restores_its_best_weights():
    reported = []
    model = net(max_epochs=200, lr=0.1).fit(*TRAIN, VALIDATION, lambda *e: reported.append(e))

    losses = [point["validation/squared_error"] for _, point in reported]
    assert losses[-1] > min(losses)
    found = mean_squared_error(VALIDATION[1], model.predict(VALIDATION[0]))
    assert found == pytest.approx(min(losses), rel=1e-4)


@pytest.mark.parametrize(
    ("objective", "centre"),
    [("squared_error", np.mean), ("absolute_error", np.median), ("huber", None)],
)
def test_a_network_that_sees_nothing_predicts_the_centre_of_its_objective(objective, centre):
    """Of a skewed target: the mean for squares, the median for absolute errors, huber between."""
    y = RNG.lognormal(sigma=1.5, size=2000)
    model = net(objective=objective, max_epochs=120, batch_size=500, lr=0.01)

    found = model.fit(np.zeros((2000, 1), np.float32), y).predict(np.zeros((1, 1), np.float32))[0]

    if centre is None:
        assert np.median(y) < found < np.mean(y)
    else:
        assert found == pytest.approx(centre(y), rel=0.1)


def test_an_unknown_objective_is_named():
    with pytest.raises(ValueError, match="objective is unknown: 'hubert'; did you mean 'huber'"):
        net(objective="hubert").fit(*TRAIN)
