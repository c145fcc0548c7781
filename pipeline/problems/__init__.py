"""
Kinds of problem: what a target is, and how it is checked, scored, plotted and served.

Each kind is a module of this package with one class of the same name: `classification` holds
`Classification`. The stages use the methods of the object, and never ask which kind it is.
"""

import importlib
import pkgutil
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import pandas as pd

from pipeline.errors import UserError, nearest

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Variance = Callable[[Any, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Predictions:
    """
    The predictions of one model for n examples, and the true target.

    Each kind of problem adds the fields that its models predict.

    Attributes
    ----------
    actual : ndarray of shape (n,)
        The true target.
    meta : mapping of str to ndarray of shape (n,)
        Further columns of the examples: ``group``, ``unit``, ``stratum``, and those that
        only metrics read.
    """

    actual: np.ndarray
    meta: Mapping[str, np.ndarray] = field(default_factory=dict, kw_only=True)

    def __len__(self) -> int:
        """Count the examples."""
        return len(self.actual)

    @property
    def group(self) -> np.ndarray:
        """The group of each example. Without groups each example is a group of its own."""
        return self.meta.get("group", np.arange(len(self)))

    @property
    def unit(self) -> np.ndarray:
        """The unit that the bootstrap draws as a whole, by default the group."""
        return self.meta.get("unit", self.group)

    @property
    def stratum(self) -> np.ndarray | None:
        """The stratum whose shares the split kept, or None if there is none."""
        return self.meta.get("stratum")

    @property
    def category(self) -> np.ndarray | None:
        """The category of each target, or None. Few examples of one tell little about it."""
        return self.stratum

    def take(self, rows: np.ndarray) -> Self:
        """Return the predictions of some of the examples, given by position or as a mask."""
        values = {one.name: getattr(self, one.name) for one in fields(self)}
        taken = {name: v[rows] for name, v in values.items() if isinstance(v, np.ndarray)}
        meta = {name: v[rows] for name, v in self.meta.items()}
        return replace(self, **taken, meta=meta)


@dataclass(frozen=True)
class Metric:
    """
    A score that is computed for many weightings of the same examples at once.

    A bootstrap needs it in this form.

    Attributes
    ----------
    function : callable
        From `Predictions` of n examples and weights of shape (draws, n), which count how
        often each example is in each draw, to scores of shape (draws,). A score that is
        not defined is nan.
    name : str
        Name in reports.
    greater_is_better : bool, default=True
        Whether higher scores are better.
    needs : frozenset of str
        What the metric needs of a problem or its examples, such as ``time_to_event``.
    bounded : bool, default=False
        Whether scores are between 0 and 1. The variance of observed scores is then taken to
        vanish at these two true scores.
    variance : callable, optional
        For a bounded metric whose variance is known if the examples are independent: from
        `Predictions` and true scores of shape (k,) to variances of shape (k,).
    unseen : callable, optional
        For a bounded metric: from `Predictions` to the variance that draws do not show, because
        what would change the score has not happened.
    of_target : bool, default=False
        Whether scores are in the unit of the target.
    counted : callable, optional
        From `Predictions` to a mask of the examples that the score is of. By default it is of all.
        The interval is then made from what is known of these.
    """

    function: Callable[[Any, np.ndarray], np.ndarray]
    name: str
    greater_is_better: bool = True
    needs: frozenset[str] = frozenset()
    bounded: bool = False
    variance: Variance | None = None
    unseen: Callable[[Any], float] | None = None
    of_target: bool = False
    counted: Callable[[Any], np.ndarray] | None = None

    def __call__(self, predictions: Predictions, weights: np.ndarray) -> np.ndarray:
        """Compute the score of each draw."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return self.function(predictions, weights)

    def once(self, predictions: Predictions) -> float:
        """Compute the score of the examples with equal weights."""
        return float(self(predictions, np.ones((1, len(predictions))))[0])

    @property
    def sign(self) -> int:
        """1 if greater is better, otherwise -1."""
        return 1 if self.greater_is_better else -1


def metric(
    *needs: str,
    greater_is_better: bool = True,
    bounded: bool = False,
    variance: Variance | None = None,
    unseen: Callable[[Any], float] | None = None,
    of_target: bool = False,
    counted: Callable[[Any], np.ndarray] | None = None,
) -> Callable[[Callable[[Any, np.ndarray], np.ndarray]], Metric]:
    """
    Decorate a function to make it a metric of the same name.

    Parameters
    ----------
    *needs : str
        What the metric needs of a problem or its examples.
    greater_is_better : bool, default=True
        Whether higher scores are better.
    bounded, variance, unseen, of_target, counted
        As for `Metric`.
    """

    def decorate(function: Callable[[Any, np.ndarray], np.ndarray]) -> Metric:
        name, needed = function.__name__, frozenset(needs)
        return Metric(
            function, name, greater_is_better, needed, bounded, variance, unseen, of_target, counted
        )

    return decorate


def variance_of_share(count: Callable[[Any], int]) -> Variance:
    """Return the variance of a share among as many examples as `count` finds."""

    def variance(predictions: Any, true: np.ndarray) -> np.ndarray:
        n = count(predictions)
        return true * (1 - true) / n if n else np.full(np.shape(true), np.nan)

    return variance


def join_meta(parts: Sequence[Predictions]) -> dict[str, np.ndarray]:
    """Return the further columns of the examples of several rounds as one."""
    names = parts[0].meta
    return {name: np.concatenate([part.meta[name] for part in parts]) for name in names}


def metrics_in(names: Mapping[str, Any]) -> dict[str, Metric]:
    """Return the metrics among the names of a module by the metrics' names."""
    return {one.name: one for one in names.values() if isinstance(one, Metric)}


@dataclass(frozen=True)
class Problem(ABC):
    """
    A kind of problem with the settings of a task.

    Parameters
    ----------
    metric : str, optional
        The deciding metric: the name of one of `METRICS`, or an import path.
    metrics : sequence of str, optional
        The reported metrics, including the deciding one.
    target : mapping, optional
        The description of the target that `describe` returned. Set by `on`.

    Attributes
    ----------
    loss : str
        Name of the loss in learning curves, early stopping and pruning. Models report it as
        ``train/<loss>`` and ``validation/<loss>``. Lower is better.
    METRICS : dict of str to Metric
        The metrics of this kind of problem.
    mean_metric : str
        Name of the one of `METRICS` that is a mean over examples, and so is defined for any of
        them.
    PLOTS : tuple of dict
        What is plotted: ``name``, ``title``, ``form`` (``matrix``, ``line`` or ``points``), and
        the columns ``x`` and ``y``. Of a matrix also the column ``value``. Of others the column
        ``series``, and ``diagonal``, whether a line from (0, 0) to (1, 1) is drawn.
    """

    loss: ClassVar[str]
    mean_metric: ClassVar[str]
    PLOTS: ClassVar[tuple[Mapping[str, Any], ...]]
    METRICS: ClassVar[Mapping[str, Metric]]

    metric: str | None = None
    metrics: tuple[str, ...] = ()
    target: Mapping[str, Any] = field(default_factory=dict)

    # For ingesting examples

    @abstractmethod
    def check_target(self, target: pd.Series) -> pd.Series:
        """
        Check the target of a source, and convert it to the type that the stages use.

        Parameters
        ----------
        target : Series of shape (n,)
            Indexed by ``example_id``. Its name is that of the user's column.

        Returns
        -------
        Series of shape (n,)
            With the same index.

        Raises
        ------
        UserError
            If a target is not of this kind. The message names the first example.
        """

    @abstractmethod
    def check_enough(
        self, examples: pd.DataFrame, needed: int, advice: Callable[[int], str]
    ) -> None:
        """
        Check that there are enough examples to split.

        Parameters
        ----------
        examples : DataFrame
            With ``label`` and ``group``, and at least one row.
        needed : int
            Groups per stratum that leave one for every part.
        advice : callable
            From the number of groups to advice for the user.

        Raises
        ------
        UserError
            If there are too few. The message states of what.
        """

    @abstractmethod
    def strata(self, examples: pd.DataFrame) -> np.ndarray:
        """
        Return the stratum of each example. A random split keeps the shares of strata.

        Parameters
        ----------
        examples : DataFrame
            With ``label``.

        Returns
        -------
        ndarray of shape (n,)
            Values of any type that can be sorted.
        """

    def sample(self, examples: pd.DataFrame, most: int, seed: int) -> pd.DataFrame:
        """
        Draw examples, with the same share of each stratum and one of each at least.

        Parameters
        ----------
        examples : DataFrame
            With ``label``.
        most : int
            Number of examples to draw. If there are no more, all are returned.
        seed : int
            Seed of the draw.

        Returns
        -------
        DataFrame
            In the order of `examples`.
        """
        if len(examples) <= most:
            return examples
        shuffled = examples.sample(frac=1, random_state=seed)
        strata = pd.Series(self.strata(shuffled))
        of_stratum = strata.groupby(strata)
        place = of_stratum.cumcount() / of_stratum.transform("size")
        return shuffled.iloc[np.argsort(place.to_numpy(), kind="stable")[:most]].sort_index()

    @abstractmethod
    def check_parts(
        self,
        parts: Mapping[str, pd.DataFrame],
        advice: Callable[[list[str]], str],
        in_time: bool = False,
    ) -> None:
        """
        Check that models can be fitted on the parts of a split and scored on them.

        Parameters
        ----------
        parts : mapping of str to DataFrame
            ``train``, ``validation`` and ``test``.
        advice : callable
            From the names of the incomplete parts to advice for the user.
        in_time : bool
            Whether the split is by time, so that a class may be missing in what is later.

        Raises
        ------
        UserError
            If a part is incomplete. The message states what it lacks.
        """

    def rare(self, examples: pd.DataFrame, needed: int) -> list[str]:
        """
        Return the classes of fewer groups than a split needs, if the target is a class.

        Parameters
        ----------
        examples : DataFrame
            With ``label`` and ``group``.
        needed : int
            Groups that leave one for every part.
        """
        return []

    def lacking(self, parts: Mapping[str, pd.DataFrame]) -> dict[str, list[str]]:
        """Return the classes that some parts of a split lack, with the names of these."""
        return {}

    def learned(self, target: np.ndarray) -> np.ndarray:
        """
        Return which examples a model can learn from: by default all.

        Others are never in train, and no model sees them in a fit. Decisions are made on them.

        Parameters
        ----------
        target : ndarray of shape (n,)
            The column ``label`` of the examples.

        Returns
        -------
        ndarray of bool, shape (n,)
        """
        return np.ones(len(target), dtype=bool)

    @abstractmethod
    def describe(self, train: pd.DataFrame) -> dict[str, Any]:
        """
        Describe the target by plain values, as `on` takes them.

        Parameters
        ----------
        train : DataFrame
            Training examples, with ``label``.
        """

    @abstractmethod
    def summarize(self, examples: pd.DataFrame) -> dict[str, Any]:
        """Summarise the target of examples by plain values, for the card."""

    @abstractmethod
    def headline(self, examples: pd.DataFrame) -> str:
        """Summarise the target of examples in a few words."""

    # For a target

    def on(self, target: Mapping[str, Any]) -> Self:
        """
        Return this problem for a target.

        Parameters
        ----------
        target : mapping
            What `describe` returned, and ``columns``, the names of the columns that only
            metrics read.

        Raises
        ------
        UserError
            If a setting does not fit the target, a metric is unknown, the deciding metric is
            not reported, or the problem lacks what a metric needs.
        """
        bound = replace(self, target=target)
        bound.check_settings()
        return bound

    def check_settings(self) -> None:
        """
        Check the settings against the target.

        Raises
        ------
        UserError
            As for `on`.
        """
        if self.metric is not None and self.metric not in self.metrics:
            self.find(self.metric)
            raise UserError(
                f"task.metric '{self.metric}' is not among task.metrics "
                f"[{', '.join(self.metrics)}]: add it"
            )
        names = [one.name for one in self.reported]
        for one in self.reported:
            if names.count(one.name) > 1:
                raise UserError(f"task.metrics: two are shown as '{one.name}': leave one out")
            for need in sorted(one.needs - self.has):
                raise UserError(f"task.metrics: {self.lack(one.name, need)}")

    @property
    def has(self) -> frozenset[str]:
        """What this problem has of the things that metrics can need."""
        return frozenset(self.target.get("columns", ()))

    def lack(self, what: str, need: str) -> str:
        """Return the message that something needs what this problem lacks."""
        return f"{what} needs '{need}', which the examples of this task lack: leave it out"

    @cached_property
    def deciding(self) -> Metric:
        """The metric that ranks models."""
        if self.metric is None:
            raise UserError("task.metric is not set: name the metric that decides")
        return self.find(self.metric)

    @cached_property
    def reported(self) -> tuple[Metric, ...]:
        """All reported metrics, including the deciding one."""
        return tuple(self.find(name) for name in self.metrics)

    @property
    def metric_names(self) -> list[str]:
        """The names of metrics that `find` knows without a path."""
        return list(self.METRICS)

    def find(self, name: str) -> Metric:
        """
        Find a metric.

        Parameters
        ----------
        name : str
            The name of one of `METRICS`, or the import path of a `Metric`.

        Raises
        ------
        UserError
            If the name is unknown, or the path does not lead to a metric.
        """
        if name in self.METRICS:
            return self.METRICS[name]
        module, _, attribute = name.rpartition(".")
        if not module.replace(".", "").isidentifier():
            others = [kind for kind in kinds() if name in class_of(kind).METRICS]
            of_others = f", which is one of {' and '.join(others)}" * bool(others)
            raise UserError(f"unknown metric '{name}'{of_others}{nearest(name, self.metric_names)}")
        try:
            found = getattr(importlib.import_module(module), attribute)
        except (ImportError, AttributeError) as error:
            raise UserError(f"metric '{name}' cannot be imported ({error})") from None
        if not isinstance(found, Metric):
            raise UserError(f"'{name}' is not a metric: decorate it with pipeline.problems.metric")
        return found

    def unit_of(self, metric: Metric) -> str | None:
        """Return the unit of the scores of a metric, if they have one."""
        return None

    def margin(self, matters: float) -> float:
        """
        Return the smallest difference in the deciding metric that matters.

        Parameters
        ----------
        matters : float
            What the task says of it.
        """
        return matters

    # For fitting models and predicting

    @abstractmethod
    def check_estimator(self, estimator: Any) -> None:
        """
        Check before the fit that an estimator can predict what this kind needs.

        Raises
        ------
        ModelError
            If it lacks a method. The message names it.
        """

    def encode(self, estimator: Any, target: np.ndarray) -> np.ndarray:
        """
        Convert a target to the form that an estimator takes.

        Parameters
        ----------
        estimator : estimator
            The estimator to fit.
        target : ndarray of shape (n,)
            The column ``label`` of the examples.

        Returns
        -------
        ndarray of shape (n,)
            By default `target` itself.
        """
        return target

    @abstractmethod
    def outputs(self, estimator: Any, X: Any) -> np.ndarray:
        """
        Compute the output of a fitted estimator, and check it.

        Parameters
        ----------
        estimator : estimator
            Fitted on the target of this problem.
        X : array or sparse matrix with n rows
            Features.

        Returns
        -------
        ndarray of shape (n, ...)
            Finite.

        Raises
        ------
        ModelError
            If the output is not what this kind needs.
        """

    @abstractmethod
    def decide(self, predictions: Any) -> dict[str, Any]:
        """
        Choose on validation how outputs become predictions, such as a threshold.

        Parameters
        ----------
        predictions : Predictions
            For validation.

        Returns
        -------
        dict
            Plain values, which are saved with the model. Empty if there is nothing to choose.
        """

    def decided(
        self, target: np.ndarray, outputs: np.ndarray, meta: Mapping[str, np.ndarray]
    ) -> tuple[dict[str, Any], Predictions]:
        """
        Choose a decision on validation, and return it with the predictions that it leads to.

        Parameters
        ----------
        target, outputs, meta
            Of the validation examples, as `predictions` takes them.
        """
        undecided = self.predictions(target, outputs, meta)
        decision = self.decide(undecided)
        if not decision:
            return decision, undecided
        return decision, self.predictions(target, outputs, meta, decision)

    def check_decision(self, decision: Mapping[str, Any]) -> None:
        """
        Check a saved decision.

        Raises
        ------
        UserError
            If it is not a value that `decide` returns.
        """
        if decision:
            raise UserError(f"decision {dict(decision)} is none of this kind of problem")

    @abstractmethod
    def predictions(
        self,
        target: np.ndarray,
        outputs: np.ndarray,
        meta: Mapping[str, np.ndarray],
        decision: Mapping[str, Any] | None = None,
    ) -> Predictions:
        """
        Return a model's outputs together with the true target.

        Parameters
        ----------
        target : ndarray of shape (n,)
            The column ``label`` of the examples.
        outputs : ndarray of shape (n, ...)
            What `outputs` returned.
        meta : mapping of str to ndarray of shape (n,)
            Further columns of the examples.
        decision : mapping, optional
            What `decide` returned for the model.

        Raises
        ------
        UserError
            If the target has a value that no model can predict.
        """

    def average(self, outputs: Sequence[np.ndarray], weights: Sequence[float]) -> np.ndarray:
        """
        Average the outputs of several models for the same examples.

        Parameters
        ----------
        outputs : sequence of ndarray of shape (n, ...)
            What `outputs` returned for each model.
        weights : sequence of float
            The weight of each model.

        Returns
        -------
        ndarray of shape (n, ...)
            By default the weighted mean.
        """
        return np.average(np.stack(outputs), axis=0, weights=weights)

    @abstractmethod
    def frame(self, outputs: np.ndarray, decision: Mapping[str, Any]) -> pd.DataFrame:
        """
        Return predictions as a table, as they are served and reported.

        Parameters
        ----------
        outputs : ndarray of shape (n, ...)
            What `outputs` returned.
        decision : mapping
            What `decide` returned for the model.

        Returns
        -------
        DataFrame
            A row per example with the columns of `columns`. The first one, ``label``, is the
            predicted target.
        """

    @abstractmethod
    def columns(self) -> dict[str, str]:
        """Return the columns of `frame` with the names of their types in MLflow's signatures."""

    # For comparing models

    @abstractmethod
    def concatenate(self, parts: Sequence[Any]) -> Any:
        """
        Return the predictions of several rounds as one, for plots and slices.

        Parameters
        ----------
        parts : sequence of Predictions
            The decisions on them may differ.
        """

    @abstractmethod
    def misses(self, predictions: Any) -> np.ndarray:
        """
        Compute how far off each prediction is.

        Parameters
        ----------
        predictions : Predictions
            For n examples.

        Returns
        -------
        ndarray of shape (n,)
            0 for a right prediction, otherwise greater the farther off it is.
        """

    @abstractmethod
    def control(self, sparse: bool) -> Any:
        """
        Return a small estimator that is quickly fitted.

        Parameters
        ----------
        sparse : bool
            Whether it is fitted on many features, none of which is missing. Otherwise it is
            fitted on one or two columns of numbers, of which some may be missing.
        """

    def calibration(self, predictions: Any, seed: int, confidence: float) -> dict[str, float]:
        """
        Compute how far the chances that predictions claim are from the observed shares.

        Parameters
        ----------
        predictions : Predictions
            For examples that the model was not fitted on.
        seed : int
            Seed of draws.
        confidence : float
            Share of such intervals that hold the true error.

        Returns
        -------
        dict of str to float
            ``error`` with ``low`` and ``high``, ``expected`` (the mean error of calibrated
            predictions for as many examples), ``p_value`` (the share of calibrated predictions
            with at least this error), and ``brier``. Empty for a kind whose predictions claim
            no chances.
        """
        return {}

    @abstractmethod
    def plot_data(self, predictions: Any) -> dict[str, pd.DataFrame]:
        """
        Compute the data for plots of one model.

        Returns
        -------
        dict of str to DataFrame
            By the names of `PLOTS`.
        """

    @abstractmethod
    def figure(self, title: str, predictions: Any) -> "Figure":
        """Plot the predictions of one model."""


def kinds() -> list[str]:
    """Return the names of all kinds of problem."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def class_of(kind: str) -> type[Problem]:
    """Return the class of a kind of problem."""
    found: type[Problem] = getattr(importlib.import_module(f"{__name__}.{kind}"), kind.capitalize())
    return found


def problem(kind: str, settings: Mapping[str, Any] | None = None) -> Problem:
    """
    Return the problem of a kind.

    Parameters
    ----------
    kind : str
        One of `kinds`.
    settings : mapping, optional
        The parameters of its class. None stands for the default. Without settings the
        problem has no metrics, which is enough for serving.

    Raises
    ------
    UserError
        If the kind is unknown, or does not take a setting.
    """
    if kind not in kinds():
        raise UserError(f"task.kind: unknown '{kind}'{nearest(kind, kinds())}")
    kind_class = class_of(kind)
    chosen = {name: value for name, value in (settings or {}).items() if value is not None}
    takes = {one.name for one in fields(kind_class)} - {"target"}
    for name in chosen:
        if name not in takes:
            raise UserError(f"task.{name}: {kind} does not take it{_list_known(takes)}")
    if "metrics" in chosen:
        chosen["metrics"] = tuple(chosen["metrics"])
    return kind_class(**chosen)


def _list_known(names: Iterable[str]) -> str:
    return f"; known: {', '.join(sorted(names))}"
