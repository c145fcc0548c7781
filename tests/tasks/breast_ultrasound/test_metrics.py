"""Sensitivity at 95 % specificity, against all thresholds one by one."""

import numpy as np
import pytest
from sklearn.metrics import roc_curve

from pipeline.problems.classification import ClassPredictions
from pipeline.tasks.breast_ultrasound.metrics import sensitivity_at_95_specificity

RNG = np.random.default_rng(0)


def predictions(score, actual):
    outputs = np.column_stack([1 - score, score])
    return ClassPredictions(np.asarray(actual), outputs, 1, classes=("benign", "malignant"))


def by_scikit_learn(score, actual, weights):
    false, true, _ = roc_curve(actual, score, sample_weight=weights, drop_intermediate=False)
    return true[false <= 0.05 + 1e-9].max()


@pytest.mark.parametrize("decimals", [1, 2, 9])
def test_it_is_the_highest_point_of_the_roc_curve_left_of_5_percent(decimals):
    actual = RNG.integers(0, 2, 200)
    score = (actual * 0.3 + RNG.random(200) * 0.7).round(decimals)
    weights = RNG.integers(0, 4, (20, 200)).astype(float)

    found = sensitivity_at_95_specificity(predictions(score, actual), weights)

    expected = [by_scikit_learn(score, actual, one) for one in weights]
    np.testing.assert_allclose(found, expected)


def test_twenty_negatives_allow_one_false_alarm():
    actual = np.repeat([0, 1], [20, 4])
    score = np.concatenate([np.linspace(0, 0.5, 19), [0.8], [0.9, 0.7, 0.6, 0.4]])

    assert sensitivity_at_95_specificity.once(predictions(score, actual)) == 0.75


def test_without_positives_it_is_not_defined():
    found = sensitivity_at_95_specificity.once(predictions(RNG.random(10), np.zeros(10, int)))

    assert np.isnan(found)
