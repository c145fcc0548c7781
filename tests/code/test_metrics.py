"""Every metric under many weightings against scikit-learn, and known answers by hand."""

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from sklearn import metrics as sk

from pipeline.problems import classification, problem
from pipeline.problems.classification import Classification, ClassPredictions

METRICS = Classification.METRICS


def of_the_positive(answers):
    return answers.actual == answers.positive, answers.predicted == answers.positive


def sets(answers):
    """Return the classes of each set, one example at a time."""
    return [
        {*np.flatnonzero(row >= 0.3), first}
        for row, first in zip(answers.probabilities, answers.predicted, strict=True)
    ]


def of_a_class(answers):
    return answers.actual < answers.probabilities.shape[1]


# The same facts in scikit-learn's words; `a` answers, `w` one weight an example.
REFERENCE = {
    "accuracy": lambda a, w: sk.accuracy_score(a.actual, a.predicted, sample_weight=w),
    "f1_macro": lambda a, w: sk.f1_score(
        a.actual,
        a.predicted,
        labels=range(max(a.probabilities.shape[1], len(a.classes))),
        average="macro",
        zero_division=0,
        sample_weight=w,
    ),
    "f1": lambda a, w: sk.f1_score(*of_the_positive(a), sample_weight=w, zero_division=0),
    "precision": lambda a, w: sk.precision_score(
        *of_the_positive(a), sample_weight=w, zero_division=0
    ),
    "recall": lambda a, w: sk.recall_score(*of_the_positive(a), sample_weight=w),
    "sensitivity": lambda a, w: sk.recall_score(*of_the_positive(a), sample_weight=w),
    "specificity": lambda a, w: sk.recall_score(
        a.actual != a.positive, a.predicted != a.positive, sample_weight=w
    ),
    "average_precision": lambda a, w: sk.average_precision_score(
        a.actual == a.positive, a.probabilities[:, a.positive], sample_weight=w
    ),
    "log_loss": lambda a, w: sk.log_loss(
        a.actual[of_a_class(a)],
        a.probabilities[of_a_class(a)],
        labels=range(a.probabilities.shape[1]),
        sample_weight=w[of_a_class(a)],
    ),
    "roc_auc": lambda a, w: sk.roc_auc_score(
        a.actual == a.positive, a.probabilities[:, a.positive], sample_weight=w
    ),
    "coverage": lambda a, w: np.average(
        [true in one for true, one in zip(a.actual, sets(a), strict=True)], weights=w
    ),
    "set_size": lambda a, w: np.average([len(one) for one in sets(a)], weights=w),
    "identification_rate": lambda a, w: sk.accuracy_score(
        a.actual[of_a_class(a)], a.predicted[of_a_class(a)], sample_weight=w[of_a_class(a)]
    ),
    # not a number where nothing is of none of the classes
    "false_acceptance_rate": lambda a, w: (
        1 - sk.recall_score(~of_a_class(a), a.predicted == 3, sample_weight=w, zero_division=np.nan)
    ),
    "closed_accuracy": lambda a, w: sk.accuracy_score(
        a.actual[of_a_class(a)],
        a.probabilities[of_a_class(a)].argmax(1),
        sample_weight=w[of_a_class(a)],
    ),
}


def some_answers(n_classes, *, ties=False, lacking=None, positive=0, n=60):
    rng = np.random.default_rng(7)
    actual = rng.integers(0, n_classes, n)
    if lacking is not None:
        actual[actual == lacking] = (lacking + 1) % n_classes
    probabilities = rng.dirichlet(np.ones(n_classes), n)
    if ties:
        # Shares of 4 votes: few distinct values, and exact zeros for the log loss.
        probabilities = rng.multinomial(4, np.ones(n_classes) / n_classes, n) / 4
    return ClassPredictions(actual, probabilities, positive, set_from=0.3)


@pytest.mark.parametrize("name", REFERENCE)
@pytest.mark.parametrize(
    "case",
    [
        {"n_classes": 2, "positive": 1},
        {"n_classes": 2, "ties": True},
        {"n_classes": 3, "positive": 2},
        {"n_classes": 3, "ties": True, "positive": 1},
        {"n_classes": 3, "lacking": 2, "positive": 0},
    ],
    ids=["binary", "binary-ties", "3-class", "3-class-ties", "3-class-one-missing"],
)
@pytest.mark.parametrize("weighting", ["fractions", "counts"])
def test_metric_equals_scikit_learn_for_each_weighting(name, case, weighting):
    answers = some_answers(**case)
    rng = np.random.default_rng(3)
    shape = (5, len(answers.actual))
    # Counts with zeros are what a bootstrap draws.
    weights = rng.random(shape) if weighting == "fractions" else rng.poisson(1.0, shape) * 1.0

    found = METRICS[name](answers, weights)

    expected = [REFERENCE[name](answers, w) for w in weights]
    np.testing.assert_allclose(found, expected, rtol=1e-9)


@pytest.mark.parametrize("name", sorted(REFERENCE.keys() - {"coverage", "set_size"}))
def test_metric_equals_scikit_learn_where_some_examples_are_of_none_of_the_classes(name):
    answers, rng = some_answers(3, positive=1), np.random.default_rng(5)
    answers = replace(
        answers,
        actual=np.where(rng.random(60) < 0.4, 3, answers.actual),
        classes=("a", "b", "c", "none of them"),
        accept_above=0.6,
    )
    weights = rng.poisson(1.0, (5, 60)) * 1.0
    assert {*answers.predicted} == {0, 1, 2, 3}

    found = METRICS[name](answers, weights)

    np.testing.assert_allclose(found, [REFERENCE[name](answers, w) for w in weights], rtol=1e-9)


