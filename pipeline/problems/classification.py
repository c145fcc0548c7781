"""Classification: the target is one of two or more classes, and models give each a probability."""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pandas as pd

from pipeline.errors import ModelError, UserError, nearest
from pipeline.problems import Metric, Predictions, Problem, in_module, metric
from pipeline.requirements import PROJECT, packages

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Estimators made of these take class names as labels. Other packages may want 0, 1, 2, ...
TAKE_NAMES = {PROJECT, "sklearn", "lightgbm", "numpy", "scipy", "torch"}
# How far a probability may be out of range, and the sum of a row from 1.
TOLERANCE = 1e-5
MOST_THRESHOLDS = 200
EXAMPLES_PER_BIN = 20
MOST_BINS = 10
# On curves with more, points nearer to each other than a pixel or so are left out.
MOST_POINTS = 400


@dataclass(frozen=True)
class ClassPredictions(Predictions):
    """
    The probabilities that a classifier predicted, and the true classes.

    Attributes
    ----------
    actual : ndarray of int, shape (n,)
        Index of the true class.
    probabilities : ndarray of float, shape (n, n_classes)
        Rows sum to 1.
    positive : int
        Index of the class that sensitivity and the like are about.
    threshold : float, optional
        The positive class is predicted from this probability on; without it,
        the most probable class.
    classes : tuple of str
        Labels, for the metrics that name some.
    meta : mapping of str to ndarray of shape (n,)
        As for `Predictions`.
    """

    probabilities: np.ndarray
    positive: int
    threshold: float | None = None
    classes: tuple[str, ...] = ()

    @cached_property
    def predicted(self) -> np.ndarray:
        """Index of the predicted class."""
        return decided(self.probabilities, self.positive, self.threshold)


