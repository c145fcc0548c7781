"""Scores under many weightings of the same examples at once, which is what a bootstrap needs."""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np

from pipeline.errors import UserError, nearest


@dataclass(frozen=True)
class Answers:
    """
    What one model answered, and what was right.

    Attributes
    ----------
    actual : ndarray of int, shape (n,)
        Index of the right class.
    probabilities : ndarray of float, shape (n, n_classes)
        Rows sum to 1.
    positive : int
        Index of the class that sensitivity and the like are about.
    threshold : float, optional
        The answer is the positive class from this probability on; without it,
        the most probable class.
    classes : tuple of str
        Labels, for the metrics that name some.
    group : ndarray of shape (n,), optional
        Which examples belong together; without it each stands alone.
    time_to_event : ndarray of shape (n,), optional
        How long until what is to be foretold happens.
    """

    actual: np.ndarray
    probabilities: np.ndarray
    positive: int
    threshold: float | None = None
    classes: tuple[str, ...] = ()
    group: np.ndarray | None = None
    time_to_event: np.ndarray | None = None

    @classmethod
    def of(
        cls,
        labels: np.ndarray,
        probabilities: np.ndarray,
        classes: list[str],
        positive: str | None,
        **known: Any,
    ) -> Self:
        """
        Put labels and probabilities together.

        Parameters
        ----------
        labels : ndarray of str, shape (n,)
            The right answers.
        probabilities : ndarray of shape (n, n_classes)
            In the order of `classes`.
        classes : list of str
            Sorted.
        positive : str or None
            The class that sensitivity is about, if any.
        **known
            Further attributes.

        Raises
        ------
        UserError
            For a label that is not among the classes.
        """
        strange = sorted(set(labels) - set(classes))
        if strange:
            raise UserError(f"label '{strange[0]}' is not a class that the model was trained for")
        actual = np.searchsorted(classes, labels)
        one = classes.index(positive) if positive else 0
        return cls(actual, probabilities, one, classes=tuple(classes), **known)

    @cached_property
    def predicted(self) -> np.ndarray:
        """Index of the class that was answered."""
        return decided(self.probabilities, self.positive, self.threshold)


def decided(probabilities: np.ndarray, positive: int, threshold: float | None) -> np.ndarray:
    """
    Turn probabilities into answers.

    Parameters
    ----------
    probabilities : ndarray of shape (n, n_classes)
        Rows sum to 1.
    positive : int
        Index of the class that `threshold` is about.
    threshold : float or None
        From this probability on, the answer is the positive class.

    Returns
    -------
    ndarray of int, shape (n,)
        Index of the class: the most probable one, among the others where the
        positive one has a threshold and is below it.
    """
    if threshold is None:
        return probabilities.argmax(1)
    others = probabilities.copy()
    others[:, positive] = -1
    return np.where(probabilities[:, positive] >= threshold, positive, others.argmax(1))


