"""An ensemble of one round: served as it was evaluated, and no row if it is not of the models."""

import json

import numpy as np
import pandas as pd
import pytest
from mlflow.pyfunc import load_model

from pipeline import predictor

MODELS = ["logistic_regression", "lightgbm"]
TASK = "task=breast_cancer"
ASKED = [TASK, f"models=[{','.join(MODELS)}]"]


@pytest.fixture
def combined(warm, project):
    """Two models and their ensemble, evaluated."""
    project.edit("conf/task/breast_cancer.yaml", "folds: 5", "folds: null")
    for stage in ("ingest", "featurize"):
        project.must_warm(warm, f"pipeline.{stage}", TASK)
    for model in MODELS:
        project.must_warm(warm, "pipeline.train", TASK, f"model={model}")
    project.must_warm(warm, "pipeline.combine", *ASKED)
    project.must_warm(warm, "pipeline.evaluate", *ASKED)
    return project


def board(project) -> dict:
    file = project.root / "reports/breast_cancer/board.json"
    return json.loads(file.read_text(encoding="utf-8"))["models"]


def test_the_served_ensemble_predicts_what_evaluate_had_and_a_stale_one_has_no_score(
    warm, combined, monkeypatch
):
    project = combined
    folder = project.root / "ensembles/breast_cancer"
    manifest = json.loads((folder / "bundle.json").read_text(encoding="utf-8"))
    weights = {member["model"]: member["weight"] for member in manifest["members"]}
    assert weights == manifest["rounds"][0]["weights"]
    predictions = pd.read_parquet(project.root / "reports/breast_cancer/predictions.parquet")
    expected = predictions[predictions["model"] == "ensemble"].filter(like="probability_")
    test = project.parts("breast_cancer")["test"]
    inputs = test.drop(columns=["example_id", "label", "group"])
    monkeypatch.setenv("MLFLOW_TRACKING_URI", project.store)
    monkeypatch.syspath_prepend(".")
    (run,) = (run for run in project.runs("breast_cancer") if run.info.run_name == "ensemble")
    assert run.data.tags["family"] == "ensemble"
    served = load_model(f"runs:/{run.info.run_id}/ensemble").predict(inputs)
    np.testing.assert_array_equal(served.filter(like="probability_"), expected)
    assert predictor.load(folder).predict(inputs.head(0)).shape == (0, 3)

    # An ensemble is of the models that are compared, or it has no score.
    project.edit("conf/model/logistic_regression.yaml", "C: 1.0", "C: 2.0")
    project.must_warm(warm, "pipeline.train", TASK, "model=logistic_regression")
    project.must_warm(warm, "pipeline.evaluate", *ASKED)
    assert board(project)["ensemble"]["failed"] == (
        "it combines another logistic_regression than the one that is compared: "
        "python -m pipeline.combine task=breast_cancer"
    )

    # Nor is one that does not know what it said about validation.
    (project.root / "models/breast_cancer/lightgbm/rounds/validation.npz").write_bytes(b"PK")
    said = project.must_warm(warm, "pipeline.combine", *ASKED)
    assert (
        "without lightgbm: models/breast_cancer/lightgbm/rounds/validation.npz is damaged" in said
    )

    # One model alone is none.
    (project.root / "models/breast_cancer/lightgbm/bundle.json").unlink()
    said = project.must_warm(warm, "pipeline.combine", *ASKED)
    assert "without lightgbm: models/breast_cancer/lightgbm/bundle.json does not exist" in said
    assert "1 of 2 models can be combined, 2 are needed" in said
    project.must_warm(warm, "pipeline.evaluate", *ASKED)
    assert set(board(project)) == set(MODELS)
