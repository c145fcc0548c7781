"""A task of numbers through every stage, and what serves it: as scikit-learn would fit it."""

import json

import numpy as np
import pandas as pd
import pytest
import yaml
from mlflow.pyfunc import load_model
from sklearn.linear_model import Ridge
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error
from sklearn.preprocessing import StandardScaler

from pipeline import predictor

TASK = "disease_progression"
MODELS = ["baseline", "logistic_regression", "linear", "lightgbm", "neural_net"]


@pytest.fixture(scope="module")
def measured(clone, empty_store, tmp_path_factory):
    """Return the project after all stages, with one round and a short training."""
    project = clone.copy(tmp_path_factory.mktemp("measured") / "bakeoff", empty_store)
    project.edit(f"conf/task/{TASK}.yaml", "  folds: auto", "  folds: null")
    project.edit("conf/model/neural_net.yaml", "max_epochs: 200", "max_epochs: 20")
    params = {"tasks": [TASK], "models": MODELS, "seed": 0, "split_seed": 0}
    (project.root / "params.yaml").write_text(yaml.safe_dump(params))
    project.commit()
    return project


@pytest.fixture(scope="module")
def printed(measured, warm):
    """Run all stages, and return what they print."""
    return measured.must_dvc(warm, "repro")


@pytest.fixture(scope="module")
def board(measured, printed):
    return json.loads((measured.root / f"reports/{TASK}/board.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def by_hand(measured, printed):
    """Return the test targets, and a ridge regression of scikit-learn fitted on the same rows."""
    parts = measured.parts(TASK)
    inputs = parts["train"].columns.drop(
        [name for name in parts["train"] if name in ("example_id", "label", "group") or ":" in name]
    )
    scaler = StandardScaler().fit(parts["train"][inputs])
    ridge = Ridge().fit(scaler.transform(parts["train"][inputs]), parts["train"]["label"])
    return parts["test"], ridge.predict(scaler.transform(parts["test"][inputs])), inputs


def test_the_board_has_the_scores_of_scikit_learn(board, by_hand):
    test, predicted, _ = by_hand
    found = board["models"]["linear"]["scores"]

    for name, score in (
        ("rmse", root_mean_squared_error),
        ("mae", mean_absolute_error),
        ("r2", r2_score),
    ):
        assert found[name]["score"] == pytest.approx(score(test["label"], predicted), rel=1e-4)
        assert found[name]["low"] < found[name]["score"] < found[name]["high"]
    assert board["models"]["baseline"]["scores"]["skill"]["score"] == pytest.approx(0, abs=0.02)


def test_lower_is_better_and_a_difference_is_in_the_unit_of_the_target(board):
    rows = [row for row in board["slices"]["test"]["rows"] if not row["failed"]]

    assert [row["rmse"] for row in rows] == sorted(row["rmse"] for row in rows)
    assert rows[-1]["model"] == "baseline"
    assert board["verdict"]["take"] != "baseline"
    deviation = board["target"]["sd"]
    assert board["matters"] == pytest.approx(deviation / 100)


def test_a_model_for_classes_is_left_out_and_says_so(warm, measured, printed, board):
    message = f"{TASK}: model logistic_regression is for classification, not for regression"
    assert message in printed
    assert "logistic_regression" not in board["models"]
    refused = measured.warm(warm, "pipeline.train", f"task={TASK}")
    assert refused.returncode == 1
    assert refused.stderr.strip().endswith(message.removeprefix(f"{TASK}: "))
    assert "up to date" in measured.must_dvc(warm, "status")


def test_a_logged_model_serves_numbers_with_their_intervals(measured, by_hand, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", measured.store)
    monkeypatch.syspath_prepend(".")  # so that sys.path is put back afterwards
    (run,) = (run for run in measured.runs(TASK) if run.info.run_name == "linear")
    test, predicted, inputs = by_hand

    served = load_model(f"runs:/{run.info.run_id}/linear").predict(test[inputs])

    assert list(served) == ["label", "low", "high"]
    # Features have 32 bits.
    np.testing.assert_allclose(served["label"], predicted, atol=1e-3)
    held = (served["low"] <= test["label"].to_numpy()) & (
        test["label"].to_numpy() <= served["high"]
    )
    of_board = pd.read_csv(measured.root / f"reports/{TASK}/leaderboard.csv").set_index("model")
    assert held.mean() == pytest.approx(of_board["coverage"]["linear"])
    assert run.data.metrics["test/rmse"] == pytest.approx(of_board["rmse"]["linear"])


def test_curves_are_of_the_squared_error_in_the_unit_of_the_target(measured, printed):
    runs = {run.info.run_name: run for run in measured.runs(TASK)}
    for name in ("lightgbm", "neural_net"):
        curve = runs[name].data.metrics["curve/validation/squared_error"]
        score = runs[name].data.metrics["validation/rmse"]
        # The last step is not always the best one.
        assert np.sqrt(curve) == pytest.approx(score, rel=0.15)


def test_the_page_shows_predictions_and_slices_of_the_target(measured, printed):
    page = (measured.root / f"reports/{TASK}/report.html").read_text("utf-8")

    assert "Predicted against actual on test" in page
    assert "Mean absolute error on test, by tenths of the target" in page
    assert "rmse" in page
    assert "confusion" not in page.lower()


def test_a_sweep_takes_the_lowest_error_and_is_adopted(warm, measured, printed):
    asked = ["--multirun", f"task={TASK}", "model=linear", "+sweep=linear", "sweep.n_trials=4"]
    printed = measured.must_warm(warm, "pipeline.train", *asked)

    assert "best validation rmse" in printed
    scores = {
        run.data.metrics["validation/rmse"]
        for run in measured.runs(TASK)
        if "trial" in run.data.tags
    }
    best = min(scores)
    assert len(scores) > 1
    assert f"{best:.6g}" in printed
    adopted = measured.must_warm(
        warm, "pipeline.adopt", f"task={TASK}", "model=linear", "--dry-run"
    )
    assert "alpha" in adopted


@pytest.mark.extra("keras")
# Keras 3.15 with NumPy 2
@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword")
def test_a_model_of_keras_is_compared_by_the_name_it_has_for_classes(
    warm, measured, printed, empty_store, tmp_path
):
    project = measured.copy(tmp_path / "bakeoff", empty_store)
    project.edit("conf/model/keras_net.yaml", "max_epochs: 200", "max_epochs: 20")
    quiet = {"PYTHONWARNINGS": "ignore"}

    project.must_warm(warm, "pipeline.train", f"task={TASK}", "model=keras_net", **quiet)
    compared = "models=[baseline,keras_net]"
    project.must_warm(warm, "pipeline.evaluate", f"task={TASK}", compared, **quiet)

    board = pd.read_csv(project.root / f"reports/{TASK}/leaderboard.csv").set_index("model")
    assert board.loc["keras_net", "rmse"] < 0.85 * board.loc["baseline", "rmse"]
    scored = pd.read_parquet(project.root / f"reports/{TASK}/predictions.parquet")
    scored = scored[(scored["model"] == "keras_net") & (scored["part"] == "test")]
    test = project.parts(TASK)["test"].set_index("example_id")
    kept = predictor.load(project.root / f"models/{TASK}/keras_net")
    served = kept.predict(test.loc[scored["example_id"]])
    np.testing.assert_allclose(served["label"], scored["predicted"], rtol=1e-5)
    assert list(served) == ["label", "low", "high"]
