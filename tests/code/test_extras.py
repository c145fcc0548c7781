"""Models of extras: they stop on validation, report it, and are saved without pickle."""

import importlib
import json

import numpy as np
import pandas as pd
import pytest
import yaml
from scipy import sparse
from scipy.special import logit
from sklearn.base import clone
from sklearn.metrics import log_loss

from pipeline import storage
from pipeline.config.targets import EXTRAS
from pipeline.models.fitting import stops_early
from pipeline.paths import ROOT

RNG = np.random.default_rng(0)
X = RNG.normal(size=(300, 4)).astype(np.float32)
# Noise on the border, so that boosting overfits soon.
THREE = np.digitize(X[:, 0] + RNG.normal(size=300), [-0.6, 0.6])
TWO = (THREE == 1).astype(int)
SETTINGS = {
    "catboost": {
        "iterations": 200,
        "learning_rate": 0.3,
        "early_stopping_rounds": 8,
        "random_state": 0,
        "allow_writing_files": False,
        "verbose": False,
        "thread_count": 1,
    },
    "ebm": {
        "interactions": 0,
        "outer_bags": 1,
        "learning_rate": 0.1,
        "max_rounds": 400,
        "smoothing_rounds": 10,
        "n_jobs": 1,
        "random_state": 0,
    },
    "xgboost": {
        "n_estimators": 200,
        "learning_rate": 0.3,
        "early_stopping_rounds": 8,
        "n_jobs": 1,
        "random_state": 0,
    },
}
EACH = pytest.mark.parametrize(
    "extra", [pytest.param(extra, marks=pytest.mark.extra(extra)) for extra in SETTINGS]
)
BOOSTING = pytest.mark.parametrize(
    "extra",
    [pytest.param(extra, marks=pytest.mark.extra(extra)) for extra in ("catboost", "xgboost")],
)


def configured(extra):
    return yaml.safe_load((ROOT / f"conf/model/{extra}.yaml").read_text("utf-8"))


def build(extra, **options):
    module, _, name = configured(extra)["_target_"]["classification"].rpartition(".")
    return getattr(importlib.import_module(module), name)(**SETTINGS[extra] | options)


def fitted(extra, y=THREE, form=np.asarray, report=None, **options):
    validation = (form(X[200:]), y[200:])
    return build(extra, **options).fit(form(X[:200]), y[:200], validation, report)


@pytest.fixture
def reported():
    """Note what is reported."""
    return []


def test_each_model_of_an_extra_is_here():
    # Keras has tests of its own.
    assert set(EXTRAS.values()) - {"keras"} == set(SETTINGS)


@EACH
@pytest.mark.parametrize("y", [TWO, THREE], ids=["two", "three"])
@pytest.mark.parametrize("form", [np.asarray, sparse.csr_matrix])
def test_it_predicts_the_same_once_loaded(extra, y, form, tmp_path):
    model = fitted(extra, y, form, learning_rate=0.1)
    trusted = configured(extra).get("trusted", [])
    storage.dump(model, tmp_path / "it.skops", trusted)

    again = storage.load(tmp_path / "it.skops", trusted)

    expected = model.predict_proba(form(X))
    np.testing.assert_array_equal(again.predict_proba(form(X)), expected)
    assert again.classes_.tolist() == [*range(len(np.unique(y)))]
    # It has learned something.
    assert log_loss(y, expected) < log_loss(y, np.tile(np.bincount(y) / 300, (300, 1)))


@EACH
def test_the_same_fit_gives_the_same_bytes(extra, tmp_path):
    for name in ("first", "second"):
        storage.dump(fitted(extra), tmp_path / name, configured(extra).get("trusted", []))

    assert (tmp_path / "first").read_bytes() == (tmp_path / "second").read_bytes()


@BOOSTING
def test_it_stops_at_the_lowest_loss_on_validation(extra, reported):
    model = fitted(extra, report=lambda *step: reported.append(step))

    losses = [point["validation/log_loss"] for _, point in reported]
    assert [step for step, _ in reported] == [*range(1, len(losses) + 1)]
    assert len(losses) == np.argmin(losses) + 1 + 8 < 200
    found = log_loss(THREE[200:], model.predict_proba(X[200:]))
    assert found == pytest.approx(min(losses), rel=1e-5)


