"""Engines that no model has seen: which of them fail within 30 cycles."""

import json

import numpy as np
import pandas as pd
import pytest
from mlflow.pyfunc import load_model

from pipeline import predictor

MODELS = ["baseline", "lightgbm", "neural_net"]


@pytest.fixture(scope="module")
def flown(warm, turbofan):
    """Return the project with models trained and evaluated; the network for two epochs only."""
    turbofan.edit("conf/architecture/gru.yaml", "max_epochs: 50", "max_epochs: 2")
    for stage, *overrides in (
        ("featurize",),
        ("train", "model=baseline"),
        ("train", "model=lightgbm"),
        ("train", "model=neural_net"),
        ("evaluate", f"models=[{','.join(MODELS)}]"),
    ):
        turbofan.must_warm(warm, f"pipeline.{stage}", "task=turbofan", *overrides)
    return turbofan


@pytest.fixture(scope="module")
def cycles(flown) -> pd.DataFrame:
    return pd.read_parquet(flown.root / "data/ingested/turbofan/every_cycle.parquet")


def scores(flown, model) -> dict[str, dict[str, float]]:
    path = flown.root / "reports/turbofan/metrics" / f"{model}.json"
    return json.loads(path.read_text(encoding="utf-8"))


def test_lightgbm_tells_failing_engines_by_their_last_cycle(flown):
    assert scores(flown, "lightgbm")["test"]["f1"] >= 0.9
    assert scores(flown, "lightgbm")["every_cycle"]["f1"] >= 0.75


def test_a_constant_never_warns(flown):
    found = scores(flown, "baseline")

    # Average precision of a constant is the share of failing engines.
    assert found["test"]["average_precision"] == pytest.approx(0.25)
    assert found["test"]["f1"] == found["every_cycle"]["warning_time"] == 0


@pytest.mark.parametrize("model", MODELS)
def test_the_last_cycle_alone_has_no_warning_time(flown, model):
    assert "warning_time" not in scores(flown, model)["test"]
    assert 0 <= scores(flown, model)["every_cycle"]["warning_time"] <= 30


def test_the_warning_comes_most_of_the_30_cycles_ahead(flown):
    assert scores(flown, "lightgbm")["every_cycle"]["warning_time"] > 20


@pytest.mark.parametrize("model", ["lightgbm", "neural_net"])
def test_an_engine_is_thought_more_of_the_farther_it_is_from_failure(flown, cycles, model):
    sample = cycles.sample(2000, random_state=0)
    trained = predictor.load(flown.root / "models/turbofan" / model)
    fails = trained.outputs(sample)[:, trained.problem.classes.index("fails")]

    by_time = pd.Series(fails).groupby(
        pd.cut(sample["meta:time_to_event"].array, [-1, 30, 60, 400])
    )
    near, middle, far = by_time.mean()

    assert near > 0.5 > middle > far
    assert far < 0.05


@pytest.mark.parametrize("model", MODELS)
def test_a_logged_model_answers_histories_of_any_length(flown, cycles, model, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", flown.store)
    monkeypatch.syspath_prepend(".")  # so that sys.path is put back afterwards
    (run,) = (run for run in flown.runs("turbofan") if run.info.run_name == model)
    inputs = cycles.filter(regex="^(setting|sensor)_").iloc[[0, 1, 10, 200]]
    trained = predictor.load(flown.root / "models/turbofan" / model)

    # As JSON brings them: lists, which may be shorter or longer than what a model looks at.
    lists = inputs.map(list)
    longer = inputs.map(lambda history: [0.0] * 50 + [history[0]] * 50 + list(history))
    logged = load_model(f"runs:/{run.info.run_id}/{model}")

    expected = trained.outputs(inputs)
    np.testing.assert_array_equal(logged.predict(lists).iloc[:, 1:], expected)
    np.testing.assert_array_equal(logged.predict(longer).iloc[:, 1:], expected)


@pytest.mark.parametrize("model", MODELS)
def test_readings_of_nasas_file_have_the_probabilities_of_evaluate(flown, mirror, model):
    rows = np.loadtxt(next(mirror.rglob("test_FD001.txt")))
    names = [f"setting_{n}" for n in range(1, 4)] + [f"sensor_{n}" for n in range(1, 22)]
    engines = [rows[rows[:, 0] == engine, 2:] for engine in np.unique(rows[:, 0])]
    sent = pd.DataFrame({n: [e[:, i].tolist() for e in engines] for i, n in enumerate(names)})

    found = predictor.load(flown.root / "models/turbofan" / model).outputs(sent)

    predictions = pd.read_parquet(flown.root / "reports/turbofan/predictions.parquet")
    expected = predictions[(predictions["model"] == model) & (predictions["part"] == "test")]
    np.testing.assert_array_equal(found, expected.filter(like="probability_"))
