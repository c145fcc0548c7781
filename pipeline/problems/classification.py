"""Classification: the target is one of two or more classes, with a probability for each."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Self

import numpy as np
import pandas as pd
from scipy.special import softmax

from pipeline.conformal import check_coverage, conformal_quantile
from pipeline.errors import ModelError, UserError, nearest
from pipeline.problems import (
    Metric,
    Predictions,
    Problem,
    join_meta,
    metric,
    metrics_in,
    variance_of_share,
)
from pipeline.requirements import PROJECT, packages

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Estimators of these packages take the names of classes as labels. Others may need 0, 1, 2, ...
TAKE_NAMES = {PROJECT, "sklearn", "lightgbm", "numpy", "scipy", "torch"}
Points = tuple[tuple[float, ...], ...]
TEMPERATURE = "temperature"
# What metrics can need: sets of classes, and examples of none of the classes.
SETS, UNKNOWN = "sets", "unknown"
# What to do about the predicted class: an entry of the target, and a column of predictions.
ADVICE = "advice"
# The classes that may be true, a column of predictions, and what is between them.
SET, BETWEEN = "set", " | "
# A target with more different numbers than this may be a quantity rather than classes, which have
# at least so many examples each on average.
MOST_NUMBERS, EXAMPLES_PER_CLASS = 20, 5
# Tolerance for the range of probabilities, and for the sum of a row.
TOLERANCE = 1e-5
MOST_THRESHOLDS = 200
EXAMPLES_PER_BIN = 20
MOST_BINS = 10
# Draws for the interval of the calibration error, and numbers drawn at once.
CALIBRATION_DRAWS = 500
NUMBERS_AT_ONCE = 2_000_000
# Most leaves of the tree that shows what a single column tells, and the share of a leaf.
LEAVES, LEAF_SHARE = 8, 0.05
# Curves with more points are thinned, so that plots stay small.
MOST_POINTS = 400


@dataclass(frozen=True)
class ClassPredictions(Predictions):
    """
    The probabilities that a classifier predicts, and the true classes.

    Attributes
    ----------
    actual : ndarray of int, shape (n,)
        Index of the true class, or n_classes for an example of none of them.
    probabilities : ndarray of float, shape (n, n_classes)
        Rows sum to 1.
    positive : int
        Index of the positive class, which metrics such as sensitivity are about.
    threshold : float or ndarray of shape (n,), optional
        The lowest probability at which the positive class is predicted.
    points : tuple of tuple of float, optional
        Points for each true class (row) and predicted class (column).
    classes : tuple of str
        Labels, for metrics that name classes. The one for none of the classes comes last.
    set_from : float or ndarray of shape (n,), optional
        The lowest probability at which a class is in the set of those that may be true.
    accept_above : float or ndarray of shape (n,), optional
        The highest probability of all must be above it for a class to be predicted at all.
    meta : mapping of str to ndarray of shape (n,)
        As for `Predictions`.
    """

    probabilities: np.ndarray
    positive: int
    threshold: float | np.ndarray | None = None
    points: Points | None = None
    classes: tuple[str, ...] = ()
    set_from: float | np.ndarray | None = None
    accept_above: float | np.ndarray | None = None

    @property
    def category(self) -> np.ndarray:
        """The true class."""
        return self.actual

    @property
    def n_labels(self) -> int:
        """The number of classes, with that of none of them where there is one."""
        return max(self.probabilities.shape[1], len(self.classes))

    @cached_property
    def known(self) -> np.ndarray:
        """Whether each example is of one of the classes."""
        return self.actual < self.probabilities.shape[1]

    @cached_property
    def of_classes(self) -> Self:
        """The predictions for the examples that are of one of the classes."""
        return self if self.known.all() else self.take(self.known)

    @cached_property
    def predicted(self) -> np.ndarray:
        """Index of the predicted class, or n_classes for none of them."""
        return accept(self.probabilities, self.nearest, self.accept_above)

    @cached_property
    def nearest(self) -> np.ndarray:
        """Index of the class that is predicted if it has to be one of them."""
        return predict_classes(self.probabilities, self.positive, self.threshold, self.points)

    @cached_property
    def of_true(self) -> np.ndarray:
        """The probability of the true class, or of none: what the most probable class leaves."""
        rows, last = np.arange(len(self)), self.probabilities.shape[1] - 1
        of_class = self.probabilities[rows, np.minimum(self.actual, last)]
        return np.where(self.known, of_class, 1 - self.probabilities.max(1))

    @cached_property
    def sets(self) -> np.ndarray:
        """Whether each class is in the set of each example, of shape (n, n_classes)."""
        if self.set_from is None:
            raise UserError("there are no sets of classes: set task.coverage")
        return class_sets(self.probabilities, self.predicted, self.set_from)


class Decision(NamedTuple):
    """
    How the probabilities of a model become classes.

    Attributes
    ----------
    positive : int
        Index of the positive class.
    threshold : float, optional
        The lowest probability at which the positive class is predicted.
    points : tuple of tuple of float, optional
        Points for each true class (row) and predicted class (column).
    temperature : float, default=1
        What `soften` is applied with first.
    set_from : float, optional
        The lowest probability at which a class is in the set of those that may be true.
    accept_above : float, optional
        The highest probability of all must be above it for a class to be predicted at all.
    """

    positive: int = 0
    threshold: float | None = None
    points: Points | None = None
    temperature: float = 1.0
    set_from: float | None = None
    accept_above: float | None = None


def predict_classes(
    probabilities: np.ndarray,
    positive: int,
    threshold: float | np.ndarray | None,
    points: Points | None = None,
) -> np.ndarray:
    """
    Predict classes from probabilities.

    Parameters
    ----------
    probabilities : ndarray of shape (n, n_classes)
        Rows sum to 1.
    positive : int
        Index of the positive class.
    threshold : float, ndarray of shape (n,), or None
        The lowest probability at which the positive class is predicted.
    points : tuple of tuple of float, optional
        Points for each true class (row) and predicted class (column).

    Returns
    -------
    ndarray of int, shape (n,)
        Index of the most probable class. With points, the class of most expected points (Elkan,
        IJCAI 2001). With a threshold, the positive class if its probability reaches the
        threshold, otherwise the most probable of the others.
    """
    if points is not None:
        return (probabilities @ np.array(points)).argmax(1)
    if threshold is None:
        return probabilities.argmax(1)
    others = probabilities.copy()
    others[:, positive] = -1
    return np.where(probabilities[:, positive] >= threshold, positive, others.argmax(1))


def accept(
    probabilities: np.ndarray, nearest: np.ndarray, above: float | np.ndarray | None
) -> np.ndarray:
    """
    Return the index of each class that is predicted, or n_classes where none is probable enough.

    Parameters
    ----------
    probabilities : ndarray of shape (n, n_classes)
        Rows sum to 1.
    nearest : ndarray of int, shape (n,)
        Index of the class that is predicted if it has to be one of them.
    above : float, ndarray of shape (n,), or None
        The highest probability of all must be above it. None accepts all.

    References
    ----------
    Hendrycks and Gimpel, "A baseline for detecting misclassified and out-of-distribution examples
    in neural networks", ICLR 2017.
    """
    if above is None:
        return nearest
    return np.where(probabilities.max(1) > above, nearest, probabilities.shape[1])


def acceptance(predictions: ClassPredictions, share: float) -> float:
    """
    Return what the highest probability must be above for a class to be predicted.

    Parameters
    ----------
    predictions : ClassPredictions
        For validation examples, some of which are of none of the classes.
    share : float
        Share of new examples of none of the classes that may be taken for one of them.

    Returns
    -------
    float
        The j-th of the n highest probabilities of the examples of none of the classes, the
        greatest first. A new example like these exceeds it with the chance j / (n + 1), which is
        at most `share` (Vovk, Gammerman and Shafer, "Algorithmic Learning in a Random World",
        2005). Of too few examples it is the greatest.
    """
    highest = np.sort(predictions.probabilities[~predictions.known].max(1))
    # Rounding must not ask for one less.
    most = int(share * (len(highest) + 1) * (1 + 1e-12))
    return float(highest[-max(1, most)])


def class_sets(
    probabilities: np.ndarray, predicted: np.ndarray, set_from: float | np.ndarray
) -> np.ndarray:
    """
    Return the sets of classes that may be true (Sadinle, Lei and Wasserman, JASA 2019).

    Parameters
    ----------
    probabilities : ndarray of shape (n, n_classes)
        Rows sum to 1.
    predicted : ndarray of int, shape (n,)
        The predicted class, which is always in the set.
    set_from : float or ndarray of shape (n,)
        The lowest probability at which another class is in the set.

    Returns
    -------
    ndarray of bool, shape (n, n_classes)
    """
    sets: np.ndarray = probabilities >= np.reshape(set_from, (-1, 1))
    sets[np.arange(len(sets)), predicted] = True
    return sets


def best_threshold(metric: Metric, predictions: ClassPredictions) -> float:
    """
    Return the best threshold for the positive class.

    Parameters
    ----------
    metric : Metric
        The metric to maximise, or to minimise if lower is better.
    predictions : ClassPredictions
        For validation examples.

    Returns
    -------
    float
        The best of at most 200 thresholds, and of equally good ones the middle one. Each
        candidate lies halfway between the probability of an example of the positive class
        and the next lower probability. Between other probabilities a lower threshold only
        adds false alarms. 0.5 if the metric is not defined for any candidate.
    """
    score = predictions.probabilities[:, predictions.positive]
    distinct = np.unique(score)
    of_positive = np.isin(distinct[1:], score[predictions.actual == predictions.positive])
    halfway = ((distinct[1:] + distinct[:-1]) / 2)[of_positive]
    if not len(halfway):
        return 0.5
    shares = np.linspace(0, 1, MOST_THRESHOLDS)
    tried = np.unique(np.quantile(halfway, shares, method="nearest"))
    scores = metric.sign * np.array(
        [metric.once(dataclasses.replace(predictions, threshold=t)) for t in tried]
    )
    if np.isnan(scores).all():
        return 0.5
    best = tried[np.isclose(scores, np.nanmax(scores), rtol=0, atol=1e-12)]
    return float(best[(len(best) - 1) // 2])


def soften(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """
    Raise probabilities to the power of 1 / `temperature`, and make rows sum to 1.

    Above 1 they become more alike, below 1 more extreme. The most probable class stays.
    """
    if temperature == 1:
        return probabilities
    logarithms = np.log(np.maximum(probabilities.astype(float), np.finfo(float).tiny))
    return softmax(logarithms / temperature, axis=1)


def best_temperature(predictions: ClassPredictions) -> float:
    """
    Return the temperature with the lowest log loss (Guo et al., ICML 2017).

    Parameters
    ----------
    predictions : ClassPredictions
        For validation examples.

    Returns
    -------
    float
        Between exp(-3) and exp(3).
    """
    from scipy.optimize import minimize_scalar

    def loss(logarithm: float) -> float:
        softened = soften(predictions.probabilities, np.exp(logarithm))
        return log_loss.once(dataclasses.replace(predictions, probabilities=softened))

    return float(np.exp(minimize_scalar(loss, bounds=(-3, 3)).x))


def confusion(predictions: ClassPredictions) -> np.ndarray:
    """
    Count (actual, predicted) pairs.

    Returns
    -------
    ndarray of int, shape (n_labels, n_labels)
        Rows are actual, columns predicted.
    """
    n_labels = predictions.n_labels
    cells = predictions.actual * n_labels + predictions.predicted
    return np.bincount(cells, minlength=n_labels**2).reshape(n_labels, n_labels)


def count_positive(predictions: ClassPredictions) -> int:
    """Count the examples of the positive class."""
    return int((predictions.actual == predictions.positive).sum())


def count_negative(predictions: ClassPredictions) -> int:
    """Count the examples of the other classes."""
    return len(predictions) - count_positive(predictions)


def count_alarms(predictions: ClassPredictions) -> int:
    """Count the examples for which the positive class is predicted."""
    return int((predictions.predicted == predictions.positive).sum())


def are_known(predictions: ClassPredictions) -> np.ndarray:
    """Return which examples are of one of the classes."""
    return predictions.known


def are_unknown(predictions: ClassPredictions) -> np.ndarray:
    """Return which examples are of none of the classes."""
    return ~predictions.known


def variance_of_auc(predictions: ClassPredictions, true: np.ndarray) -> np.ndarray:
    """
    Compute the variance of an area under the ROC curve from the true one.

    Method 5 of Newcombe, "Confidence intervals for an effect size measure based on the
    Mann-Whitney statistic", part 2, Statistics in Medicine 2006.
    """
    positive, negative = count_positive(predictions), count_negative(predictions)
    if not positive * negative:
        return np.full(np.shape(true), np.nan)
    others = (positive + negative) / 2 - 1
    factor = 1 + others * (1 - true) / (2 - true) + others * true / (1 + true)
    return true * (1 - true) * factor / (positive * negative)


@metric(bounded=True, variance=variance_of_share(len))
def accuracy(predictions: ClassPredictions, weights: np.ndarray) -> np.ndarray:
    """Compute the share of right predictions."""
    return weights @ (predictions.predicted == predictions.actual) / weights.sum(1)


def unseen_f1(predictions: ClassPredictions, code: int) -> float:
    """
    Compute the variance of the F1 of a class that draws do not show.

    Without a right prediction of the class its F1 is 0 in every draw. Of the n examples that
    are or are predicted as the class, a share of 4 / (n + 4) can then be right in the
    population: two standard errors, by Wilson's interval. F1 is 8 / (n + 8) with that share.
    """
    actual, predicted = predictions.actual == code, predictions.predicted == code
    if (actual & predicted).any():
        return 0.0
    return float((4 / ((actual | predicted).sum() + 8)) ** 2)


def unseen_f1_macro(predictions: ClassPredictions) -> float:
    """Compute the variance of the mean of F1 that draws do not show."""
    n_labels = predictions.n_labels
    return sum(unseen_f1(predictions, code) for code in range(n_labels)) / n_labels**2


@metric(bounded=True, unseen=unseen_f1_macro)
def f1_macro(predictions: ClassPredictions, weights: np.ndarray) -> np.ndarray:
    """Compute the mean over classes of F1, which is 0 where it is undefined."""
    # A column per class rather than per pair of classes: 150 classes have 22,500 pairs.
    one = np.eye(predictions.n_labels)
    actual, predicted = one[predictions.actual], one[predictions.predicted]
    right = weights @ (actual * predicted)
    return ratio(2 * right, weights @ (actual + predicted)).mean(1)


def f1_of(predictions: ClassPredictions, weights: np.ndarray, code: int) -> np.ndarray:
    """Compute F1 of one class, given by its index. It is 0 where it is undefined."""
    actual, predicted = predictions.actual == code, predictions.predicted == code
    return ratio(2 * weights @ (actual & predicted), weights @ (actual + predicted.astype(int)))


@metric("positive", bounded=True, unseen=lambda found: unseen_f1(found, found.positive))
def f1(predictions: ClassPredictions, weights: np.ndarray) -> np.ndarray:
    """Compute F1 of the positive class, the harmonic mean of precision and recall."""
    return f1_of(predictions, weights, predictions.positive)


@metric("positive", bounded=True, variance=variance_of_share(count_alarms))
def precision(predictions: ClassPredictions, weights: np.ndarray) -> np.ndarray:
    """Compute the share of predicted positives that are positive. It is 0 if there are none."""
    alarms = predictions.predicted == predictions.positive
    right = alarms & (predictions.actual == predictions.positive)
    return ratio(weights @ right, weights @ alarms)


@metric("positive", bounded=True, variance=variance_of_share(count_positive))
def recall(predictions: ClassPredictions, weights: np.ndarray) -> np.ndarray:
    """Compute the share of positives that are predicted as such."""
    positive = predictions.actual == predictions.positive
    found = positive & (predictions.predicted == predictions.positive)
    return ratio(weights @ found, weights @ positive, undefined=np.nan)


@metric("positive", bounded=True, variance=variance_of_share(count_positive))
def sensitivity(predictions: ClassPredictions, weights: np.ndarray) -> np.ndarray:
    """Compute recall, by its name in medicine."""
    return recall(predictions, weights)


@metric("positive", bounded=True, variance=variance_of_share(count_negative))
def specificity(predictions: ClassPredictions, weights: np.ndarray) -> np.ndarray:
    """Compute the share of negatives that are not predicted as positive."""
    negative = predictions.actual != predictions.positive
    right = negative & (predictions.predicted != predictions.positive)
    return ratio(weights @ right, weights @ negative, undefined=np.nan)


@metric(greater_is_better=False)
def log_loss(predictions: ClassPredictions, weights: np.ndarray) -> np.ndarray:
    """
    Compute the mean negative logarithm of the probability of the true class, in nats.

    Examples of none of the classes are left out.
    """
    known, smallest = predictions.known, np.finfo(predictions.probabilities.dtype).eps
    losses = -np.log(np.clip(predictions.of_true, smallest, 1))
    return weights @ np.where(known, losses, 0) / (weights @ known)


@metric("positive", bounded=True, variance=variance_of_auc)
def roc_auc(predictions: ClassPredictions, weights: np.ndarray) -> np.ndarray:
    """
    Compute the chance that a positive example has a higher probability than a negative one.

    Ties count half (Hanley and McNeil, Radiology 1982).
    """
    positive, negative = _by_probability(predictions, weights)
    below = np.cumsum(negative, axis=1) - negative / 2
    pairs = positive.sum(1) * negative.sum(1)
    return ratio((positive * below).sum(1), pairs, undefined=np.nan)


@metric("positive", bounded=True)
def average_precision(predictions: ClassPredictions, weights: np.ndarray) -> np.ndarray:
    """
    Compute the mean precision over thresholds, weighted by the recall that each adds.

    Ties share a threshold. Nothing is interpolated.
    """
    positive, negative = (part[:, ::-1] for part in _by_probability(predictions, weights))
    found = np.cumsum(positive, axis=1)
    taken = found + np.cumsum(negative, axis=1)
    total = found[:, -1]
    return ratio((positive * ratio(found, taken)).sum(1), total, undefined=np.nan)


def _by_probability(
    predictions: ClassPredictions, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Sum the weights of positives and of negatives per probability, lowest first."""
    score = predictions.probabilities[:, predictions.positive]
    order = np.argsort(score, kind="stable")
    first_of_each = np.flatnonzero(np.diff(score[order], prepend=np.nan) != 0)
    is_positive = predictions.actual[order] == predictions.positive
    ordered = weights[:, order]
    positive = np.add.reduceat(ordered * is_positive, first_of_each, axis=1)
    negative = np.add.reduceat(ordered * ~is_positive, first_of_each, axis=1)
    return positive, negative


