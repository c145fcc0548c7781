"""
Kinds of problem: what a target is, and how it is checked, scored, plotted and served.

Each kind is a module of this package with one class, named as the module is: `classification`
holds `Classification`. The stages talk to the object and never ask which kind it is.
"""

import importlib
import pkgutil
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import pandas as pd

from pipeline.errors import UserError, nearest

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Predictions:
    """
    What one model predicted for n examples, and what is true.

    Each kind of problem adds what its models predict.

    Attributes
    ----------
    actual : ndarray of shape (n,)
        The true target.
    meta : mapping of str to ndarray of shape (n,)
        What else is known of the examples: ``group``, ``unit``, ``stratum``, and the
        columns that are for metrics alone.
    """

    actual: np.ndarray
    meta: Mapping[str, np.ndarray] = field(default_factory=dict, kw_only=True)

    def __len__(self) -> int:
        """Count the examples."""
        return len(self.actual)

    @property
    def group(self) -> np.ndarray:
        """What each example belongs to; without groups each example is one by itself."""
        return self.meta.get("group", np.arange(len(self)))

    @property
    def unit(self) -> np.ndarray:
        """What the bootstrap draws as a whole; the groups, where nothing else is known."""
        return self.meta.get("unit", self.group)

    @property
    def stratum(self) -> np.ndarray | None:
        """What the split kept the shares of; None where it kept none."""
        return self.meta.get("stratum")


@dataclass(frozen=True)
class Metric:
    """
    A score under many weightings of the same examples at once, as a bootstrap needs it.

    Attributes
    ----------
    function : callable
        From `Predictions` of n examples and weights of shape (draws, n), which state how
        often each draw holds each example, to scores of shape (draws,). Not a number
        where the score is not defined.
    name : str
        How it is shown.
    greater_is_better : bool, default=True
        Its direction.
    needs : frozenset of str
        What a problem or its examples must have for it, such as ``time_to_event``.
    """

    function: Callable[[Any, np.ndarray], np.ndarray]
    name: str
    greater_is_better: bool = True
    needs: frozenset[str] = frozenset()

    def __call__(self, predictions: Predictions, weights: np.ndarray) -> np.ndarray:
        """Compute a score for each draw."""
        return self.function(predictions, weights)

    def once(self, predictions: Predictions) -> float:
        """Compute the score of the examples as they are."""
        return float(self(predictions, np.ones((1, len(predictions))))[0])

    @property
    def sign(self) -> int:
        """Factor that makes greater better."""
        return 1 if self.greater_is_better else -1


def metric(
    *needs: str, greater_is_better: bool = True
) -> Callable[[Callable[[Any, np.ndarray], np.ndarray]], Metric]:
    """
    Make a metric of a function, shown under the function's name.

    Parameters
    ----------
    *needs : str
        What a problem or its examples must have for it.
    greater_is_better : bool, default=True
        Its direction.
    """

    def made(function: Callable[[Any, np.ndarray], np.ndarray]) -> Metric:
        return Metric(function, function.__name__, greater_is_better, frozenset(needs))

    return made


def in_module(names: Mapping[str, Any]) -> dict[str, Metric]:
    """Collect the metrics among the names of a module by how they are shown."""
    return {known.name: known for known in names.values() if isinstance(known, Metric)}


