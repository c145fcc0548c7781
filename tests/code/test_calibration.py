"""The calibration of predicted probabilities: known errors found, and no false alarms."""

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss

from pipeline.problems.classification import Classification


def problem(*classes):
    return Classification("accuracy", ("accuracy",), positive=classes[-1]).on(
        {"classes": list(classes)}
    )


def measure(claimed, happened, group=None, seed=0):
    kind = problem("no", "yes")
    group = np.arange(len(claimed)) if group is None else group
    labels = np.where(happened, "yes", "no")
    predictions = kind.predictions(
        labels, np.column_stack([1 - claimed, claimed]), {"group": group}
    )
    return kind.calibration(predictions, seed, 0.95)


def test_error_and_brier_score_equal_known_answers():
    # Two bins: 20 of claim 0.2 of which half happened, 20 of claim 0.7 of which 14 happened.
    claimed = np.repeat([0.2, 0.7], 20)
    happened = np.concatenate([np.arange(20) < 10, np.arange(20) < 14])
    found = measure(claimed, happened)
    assert found["error"] == pytest.approx(0.5 * 0.3)
    # Of two classes scikit-learn counts one.
    assert found["brier"] == pytest.approx(2 * brier_score_loss(happened, claimed))
    assert found["low"] < found["error"] < found["high"]


def test_of_more_classes_the_most_probable_is_looked_at():
    kind = problem("a", "b", "c")
    p = np.tile([0.6, 0.3, 0.1], (100, 1))
    labels = np.repeat(["a", "b", "c"], [90, 5, 5])
    found = kind.calibration(kind.predictions(labels, p, {"group": np.arange(100)}), 0, 0.95)
    assert found["error"] == pytest.approx(0.3)
    assert found["p_value"] < 0.01


@pytest.mark.parametrize("n", [40, 300])
@pytest.mark.parametrize("sharp", [0.1, 1, 4])
def test_calibrated_predictions_raise_few_alarms(n, sharp):
    rng = np.random.default_rng(0)
    runs = 150
    alarms = 0
    for seed in range(runs):
        claimed = rng.beta(1 / sharp, 1 / sharp, n)
        alarms += measure(claimed, rng.random(n) < claimed, seed=seed)["p_value"] < 0.05
    assert alarms / runs < 0.05 + 3 * np.sqrt(0.05 * 0.95 / runs)


def test_groups_whose_examples_are_alike_raise_few_alarms():
    rng = np.random.default_rng(5)
    runs, groups, size = 300, 40, 10
    alarms = 0
    for seed in range(runs):
        claimed = np.repeat(rng.uniform(0.2, 0.8, groups), size)
        # All examples of a group have one fate.
        happened = np.repeat(rng.random(groups), size) < claimed
        found = measure(claimed, happened, np.repeat(np.arange(groups), size), seed)
        alarms += found["p_value"] < 0.05
    assert alarms / runs < 0.05 + 3 * np.sqrt(0.05 * 0.95 / runs)


def test_overconfident_predictions_are_noticed():
    rng = np.random.default_rng(2)
    true = rng.uniform(0.2, 0.8, 500)
    claimed = true**3 / (true**3 + (1 - true) ** 3)
    found = measure(claimed, rng.random(500) < true)
    assert found["p_value"] < 0.01
    assert found["low"] > found["expected"]


def test_claims_of_certainty_are_calibrated_if_right_and_not_if_wrong():
    claimed = np.repeat([0.0, 1.0], 30)
    assert measure(claimed, claimed == 1)["p_value"] == 1
    wrong = measure(claimed, np.arange(60) % 30 < 20)
    assert wrong["p_value"] < 0.01
