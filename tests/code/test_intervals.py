"""Intervals against published values, formulas by hand and exact theory."""

import numpy as np
import pytest
from scipy.stats import kurtosis, norm, t

from pipeline.evaluation.intervals import (
    degrees_of_freedom,
    expanded_percentiles,
    max_t,
    score_interval,
)
from pipeline.problems.classification import Classification, ClassPredictions

METRICS = Classification.METRICS


@pytest.mark.parametrize(
    ("right", "n", "low", "high"),
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_share_has_the_interval_of_wilson(right, n, low, high):
    """Newcombe, "Two-sided confidence intervals for the single proportion", 1998, table I."""
    found = score_interval(right / n, lambda true: true * (1 - true) / n, norm.ppf(0.975))

    assert found == pytest.approx((low, high), abs=6e-5)


@pytest.mark.parametrize(("n_positive", "n_negative"), [(20, 20), (6, 90)])
def test_variance_of_auc_is_that_of_hanley_and_mcneil_with_a_common_size(n_positive, n_negative):
    """Newcombe 2006, method 5: the sizes in the numerator are replaced by their mean."""
    actual = np.repeat([1, 0], [n_positive, n_negative])
    predictions = ClassPredictions(actual, np.full((len(actual), 2), 0.5), 1)
    auc = np.array([0.5, 0.8, 0.98])
    common = (n_positive + n_negative) / 2
    q1, q2 = auc / (2 - auc), 2 * auc**2 / (1 + auc)
    expected = auc * (1 - auc) + (common - 1) * (q1 - auc**2) + (common - 1) * (q2 - auc**2)

    found = METRICS["roc_auc"].variance(predictions, auc)

    np.testing.assert_allclose(found, expected / (n_positive * n_negative))
    np.testing.assert_allclose(METRICS["roc_auc"].variance(predictions, np.array([0.0, 1.0])), 0)


@pytest.mark.parametrize(
    ("name", "n"), [("accuracy", 10), ("recall", 4), ("specificity", 6), ("precision", 3)]
)
def test_variance_of_a_share_counts_the_examples_that_it_is_about(name, n):
    actual = np.repeat([1, 0], [4, 6])
    alarm = np.isin(np.arange(10), [0, 1, 9])
    predictions = ClassPredictions(actual, np.column_stack([~alarm, alarm]) * 1.0, 1)

    assert METRICS[name].variance(predictions, np.array([0.5])) == pytest.approx(0.25 / n)


def test_ends_of_a_score_interval_are_as_far_as_asked():
    low, high = score_interval(0.9, lambda true: 0.2 * true * (1 - true), 1.7)

    for end in (low, high):
        assert abs(0.9 - end) == pytest.approx(1.7 * np.sqrt(0.2 * end * (1 - end)))


def test_a_perfect_score_still_has_a_lower_end():
    # Of n examples all right: Wilson's lower end is n / (n + z**2).
    low, high = score_interval(1.0, lambda true: true * (1 - true) / 30, 2.0)

    assert (low, high) == (pytest.approx(30 / 34), 1.0)


def test_expanded_percentiles_of_normal_draws_are_the_interval_of_student():
    draws = norm.ppf((np.arange(200_000) + 0.5) / 200_000, loc=3, scale=2)
    times = t.ppf(0.975, 7)

    assert expanded_percentiles(draws, times) == pytest.approx(
        (3 - 2 * times, 3 + 2 * times), abs=0.02
    )


def test_degrees_of_freedom_of_a_mean_of_normal_values_are_their_number_less_one():
    values = norm.ppf((np.arange(50) + 0.5) / 50)
    left_out = (values.sum() - values) / 49

    # Their kurtosis is a little below 3, so that the bound n - 1 holds.
    assert degrees_of_freedom(left_out[:, None], np.zeros(50)) == pytest.approx(49)


def test_few_errors_of_many_examples_leave_few_degrees_of_freedom():
    wrong = np.arange(100) < 4
    left_out = (96 - ~wrong) / 99

    found = degrees_of_freedom(left_out[:, None], np.zeros(100))

    # The kurtosis is the excess and 3.
    assert found == pytest.approx(99 * 2 / (kurtosis(wrong, bias=False) + 2))
    assert found < 10


def test_degrees_of_freedom_of_categories_are_combined_as_by_satterthwaite():
    # Two categories of 3 and 9 units; deviations such that no kurtosis exceeds 3.
    few, many = np.array([-1.0, 0, 1]), np.linspace(-1, 1, 9)
    variances = [2 / 3 * (few**2).sum(), 8 / 9 * (many**2).sum()]
    expected = sum(variances) ** 2 / (variances[0] ** 2 / 2 + variances[1] ** 2 / 8)

    found = degrees_of_freedom(np.r_[few, many][:, None], np.repeat([0, 1], [3, 9]))

    assert found == pytest.approx(expected)


def test_scores_that_nothing_changes_have_no_degrees_of_freedom():
    left_out = np.column_stack([np.ones(8), np.r_[np.nan, np.arange(7)]])

    assert degrees_of_freedom(left_out, np.zeros(8)).tolist() == [0, 0]


def test_simultaneous_intervals_reach_as_far_as_the_largest_deviation():
    noise = np.random.default_rng(0).normal(size=(500, 4))

    found = max_t(noise, 0.9)

    largest = sorted(max(abs(value) for value in row) for row in noise)
    assert found == pytest.approx(np.quantile(largest, 0.9))
    # Four independent deviations: the quantile of the largest is Sidak's.
    assert found == pytest.approx(norm.ppf((1 + 0.9 ** (1 / 4)) / 2), abs=0.15)


def test_no_interval_reaches_less_far_than_that_of_one():
    assert max_t(np.zeros((50, 1)), 0.95) == pytest.approx(norm.ppf(0.975))
    assert max_t(np.zeros((50, 0)), 0.95) == pytest.approx(norm.ppf(0.975))