def decided(probabilities: np.ndarray, positive: int, threshold: float | None) -> np.ndarray:
    """
    Turn probabilities into classes.

    Parameters
    ----------
    probabilities : ndarray of shape (n, n_classes)
        Rows sum to 1.
    positive : int
        Index of the class that `threshold` is about.
    threshold : float or None
        From this probability on, the positive class is predicted.

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


def best_threshold(known: Metric, predictions: ClassPredictions) -> float:
    """
    Find the probability from which to predict the positive class.

    Parameters
    ----------
    known : Metric
        What it shall be best in.
    predictions : ClassPredictions
        For validation examples.

    Returns
    -------
    float
        The best of at most 200 thresholds, each halfway between a probability
        that an example of the positive class was given and the next lower one;
        of equally good ones the middle one. Elsewhere a threshold only takes
        more of the other classes in, and where the positive class is rare, most
        would be spent there. 0.5 where the metric is not defined for any.
    """
    score = predictions.probabilities[:, predictions.positive]
    given = np.unique(score)
    of_positive = np.isin(given[1:], score[predictions.actual == predictions.positive])
    halfway = ((given[1:] + given[:-1]) / 2)[of_positive]
    if not len(halfway):
        return 0.5
    shares = np.linspace(0, 1, MOST_THRESHOLDS)
    tried = np.unique(np.quantile(halfway, shares, method="nearest"))
    scores = known.sign * np.array(
        [known.once(dataclasses.replace(predictions, threshold=t)) for t in tried]
    )
    if np.isnan(scores).all():
        return 0.5
    best = tried[np.isclose(scores, np.nanmax(scores), rtol=0, atol=1e-12)]
    return float(best[(len(best) - 1) // 2])


def confusion(predictions: ClassPredictions) -> np.ndarray:
    """
    Count (actual, predicted) pairs.

    Returns
    -------
    ndarray of int, shape (n_classes, n_classes)
        Rows are actual, columns predicted.
    """
    n_classes = predictions.probabilities.shape[1]
    cells = predictions.actual * n_classes + predictions.predicted
    return np.bincount(cells, minlength=n_classes**2).reshape(n_classes, n_classes)


@metric()
def accuracy(predictions: ClassPredictions, weights: np.ndarray) -> np.ndarray:
    """Share of right predictions."""
    return weights @ (predictions.predicted == predictions.actual) / weights.sum(1)


@metric()
def f1_macro(predictions: ClassPredictions, weights: np.ndarray) -> np.ndarray:
    """Mean over classes of F1, the harmonic mean of precision and recall; 0 where undefined."""
    # A column per class, not per pair of classes: of those 150 classes have 22,500.
    one = np.eye(predictions.probabilities.shape[1])
    actual, predicted = one[predictions.actual], one[predictions.predicted]
    right = weights @ (actual * predicted)
    return ratio(2 * right, weights @ (actual + predicted)).mean(1)


def f1_of(predictions: ClassPredictions, weights: np.ndarray, code: int) -> np.ndarray:
    """F1 of one class, by its index; 0 where undefined."""
    actual, predicted = predictions.actual == code, predictions.predicted == code
    return ratio(2 * weights @ (actual & predicted), weights @ (actual + predicted.astype(int)))


@metric("positive")
def f1(predictions: ClassPredictions, weights: np.ndarray) -> np.ndarray:
    """Harmonic mean of precision and recall of the positive class; 0 where undefined."""
    return f1_of(predictions, weights, predictions.positive)


@metric("positive")
def precision(predictions: ClassPredictions, weights: np.ndarray) -> np.ndarray:
    """Share of what was taken for the positive class that was of it; 0 where nothing was."""
    taken = predictions.predicted == predictions.positive
    right = taken & (predictions.actual == predictions.positive)
    return ratio(weights @ right, weights @ taken)


@metric("positive")
def recall(predictions: ClassPredictions, weights: np.ndarray) -> np.ndarray:
    """Share of the positive class that was found."""
    positive = predictions.actual == predictions.positive
    found = positive & (predictions.predicted == predictions.positive)
    return ratio(weights @ found, weights @ positive, undefined=np.nan)


# As medicine calls it.
sensitivity = dataclasses.replace(recall, name="sensitivity")


@metric("positive")
def specificity(predictions: ClassPredictions, weights: np.ndarray) -> np.ndarray:
    """Share of the other classes that was not taken for the positive one."""
    negative = predictions.actual != predictions.positive
    spared = negative & (predictions.predicted != predictions.positive)
    return ratio(weights @ spared, weights @ negative, undefined=np.nan)


@metric(greater_is_better=False)
def log_loss(predictions: ClassPredictions, weights: np.ndarray) -> np.ndarray:
    """Mean negative log of the probability of the true class, in nats."""
    rows = np.arange(len(predictions))
    of_true = predictions.probabilities[rows, predictions.actual]
    smallest = np.finfo(predictions.probabilities.dtype).eps
    return weights @ -np.log(np.clip(of_true, smallest, 1)) / weights.sum(1)


@metric("positive")
def roc_auc(predictions: ClassPredictions, weights: np.ndarray) -> np.ndarray:
    """
    Chance that a positive example gets a higher probability than another one.

    Ties count half (Hanley and McNeil, Radiology 1982).
    """
    positive, negative = _by_probability(predictions, weights)
    below = np.cumsum(negative, axis=1) - negative / 2
    pairs = positive.sum(1) * negative.sum(1)
    return ratio((positive * below).sum(1), pairs, undefined=np.nan)


@metric("positive")
def average_precision(predictions: ClassPredictions, weights: np.ndarray) -> np.ndarray:
    """
    Mean over thresholds of the precision, each weighted by the recall that it adds.

    Ties share a threshold; nothing is interpolated.
    """
    positive, negative = (part[:, ::-1] for part in _by_probability(predictions, weights))
    found = np.cumsum(positive, axis=1)
    taken = found + np.cumsum(negative, axis=1)
    total = found[:, -1]
    return ratio((positive * ratio(found, taken)).sum(1), total, undefined=np.nan)


def _by_probability(
    predictions: ClassPredictions, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Weigh positive and other examples at each predicted probability, lowest first."""
    score = predictions.probabilities[:, predictions.positive]
    order = np.argsort(score, kind="stable")
    first_of_each = np.flatnonzero(np.diff(score[order], prepend=np.nan) != 0)
    is_positive = predictions.actual[order] == predictions.positive
    ordered = weights[:, order]
    positive = np.add.reduceat(ordered * is_positive, first_of_each, axis=1)
    negative = np.add.reduceat(ordered * ~is_positive, first_of_each, axis=1)
    return positive, negative


def ratio(part: np.ndarray, whole: np.ndarray, undefined: float = 0) -> np.ndarray:
    """Divide, with a value of its own where there is nothing to divide by."""
    out = np.full(np.shape(part), float(undefined))
    return np.divide(part, whole, out=out, where=whole > 0)


