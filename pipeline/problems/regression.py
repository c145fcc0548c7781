"""Regression: the target is a number, with an interval for each prediction."""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pandas as pd

from pipeline.conformal import check_coverage, conformal_radii
from pipeline.errors import ModelError, UserError
from pipeline.problems import (
    Metric,
    Predictions,
    Problem,
    join_meta,
    metric,
    metrics_in,
    variance_of_share,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# The squares of greater targets, or of their sums, are no numbers any more.
GREATEST = 1e100
# A target with fewer different values may stand for classes.
FEW_VALUES = 10
# A random split keeps the shares of at most so many quantiles, with so many groups in each.
MOST_STRATA, GROUPS_PER_STRATUM = 10, 20
# Relative errors are not reported where a target is nearer to 0 than this share of the mean size.
NEAR_ZERO = 0.01
# What metrics can need.
AWAY_FROM_ZERO, INTERVALS, CUT = "away_from_zero", "intervals", "cut"
# Most leaves of the tree that shows what a single column tells, and the share of a leaf.
LEAVES, LEAF_SHARE = 16, 0.02
# Plots with more points are thinned, so that they stay small.
MOST_POINTS, PARTS = 400, 10


@dataclass(frozen=True)
class NumberPredictions(Predictions):
    """
    The numbers that a regressor predicts, and the true ones.

    Attributes
    ----------
    actual : ndarray of float, shape (n,)
        The true numbers.
    predicted : ndarray of float, shape (n,)
        The predicted numbers.
    low, high : ndarray of float, shape (n,)
        The ends of the interval of each prediction. nan without an interval.
    constant : ndarray of float, shape (n,)
        What a model without inputs would predict.
    learned : ndarray of float, shape (n,)
        The true numbers as models learn them, which intervals are about.
    coverage : float
        Share of the true numbers that intervals are made to hold.
    meta : mapping of str to ndarray of shape (n,)
        As for `Predictions`.
    """

    predicted: np.ndarray
    low: np.ndarray
    high: np.ndarray
    constant: np.ndarray
    learned: np.ndarray
    coverage: float = math.nan

    @property
    def stratum(self) -> None:
        """
        None, so that draws have no strata.

        The strata of a split are quantiles of the very examples, not known shares of a population:
        draws within them would hide how much the spread of the target varies from sample to sample.
        """
        return

    @cached_property
    def error(self) -> np.ndarray:
        """The size of the error of each prediction."""
        return np.abs(self.predicted - self.actual)

    @cached_property
    def held(self) -> np.ndarray:
        """Whether the true number is in the interval, as 0 or 1. nan without an interval."""
        held = (self.low <= self.learned) & (self.learned <= self.high)
        return np.where(np.isnan(self.low), np.nan, held)


def mean(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Compute the mean of values for each weighting of shape (draws, n)."""
    return weights @ values / weights.sum(1)


@metric(greater_is_better=False, of_target=True)
def rmse(predictions: NumberPredictions, weights: np.ndarray) -> np.ndarray:
    """Compute the root of the mean squared error."""
    return np.sqrt(mean(predictions.error**2, weights))


@metric(CUT, greater_is_better=False, of_target=True)
def rmse_cut(predictions: NumberPredictions, weights: np.ndarray) -> np.ndarray:
    """Compute the root mean squared error of the target cut at ``task.learn_at_most``."""
    return np.sqrt(mean((predictions.predicted - predictions.learned) ** 2, weights))


@metric(greater_is_better=False, of_target=True)
def mae(predictions: NumberPredictions, weights: np.ndarray) -> np.ndarray:
    """Compute the mean absolute error."""
    return mean(predictions.error, weights)


@metric(greater_is_better=False, of_target=True)
def median_absolute_error(predictions: NumberPredictions, weights: np.ndarray) -> np.ndarray:
    """Compute the median of the absolute errors, of an even number the mean of the middle two."""
    order = np.argsort(predictions.error)
    errors, reached = predictions.error[order], np.cumsum(weights[:, order], axis=1)
    half = reached[:, -1:] / 2
    lower = (reached < half).sum(1)
    upper = np.minimum((reached <= half).sum(1), len(errors) - 1)
    return (errors[lower] + errors[upper]) / 2


@metric(AWAY_FROM_ZERO, greater_is_better=False)
def mape(predictions: NumberPredictions, weights: np.ndarray) -> np.ndarray:
    """Compute the mean of the absolute errors as shares of the true numbers."""
    return mean(predictions.error / np.abs(predictions.actual), weights)


@metric()
def r2(predictions: NumberPredictions, weights: np.ndarray) -> np.ndarray:
    """Compute the share of the variance that is predicted: 1 is perfect, the mean has 0."""
    centre = mean(predictions.actual, weights)[:, np.newaxis]
    spread = (weights * (predictions.actual - centre) ** 2).sum(1)
    return _one_minus(weights @ predictions.error**2, spread)


@metric()
def skill(predictions: NumberPredictions, weights: np.ndarray) -> np.ndarray:
    """Compute the share of the squared error of a constant, chosen on validation, that is saved."""
    of_constant = (predictions.constant - predictions.actual) ** 2
    return _one_minus(weights @ predictions.error**2, weights @ of_constant)


@metric()
def spearman(predictions: NumberPredictions, weights: np.ndarray) -> np.ndarray:
    """Compute the correlation of the ranks of predicted and true numbers. Ties share a rank."""
    total = weights.sum(1, keepdims=True)
    actual, predicted = (
        _ranks(values, weights) - (total + 1) / 2
        for values in (predictions.actual, predictions.predicted)
    )
    together = (weights * actual * predicted).sum(1)
    spread = np.sqrt((weights * actual**2).sum(1) * (weights * predicted**2).sum(1))
    return np.divide(together, spread, out=np.full(len(weights), np.nan), where=spread > 0)


@metric(INTERVALS, greater_is_better=False, of_target=True)
def pinball(predictions: NumberPredictions, weights: np.ndarray) -> np.ndarray:
    """
    Compute the mean pinball loss of the two ends of the intervals, as quantiles.

    The ends of an interval of 90 % are the quantiles 0.05 and 0.95 (Koenker and Bassett,
    Econometrica 1978). Narrow intervals that hold the true number have a low loss.
    """
    tail = (1 - predictions.coverage) / 2
    losses = []
    for end, share in ((predictions.low, tail), (predictions.high, 1 - tail)):
        above = predictions.learned - end
        losses.append(np.maximum(share * above, (share - 1) * above))
    return mean(sum(losses) / 2, weights)


@metric(INTERVALS, bounded=True, variance=variance_of_share(len))
def coverage(predictions: NumberPredictions, weights: np.ndarray) -> np.ndarray:
    """Compute the share of the true numbers that are in the interval of their prediction."""
    return mean(predictions.held, weights)


@metric(INTERVALS, greater_is_better=False, of_target=True)
def width(predictions: NumberPredictions, weights: np.ndarray) -> np.ndarray:
    """Compute the mean width of the intervals."""
    return mean(predictions.high - predictions.low, weights)


def _one_minus(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return 1 - np.divide(part, whole, out=np.full(np.shape(part), np.nan), where=whole > 0)


def _ranks(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the rank of each value in each draw, in which it occurs as often as its weight."""
    _, codes = np.unique(values, return_inverse=True)
    order = np.argsort(codes, kind="stable")
    first_of_each = np.flatnonzero(np.diff(codes[order], prepend=-1))
    of_value = np.add.reduceat(weights[:, order], first_of_each, axis=1)
    middle: np.ndarray = np.cumsum(of_value, axis=1) - (of_value - 1) / 2
    return middle[:, codes]


@dataclass(frozen=True)
class Regression(Problem):
    """
    A problem whose target is a number.

    Parameters
    ----------
    metric, metrics, target
        As for `Problem`.
    unit : str, optional
        The unit of the target, such as cycles.
    coverage : float, optional
        Share of the true numbers that the intervals of predictions are made to hold. Without it
        there are no intervals.
    learn_at_most : float, optional
        Models learn a target above it as this value, and intervals are about the target so cut.
        All other metrics are about the target as it is.
    """

    loss: ClassVar[str] = "squared_error"
    mean_metric: ClassVar[str] = "mae"
    PLOTS: ClassVar[tuple[Mapping[str, Any], ...]] = (
        {
            "name": "predicted",
            "title": "Predicted against actual on test",
            "form": "points",
            "x": "actual",
            "y": "predicted",
            "diagonal": True,
        },
        {
            "name": "residuals",
            "title": "Actual minus predicted on test, by prediction",
            "form": "points",
            "x": "predicted",
            "y": "residual",
        },
        {
            "name": "errors",
            "title": "Mean absolute error on test, by tenths of the target",
            "form": "line",
            "x": "actual",
            "y": "mean_absolute_error",
        },
    )
    METRICS: ClassVar[Mapping[str, Metric]] = metrics_in(globals())

    unit: str | None = None
    coverage: float | None = None
    learn_at_most: float | None = None

    # For ingesting examples

    def check_target(self, target: pd.Series) -> pd.Series:
        """Convert the target to floats, and check that each is a finite number."""
        if pd.api.types.is_datetime64_any_dtype(target):
            raise UserError(
                f"column '{target.name}' holds times, but regression predicts numbers: "
                "make it a number, such as days from a date"
            )
        numbers = pd.to_numeric(target, errors="coerce").astype(float)
        wrong = ~np.isfinite(numbers) | (numbers.abs() > GREATEST)
        if wrong.any():
            example, found = numbers.index[wrong][0], target[wrong].iloc[0]
            what = "is missing" if found is None or found != found else f"'{found}'"
            more = f" (and {wrong.sum() - 1:,} more)" if wrong.sum() > 1 else ""
            raise UserError(
                f"column '{target.name}', example {example}: {what}{more}, but regression predicts "
                f"finite numbers, as 1234.5, of size {GREATEST:g} or less"
            )
        return numbers

    def check_enough(
        self, examples: pd.DataFrame, needed: int, advice: Callable[[int], str]
    ) -> None:
        """Check that there are enough groups, and two different numbers."""
        groups = examples["group"].nunique()
        if examples["label"].nunique() < 2:
            raise UserError(
                f"every label is {examples['label'].iloc[0]:g}: there is nothing to predict"
            )
        if groups < needed:
            what = f"independent example{'s' * (groups != 1)}"
            raise UserError(
                f"there are {groups} {what}, fewer than the {needed} that the split needs: "
                f"{advice(groups)}"
            )

    def strata(self, examples: pd.DataFrame) -> np.ndarray:
        """Return the quantile of each example, of at most 10."""
        strata = examples["group"].nunique() // GROUPS_PER_STRATUM if "group" in examples else 0
        shares = np.linspace(0, 1, min(MOST_STRATA, max(1, strata)) + 1)[1:-1]
        target = examples["label"].to_numpy(float)
        return np.searchsorted(np.unique(np.quantile(target, shares)), target, side="right")

    def check_parts(
        self,
        parts: Mapping[str, pd.DataFrame],
        advice: Callable[[list[str]], str],
        in_time: bool = False,
    ) -> None:
        """Check that every part has two different numbers."""
        lacking = [name for name, part in parts.items() if part["label"].nunique() < 2]
        if lacking:
            raise UserError(f"every label in {' and '.join(lacking)} is equal: {advice(lacking)}")

    def describe(self, train: pd.DataFrame) -> dict[str, Any]:
        """Return the unit, mean, standard deviation and range, and the target nearest to 0."""
        target = train["label"].to_numpy(float)
        size = np.abs(target)
        found = {
            "mean": target.mean(),
            "sd": target.std(),
            "low": target.min(),
            "high": target.max(),
            "nearest_to_zero": size.min() / size.mean(),
        }
        return {"unit": self.unit} | {name: float(value) for name, value in found.items()}

    def summarize(self, examples: pd.DataFrame) -> dict[str, Any]:
        """Return the mean and the range of the target."""
        target = examples["label"]
        return {name: float(getattr(target, name)()) for name in ("mean", "min", "max")}

    def headline(self, examples: pd.DataFrame) -> str:
        """Return the range and the mean of the target."""
        target, unit = examples["label"], f" {self.unit}" if self.unit else ""
        different = target.nunique()
        few = (
            f", only {different} different values: if they are classes, take a task for classes"
            if different < FEW_VALUES
            else ""
        )
        return f"{target.min():,.6g} to {target.max():,.6g}{unit}, mean {target.mean():,.6g}{few}"

    # For a target

    def check_settings(self) -> None:
        """Check the coverage, what is learned, and the metrics."""
        super().check_settings()
        check_coverage(self.coverage)
        low = self.target.get("low", -math.inf)
        if self.learn_at_most is not None and not self.learn_at_most > low:
            raise UserError(
                f"task.learn_at_most: {self.learn_at_most} is not above {low:g}, the lowest target"
            )

    @property
    def has(self) -> frozenset[str]:
        """The columns for metrics, a target away from 0, intervals, and a cut."""
        known = {
            AWAY_FROM_ZERO: self.target.get("nearest_to_zero", 0) >= NEAR_ZERO,
            INTERVALS: self.coverage is not None,
            CUT: self.learn_at_most is not None,
        }
        return super().has | {name for name, there in known.items() if there}

    def lack(self, what: str, need: str) -> str:
        """Return the message that something needs what this problem lacks."""
        if need == AWAY_FROM_ZERO:
            return f"{what} divides by the target, and one is 0 or nearly so: leave it out"
        if need == INTERVALS:
            return f"{what} is about intervals: set task.coverage, such as to 0.9"
        if need == CUT:
            return f"{what} is about a target that is cut: set task.learn_at_most"
        return super().lack(what, need)

    def unit_of(self, metric: Metric) -> str | None:
        """Return the unit of the target, for metrics in it."""
        return self.unit if metric.of_target else None

    def margin(self, matters: float) -> float:
        """
        Return the smallest difference in the deciding metric that matters.

        Of a metric in the unit of the target, `matters` is in standard deviations of the target.
        """
        return matters * self.target["sd"] if self.deciding.of_target else matters

    # For fitting models and predicting

    def check_estimator(self, estimator: Any) -> None:
        """Check that the estimator can be fitted and predicts numbers."""
        name = type(estimator).__name__
        for method in ("fit", "predict"):
            if not hasattr(estimator, method):
                raise ModelError(f"{name} has no {method}: it is not a regressor")
        if hasattr(estimator, "predict_proba"):
            raise ModelError(f"{name} is a classifier: it predicts classes, and not numbers")

    def encode(self, estimator: Any, target: np.ndarray) -> np.ndarray:
        """Cut the target at `learn_at_most`."""
        return target if self.learn_at_most is None else np.minimum(target, self.learn_at_most)

    def outputs(self, estimator: Any, X: Any) -> np.ndarray:
        """
        Compute the predicted numbers.

        Returns
        -------
        ndarray of float, shape (n,)
        """
        name = type(estimator).__name__
        try:
            found = np.asarray(estimator.predict(X), dtype=float)
        except (TypeError, ValueError) as error:
            if "could not convert" not in str(error):
                raise
            raise ModelError(f"the predictions of {name} are not numbers") from None
        if found.shape != (X.shape[0],):
            raise ModelError(
                f"the predictions of {name} have the shape {found.shape}, not {(X.shape[0],)}: "
                "a number per example"
            )
        if not np.isfinite(found).all():
            raise ModelError(f"the predictions of {name} are not finite")
        return found

    def decide(self, predictions: NumberPredictions) -> dict[str, Any]:
        """Choose the widths of intervals, and the constant to compare with, on validation."""
        decision: dict[str, Any] = {"constant": float(predictions.actual.mean())}
        if self.coverage is not None:
            edges, radii = conformal_radii(
                np.abs(predictions.learned - predictions.predicted),
                predictions.predicted,
                predictions.group,
                self.coverage,
            )
            decision |= {"coverage": self.coverage, "edges": edges, "radii": radii}
        return decision

    def check_decision(self, decision: Mapping[str, Any]) -> None:
        """Check the constant, and the widths of intervals."""
        if not decision:
            return
        strange = sorted(set(decision) - {"constant", "coverage", "edges", "radii"})
        if strange:
            raise UserError(f"decision {dict(decision)} has the unknown key {strange[0]}")
        edges, radii = decision.get("edges", []), decision.get("radii", [])
        numbers = [decision.get("constant"), decision.get("coverage", 0.5), *edges, *radii]
        if not all(isinstance(one, float) and math.isfinite(one) for one in numbers):
            raise UserError(f"decision {dict(decision)} holds what is no finite number")
        if len(radii) != len(edges) + 1 and (edges or radii):
            raise UserError(f"decision {dict(decision)} has no width for each band")

    def predictions(
        self,
        target: np.ndarray,
        outputs: np.ndarray,
        meta: Mapping[str, np.ndarray],
        decision: Mapping[str, Any] | None = None,
    ) -> NumberPredictions:
        """Return the predicted numbers together with the true ones."""
        decision = decision or {}
        actual = np.asarray(target, dtype=float)
        low, high = self._interval(outputs, decision)
        constant = np.full(len(actual), decision.get("constant", math.nan))
        learned = self.encode(None, actual)
        share = decision.get("coverage", math.nan)
        return NumberPredictions(actual, outputs, low, high, constant, learned, share, meta=meta)

    def frame(self, outputs: np.ndarray, decision: Mapping[str, Any]) -> pd.DataFrame:
        """Return the predicted numbers, and the ends of their intervals."""
        low, high = self._interval(outputs, decision)
        ends = {"low": low, "high": high} if "coverage" in decision else {}
        return pd.DataFrame({"label": outputs} | ends)

    def columns(self) -> dict[str, str]:
        """Return ``label``, and with intervals ``low`` and ``high``."""
        ends = {} if self.coverage is None else {"low": "double", "high": "double"}
        return {"label": "double"} | ends

    def _interval(
        self, outputs: np.ndarray, decision: Mapping[str, Any]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the ends of the interval of each prediction, nan where there is none."""
        radii = decision.get("radii")
        if not radii:
            nothing = np.full(len(outputs), np.nan)
            return nothing, nothing
        band = np.searchsorted(decision["edges"], outputs, side="right")
        radius = np.array(radii)[band]
        low = outputs - radius
        if self.target.get("low", -1) >= 0:
            # A price or a duration is not negative.
            low = np.maximum(low, np.minimum(0, outputs))
        return low, outputs + radius

    # For comparing models

    def concatenate(self, parts: Sequence[NumberPredictions]) -> NumberPredictions:
        """Return the predictions of several rounds as one."""
        first = parts[0]

        def joined(name: str) -> np.ndarray:
            return np.concatenate([getattr(part, name) for part in parts])

        return dataclasses.replace(
            first,
            actual=joined("actual"),
            predicted=joined("predicted"),
            low=joined("low"),
            high=joined("high"),
            constant=joined("constant"),
            learned=joined("learned"),
            meta=join_meta(parts),
        )

    def misses(self, predictions: NumberPredictions) -> np.ndarray:
        """Return the size of the error where the interval does not hold the true number."""
        return np.where(predictions.held == 1, 0, predictions.error)

    def control(self, sparse: bool) -> Any:
        """Return a ridge regression for sparse features, otherwise a small tree."""
        if sparse:
            from sklearn.linear_model import Ridge

            return Ridge(solver="sparse_cg", tol=1e-3)
        from sklearn.tree import DecisionTreeRegressor

        return DecisionTreeRegressor(
            max_leaf_nodes=LEAVES, min_samples_leaf=LEAF_SHARE, random_state=0
        )

    def plot_data(self, predictions: NumberPredictions) -> dict[str, pd.DataFrame]:
        """Compute points of predictions and residuals, and the mean error by size."""
        order = np.argsort(predictions.actual, kind="stable")
        kept = np.unique(np.linspace(0, len(order) - 1, MOST_POINTS, dtype=int))
        some = predictions.take(order[kept])
        residual = some.actual - some.predicted
        return {
            "predicted": pd.DataFrame({"actual": some.actual, "predicted": some.predicted}),
            "residuals": pd.DataFrame({"predicted": some.predicted, "residual": residual}),
            "errors": error_by_size(predictions),
        }

    def figure(self, title: str, predictions: NumberPredictions) -> "Figure":
        """Plot predictions, residuals and the mean error by size side by side."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(13, 4), layout="constrained")
        figure.suptitle(title)
        data = self.plot_data(predictions)
        for axes, plot in zip(figure.subplots(1, 3), self.PLOTS, strict=True):
            points, style = data[plot["name"]], "o-" if plot["form"] == "line" else "."
            axes.plot(points[plot["x"]], points[plot["y"]], style, alpha=0.7)
            axes.set(title=plot["title"], xlabel=plot["x"], ylabel=plot["y"].replace("_", " "))
            if plot.get("diagonal"):
                axes.axline((points[plot["x"]].mean(),) * 2, slope=1, color="grey", linestyle=":")
        return figure


def error_by_size(predictions: NumberPredictions) -> pd.DataFrame:
    """Compute the mean true number and the mean absolute error of each tenth of the examples."""
    order = np.argsort(predictions.actual, kind="stable")
    parts = [part for part in np.array_split(order, PARTS) if len(part)]
    return pd.DataFrame(
        {
            "actual": [predictions.actual[part].mean() for part in parts],
            "mean_absolute_error": [predictions.error[part].mean() for part in parts],
        }
    )