@metric(SETS, bounded=True, variance=variance_of_share(len))
def coverage(predictions: ClassPredictions, weights: np.ndarray) -> np.ndarray:
    """Compute the share of the examples whose class is in their set."""
    held = predictions.sets[np.arange(len(predictions)), predictions.actual]
    return weights @ held / weights.sum(1)


@metric(SETS, greater_is_better=False)
def set_size(predictions: ClassPredictions, weights: np.ndarray) -> np.ndarray:
    """Compute the mean number of classes in a set."""
    return weights @ predictions.sets.sum(1) / weights.sum(1)


@metric(UNKNOWN, bounded=True, variance=variance_of_share(len), counted=are_known)
def identification_rate(predictions: ClassPredictions, weights: np.ndarray) -> np.ndarray:
    """Compute the share of the examples of classes that are accepted, and as their own class."""
    known = predictions.known
    right = known & (predictions.predicted == predictions.actual)
    return ratio(weights @ right, weights @ known, undefined=np.nan)


@metric(
    UNKNOWN,
    greater_is_better=False,
    bounded=True,
    variance=variance_of_share(len),
    counted=are_unknown,
)
def false_acceptance_rate(predictions: ClassPredictions, weights: np.ndarray) -> np.ndarray:
    """Compute the share of the examples of none of the classes that are taken for one of them."""
    unknown = ~predictions.known
    accepted = unknown & (predictions.predicted != predictions.actual)
    return ratio(weights @ accepted, weights @ unknown, undefined=np.nan)