@dataclass(frozen=True)
class Classification(Problem):
    """
    One of two or more classes, predicted by their probabilities.

    Parameters
    ----------
    metric, metrics, target
        As for `Problem`. ``f1_<class>`` is a metric for each class.
    positive : str, optional
        The class that metrics such as recall are about.
    threshold : str, optional
        The metric that the probability from which the positive class is predicted is
        chosen to be best in, on validation; without it, the most probable class is predicted.
    """

    loss: ClassVar[str] = "log_loss"
    METRICS: ClassVar[Mapping[str, Metric]] = in_module(globals())

    positive: str | None = None
    threshold: str | None = None

    @property
    def classes(self) -> list[str]:
        """Labels, sorted, in the order of the probabilities."""
        return list(self.target.get("classes", ()))

    @property
    def code(self) -> int:
        """Index of the positive class; 0 where there is none."""
        return 0 if self.positive is None else self.classes.index(self.positive)

    # Where examples are ingested

    def check_target(self, target: pd.Series) -> pd.Series:
        """Check that each label is a text that is not empty."""
        strange = [not isinstance(label, str) or not label for label in target]
        if any(strange):
            example = target.index[strange.index(True)]
            label = target[strange].iloc[0]
            what = "is missing" if label is None or label != label else f"'{label}'"
            more = f" (and {sum(strange) - 1:,} more)" if sum(strange) > 1 else ""
            raise UserError(
                f"column 'label', example {example}: {what}{more}, but a class is a text "
                "that is not empty"
            )
        return target

    def check_enough(
        self, examples: pd.DataFrame, needed: int, advice: Callable[[int], str]
    ) -> None:
        """Check that there are two classes, each with enough groups."""
        groups = examples.groupby("label")["group"].nunique()
        if len(groups) < 2:
            raise UserError(f"there is one class only, '{groups.index[0]}': nothing to tell apart")
        fewest, label = int(groups.min()), groups.idxmin()
        if fewest < needed:
            what = f"independent example{'s' * (fewest != 1)}"
            what += " (groups)" * bool(examples["group"].duplicated().any())
            raise UserError(
                f"label '{label}' has {fewest} {what}, fewer than the {needed} that the split "
                f"needs: {advice(fewest)}"
            )

    def strata(self, examples: pd.DataFrame) -> np.ndarray:
        """Return the class of each example."""
        return examples["label"].to_numpy()

    def check_parts(
        self, parts: Mapping[str, pd.DataFrame], advice: Callable[[list[str]], str]
    ) -> None:
        """Check that every class is in every part."""
        labels = {name: set(part["label"]) for name, part in parts.items()}
        for label in sorted(set().union(*labels.values())):
            lacking = [name for name in parts if label not in labels[name]]
            if lacking:
                having = [name for name in parts if label in labels[name]]
                raise UserError(
                    f"label '{label}' is in {' and '.join(having)} but not in "
                    f"{' and '.join(lacking)}: {advice(lacking)}"
                )

    def describe(self, train: pd.DataFrame) -> dict[str, Any]:
        """List the classes."""
        return {"classes": sorted(train["label"].unique())}

    def summarize(self, examples: pd.DataFrame) -> dict[str, Any]:
        """Count the examples of each class."""
        return {"classes": examples["label"].value_counts().sort_index().to_dict()}

    def headline(self, examples: pd.DataFrame) -> str:
        """Count the classes."""
        return f"{examples['label'].nunique()} classes"

    # Once the target is known

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

    @property
    def has(self) -> frozenset[str]:
        """The positive class, the classes by name, and the columns for metrics."""
        positive = {"positive"} if self.positive is not None else set()
        return super().has | positive | {f"class '{label}'" for label in self.classes}

    def lack(self, what: str, need: str) -> str:
        """State that something needs a positive class or a class of another name."""
        if need == "positive":
            classes = ", ".join(self.classes)
            return f"{what} is about one class: set task.positive to one of {classes}"
        if need.startswith("class "):
            return f"{what} needs a {need}: there are {', '.join(self.classes)}"
        return super().lack(what, need)

    def find(self, name: str) -> Metric:
        """Find a metric; ``f1_<class>`` is that of one class."""
        of_a_class = {f"f1_{label}": code for code, label in enumerate(self.classes)}
        if name in self.METRICS or name not in of_a_class:
            try:
                return super().find(name)
            except UserError:
                if "." in name:
                    raise
                known = [*self.METRICS, *of_a_class]
                raise UserError(f"unknown metric '{name}'{nearest(name, known)}") from None
        code = of_a_class[name]
        return Metric(lambda predictions, weights: f1_of(predictions, weights, code), name)

    # Where models are fitted and predict

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
        Return labels as an estimator takes them.

        An estimator made of the project's, scikit-learn's and LightGBM's parts alone gets the
        names of the classes. One with parts of another package gets integers, the places of
        the classes in sorted order: XGBoost, for one, takes no names.
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
            Rows sum to 1; columns are in the order of `classes`.
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
        """Choose the threshold of the positive class, if the task asks for one."""
        if self.threshold is None:
            return {}
        chosen = best_threshold(self.find(self.threshold), predictions)
        return {"positive": self.positive, "threshold": chosen}

    def check_decision(self, decision: Mapping[str, Any]) -> None:
        """Check the class and its threshold."""
        self._decided(decision)

    def predictions(
        self,
        target: np.ndarray,
        outputs: np.ndarray,
        meta: Mapping[str, np.ndarray],
        decision: Mapping[str, Any] | None = None,
    ) -> ClassPredictions:
        """Put labels and probabilities together."""
        strange = sorted(set(target) - set(self.classes))
        if strange:
            raise UserError(
                f"label '{strange[0]}' is not one of the classes {', '.join(self.classes)}: "
                "no model was trained for it"
            )
        code, threshold = self._decided(decision or {})
        if threshold is not None and code != self.code:
            raise UserError(
                f"the model's threshold is that of class '{self.classes[code]}', task.positive "
                f"is '{self.positive}': train it again"
            )
        actual = np.searchsorted(self.classes, target)
        classes = tuple(self.classes)
        return ClassPredictions(actual, outputs, self.code, threshold, classes, meta=meta)

    def frame(self, outputs: np.ndarray, decision: Mapping[str, Any]) -> pd.DataFrame:
        """Lay out the predicted class and the probability of each."""
        chosen = decided(outputs, *self._decided(decision))
        columns = list(self.columns())
        laid_out = pd.DataFrame(outputs, columns=columns[1:])
        laid_out.insert(0, columns[0], np.array(self.classes)[chosen])
        return laid_out

    def columns(self) -> dict[str, str]:
        """Name ``label`` and ``probability_<class>`` for each class."""
        return {"label": "string"} | {f"probability_{label}": "double" for label in self.classes}

    def _decided(self, decision: Mapping[str, Any]) -> tuple[int, float | None]:
        """Read a decision: the index of a class and its threshold."""
        if not decision:
            return 0, None
        positive, threshold = decision.get("positive"), decision.get("threshold")
        if positive not in self.classes or not isinstance(threshold, float):
            raise UserError(f"decision {dict(decision)} is no class with its threshold")
        return self.classes.index(positive), threshold

    # Where models are compared

    def plot_data(self, predictions: ClassPredictions) -> dict[str, pd.DataFrame]:
        """Compute the confusion matrix, ROC and calibration curves."""
        return {
            "confusion.csv": confusion_points(predictions),
            "roc.csv": roc_points(predictions),
            "calibration.csv": calibration_points(predictions),
        }

    def figure(self, title: str, predictions: ClassPredictions) -> "Figure":
        """Draw the confusion matrix, ROC and calibration curves side by side."""
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


