"""Every metric under many weightings against scikit-learn, and known answers by hand."""

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from sklearn import metrics as sk

from pipeline.problems import classification, problem
from pipeline.problems.classification import Classification, ClassPredictions
from pipeline.tasks.fake_news.metrics import fnc_score
from pipeline.tasks.turbofan.metrics import warning_time

METRICS = Classification.METRICS


def of_the_positive(answers):
    return answers.actual == answers.positive, answers.predicted == answers.positive


# The same facts in scikit-learn's words; `a` answers, `w` one weight an example.
REFERENCE = {
    "accuracy": lambda a, w: sk.accuracy_score(a.actual, a.predicted, sample_weight=w),
    "f1_macro": lambda a, w: sk.f1_score(
        a.actual,
        a.predicted,
        labels=range(a.probabilities.shape[1]),
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
        a.actual, a.probabilities, labels=range(a.probabilities.shape[1]), sample_weight=w
    ),
    "roc_auc": lambda a, w: sk.roc_auc_score(
        a.actual == a.positive, a.probabilities[:, a.positive], sample_weight=w
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
    return ClassPredictions(actual, probabilities, positive)


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


# The rules of the challenge by example: 0.25 for related or not, 0.75 more for which.
@pytest.mark.parametrize(
    ("actual", "predicted", "points", "most"),
    [
        ("unrelated", "unrelated", 0.25, 0.25),
        ("unrelated", "agree", 0, 0.25),
        ("agree", "unrelated", 0, 1),
        ("agree", "disagree", 0.25, 1),
        ("discuss", "discuss", 1, 1),
    ],
)
def test_fnc_score_gives_the_challenges_points(actual, predicted, points, most):
    classes = ("agree", "disagree", "discuss", "unrelated")
    # A second, perfect answer worth 1 makes shares tell points apart.
    pairs = [(actual, predicted), ("agree", "agree")]
    right = np.array([classes.index(a) for a, _ in pairs])
    given = np.eye(4)[[classes.index(p) for _, p in pairs]]

    found = fnc_score.once(ClassPredictions(right, given, 0, classes=classes))

    assert found == pytest.approx((points + 1) / (most + 1))


def test_warning_time_is_that_of_the_first_right_alarm_of_engines_that_need_one():
    # Engine a: a false alarm 50 before the end, right ones at 20 and 10; b: missed; c: no need.
    engine = np.array(["a", "a", "a", "a", "b", "c", "c"])
    left = np.array([50.0, 30.0, 20.0, 10.0, 5.0, 90.0, 89.0])
    actual = np.array([0, 1, 1, 1, 1, 0, 0])
    alarm = np.array([1, 0, 1, 1, 0, 1, 0])
    meta = {"group": engine, "time_to_event": left}
    answers = ClassPredictions(actual, np.eye(2)[alarm], 1, meta=meta)
    # once each; engine a twice and b never; c alone
    weights = np.array([[1, 1, 1], [2, 0, 1], [0, 0, 3]])[:, [0, 0, 0, 0, 1, 2, 2]] * 1.0

    found = warning_time(answers, weights)

    np.testing.assert_allclose(found, [10, 20, np.nan])


def test_one_example_an_engine_has_no_first_alarm():
    alarm = np.array([1, 0])
    meta = {"group": np.array(["a", "b"]), "time_to_event": alarm}
    answers = ClassPredictions(alarm, np.eye(2)[alarm], 1, meta=meta)

    assert np.isnan(warning_time(answers, np.ones((3, 2)))).tolist() == [True] * 3


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

    assert found[0] == pytest.approx(REFERENCE["log_loss"](answers, None), rel=1e-6)


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
