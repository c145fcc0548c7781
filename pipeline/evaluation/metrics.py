"""Scores under many weightings of the same examples at once, which is what a bootstrap needs."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

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
    """

    actual: np.ndarray
    probabilities: np.ndarray
    positive: int

    @classmethod
    def of(
        cls,
        labels: np.ndarray,
        probabilities: np.ndarray,
        classes: list[str],
        positive: str | None,
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

        Raises
        ------
        UserError
            For a label that is not among the classes.
        """
        strange = sorted(set(labels) - set(classes))
        if strange:
            raise UserError(f"label '{strange[0]}' is not a class that the model was trained for")
        actual = np.searchsorted(classes, labels)
        return cls(actual, probabilities, classes.index(positive) if positive else 0)

    @property
    def predicted(self) -> np.ndarray:
        """Index of the most probable class."""
        return self.probabilities.argmax(1)


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


def sensitivity(answers: Answers, weights: np.ndarray) -> np.ndarray:
    """Share of the positive class that was found."""
    counts = confusion(answers, weights)[:, answers.positive]
    return _ratio(counts[:, answers.positive], counts.sum(1))


def specificity(answers: Answers, weights: np.ndarray) -> np.ndarray:
    """Share of the other classes that was not taken for the positive one."""
    counts = np.delete(confusion(answers, weights), answers.positive, axis=1).sum(1)
    return 1 - _ratio(counts[:, answers.positive], counts.sum(1))


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
    score = answers.probabilities[:, answers.positive]
    order = np.argsort(score, kind="stable")
    first_of_each = np.flatnonzero(np.diff(score[order], prepend=np.nan) != 0)
    is_positive = answers.actual[order] == answers.positive
    ordered = weights[:, order]
    positive = np.add.reduceat(ordered * is_positive, first_of_each, axis=1)
    negative = np.add.reduceat(ordered * ~is_positive, first_of_each, axis=1)
    below = np.cumsum(negative, axis=1) - negative / 2
    return _ratio((positive * below).sum(1), positive.sum(1) * negative.sum(1))


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.zeros_like(part, dtype=float), where=whole > 0)


METRICS: dict[str, Callable[[Answers, np.ndarray], np.ndarray]] = {
    function.__name__: function
    for function in (accuracy, f1_macro, sensitivity, specificity, log_loss, roc_auc)
}
LOWER_IS_BETTER = {"log_loss"}
ABOUT_ONE_CLASS = {"sensitivity", "specificity", "roc_auc"}


def score(names: list[str], answers: Answers, weights: np.ndarray) -> dict[str, np.ndarray]:
    """
    Compute several metrics.

    Parameters
    ----------
    names : list of str
        Keys of `METRICS`.
    answers : Answers
        Of n examples.
    weights : ndarray of shape (draws, n)
        How often each draw holds each example.

    Returns
    -------
    dict of str to ndarray of shape (draws,)
        A score for each name and draw.
    """
    return {name: METRICS[name](answers, weights) for name in names}


def check(metric: str, metrics: list[str], positive: str | None, classes: list[str]) -> None:
    """
    Check what a task asks to be measured.

    Raises
    ------
    UserError
        For an unknown metric, a deciding metric that is not reported, or a
        metric about one class when the task does not say which.
    """
    for name in [metric, *metrics]:
        if name not in METRICS:
            raise UserError(f"unknown metric '{name}'{nearest(name, METRICS)}")
    if metric not in metrics:
        raise UserError(f"task.metric '{metric}' is not among task.metrics {metrics}: add it")
    if positive is not None and positive not in classes:
        raise UserError(f"task.positive: unknown class '{positive}'{nearest(positive, classes)}")
    if positive is None and ABOUT_ONE_CLASS.intersection(metrics):
        raise UserError(
            f"{', '.join(sorted(ABOUT_ONE_CLASS.intersection(metrics)))} is about one class: "
            f"set task.positive to one of {', '.join(classes)}"
        )