def _fault(probabilities: np.ndarray, shape: tuple[int, int]) -> str | None:
    """State what is wrong with probabilities, if anything."""
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
    """List the classes worth a curve of their own: of two, the positive one is enough."""
    n_classes = predictions.probabilities.shape[1]
    return [predictions.positive] if n_classes == 2 else list(range(n_classes))


def confusion_points(predictions: ClassPredictions) -> pd.DataFrame:
    """Count the examples of each actual and predicted class, as far as there are any."""
    names = np.array(predictions.classes)
    actual, predicted = names[predictions.actual], names[predictions.predicted]
    pairs = pd.DataFrame({"actual": actual, "predicted": predicted})
    return pairs.value_counts(sort=False).reset_index(name="examples")


def roc_points(predictions: ClassPredictions) -> pd.DataFrame:
    """Trace the ROC curve of each class against the rest, by `MOST_POINTS` points at most."""
    from sklearn.metrics import roc_curve

    parts = []
    for code in one_against_rest(predictions):
        false, true, _ = roc_curve(predictions.actual == code, predictions.probabilities[:, code])
        if len(false) > MOST_POINTS:
            # Both rates only rise: their sum goes from 0 to 2 along the curve.
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


def calibration_points(predictions: ClassPredictions) -> pd.DataFrame:
    """Compare the probability of each class with how often it came true, in quantile bins."""
    from sklearn.calibration import calibration_curve

    bins = min(MOST_BINS, max(2, len(predictions) // EXAMPLES_PER_BIN))
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
