"""The cycles that engines have left: NASA's score by hand, and what is published."""

import json
import math

import numpy as np
import pytest

from pipeline.problems import problem
from pipeline.tasks.turbofan.life_metrics import nasa_score

MODELS = ["baseline", "lightgbm"]


def test_nasas_score_punishes_a_late_warning_more():
    kind = problem("regression", {"learn_at_most": 125.0})
    actual = np.array([50.0, 50.0, 50.0, 300.0])
    predicted = np.array([60.0, 37.0, 50.0, 125.0])  # 10 late, 13 early, right, right once cut
    found = kind.predictions(actual, predicted, {})

    assert nasa_score.once(found) == pytest.approx(2 * (math.e - 1))
    weights = np.array([[2, 0, 1, 1]])
    np.testing.assert_allclose(nasa_score(found, weights), 2 * (math.e - 1))


@pytest.fixture(scope="module")
def board(warm, downloaded):
    """Return the board of two models."""
    project = downloaded("turbofan_life")
    for stage, *overrides in (
        ("featurize",),
        *(("train", f"model={model}") for model in MODELS),
        ("evaluate", f"models=[{','.join(MODELS)}]"),
    ):
        project.must_warm(warm, f"pipeline.{stage}", "task=turbofan_life", *overrides)
    path = project.root / "reports/turbofan_life/board.json"
    return json.loads(path.read_text("utf-8"))


def test_lightgbm_is_as_near_as_published_results(board):
    """Deep networks are published at 12.5 to 16.1 cycles on the 100 test engines."""
    assert board["models"]["lightgbm"]["scores"]["rmse_cut"]["score"] < 13


def test_intervals_hold_the_life_of_nine_engines_in_ten(board):
    found = board["models"]["lightgbm"]["scores"]["coverage"]

    assert 0.88 <= found["score"] <= 0.95
    assert found["low"] < 0.9 < found["high"]


def test_the_target_as_it_is_and_cut_are_both_told(board):
    found = board["models"]["baseline"]["scores"]

    # The mean of the cut target of train, against 7 to 145 cycles.
    assert found["rmse"]["score"] > found["rmse_cut"]["score"] > 40
    assert (board["metric"], board["unit"]) == ("rmse_cut", "cycles")