@metric(UNKNOWN, bounded=True, variance=variance_of_share(len), counted=are_known)
def closed_accuracy(predictions: ClassPredictions, weights: np.ndarray) -> np.ndarray:
    """Compute the share of the examples of classes that are told apart, if all are accepted."""
    known = predictions.known
    right = known & (predictions.nearest == predictions.actual)
    return ratio(weights @ right, weights @ known, undefined=np.nan)


def ratio(part: np.ndarray, whole: np.ndarray, undefined: float = 0) -> np.ndarray:
    """Divide, and return `undefined` where the denominator is 0."""
    out = np.full(np.shape(part), float(undefined))
    return np.divide(part, whole, out=out, where=whole > 0)


@dataclass(frozen=True)
class Classification(Problem):
    """
    A problem whose target is one of two or more classes.

    Parameters
    ----------
    metric, metrics, target
        As for `Problem`. ``f1_<class>`` is a metric for each class.
    positive : str, optional
        The class that metrics such as recall are about.
    threshold : str, optional
        The metric for which the threshold of the positive class is chosen on validation.
    points : mapping of str to mapping of str to float, optional
        By true class the points for each predicted class, 0 for one that is not named. The class
        of most expected points is predicted. Without points and threshold it is the most probable
        class.
    calibrate : str, optional
        ``temperature`` to soften the probabilities of each model so that they fit validation.
    coverage : float, optional
        Share of the examples whose class is to be in the set of classes that may be true. Without
        it there are no sets.
    unknown : str, optional
        The label of examples that are of none of the classes. No model learns it. It is predicted
        where no class is probable enough, which is chosen on validation. After ingest it is that
        of the target.
    false_acceptance : float, optional
        Share of the examples of none of the classes that may be taken for one of them; goes with
        `unknown`.
    """

    loss: ClassVar[str] = "log_loss"
    mean_metric: ClassVar[str] = "accuracy"
    PLOTS: ClassVar[tuple[Mapping[str, Any], ...]] = (
        {
            "name": "confusion",
            "title": "Confusion on test",
            "form": "matrix",
            "x": "predicted",
            "y": "actual",
            "value": "examples",
        },
        {
            "name": "roc",
            "title": "ROC on test, a class against the rest",
            "form": "line",
            "x": "false_positive_rate",
            "y": "true_positive_rate",
            "series": "class",
            "diagonal": True,
        },
        {
            "name": "calibration",
            "title": "Calibration on test",
            "form": "points",
            "x": "predicted",
            "y": "observed",
            "series": "class",
            "diagonal": True,
        },
    )
    METRICS: ClassVar[Mapping[str, Metric]] = metrics_in(globals())

    positive: str | None = None
    threshold: str | None = None
    points: Mapping[str, Mapping[str, float]] | None = None
    calibrate: str | None = None
    coverage: float | None = None
    unknown: str | None = None
    false_acceptance: float | None = None

    @property
    def classes(self) -> list[str]:
        """Labels, sorted, in the order of the probabilities."""
        return list(self.target.get("classes", ()))

    @property
    def labels(self) -> list[str]:
        """What is predicted: the classes, and last the label of none of them if there is one."""
        return self.classes + ([] if self.unknown is None else [self.unknown])

    @property
    def code(self) -> int:
        """Index of the positive class, or 0 if there is none."""
        return 0 if self.positive is None else self.classes.index(self.positive)

    # For ingesting examples

    def check_target(self, target: pd.Series) -> pd.Series:
        """Check that every label is a text that is not empty, and no quantity."""
        strange = [not isinstance(label, str) or not label for label in target]
        if any(strange):
            example = target.index[strange.index(True)]
            label = target[strange].iloc[0]
            what = "is missing" if label is None or label != label else f"'{label}'"
            more = f" (and {sum(strange) - 1:,} more)" if sum(strange) > 1 else ""
            raise UserError(
                f"column '{target.name}', example {example}: {what}{more}, but a class is a text "
                "that is not empty"
            )
        _check_no_quantity(target)
        return target

    def check_enough(
        self, examples: pd.DataFrame, needed: int, advice: Callable[[int], str]
    ) -> None:
        """Check that there are at least two classes, each with enough groups."""
        learned = self.learned(examples["label"].to_numpy())
        if self.unknown is not None and learned.all():
            raise UserError(
                f"task.unknown: no example has the label '{self.unknown}': give it some, of "
                "several groups, or set it to null"
            )
        groups = examples[learned].groupby("label")["group"].nunique()
        if len(groups) < 2:
            raise UserError(f"there is one class only, '{groups.index[0]}': nothing to tell apart")
        fewest, label = int(groups.min()), groups.idxmin()
        if fewest < needed:
            what = f"independent example{'s' * (fewest != 1)}"
            what += " (groups)" * bool(examples["group"].duplicated().any())
            more = int((groups < needed).sum()) - 1
            also = f" (and {more:,} more label{' has' if more == 1 else 's have'} too few)"
            raise UserError(
                f"label '{label}' has {fewest} {what}{also * (more > 0)}, "
                f"fewer than the {needed} that the split needs: {advice(fewest)}"
                + "; or set task.rare=drop or task.rare=merge"
                * (len(groups) > 2)
            )

    def strata(self, examples: pd.DataFrame) -> np.ndarray:
        """Return the class of each example."""
        return examples["label"].to_numpy()

    def rare(self, examples: pd.DataFrame, needed: int) -> list[str]:
        """Return the classes of fewer groups than a split needs."""
        learned = self.learned(examples["label"].to_numpy())
        groups = examples[learned].groupby("label")["group"].nunique()
        return sorted(groups.index[groups < needed])

    def learned(self, target: np.ndarray) -> np.ndarray:
        """Return which examples are of one of the classes."""
        return np.asarray(target != self.unknown)

    def lacking(self, parts: Mapping[str, pd.DataFrame]) -> dict[str, list[str]]:
        """Return the classes that some parts of a split lack, with the names of these."""
        labels = {name: set(part["label"]) for name, part in parts.items()}
        return {
            label: absent
            for label in sorted(set().union(*labels.values()))
            if (absent := [name for name in parts if label not in labels[name]])
            and not (label == self.unknown and absent == ["train"])
        }

    def check_parts(
        self,
        parts: Mapping[str, pd.DataFrame],
        advice: Callable[[list[str]], str],
        in_time: bool = False,
    ) -> None:
        """Check that every class is in every part, or by time that each part has two classes."""
        single = [name for name, part in parts.items() if part["label"].nunique() < 2]
        for label, absent in self.lacking(parts).items():
            if not in_time or "train" in absent or label == self.unknown or single:
                having = " and ".join(name for name in parts if name not in absent)
                raise UserError(
                    f"label '{label}' is in {having} but not in {' and '.join(absent)}: "
                    f"{advice(absent)}"
                )

    def describe(self, train: pd.DataFrame) -> dict[str, Any]:
        """Return the classes, and the label of none of them if there is one."""
        classes = sorted(set(train["label"]) - {self.unknown})
        return {"classes": classes} | ({} if self.unknown is None else {"unknown": self.unknown})

    def summarize(self, examples: pd.DataFrame) -> dict[str, Any]:
        """Count the examples of each class."""
        return {"classes": examples["label"].value_counts().sort_index().to_dict()}

    def headline(self, examples: pd.DataFrame) -> str:
        """Count the classes."""
        classes = f"{examples.loc[examples['label'] != self.unknown, 'label'].nunique()} classes"
        return classes if self.unknown is None else f"{classes} and '{self.unknown}'"

    # For a target

    def on(self, target: Mapping[str, Any]) -> Self:
        """Return this problem for a target, with the label of none of the classes that it has."""
        of_target = dataclasses.replace(self, unknown=target.get("unknown"))
        return super(Classification, of_target).on(target)

    def check_settings(self) -> None:
        """Check the positive class, the threshold and the metrics."""
        if self.positive is not None and self.positive not in self.classes:
            raise UserError(
                f"task.positive: unknown class '{self.positive}'"
                + nearest(self.positive, self.classes)
            )
        super().check_settings()
        if self.threshold is not None:
            if self.threshold not in self.METRICS:
                raise UserError(
                    f"task.threshold: unknown metric '{self.threshold}'"
                    + nearest(self.threshold, self.METRICS)
                )
            if self.positive is None:
                raise UserError(f"task.threshold: {self.lack('a threshold', 'positive')}")
        if self.calibrate not in (None, TEMPERATURE):
            raise UserError(f"task.calibrate: unknown '{self.calibrate}': {TEMPERATURE} or null")
        check_coverage(self.coverage)
        self._check_unknown()
        if self.points is None:
            return
        if self.threshold is not None:
            raise UserError("task.points and task.threshold both decide the class: leave one out")
        named = {(true, label): n for true, row in self.points.items() for label, n in row.items()}
        for label in [*self.points, *(label for _, label in named)]:
            if label not in self.classes:
                raise UserError(
                    f"task.points: unknown class '{label}'{nearest(label, self.classes)}"
                )
        for (true, label), points in named.items():
            if isinstance(points, bool) or not isinstance(points, int | float):
                raise UserError(f"task.points.{true}.{label}: '{points}' is no number")

    def _check_unknown(self) -> None:
        """Check what goes with examples of none of the classes, and what does not."""
        if self.unknown is None:
            if self.false_acceptance is not None:
                raise UserError(f"task.false_acceptance: {self.lack('it', UNKNOWN)}")
            return
        # To predict only, nothing is set: a trained model knows what is probable enough.
        if self.metric is not None and self.false_acceptance is None:
            raise UserError(
                "task.false_acceptance: task.unknown needs it: the share of examples of none of "
                "the classes that may be taken for one of them, such as 0.01"
            )
        if self.false_acceptance is not None and not 0 < self.false_acceptance < 1:
            raise UserError(
                f"task.false_acceptance: {self.false_acceptance} is not between 0 and 1"
            )
        if self.coverage is not None:
            raise UserError(
                "task.coverage and task.unknown: sets hold classes alone: leave one of them out"
            )

    @property
    def has(self) -> frozenset[str]:
        """The positive class, the classes by name, and the columns for metrics."""
        positive = {"positive"} if self.positive is not None else set()
        sets = {SETS} if self.coverage is not None else set()
        unknown = {UNKNOWN} if self.unknown is not None else set()
        classes = {f"class '{label}'" for label in self.classes}
        return super().has | positive | sets | unknown | classes

    def lack(self, what: str, need: str) -> str:
        """Return the message that something needs a positive class, or a class that is missing."""
        if need == "positive":
            classes = ", ".join(self.classes)
            return f"{what} is about one class: set task.positive to one of {classes}"
        if need == SETS:
            return f"{what} is about sets of classes: set task.coverage, such as to 0.9"
        if need == UNKNOWN:
            return f"{what} is about examples of none of the classes: set task.unknown"
        if need.startswith("class "):
            return f"{what} needs a {need}: there are {', '.join(self.classes)}"
        return super().lack(what, need)

    @property
    def metric_names(self) -> list[str]:
        """The names of metrics, including F1 of each class."""
        return [*super().metric_names, *(f"f1_{label}" for label in self.classes)]

    def find(self, name: str) -> Metric:
        """Find a metric. ``f1_<class>`` is the F1 of one class."""
        if name in self.METRICS or name not in self.metric_names:
            return super().find(name)
        code = self.classes.index(name.removeprefix("f1_"))
        return Metric(
            lambda predictions, weights: f1_of(predictions, weights, code),
            name,
            bounded=True,
            unseen=lambda predictions: unseen_f1(predictions, code),
        )

    # For fitting models and predicting

    def check_estimator(self, estimator: Any) -> None:
        """Check that the estimator can be fitted and predicts probabilities."""
        for method in ("fit", "predict_proba"):
            if not hasattr(estimator, method):
                raise ModelError(
                    f"{type(estimator).__name__} has no {method}: "
                    "it is not a classifier that predicts probabilities"
                )

    def encode(self, estimator: Any, target: np.ndarray) -> np.ndarray:
        """
        Convert labels to the form that an estimator takes.

        An estimator with parts of other packages than `TAKE_NAMES` gets the indices of the
        classes in sorted order, because XGBoost, for example, takes no names.
        """
        if packages(estimator) <= TAKE_NAMES:
            return target
        return np.searchsorted(self.classes, target)

    def outputs(self, estimator: Any, X: Any) -> np.ndarray:
        """
        Compute the probability of each class.

        Returns
        -------
        ndarray of shape (n, n_classes)
            Rows sum to 1. Columns are in the order of `classes`.
        """
        name = type(estimator).__name__
        self._check_classes(name, getattr(estimator, "classes_", None))
        found = estimator.predict_proba(X)
        try:
            probabilities = np.asarray(found)
        except ValueError:  # rows of several lengths
            raise ModelError(f"the probabilities of {name} are no array") from None
        wrong = _fault(probabilities, (X.shape[0], len(self.classes)))
        if wrong:
            raise ModelError(f"the probabilities of {name} {wrong}")
        return probabilities

    def _check_classes(self, name: str, found: Any) -> None:
        """Check that the columns of the probabilities are the classes, in sorted order."""
        if found is None:
            raise ModelError(f"{name} has no classes_ after fit: which column is which?")
        names = [str(label) for label in found]
        if names in (self.classes, [str(number) for number in range(len(self.classes))]):
            return
        order = ", not in sorted order" if sorted(names) == self.classes else ""
        raise ModelError(f"{name} has the classes {names}{order}; the data have {self.classes}")

    def decide(self, predictions: ClassPredictions) -> dict[str, Any]:
        """Choose what the task asks for: temperature, threshold, what to accept, and sets."""
        decision: dict[str, Any] = {}
        if self.calibrate is not None:
            decision[TEMPERATURE] = best_temperature(predictions)
            softened = soften(predictions.probabilities, decision[TEMPERATURE])
            predictions = dataclasses.replace(predictions, probabilities=softened)
        if self.threshold is not None:
            chosen = best_threshold(self.find(self.threshold), predictions)
            decision |= {"positive": self.positive, "threshold": chosen}
        if self.points is not None:
            rows = [self.points.get(true, {}) for true in self.classes]
            decision["points"] = [[float(row.get(c, 0)) for c in self.classes] for row in rows]
        if self.unknown is not None and self.false_acceptance is not None:
            decision["accept_above"] = acceptance(predictions, self.false_acceptance)
        if self.coverage is not None:
            most = conformal_quantile(1 - predictions.of_true, predictions.group, self.coverage)
            # Of too few examples nothing can be promised but with all classes.
            decision["set_from"] = 0.0 if most is None else float(1 - most)
        return decision

    def check_decision(self, decision: Mapping[str, Any]) -> None:
        """Check the class and its threshold, the points, and the temperature."""
        self._parse_decision(decision)

    def predictions(
        self,
        target: np.ndarray,
        outputs: np.ndarray,
        meta: Mapping[str, np.ndarray],
        decision: Mapping[str, Any] | None = None,
    ) -> ClassPredictions:
        """Return the probabilities together with the true classes."""
        places = {label: place for place, label in enumerate(self.labels)}
        actual = np.fromiter((places.get(label, -1) for label in target), np.intp, len(target))
        if (actual < 0).any():
            raise UserError(
                f"label '{min(target[actual < 0])}' is not one of the classes "
                f"{', '.join(self.classes)}: no model was trained for it"
            )
        code, threshold, points, temperature, set_from, above = self._parse_decision(decision or {})
        if threshold is not None and code != self.code:
            raise UserError(
                f"the model's threshold is that of class '{self.classes[code]}', task.positive "
                f"is '{self.positive}': train it again"
            )
        return ClassPredictions(
            actual,
            soften(outputs, temperature),
            self.code,
            threshold,
            points,
            tuple(self.labels),
            set_from,
            above,
            meta=meta,
        )

    def frame(self, outputs: np.ndarray, decision: Mapping[str, Any]) -> pd.DataFrame:
        """Return the predicted class, the probability of each class, and what to do about it."""
        positive, threshold, points, temperature, set_from, above = self._parse_decision(decision)
        probabilities = soften(outputs, temperature)
        nearest = predict_classes(probabilities, positive, threshold, points)
        chosen = accept(probabilities, nearest, above)
        columns = list(self.columns())
        laid_out = pd.DataFrame(probabilities, columns=columns[1 : 1 + len(self.classes)])
        laid_out.insert(0, columns[0], np.array(self.labels)[chosen])
        if set_from is not None:
            sets = class_sets(probabilities, chosen, set_from)
            names = np.array(self.classes, dtype=object)
            laid_out[SET] = [BETWEEN.join(names[row]) for row in sets]
        if ADVICE in columns:
            laid_out[ADVICE] = laid_out[columns[0]].map(self.target[ADVICE])
        return laid_out

    def columns(self) -> dict[str, str]:
        """Return ``label``, ``probability_<class>`` for each class, and ``set`` and ``advice``."""
        chances = {f"probability_{label}": "double" for label in self.classes}
        others = {SET: self.coverage is not None, ADVICE: ADVICE in self.target}
        there = {name: "string" for name, is_there in others.items() if is_there}
        return {"label": "string"} | chances | there

    def _parse_decision(self, decision: Mapping[str, Any]) -> Decision:
        """Check a saved decision, and return it with classes by index."""
        found, n = Decision(), len(self.classes)
        known = {"positive", "threshold", "points", TEMPERATURE, "set_from", "accept_above"}
        strange = sorted(set(decision) - known)
        if strange:
            raise UserError(f"decision {dict(decision)} has the unknown key {strange[0]}")
        if "threshold" in decision or "positive" in decision:
            positive, threshold = decision.get("positive"), decision.get("threshold")
            if positive not in self.classes or not isinstance(threshold, float):
                raise UserError(f"decision {dict(decision)} is no class with its threshold")
            found = found._replace(positive=self.classes.index(positive), threshold=threshold)
        if "points" in decision:
            points = np.array(decision["points"], dtype=object)
            if points.shape != (n, n) or not all(isinstance(one, float) for one in points.flat):
                raise UserError(f"decision {dict(decision)} has no number for each pair of classes")
            found = found._replace(points=tuple(tuple(row) for row in points))
        if TEMPERATURE in decision:
            temperature = decision[TEMPERATURE]
            if not isinstance(temperature, float) or not temperature > 0:
                raise UserError(f"decision {dict(decision)} has no temperature above 0")
            found = found._replace(temperature=temperature)
        if "set_from" in decision:
            set_from = decision["set_from"]
            if not isinstance(set_from, float) or not 0 <= set_from <= 1:
                raise UserError(f"decision {dict(decision)} has no probability for sets")
            found = found._replace(set_from=set_from)
        if "accept_above" in decision:
            above = decision["accept_above"]
            fits = isinstance(above, float) and 0 <= above <= 1 + TOLERANCE
            if self.unknown is None or not fits:
                raise UserError(f"decision {dict(decision)} has no probability to accept above")
            found = found._replace(accept_above=above)
        return found

    # For comparing models

    def concatenate(self, parts: Sequence[ClassPredictions]) -> ClassPredictions:
        """Return the predictions of several rounds as one, each example with its decision."""
        first = parts[0]

        def repeated(name: str) -> np.ndarray | None:
            values = [getattr(part, name) for part in parts]
            if values[0] is None:
                return None
            sizes = map(len, parts)
            return np.concatenate([np.full(n, v) for n, v in zip(sizes, values, strict=True)])

        return dataclasses.replace(
            first,
            actual=np.concatenate([part.actual for part in parts]),
            probabilities=np.concatenate([part.probabilities for part in parts]),
            threshold=repeated("threshold"),
            set_from=repeated("set_from"),
            accept_above=repeated("accept_above"),
            meta=join_meta(parts),
        )

    def misses(self, predictions: ClassPredictions) -> np.ndarray:
        """Return 1 minus the probability of the true class where another one is predicted."""
        # Above 0 also where rounding or a threshold rejects a class of probability 1.
        smallest = np.finfo(float).tiny
        return np.where(
            predictions.predicted == predictions.actual,
            0,
            np.maximum(1 - predictions.of_true, smallest),
        )

    def control(self, sparse: bool) -> Any:
        """Return a logistic regression for sparse features, otherwise a small tree."""
        if sparse:
            from sklearn.linear_model import LogisticRegression

            return LogisticRegression(C=10, tol=0.01, max_iter=100)
        from sklearn.tree import DecisionTreeClassifier

        return DecisionTreeClassifier(
            max_leaf_nodes=LEAVES, min_samples_leaf=LEAF_SHARE, random_state=0
        )

    def calibration(
        self, predictions: ClassPredictions, seed: int, confidence: float
    ) -> dict[str, float]:
        """
        Compute the expected calibration error and the Brier score.

        Of two classes the probability of the positive class is compared with its share, of
        more classes that of the most probable class with how often it is right, in bins of
        equally many examples (Guo et al., ICML 2017). The error of calibrated predictions is
        simulated (Bröcker and Smith, Weather and Forecasting 2007).
        """
        return calibration_error(predictions, seed, confidence)

    def plot_data(self, predictions: ClassPredictions) -> dict[str, pd.DataFrame]:
        """Compute the confusion matrix, ROC and calibration curves."""
        return {
            "confusion": confusion_points(predictions),
            "roc": roc_points(predictions),
            "calibration": calibration_points(predictions),
        }

    def figure(self, title: str, predictions: ClassPredictions) -> "Figure":
        """Plot the confusion matrix, ROC curves and calibration curves side by side."""
        from matplotlib.figure import Figure
        from sklearn.metrics import ConfusionMatrixDisplay

        figure = Figure(figsize=(13, 4), layout="constrained")
        figure.suptitle(title)
        left, middle, right = figure.subplots(1, 3)
        matrix = ConfusionMatrixDisplay(confusion(predictions), display_labels=predictions.classes)
        matrix.plot(ax=left, colorbar=False, cmap="Blues")
        left.set_title("confusion")
        for name, part in roc_points(predictions).groupby("class"):
            middle.plot(part["false_positive_rate"], part["true_positive_rate"], label=name)
        middle.set(title="ROC", xlabel="false positive rate", ylabel="true positive rate")
        for name, part in calibration_points(predictions).groupby("class"):
            right.plot(part["predicted"], part["observed"], marker="o", label=name)
        right.set(title="calibration", xlabel="predicted probability", ylabel="observed share")
        for panel in (middle, right):
            panel.plot([0, 1], [0, 1], color="grey", linestyle=":")
            panel.legend()
        return figure


