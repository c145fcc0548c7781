"""A model of faces: whom it recognises, whom it takes for somebody known, and what is served."""

import numpy as np
import pandas as pd
import pytest

from pipeline import predictor

STRANGER = "somebody else"


@pytest.fixture(scope="module")
def compared(faces, warm):
    """Return the project after the stages with two models."""
    faces.must_warm(warm, "pipeline.featurize", "task=faces")
    for model in ("baseline", "logistic_regression"):
        faces.must_warm(warm, "pipeline.train", "task=faces", f"model={model}")
    faces.must_warm(
        *(warm, "pipeline.evaluate", "task=faces", "models=[baseline,logistic_regression]")
    )
    return faces


def test_most_people_are_recognised_and_few_strangers_are_taken_for_one(compared):
    board = pd.read_csv(compared.root / "reports/faces/leaderboard.csv").set_index("model")

    found = board.loc["logistic_regression"]
    assert found["closed_accuracy"] > 0.9
    assert 0.5 < found["identification_rate"] <= found["closed_accuracy"]
    assert found["false_acceptance_rate"] < 0.1
    for name in ("identification_rate", "false_acceptance_rate", "closed_accuracy"):
        assert found[f"{name}_low"] <= found[name] <= found[f"{name}_high"]
    assert board.loc["baseline", "identification_rate"] == 0


def test_the_rates_are_those_at_the_surest_stranger_of_validation(compared):
    """Thresholds from the served probabilities: no more than the surest of 100 strangers."""
    board = pd.read_csv(compared.root / "reports/faces/leaderboard.csv").set_index("model")
    rates = []
    for name in map(str, range(6)):
        model = predictor.load(compared.root / f"models/faces/logistic_regression/rounds/{name}/0")
        parts = compared.parts("faces", name)
        sure, right = {}, {}
        for part in ("validation", "test"):
            served = model.predict(parts[part][["image"]]).filter(like="probability_")
            sure[part] = served.max(axis=1)
            right[part] = served.idxmax(axis=1) == "probability_" + parts[part]["label"]
        stranger = {part: parts[part]["label"] == STRANGER for part in sure}
        accepted = sure["test"] > sure["validation"][stranger["validation"]].max()
        rates.append(
            [
                (accepted & right["test"])[~stranger["test"]].mean(),
                accepted[stranger["test"]].mean(),
                right["test"][~stranger["test"]].mean(),
            ]
        )

    names = ["identification_rate", "false_acceptance_rate", "closed_accuracy"]
    found = board.loc["logistic_regression", names].astype(float)
    # Files are decoded and predicted in other batches, which rounds otherwise.
    np.testing.assert_allclose(found, np.mean(rates, axis=0), atol=0.002)


def test_the_kept_model_answers_for_people_and_for_somebody_else(compared):
    kept = predictor.load(compared.root / "models/faces/logistic_regression")
    everybody = compared.parts("faces", "final")

    known = kept.predict(everybody["train"][["image"]])
    others = everybody["validation"][everybody["validation"]["label"] == STRANGER]
    strangers = kept.predict(others[["image"]])

    assert (known["label"] == everybody["train"]["label"]).mean() > 0.9
    assert (strangers["label"] == STRANGER).mean() > 0.9
    assert len([name for name in strangers if name.startswith("probability_")]) == 20