def test_every_metric_is_compared_with_something():
    assert REFERENCE.keys() == METRICS.keys()


@pytest.mark.parametrize("threshold", [0.1, 0.5, 0.8])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_from_the_threshold_on_the_positive_class_is_answered(n_classes, threshold):
    answers = replace(some_answers(n_classes, positive=1), threshold=threshold)

    for given, found in zip(answers.probabilities, answers.predicted, strict=True):
        others = {code: p for code, p in enumerate(given) if code != 1}
        assert found == (1 if given[1] >= threshold else max(others, key=others.get))


@pytest.mark.parametrize("code", range(3))
def test_f1_of_a_class_is_that_of_scikit_learn(code):
    answers = replace(some_answers(3), classes=("agree", "discuss", "none at all"))
    weights = np.random.default_rng(3).random((5, 60))
    of_classes = Classification(target={"classes": answers.classes})

    found = of_classes.find(f"f1_{answers.classes[code]}")(answers, weights)

    expected = [
        sk.f1_score(answers.actual == code, answers.predicted == code, sample_weight=w)
        for w in weights
    ]
    np.testing.assert_allclose(found, expected)


@pytest.mark.parametrize("name", ["recall", "specificity", "roc_auc", "average_precision"])
def test_a_share_of_nothing_is_not_a_number(name):
    actual = np.array([0, 1])
    answers = ClassPredictions(actual, np.eye(2)[actual], 0)
    lacking = [0.0, 1.0] if name != "specificity" else [1.0, 0.0]

    assert np.isnan(METRICS[name](answers, np.array([lacking]))[0])


def test_log_loss_of_32_bit_probabilities_is_clipped_as_scikit_learn_does():
    certain = np.array([[1, 0], [0, 1], [1, 0]], dtype=np.float32)
    answers = ClassPredictions(np.array([0, 1, 1]), certain, 0)

    found = METRICS["log_loss"](answers, np.ones((1, 3)))

    assert found[0] == pytest.approx(REFERENCE["log_loss"](answers, np.ones(3)), rel=1e-6)


def test_confusion_counts_actual_in_rows_and_predicted_in_columns():
    # actual 0: predicted 0 and 1; actual 1: predicted 1 three times
    given = np.array([[0.9, 0.1], [0.2, 0.8], [0.3, 0.7], [0.3, 0.7], [0.3, 0.7]])

    found = classification.confusion(ClassPredictions(np.array([0, 0, 1, 1, 1]), given, 0))

    np.testing.assert_array_equal(found, [[1, 1], [0, 3]])


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ([0.5, 0.5], 0.5),  # the only pair is tied
        ([0.9, 0.1], 1.0),
        ([0.1, 0.9], 0.0),
    ],
)
def test_roc_auc_counts_ties_half(scores, expected):
    positive = np.array(scores)
    answers = ClassPredictions(np.array([0, 1]), np.column_stack([positive, 1 - positive]), 0)

    assert METRICS["roc_auc"](answers, np.ones((1, 2)))[0] == expected


def test_f1_macro_by_hand():
    # class 0: tp 1, fp 1, fn 1 -> 2/4; class 1: tp 1, fp 1, fn 1 -> 2/4; class 2 never occurs -> 0
    given = np.array([[0.8, 0.2, 0.0], [0.2, 0.8, 0.0], [0.9, 0.1, 0.0], [0.1, 0.9, 0.0]])
    answers = ClassPredictions(np.array([0, 0, 1, 1]), given, 0)

    assert METRICS["f1_macro"](answers, np.ones((1, 4)))[0] == pytest.approx(1 / 3)


def test_log_loss_of_even_odds_is_log_2():
    answers = ClassPredictions(np.array([0, 1, 1]), np.full((3, 2), 0.5), 0)

    assert METRICS["log_loss"](answers, np.ones((1, 3)))[0] == pytest.approx(np.log(2))


def test_predictions_find_labels_in_the_sorted_classes():
    genres = problem("classification", {"positive": "poetry"})
    genres = genres.on({"classes": ["essay", "novel", "poetry"]})

    answers = genres.predictions(np.array(["novel", "essay", "poetry"]), np.full((3, 3), 1 / 3), {})

    assert answers.actual.tolist() == [1, 0, 2]
    assert answers.positive == 2


def test_f1_macro_of_many_classes_takes_little_memory():
    n, n_classes = 20_000, 150
    actual, guess = np.random.default_rng(0).integers(0, n_classes, (2, n))
    answers = ClassPredictions(actual, np.eye(n_classes, dtype=np.float32)[guess], 0)
    weights = np.ones((20, n))
    _ = answers.predicted

    tracemalloc.start()
    found = METRICS["f1_macro"](answers, weights)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert most < 200e6
    assert found[0] == pytest.approx(sk.f1_score(actual, guess, average="macro"), rel=1e-12)


@pytest.mark.parametrize(("n", "hits", "expected"), [(12, 0, (4 / 20) ** 2), (12, 1, 0)])
def test_f1_without_a_right_prediction_may_be_as_high_as_wilson_allows(n, hits, expected):
    """Two standard errors are F1 of a share of 4 / (n + 4), which is 2 share / (1 + share)."""
    actual = np.repeat([1, 0], [n, 40])
    predicted = np.zeros(n + 40, int)
    predicted[:hits] = 1
    found = ClassPredictions(actual, np.eye(2)[predicted], 1)
    share = 4 / (n + 4)

    assert METRICS["f1"].unseen(found) == pytest.approx(expected)
    assert METRICS["f1_macro"].unseen(found) == pytest.approx(expected / 4)
    assert 2 * np.sqrt((4 / (n + 8)) ** 2) == pytest.approx(2 * share / (1 + share))