def _check_no_quantity(target: pd.Series) -> None:
    """Raise an error for many different numbers, with fractions or hardly repeated."""
    values = target.unique()
    if len(values) <= MOST_NUMBERS:
        return
    numbers = pd.to_numeric(pd.Series(values), errors="coerce")
    hardly_repeated = len(values) > len(target) / EXAMPLES_PER_CLASS
    if numbers.notna().all() and ((numbers % 1).any() or hardly_repeated):
        raise UserError(
            f"column '{target.name}' holds {len(values):,} different numbers in "
            f"{len(target):,} examples, as a quantity does: predict it by regression, which for "
            "tables of your own is task=table_regression, or make a few classes of it, such as low "
            "and high"
        )


def _fault(probabilities: np.ndarray, shape: tuple[int, int]) -> str | None:
    """Return what is wrong with probabilities, or None."""
    if probabilities.shape != shape:
        return (
            f"have the shape {probabilities.shape}, not {shape}: "
            "a row per example, a column per class"
        )
    if probabilities.dtype.kind not in "fiub":
        return f"are of type {probabilities.dtype}, not numbers"
    if not np.isfinite(probabilities).all():
        return "are not finite"
    low, high = probabilities.min(initial=0), probabilities.max(initial=0)
    if low < -TOLERANCE or high > 1 + TOLERANCE:
        return f"are not between 0 and 1: one is {low if low < -TOLERANCE else high:.6g}"
    sums = probabilities.sum(1, dtype=float)
    off = np.abs(sums - 1) > TOLERANCE
    return f"do not sum to 1: one sum is {sums[off][0]:.6g}" if off.any() else None


