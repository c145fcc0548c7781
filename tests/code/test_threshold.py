"""The threshold of an alarm: as good as brute force over all that there could be."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline.problems import classification
from pipeline.problems.classification import Classification, ClassPredictions

METRICS = Classification.METRICS


def best_threshold(metric, answers) -> float:
    return classification.best_threshold(METRICS[metric], answers)


# From counts: true and false alarms, missed, rightly left alone.
REFERENCE = {
    "f1": lambda true, false, missed, spared: 2 * true / (2 * true + false + missed),
    "f1_macro": lambda true, false, missed, spared: (
        true / (2 * true + false + missed) + spared / (2 * spared + false + missed)
    ),
    "precision": lambda true, false, missed, spared: true / (true + false),
    "accuracy": lambda true, false, missed, spared: (
        (true + spared) / (true + false + missed + spared)
    ),
}


def some_answers(n, share, seed, digits=16) -> ClassPredictions:
    """Make answers that know something of the positive class, the second; few digits, many ties."""
    rng = np.random.default_rng(seed)
    actual = (rng.permutation(n) < share * n).astype(int)
    score = (1 / (1 + np.exp(2 - 1.5 * actual - rng.normal(size=n)))).round(digits)
    return ClassPredictions(actual, np.column_stack([1 - score, score]), positive=1)


def scores(metric, answers, thresholds) -> np.ndarray:
    """Score every threshold by counting all examples."""
    alarm = answers.probabilities[:, 1] >= np.reshape(thresholds, (-1, 1))
    actual = answers.actual == 1
    pairs = ((alarm, actual), (alarm, ~actual), (~alarm, actual), (~alarm, ~actual))
    return REFERENCE[metric](*((one & other).sum(1) for one, other in pairs))


def best_by_brute_force(metric, answers) -> float:
    # Without the lowest, from which on everything is an alarm.
    return scores(metric, answers, np.unique(answers.probabilities[:, 1])[1:]).max()


def reached(metric, answers) -> float:
    return scores(metric, answers, best_threshold(metric, answers)).item()


@pytest.mark.parametrize("metric", REFERENCE)
@pytest.mark.parametrize("digits", [1, 2, 16])
@pytest.mark.parametrize("seed", range(5))
def test_no_threshold_is_better(metric, digits, seed):
    answers = some_answers(300, 0.3, seed, digits)

    assert reached(metric, answers) == pytest.approx(best_by_brute_force(metric, answers))


@pytest.mark.parametrize("seed", range(5))
def test_no_threshold_is_better_where_the_positive_class_is_rare(seed):
    answers = some_answers(3000, 0.01, seed)

    assert reached("f1", answers) == pytest.approx(best_by_brute_force("f1", answers))


def test_among_thousands_of_positive_examples_it_is_nearly_the_best():
    answers = some_answers(8000, 0.5, 0)
    best = best_by_brute_force("f1", answers)

    # A step from one of 200 to the next moves half a percent of the positive class.
    assert best - 0.002 < reached("f1", answers) <= best


def test_it_lies_between_what_it_tells_apart():
    score = np.array([0.1, 0.2, 0.8, 0.9])
    answers = ClassPredictions(np.array([0, 0, 1, 1]), np.column_stack([1 - score, score]), 1)

    assert best_threshold("f1", answers) == pytest.approx(0.5)


def test_of_equally_good_ones_it_is_the_middle_one():
    # Alarms for the first, the first two or the first three examples: precision 1 each.
    score = np.array([0.9, 0.8, 0.7, 0.2, 0.1])
    answers = ClassPredictions(np.array([1, 1, 1, 0, 1]), np.column_stack([1 - score, score]), 1)

    assert best_threshold("precision", answers) == pytest.approx(0.75)


@pytest.mark.parametrize("constant", [0.0, 0.15, 1.0])
def test_a_constant_leaves_nothing_to_choose(constant):
    given = np.tile([1 - constant, constant], (10, 1))
    answers = ClassPredictions(np.arange(10) % 2, given, positive=1)

    threshold = best_threshold("f1", answers)

    assert threshold == 0.5
    alarm = replace(answers, threshold=threshold)
    # Half of the examples are positive: F1 of an alarm at all of them is 2/3.
    expected = 2 / 3 if constant == 1 else 0
    assert METRICS["f1"](alarm, np.ones((1, 10)))[0] == pytest.approx(expected)


def test_where_the_metric_is_not_defined_it_is_a_half():
    # Specificity is a share of the other class, of which there is none.
    score = np.array([0.3, 0.6, 0.9])
    answers = ClassPredictions(np.ones(3, dtype=int), np.column_stack([1 - score, score]), 1)

    assert best_threshold("specificity", answers) == 0.5
