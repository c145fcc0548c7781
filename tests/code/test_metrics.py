"""Every metric under many weightings against scikit-learn, and known answers by hand."""

import numpy as np
import pytest
from sklearn import metrics as sk

from pipeline.errors import UserError
from pipeline.evaluation import metrics
from pipeline.evaluation.metrics import METRICS, Answers, score

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
    "sensitivity": lambda a, w: sk.recall_score(
        a.actual == a.positive, a.predicted == a.positive, sample_weight=w
    ),
    "specificity": lambda a, w: sk.recall_score(
        a.actual != a.positive, a.predicted != a.positive, sample_weight=w
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
    return Answers(actual, probabilities, positive)


@pytest.mark.parametrize("name", METRICS)
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


def test_every_metric_has_a_reference():
    assert REFERENCE.keys() == METRICS.keys()


def test_log_loss_of_32_bit_probabilities_is_clipped_as_scikit_learn_does():
    certain = np.array([[1, 0], [0, 1], [1, 0]], dtype=np.float32)
    answers = Answers(np.array([0, 1, 1]), certain, 0)

    found = METRICS["log_loss"](answers, np.ones((1, 3)))

    assert found[0] == pytest.approx(REFERENCE["log_loss"](answers, None), rel=1e-6)


def test_confusion_counts_actual_in_rows_and_predicted_in_columns():
    # actual 0: predicted 0 and 1; actual 1: predicted 1 with weight 3
    answers = Answers(np.array([0, 0, 1]), np.array([[0.9, 0.1], [0.2, 0.8], [0.3, 0.7]]), 0)

    found = metrics.confusion(answers, np.array([[1.0, 1.0, 3.0]]))

    np.testing.assert_array_equal(found, [[[1, 1], [0, 3]]])


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
    answers = Answers(np.array([0, 1]), np.column_stack([positive, 1 - positive]), 0)

    assert METRICS["roc_auc"](answers, np.ones((1, 2)))[0] == expected


def test_f1_macro_by_hand():
    # class 0: tp 1, fp 1, fn 1 -> 2/4; class 1: tp 1, fp 1, fn 1 -> 2/4; class 2 never occurs -> 0
    given = np.array([[0.8, 0.2, 0.0], [0.2, 0.8, 0.0], [0.9, 0.1, 0.0], [0.1, 0.9, 0.0]])
    answers = Answers(np.array([0, 0, 1, 1]), given, 0)

    assert METRICS["f1_macro"](answers, np.ones((1, 4)))[0] == pytest.approx(1 / 3)


def test_log_loss_of_even_odds_is_log_2():
    answers = Answers(np.array([0, 1, 1]), np.full((3, 2), 0.5), 0)

    assert METRICS["log_loss"](answers, np.ones((1, 3)))[0] == pytest.approx(np.log(2))


def test_score_gives_the_asked_metrics_one_value_a_draw():
    found = score(["accuracy", "log_loss"], some_answers(2), np.ones((4, 60)))

    assert {name: values.shape for name, values in found.items()} == {
        "accuracy": (4,),
        "log_loss": (4,),
    }


def test_answers_find_labels_in_the_sorted_classes():
    labels = np.array(["novel", "essay", "poetry"])

    answers = Answers.of(labels, np.full((3, 3), 1 / 3), ["essay", "novel", "poetry"], "poetry")

    assert answers.actual.tolist() == [1, 0, 2]
    assert answers.positive == 2


CLASSES = ["benign", "malignant"]


@pytest.mark.parametrize(
    ("metric", "reported", "positive", "message"),
    [
        ("acuracy", ["accuracy"], None, "'acuracy'; did you mean 'accuracy'?"),
        ("accuracy", ["accuracy", "f1_marco"], None, "'f1_marco'; did you mean 'f1_macro'?"),
        ("xyz", ["xyz"], None, "'xyz'; known: accuracy, f1_macro"),
        ("accuracy", ["log_loss"], None, "'accuracy' is not among task.metrics"),
        ("accuracy", ["accuracy"], "malign", "did you mean 'malignant'?"),
        ("roc_auc", ["roc_auc"], None, "set task.positive to one of benign, malignant"),
    ],
)
def test_check_names_what_is_wrong_and_the_nearest(metric, reported, positive, message):
    with pytest.raises(UserError) as caught:
        metrics.check(metric, reported, positive, CLASSES)

    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("metric", "reported", "positive"),
    [("accuracy", ["accuracy"], None), ("roc_auc", ["roc_auc", "sensitivity"], "malignant")],
)
def test_check_lets_a_sound_task_pass(metric, reported, positive):
    metrics.check(metric, reported, positive, CLASSES)
