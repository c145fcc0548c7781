"""One fit, for a training and for a trial: what is refused, and with which message."""

import re
from dataclasses import replace

import numpy as np
import pytest
from lightgbm import LGBMClassifier
from scipy import sparse
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.naive_bayes import MultinomialNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from pipeline import experiment
from pipeline.config import schema
from pipeline.errors import ModelError, UserError
from pipeline.experiment import Examples
from pipeline.features import views
from pipeline.features.views import Features
from pipeline.files import dvc_digest, write_json
from pipeline.models.neural_net import NeuralNet
from pipeline.models.trees import LightGBM

X = np.random.default_rng(0).normal(size=(60, 3)).astype(np.float32)
Y = np.where(X[:, 0] > 0, "pos", "neg")
CLASSES = ["neg", "pos"]
TARGET = {"classes": CLASSES, "columns": []}
EXAMPLES = Examples(Features(X[:40], Y[:40], {}), Features(X[40:], Y[40:], {}))
TASK = schema.Task(
    kind="classification", metric="roc_auc", metrics=["roc_auc", "accuracy"], positive="pos"
)
KIND = experiment.problem_of(TASK, TARGET)


class Own(ClassifierMixin, BaseEstimator):
    """An estimator of another package, which returns the given probabilities."""

    def __init__(self, given=(0.5, 0.5), classes=None):
        self.given = given
        self.classes = classes

    def fit(self, X, y):
        self.seen_ = y
        if self.classes is not False:
            self.classes_ = np.array(self.classes) if self.classes else np.unique(y)
        return self

    def predict_proba(self, X):
        return np.tile(self.given, (len(X), 1))


class Reports(Own):
    """Reports a loss."""

    def __init__(self, name="validation/log_loss", loss=0.5):
        super().__init__()
        self.name, self.loss = name, loss

    def fit(self, X, y, validation=None, report=None):
        report(1, {"validation/log_loss": 0.7})
        report(2, {self.name: self.loss})
        return super().fit(X, y)


class Broken(Own):
    """Has a mistake in its code."""

    def fit(self, X, y):
        return self.no_such_thing


def silent(step, losses):
    pass


def run(estimator, report=silent):
    return experiment.run(estimator, EXAMPLES, KIND, report)


def test_a_fit_gives_the_predictions_of_validation():
    fitted = run(LogisticRegression())

    alone = LogisticRegression().fit(X[:40], Y[:40]).predict_proba(X[40:])
    np.testing.assert_array_equal(fitted.predictions.probabilities, alone)
    assert fitted.predictions.positive == 1
    assert fitted.decision == {}
    assert fitted.spent.seconds > 0


@pytest.mark.parametrize(
    ("estimator", "message"),
    [
        (LinearRegression(), "LinearRegression has no predict_proba"),
        (LinearSVC(), "LinearSVC has no predict_proba"),
        (StandardScaler(), "StandardScaler has no predict_proba"),
        (Own(classes=False), "Own has no classes_"),
        (Own(classes=["pos", "neg"]), "Own has the classes ['pos', 'neg'], not in sorted order"),
        (Own(classes=["a", "b"]), "Own has the classes ['a', 'b']; the data have ['neg', 'pos']"),
        (Own((0.2, 0.3, 0.5)), "of Own have the shape (20, 3), not (20, 2)"),
        (Own((np.nan, 1.0)), "of Own are not finite"),
        (Own((np.inf, 0.0)), "of Own are not finite"),
        (Own((1.5, -0.5)), "of Own are not between 0 and 1: one is -0.5"),
        (Own((3.0, 0.0)), "of Own are not between 0 and 1: one is 3"),
        (Own((0.5, 0.4)), "of Own do not sum to 1: one sum is 0.9"),
        (Own(("much", "little")), "of Own are of type"),
        (MultinomialNB(), "MultinomialNB failed: Negative values"),
        (LogisticRegression(C=-1), "'C' parameter of LogisticRegression must be"),
        (Broken(), "'no_such_thing' (test_experiment.py, line "),
        (Reports(loss=np.nan), "Reports: validation/log_loss is nan at step 2"),
        (Reports("validation/auc"), "Reports reports validation/auc at step 2; expected is"),
        (NeuralNet(lr=1e30, max_epochs=3, device="cpu"), "NeuralNet: validation/log_loss is"),
        (LightGBM(metric="auc", verbose=-1), "not on 'auc'"),
        (LightGBM(objective="regression", verbose=-1), "not on 'l2'"),
    ],
    ids=str,
)
def test_what_is_no_classifiers_answer_is_refused_by_name(estimator, message):
    with pytest.raises(ModelError, match=re.escape(message)) as caught:
        run(estimator)

    assert "\n" not in str(caught.value)