def best_threshold(metric: str, answers: Answers) -> float:
    """
    Find the probability from which to answer the positive class.

    Parameters
    ----------
    metric : str
        What it shall be best in; a key of `METRICS`.
    answers : Answers
        To validation examples.

    Returns
    -------
    float
        The best of at most 200 thresholds, each halfway between a probability
        that an example of the positive class was given and the next lower one;
        of equally good ones the middle one. Elsewhere a threshold only takes
        more of the other classes in, and where the positive class is rare, most
        would be spent there.
    """
    score = answers.probabilities[:, answers.positive]
    given = np.unique(score)
    of_positive = np.isin(given[1:], score[answers.actual == answers.positive])
    halfway = ((given[1:] + given[:-1]) / 2)[of_positive]
    if not len(halfway):
        return 0.5
    tried = np.unique(np.quantile(halfway, np.linspace(0, 1, 200), method="nearest"))
    once = np.ones((1, len(answers.actual)))
    sign = -1 if metric in LOWER_IS_BETTER else 1
    scores = [
        sign * METRICS[metric](dataclasses.replace(answers, threshold=t), once)[0] for t in tried
    ]
    best = tried[np.isclose(scores, np.nanmax(scores), rtol=0, atol=1e-12)]
    return float(best[(len(best) - 1) // 2])


def confusion(answers: Answers, weights: np.ndarray) -> np.ndarray:
    """
    Count (actual, predicted) pairs.

    Parameters
    ----------
    answers : Answers
        Of n examples.
    weights : ndarray of shape (draws, n)
        How often each draw holds each example.

    Returns
    -------
    ndarray of shape (draws, n_classes, n_classes)
        Rows are actual, columns predicted.
    """
    n_classes = answers.probabilities.shape[1]
    cell = answers.actual * n_classes + answers.predicted
    indicator = np.zeros((len(cell), n_classes**2))
    indicator[np.arange(len(cell)), cell] = 1
    return (weights @ indicator).reshape(-1, n_classes, n_classes)


def accuracy(answers: Answers, weights: np.ndarray) -> np.ndarray:
    """Share of right answers."""
    return weights @ (answers.predicted == answers.actual) / weights.sum(1)


def f1_macro(answers: Answers, weights: np.ndarray) -> np.ndarray:
    """Mean over classes of F1, the harmonic mean of precision and recall; 0 where undefined."""
    counts = confusion(answers, weights)
    right = np.diagonal(counts, axis1=1, axis2=2)
    return _ratio(2 * right, counts.sum(1) + counts.sum(2)).mean(1)


def f1_of(answers: Answers, weights: np.ndarray, code: int) -> np.ndarray:
    """F1 of one class, by its index; 0 where undefined."""
    actual, predicted = answers.actual == code, answers.predicted == code
    return _ratio(2 * weights @ (actual & predicted), weights @ (actual + predicted.astype(int)))


def f1(answers: Answers, weights: np.ndarray) -> np.ndarray:
    """Harmonic mean of precision and recall of the positive class; 0 where undefined."""
    return f1_of(answers, weights, answers.positive)


def precision(answers: Answers, weights: np.ndarray) -> np.ndarray:
    """Share of what was taken for the positive class that was of it; 0 where nothing was."""
    taken = answers.predicted == answers.positive
    return _ratio(weights @ (taken & (answers.actual == answers.positive)), weights @ taken)


def recall(answers: Answers, weights: np.ndarray) -> np.ndarray:
    """Share of the positive class that was found."""
    positive = answers.actual == answers.positive
    found = positive & (answers.predicted == answers.positive)
    return _ratio(weights @ found, weights @ positive, undefined=np.nan)


def sensitivity(answers: Answers, weights: np.ndarray) -> np.ndarray:
    """Share of the positive class that was found, as medicine calls it."""
    return recall(answers, weights)


def specificity(answers: Answers, weights: np.ndarray) -> np.ndarray:
    """Share of the other classes that was not taken for the positive one."""
    negative = answers.actual != answers.positive
    spared = negative & (answers.predicted != answers.positive)
    return _ratio(weights @ spared, weights @ negative, undefined=np.nan)


def log_loss(answers: Answers, weights: np.ndarray) -> np.ndarray:
    """Mean negative log of the probability given to the right class, in nats."""
    given = answers.probabilities[np.arange(len(answers.actual)), answers.actual]
    smallest = np.finfo(answers.probabilities.dtype).eps
    return weights @ -np.log(np.clip(given, smallest, 1)) / weights.sum(1)


def roc_auc(answers: Answers, weights: np.ndarray) -> np.ndarray:
    """
    Chance that a positive example gets a higher probability than another one.

    Ties count half (Hanley and McNeil, Radiology 1982).
    """
    positive, negative = _by_probability(answers, weights)
    below = np.cumsum(negative, axis=1) - negative / 2
    pairs = positive.sum(1) * negative.sum(1)
    return _ratio((positive * below).sum(1), pairs, undefined=np.nan)


def average_precision(answers: Answers, weights: np.ndarray) -> np.ndarray:
    """
    Mean over thresholds of the precision, each weighted by the recall that it adds.

    Ties share a threshold; nothing is interpolated.
    """
    positive, negative = (part[:, ::-1] for part in _by_probability(answers, weights))
    found = np.cumsum(positive, axis=1)
    taken = found + np.cumsum(negative, axis=1)
    total = found[:, -1]
    return _ratio((positive * _ratio(found, taken)).sum(1), total, undefined=np.nan)


def fnc_score(answers: Answers, weights: np.ndarray) -> np.ndarray:
    """
    Score as the Fake News Challenge did, as a share of the highest possible score.

    A quarter for telling unrelated from related, three quarters more for the
    right one of agree, disagree and discuss (Fake News Challenge, stage 1, 2017).
    """
    apart = answers.classes.index("unrelated")
    related = answers.actual != apart
    points = 0.25 * (related == (answers.predicted != apart))
    points += 0.75 * (related & (answers.actual == answers.predicted))
    return _ratio(weights @ points, weights @ np.where(related, 1, 0.25))


def warning_time(answers: Answers, weights: np.ndarray) -> np.ndarray:
    """
    Mean time to the event at the first right alarm of each group that needs one.

    Groups with an example of the positive class need one, and 0 counts for those
    that never get it. Alarms before that class begins are false, not early:
    counted here, they would make a model better the more often it is wrong.
    Not a number where each group has a single example, which has no first alarm.
    """
    if answers.time_to_event is None or answers.group is None:
        raise UserError("warning_time needs examples that tell their time to the event")
    _, first_rows, codes = np.unique(answers.group, return_index=True, return_inverse=True)
    if len(first_rows) == len(codes):
        return np.full(len(weights), np.nan)
    positive = answers.actual == answers.positive
    warned = positive & (answers.predicted == answers.positive)
    earliest = np.zeros(len(first_rows))
    np.maximum.at(earliest, codes[warned], answers.time_to_event[warned])
    due = np.unique(codes[positive])
    # The examples of a group are drawn together: any one of them has the group's weight.
    drawn = weights[:, first_rows[due]]
    return _ratio(drawn @ earliest[due], drawn.sum(1), undefined=np.nan)


def _by_probability(answers: Answers, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weigh positive and other examples at each probability that was given, lowest first."""
    score = answers.probabilities[:, answers.positive]
    order = np.argsort(score, kind="stable")
    first_of_each = np.flatnonzero(np.diff(score[order], prepend=np.nan) != 0)
    is_positive = answers.actual[order] == answers.positive
    ordered = weights[:, order]
    positive = np.add.reduceat(ordered * is_positive, first_of_each, axis=1)
    negative = np.add.reduceat(ordered * ~is_positive, first_of_each, axis=1)
    return positive, negative


def _ratio(part: np.ndarray, whole: np.ndarray, undefined: float = 0) -> np.ndarray:
    out = np.full(np.shape(part), float(undefined))
    return np.divide(part, whole, out=out, where=whole > 0)


Metric = Callable[[Answers, np.ndarray], np.ndarray]
METRICS: dict[str, Metric] = {
    function.__name__: function
    for function in (
        accuracy,
        f1_macro,
        f1,
        precision,
        recall,
        sensitivity,
        specificity,
        log_loss,
        roc_auc,
        average_precision,
        fnc_score,
        warning_time,
    )
}
LOWER_IS_BETTER = {"log_loss"}
ABOUT_ONE_CLASS = {
    "f1",
    "precision",
    "recall",
    "sensitivity",
    "specificity",
    "roc_auc",
    "average_precision",
    "warning_time",
}


def find(name: str, classes: Sequence[str]) -> Metric:
    """
    Find a metric by its name.

    Parameters
    ----------
    name : str
        A key of `METRICS`, or ``f1_<class>``.
    classes : sequence of str
        Labels.

    Raises
    ------
    UserError
        For an unknown name; tells the nearest right one.
    """
    if name in METRICS:
        return METRICS[name]
    of_a_class = {f"f1_{label}": code for code, label in enumerate(classes)}
    if name in of_a_class:
        return functools.partial(f1_of, code=of_a_class[name])
    raise UserError(f"unknown metric '{name}'{nearest(name, [*METRICS, *of_a_class])}")


def score(names: list[str], answers: Answers, weights: np.ndarray) -> dict[str, np.ndarray]:
    """
    Compute several metrics.

    Parameters
    ----------
    names : list of str
        As `find` knows them.
    answers : Answers
        Of n examples.
    weights : ndarray of shape (draws, n)
        How often each draw holds each example.

    Returns
    -------
    dict of str to ndarray of shape (draws,)
        A score for each name and draw.
    """
    return {name: find(name, answers.classes)(answers, weights) for name in names}


def check(
    metric: str,
    metrics: list[str],
    positive: str | None,
    threshold: str | None,
    classes: list[str],
) -> None:
    """
    Check what a task asks to be measured.

    Parameters
    ----------
    metric : str
        The one that decides.
    metrics : list of str
        All that are reported.
    positive : str or None
        The class that some of them are about.
    threshold : str or None
        The one that the positive class's threshold shall be best in.
    classes : list of str
        Labels.

    Raises
    ------
    UserError
        For an unknown metric, a deciding metric that is not reported, or a
        metric or threshold about one class when the task does not say which.
    """
    for name in [metric, *metrics]:
        find(name, classes)
    if threshold is not None and threshold not in METRICS:
        raise UserError(
            f"task.threshold: unknown metric '{threshold}'{nearest(threshold, METRICS)}"
        )
    if "fnc_score" in metrics and "unrelated" not in classes:
        raise UserError("fnc_score needs a class 'unrelated'")
    if metric not in metrics:
        raise UserError(f"task.metric '{metric}' is not among task.metrics {metrics}: add it")
    if positive is not None and positive not in classes:
        raise UserError(f"task.positive: unknown class '{positive}'{nearest(positive, classes)}")
    about_one = sorted(ABOUT_ONE_CLASS.intersection(metrics)) + ["a threshold"] * bool(threshold)
    if positive is None and about_one:
        raise UserError(
            f"{', '.join(about_one)} is about one class: "
            f"set task.positive to one of {', '.join(classes)}"
        )