def one_against_rest(predictions: ClassPredictions) -> list[int]:
    """
    Return the classes to draw curves of. Of two classes it is only the positive one.

    A class that no example has, as may be after a split by time, has none.
    """
    n_classes = predictions.probabilities.shape[1]
    codes = [predictions.positive] if n_classes == 2 else list(range(n_classes))
    return [code for code in codes if (predictions.actual == code).any()]


def confusion_points(predictions: ClassPredictions) -> pd.DataFrame:
    """Count the examples of each pair of actual and predicted class that occurs."""
    names = np.array(predictions.classes)
    actual, predicted = names[predictions.actual], names[predictions.predicted]
    pairs = pd.DataFrame({"actual": actual, "predicted": predicted})
    return pairs.value_counts(sort=False).reset_index(name="examples")


def roc_points(predictions: ClassPredictions) -> pd.DataFrame:
    """Compute the ROC curve of each class against the rest, with at most `MOST_POINTS` points."""
    from sklearn.metrics import roc_curve

    parts = []
    for code in one_against_rest(predictions):
        false, true, _ = roc_curve(predictions.actual == code, predictions.probabilities[:, code])
        if len(false) > MOST_POINTS:
            # Both rates only rise, so that their sum goes from 0 to 2 along the curve.
            evenly = np.linspace(0, 2, MOST_POINTS)
            kept = np.unique(np.searchsorted(false + true, evenly))
            false, true = false[kept], true[kept]
        points = {
            "class": predictions.classes[code],
            "false_positive_rate": false,
            "true_positive_rate": true,
        }
        parts.append(pd.DataFrame(points))
    return pd.concat(parts)