def test_the_threshold_is_chosen_on_validation_and_decides_its_predictions():
    kind = experiment.problem_of(replace(TASK, threshold="f1"), TARGET)

    fitted = experiment.run(LogisticRegression(), EXAMPLES, kind, silent)

    alarm = fitted.predictions.probabilities[:, 1] >= fitted.decision["threshold"]
    assert fitted.decision["positive"] == "pos"
    assert fitted.predictions.predicted.tolist() == alarm.astype(int).tolist()


def test_scores_are_those_that_are_defined():
    always = run(LogisticRegression()).predictions
    alone = replace(always, actual=np.zeros(20, dtype=int))

    assert experiment.scores(KIND, always).keys() == {"roc_auc", "accuracy"}
    with pytest.raises(ModelError, match="roc_auc on validation is not defined"):
        experiment.scores(KIND, alone)
    of_accuracy = experiment.problem_of(replace(TASK, metric="accuracy"), TARGET)
    assert experiment.scores(of_accuracy, alone).keys() == {"accuracy"}


@pytest.mark.parametrize("error", [UserError("stop"), ValueError("pruned"), MemoryError("no room")])
def test_what_the_report_raises_is_not_the_models(error):
    def raising(step, losses):
        raise error

    with pytest.raises(type(error)) as caught:
        run(Reports(), raising)

    assert caught.value is error


def test_an_estimator_of_the_known_packages_gets_names_another_one_numbers():
    own = Own()
    run(own)
    inside = make_pipeline(StandardScaler(), Own())
    run(inside)

    assert set(own.seen_) == set(inside[-1].seen_) == {0, 1}
    for known in (LogisticRegression(), LGBMClassifier(n_estimators=2, verbose=-1)):
        run(known)
        assert known.classes_.tolist() == CLASSES


@pytest.fixture
def view(tmp_path):
    """Write a view of one round, and the examples that it was made of."""
    ingested, view = tmp_path / "ingested", tmp_path / "view"
    ingested.mkdir()
    (view / "0").mkdir(parents=True)
    for split in ("train", "validation"):
        views.save(view / "0" / f"{split}.npz", Features(X, Y, {}))
    about = {"target": TARGET, "inputs": {}, "may_miss": False, "forms": {}, "settings": {}}
    about |= {"digest": dvc_digest(ingested)}
    write_json(view / views.ABOUT, about)
    return view, ingested, about


def test_a_view_is_read_with_what_featurize_knew(view):
    folder, ingested, about = view

    np.testing.assert_array_equal(experiment.load(folder / "0").train.X, X)
    assert views.about(folder, ingested) == about


def test_stale_features_are_refused(view):
    folder, ingested, _ = view
    (ingested / "more").touch()

    with pytest.raises(UserError, match="has changed since it was featurized"):
        views.about(folder, ingested)


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_matrix], ids=["dense", "sparse"])
def test_train_and_validation_are_joined_row_by_row(form):
    meta = {"group": np.array(["g"] * 40), "price": np.arange(40)}
    train = Features(form(X[:40]), Y[:40], meta)
    validation = Features(form(X[40:]), Y[40:], {name: of[:20] for name, of in meta.items()})

    joined = experiment.join(Examples(train, validation))

    assert (form(X) != joined.X).sum() == 0
    assert joined.y.tolist() == Y.tolist()
    assert joined.meta["price"].tolist() == [*range(40), *range(20)]


def test_a_seed_replaces_the_random_states_that_are_set():
    forest = {
        "_target_": "sklearn.ensemble.RandomForestClassifier",
        "random_state": 1,
    }
    unset = {"_target_": "sklearn.ensemble.RandomForestClassifier"}
    inside = {"_target_": "sklearn.ensemble.BaggingClassifier", "estimator": forest}

    assert experiment.build(forest, 7).random_state == 7
    assert experiment.build(unset, 7).random_state is None
    assert experiment.build(inside, 7).estimator.random_state == 7
    assert experiment.build(inside, 7).random_state is None