@BOOSTING
@pytest.mark.parametrize("y", [TWO, THREE], ids=["two", "three"])
def test_it_reports_the_loss_on_train_too(extra, y, reported):
    model = fitted(extra, y, report=lambda *step: reported.append(step), **FEW[extra])

    losses = log_loss(y[:200], model.predict_proba(X[:200]))
    best = min(reported, key=lambda one: one[1]["validation/log_loss"])
    # CatBoost computes exponentials less exactly in training.
    assert best[1]["train/log_loss"] == pytest.approx(losses, rel=1e-4)


FEW = {"catboost": {"iterations": 5}, "xgboost": {"n_estimators": 5}}


@BOOSTING
def test_without_validation_all_rounds_are_run(extra, reported):
    model = build(extra, **FEW[extra]).fit(X, THREE)

    rounds = model.tree_count_ if extra == "catboost" else model.get_booster().num_boosted_rounds()
    assert rounds == 5
    assert model.get_params()["early_stopping_rounds"] == 8


@pytest.mark.extra("ebm")
def test_explainable_boosting_reports_the_loss_on_validation(reported):
    model = fitted("ebm", TWO, report=lambda *step: reported.append(step), max_rounds=100)

    assert [step for step, _ in reported] == [*range(100, 100 * len(reported) + 1, 100)]
    found = log_loss(TWO[200:], model.predict_proba(X[200:]))
    assert found == pytest.approx(reported[-1][1]["validation/log_loss"], rel=0.1)
    assert model.get_params()["callback"] is None


@pytest.mark.extra("ebm")
def test_explainable_boosting_learns_from_labels_of_validation_when_to_stop_and_its_intercept():
    settings = {"max_rounds": 20, "early_stopping_rounds": 0}
    one, other = (
        build("ebm", **settings).fit(X[:200], TWO[:200], (X[200:], labels))
        for labels in (TWO[200:], 1 - TWO[200:])
    )

    shift = logit(one.predict_proba(X)[:, 1]) - logit(other.predict_proba(X)[:, 1])
    np.testing.assert_allclose(shift, one.intercept_[0] - other.intercept_[0], rtol=1e-6)


@EACH
@pytest.mark.parametrize("raised", [ValueError, KeyboardInterrupt])
def test_what_a_report_raises_ends_the_fit_as_it_is(extra, raised):
    def stop(*step):
        raise raised("enough")

    with pytest.raises(raised, match="enough"):
        fitted(extra, report=stop)


@EACH
def test_it_stops_early_and_keeps_its_parameters_through_clone(extra):
    model = build(extra)

    assert stops_early(model)
    assert clone(model).get_params() == model.get_params()


@EACH
def test_it_goes_from_sparse_features_to_a_served_model(extra, warm, repro, empty_store, tmp_path):
    import mlflow.pyfunc

    from pipeline import predictor

    project = repro.copy(tmp_path / "bakeoff", empty_store)
    few = {"catboost": "iterations=5", "ebm": "max_rounds=20", "xgboost": "n_estimators=5"}
    override = f"model.{few[extra]}"
    said = project.must_warm(warm, "pipeline.train", "task=genre", f"model={extra}", override)

    (run,) = project.runs("genre")
    (folder,) = (project.root / "runs/genre" / extra).iterdir()
    trusted = configured(extra).get("trusted", [])
    kept = predictor.load(folder / "model", trusted)
    examples = project.parts("genre")["test"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", project.store)
        served = mlflow.pyfunc.load_model(f"models:/{run.outputs.model_outputs[0].model_id}")
    frame = served.predict(examples)
    assert "validation" in said
    np.testing.assert_array_equal(frame.filter(like="probability_"), kept.outputs(examples))
    manifest = json.loads((folder / "model" / "bundle.json").read_text("utf-8"))
    assert set(frame["label"]) <= set(manifest["target"]["classes"])
    assert pd.api.types.is_string_dtype(frame["label"])