@dataclass(frozen=True)
class Problem(ABC):
    """
    A kind of problem with the settings of a task.

    Parameters
    ----------
    metric : str, optional
        The metric that decides: a name that the kind knows, or an import path.
    metrics : sequence of str, optional
        All that are reported, the deciding one among them.
    target : mapping, optional
        What is known of the target, as `describe` returned it. Set by `on`.

    Attributes
    ----------
    loss : str
        Name of the loss that curves show and that early stopping and pruning decide by.
        Models report it as ``train/<loss>`` and ``validation/<loss>``; lower is better.
    METRICS : dict of str to Metric
        The metrics that the kind knows.
    """

    loss: ClassVar[str]
    METRICS: ClassVar[Mapping[str, Metric]]

    metric: str | None = None
    metrics: tuple[str, ...] = ()
    target: Mapping[str, Any] = field(default_factory=dict)

    # Where examples are ingested

    @abstractmethod
    def check_target(self, target: pd.Series) -> pd.Series:
        """
        Check the target as a source gives it, and cast it to the type that the stages use.

        Parameters
        ----------
        target : Series of shape (n,)
            Indexed by ``example_id``.

        Returns
        -------
        Series of shape (n,)
            With the same index.

        Raises
        ------
        UserError
            Names the first example whose target is not one of this kind.
        """

    @abstractmethod
    def check_enough(
        self, examples: pd.DataFrame, needed: int, advice: Callable[[int], str]
    ) -> None:
        """
        Check that examples can be split.

        Parameters
        ----------
        examples : DataFrame
            With ``label`` and ``group``, at least one row.
        needed : int
            Groups of each stratum that leave one for every part.
        advice : callable
            From the number of groups that there are to what the user can do.

        Raises
        ------
        UserError
            States what there is too little of.
        """

    @abstractmethod
    def strata(self, examples: pd.DataFrame) -> np.ndarray:
        """
        Name the stratum of each example, whose shares a random split keeps.

        Parameters
        ----------
        examples : DataFrame
            With ``label``.

        Returns
        -------
        ndarray of shape (n,)
            Of any type that can be sorted.
        """

    @abstractmethod
    def check_parts(
        self, parts: Mapping[str, pd.DataFrame], advice: Callable[[list[str]], str]
    ) -> None:
        """
        Check that the parts of a split can be learned from and scored.

        Parameters
        ----------
        parts : mapping of str to DataFrame
            ``train``, ``validation`` and ``test``.
        advice : callable
            From the names of the parts that lack something to what the user can do.

        Raises
        ------
        UserError
            States which part lacks what.
        """

    @abstractmethod
    def describe(self, train: pd.DataFrame) -> dict[str, Any]:
        """
        Describe the target by plain values, which `on` takes.

        Parameters
        ----------
        train : DataFrame
            Training examples, with ``label``.
        """

    @abstractmethod
    def summarize(self, examples: pd.DataFrame) -> dict[str, Any]:
        """Sum up the target of some examples by plain values, for the card."""

    @abstractmethod
    def headline(self, examples: pd.DataFrame) -> str:
        """Sum up the target of some examples in a few words."""

    # Once the target is known

    def on(self, target: Mapping[str, Any]) -> Self:
        """
        Return this problem for a target.

        Parameters
        ----------
        target : mapping
            What `describe` returned, and ``columns``, the names of the columns that are
            for metrics alone.

        Raises
        ------
        UserError
            For a setting that does not fit the target, an unknown metric, a deciding
            metric that is not reported, or a metric that needs what there is not.
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
            raise UserError(
                f"task.metric '{self.metric}' is not among task.metrics "
                f"[{', '.join(self.metrics)}]: add it"
            )
        names = [known.name for known in self.reported]
        for name in names:
            if names.count(name) > 1:
                raise UserError(f"task.metrics: two are shown as '{name}': leave one out")
        for known in self.reported:
            for need in sorted(known.needs - self.has):
                raise UserError(f"task.metrics: {self.lack(known.name, need)}")

    @property
    def has(self) -> frozenset[str]:
        """What a metric can need and this problem has."""
        return frozenset(self.target.get("columns", ()))

    def lack(self, what: str, need: str) -> str:
        """State that something needs what this problem has not, and what to do."""
        return f"{what} needs '{need}', which the examples of this task lack: leave it out"

    @cached_property
    def deciding(self) -> Metric:
        """The metric that ranks models."""
        if self.metric is None:
            raise UserError("task.metric is not set: name the metric that decides")
        return self.find(self.metric)

    @cached_property
    def reported(self) -> tuple[Metric, ...]:
        """All metrics that are reported, the deciding one among them."""
        return tuple(self.find(name) for name in self.metrics)

    def find(self, name: str) -> Metric:
        """
        Find a metric.

        Parameters
        ----------
        name : str
            One that the kind knows, or the import path of a `Metric`.

        Raises
        ------
        UserError
            For an unknown name, with the nearest known one, or a path that leads to no metric.
        """
        if name in self.METRICS:
            return self.METRICS[name]
        module, _, attribute = name.rpartition(".")
        if not module.replace(".", "").isidentifier():
            raise UserError(f"unknown metric '{name}'{nearest(name, self.METRICS)}")
        try:
            found = getattr(importlib.import_module(module), attribute)
        except (ImportError, AttributeError) as error:
            raise UserError(f"metric '{name}' cannot be imported ({error})") from None
        if not isinstance(found, Metric):
            raise UserError(f"'{name}' is not a metric: decorate it with pipeline.problems.metric")
        return found

    # Where models are fitted and predict

    @abstractmethod
    def check_estimator(self, estimator: Any) -> None:
        """
        Check, before the fit, that an estimator can predict what this kind needs.

        Raises
        ------
        ModelError
            Names the method that it lacks.
        """

    def encode(self, estimator: Any, target: np.ndarray) -> np.ndarray:
        """
        Return a target as an estimator takes it.

        Parameters
        ----------
        estimator : estimator
            To be fitted.
        target : ndarray of shape (n,)
            The column ``label`` of the examples.

        Returns
        -------
        ndarray of shape (n,)
            `target` itself, unless the kind knows of estimators that need another form.
        """
        return target

    @abstractmethod
    def outputs(self, estimator: Any, X: Any) -> np.ndarray:
        """
        Compute what a fitted estimator outputs, and check it.

        Parameters
        ----------
        estimator : estimator
            Fitted on the target that this problem was set `on`.
        X : array or sparse matrix with n rows
            Features.

        Returns
        -------
        ndarray of shape (n, ...)
            Finite.

        Raises
        ------
        ModelError
            When the output is not what this kind needs.
        """

    @abstractmethod
    def decide(self, predictions: Any) -> dict[str, Any]:
        """
        Choose on validation what turns outputs into the predictions that are acted on.

        Parameters
        ----------
        predictions : Predictions
            For validation.

        Returns
        -------
        dict
            Plain values, saved with the model; empty where there is nothing to choose.
        """

    def check_decision(self, decision: Mapping[str, Any]) -> None:
        """
        Check what was saved of `decide`.

        Raises
        ------
        UserError
            When it is nothing that `decide` returns.
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
        Put what is true and what a model outputs together.

        Parameters
        ----------
        target : ndarray of shape (n,)
            The column ``label`` of the examples.
        outputs : ndarray of shape (n, ...)
            What `outputs` returned.
        meta : mapping of str to ndarray of shape (n,)
            What else is known of the examples.
        decision : mapping, optional
            What `decide` returned for the model.

        Raises
        ------
        UserError
            For a target that no model can predict.
        """

    @abstractmethod
    def frame(self, outputs: np.ndarray, decision: Mapping[str, Any]) -> pd.DataFrame:
        """
        Lay out what a model predicts, as it is served and reported.

        Parameters
        ----------
        outputs : ndarray of shape (n, ...)
            What `outputs` returned.
        decision : mapping
            What `decide` returned for the model.

        Returns
        -------
        DataFrame
            A row per example with the columns of `columns`; the first one, ``label``, is
            the predicted target.
        """

    @abstractmethod
    def columns(self) -> dict[str, str]:
        """Name the columns of `frame` with their types, as MLflow's signatures name them."""

    # Where models are compared

    @abstractmethod
    def plot_data(self, predictions: Any) -> dict[str, pd.DataFrame]:
        """
        Compute what plots of one model are drawn from.

        Returns
        -------
        dict of str to DataFrame
            By file name.
        """

    @abstractmethod
    def figure(self, title: str, predictions: Any) -> "Figure":
        """Draw what there is to see of one model's predictions."""


def kinds() -> list[str]:
    """List the kinds of problem that there are."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def problem(kind: str, settings: Mapping[str, Any] | None = None) -> Problem:
    """
    Return the problem of a kind.

    Parameters
    ----------
    kind : str
        One of `kinds`.
    settings : mapping, optional
        The parameters of its class. What is None is left to the class. Without settings
        the problem has no metrics, which serving does not need.

    Raises
    ------
    UserError
        For an unknown kind, with the nearest known one, or a setting that the kind does
        not take.
    """
    if kind not in kinds():
        raise UserError(f"task.kind: unknown '{kind}'{nearest(kind, kinds())}")
    known: type[Problem] = getattr(importlib.import_module(f"{__name__}.{kind}"), kind.capitalize())
    chosen = {name: value for name, value in (settings or {}).items() if value is not None}
    takes = {one.name for one in fields(known)} - {"target"}
    for name in chosen:
        if name not in takes:
            raise UserError(f"task.{name}: {kind} does not take it{_known(takes)}")
    if "metrics" in chosen:
        chosen["metrics"] = tuple(chosen["metrics"])
    return known(**chosen)


def _known(names: Iterable[str]) -> str:
    return f"; known: {', '.join(sorted(names))}"