def calibration_error(
    predictions: ClassPredictions, seed: int, confidence: float
) -> dict[str, float]:
    """Compute what `Problem.calibration` returns, for the examples that are of one class."""
    predictions = predictions.of_classes
    probabilities = predictions.probabilities.astype(float).clip(0, 1)
    if probabilities.shape[1] == 2:
        claimed = probabilities[:, predictions.positive]
        happened = predictions.actual == predictions.positive
    else:
        claimed = probabilities.max(1)
        happened = predictions.actual == probabilities.argmax(1)
    n = len(claimed)
    units, names = pd.factorize(predictions.unit)
    edges = np.quantile(claimed, np.linspace(0, 1, _bins(len(names)) + 1)[1:-1])
    bins = np.searchsorted(edges, claimed, side="right")
    in_bin = np.eye(len(edges) + 1)[bins]
    error = np.abs((claimed - happened) @ in_bin).sum() / n
    rng = np.random.default_rng(seed)
    simulated = np.empty(CALIBRATION_DRAWS)
    at_once = max(1, NUMBERS_AT_ONCE // n)
    for start in range(0, CALIBRATION_DRAWS, at_once):
        drawn = rng.random((min(at_once, CALIBRATION_DRAWS - start), n)) < claimed
        simulated[start : start + at_once] = np.abs((claimed - drawn) @ in_bin).sum(1) / n
    simulated *= np.sqrt(_inflation(claimed, happened, bins, units))
    of_units = np.zeros((len(names), in_bin.shape[1]))
    np.add.at(of_units, (units, bins), claimed - happened)
    at_once = max(1, NUMBERS_AT_ONCE // len(names))
    resampled = []
    for start in range(0, CALIBRATION_DRAWS, at_once):
        weights = rng.poisson(1, (min(at_once, CALIBRATION_DRAWS - start), len(names)))
        resampled.append(np.abs(weights @ of_units).sum(1) / n)
    reach = NormalDist().inv_cdf((1 + confidence) / 2) * np.concatenate(resampled).std()
    exact = np.eye(probabilities.shape[1])[predictions.actual]
    return {
        "error": float(error),
        "low": max(0.0, float(error - reach)),
        "high": min(1.0, float(error + reach)),
        "expected": float(simulated.mean()),
        "p_value": float((1 + (simulated >= error).sum()) / (1 + CALIBRATION_DRAWS)),
        "brier": float(((probabilities - exact) ** 2).sum(1).mean()),
    }


def _inflation(
    claimed: np.ndarray, happened: np.ndarray, bins: np.ndarray, units: np.ndarray
) -> float:
    """Return by how much the examples of a unit being alike inflates the variance of a bin."""
    residuals = claimed - happened
    shift = np.bincount(bins, residuals) / np.maximum(1, np.bincount(bins))
    cells = pd.Series(residuals - shift[bins]).groupby([bins, units]).sum()
    of_bins = (cells**2).groupby(level=0).agg(["sum", "size"])
    together = (of_bins["sum"] * of_bins["size"] / (of_bins["size"] - 1).clip(lower=1)).sum()
    alone = (claimed * (1 - claimed)).sum()
    return max(1.0, float(together / alone)) if len(cells) < len(claimed) and alone else 1.0


def _bins(n: int) -> int:
    """Return in how many bins the calibration of n independent predictions is looked at."""
    return min(MOST_BINS, max(2, n // EXAMPLES_PER_BIN))


def calibration_points(predictions: ClassPredictions) -> pd.DataFrame:
    """Compute the calibration curve of each class, in quantile bins."""
    from sklearn.calibration import calibration_curve

    predictions = predictions.of_classes
    bins = _bins(len(predictions))
    parts = []
    for code in one_against_rest(predictions):
        observed, predicted = calibration_curve(
            predictions.actual == code,
            predictions.probabilities[:, code].clip(0, 1),
            n_bins=bins,
            strategy="quantile",
        )
        points = {
            "class": predictions.classes[code],
            "predicted": predicted,
            "observed": observed,
        }
        parts.append(pd.DataFrame(points))
    return pd.concat(parts)
