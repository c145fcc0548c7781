"""Which models an ensemble takes, and with which weights."""

from itertools import product

import numpy as np
import pytest
from sklearn.metrics import log_loss

from pipeline.combine import Validation, choose, combine, pool
from pipeline.problems import problem


def mean(outputs, weights):
    return np.average(outputs, axis=0, weights=weights)


def near(target):
    return lambda average: -abs(float(average.mean()) - target)


def test_weights_are_the_best_of_all_that_so_many_steps_can_reach():
    """From both models, 8 more: 3 of 10 is the best of every number of each."""
    outputs = {"zero": np.zeros(1), "one": np.ones(1)}

    counts = choose(outputs, near(0.3), mean, steps=8)

    tried = {
        (zeros, ones): abs(ones / (zeros + ones) - 0.3)
        for zeros, ones in product(range(11), repeat=2)
        if 0 < zeros + ones <= 10
    }
    zeros, ones = min(tried, key=tried.get)
    assert counts == {"zero": zeros, "one": ones} == {"zero": 7, "one": 3}


def test_one_model_is_taken_where_no_average_is_better():
    outputs = {"far": np.array([5.0]), "right": np.array([1.0]), "also": np.array([1.0])}

    assert choose(outputs, near(1.0), mean) == {"right": 1}


def test_members_that_do_not_help_are_left_out_and_the_most_frequent_is_first():
    outputs = {"bad": np.array([-9.0]), "low": np.array([0.0]), "high": np.array([4.0])}

    assert choose(outputs, near(3.0), mean) == {"high": 3, "low": 1}


def test_a_score_that_is_not_defined_is_the_worst():
    outputs = {"none": np.array([np.nan]), "some": np.array([7.0])}

    assert choose(outputs, near(1.0), mean) == {"some": 1}


LABELS = ["a", "b", "c"]
TARGET = {"classes": LABELS, "columns": []}


@pytest.fixture
def validation():
    """120 examples, and probabilities of four models of different quality."""
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 3, 120)
    outputs = {}
    for name, quality in {"w": 0.0, "x": 1.0, "y": 1.1, "z": 1.2}.items():
        logits = quality * np.eye(3)[codes] + rng.normal(size=(120, 3))
        exponents = np.exp(logits)
        outputs[name] = exponents / exponents.sum(1, keepdims=True)
    return Validation(np.array(LABELS)[codes], {}, outputs)


def test_an_ensemble_scores_better_on_validation_than_each_model(validation):
    settings = {"metric": "log_loss", "metrics": ["log_loss"]}
    kind = problem("classification", settings).on(TARGET)

    combined = combine(kind, validation)

    assert sum(combined.weights.values()) == pytest.approx(1)
    average = sum(weight * validation.outputs[name] for name, weight in combined.weights.items())
    np.testing.assert_allclose(combined.predictions.probabilities, average)
    best = min(log_loss(validation.target, one) for one in validation.outputs.values())
    assert log_loss(validation.target, average) < best


def test_the_decision_is_that_for_the_average(validation):
    settings = {"metric": "f1", "metrics": ["f1"], "positive": "b", "threshold": "f1"}
    kind = problem("classification", settings).on(TARGET)

    combined = combine(kind, validation)

    threshold = combined.decision["threshold"]
    alarm = combined.predictions.probabilities[:, 1] >= threshold
    assert (combined.predictions.predicted == 1).tolist() == alarm.tolist()


def test_fits_are_pooled_in_order(validation):
    both = pool({("0", 0): validation, ("1", 0): validation})

    assert len(both.target) == 240
    np.testing.assert_array_equal(both.outputs["x"][120:], validation.outputs["x"])
