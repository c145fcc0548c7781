"""Fit forests and gradient boosting that report their progress."""

import re
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
from lightgbm import LGBMClassifier, LGBMRegressor
from lightgbm.basic import LGBMDeprecationWarning, LightGBMError
from lightgbm.callback import CallbackEnv, EarlyStopException
from sklearn import ensemble
from sklearn.base import BaseEstimator
from sklearn.metrics import log_loss, mean_squared_error
from sklearn.utils import check_scalar

from pipeline.models.fitting import Report, parameters
from pipeline.models.reduction import ReducesSparse, ReducesSparseClassifier
from pipeline.models.tree_files import SavesBooster, SavesTrees

# Parameters that LightGBM itself checks only after writing to standard error: the type, the least
# and the greatest value, and which of these are included.
RANGES: dict[str, tuple[type, float, float | None, str]] = {
    "n_estimators": (Integral, 1, None, "left"),
    "num_leaves": (Integral, 2, None, "left"),
    "learning_rate": (Real, 0, None, "neither"),
    "min_child_samples": (Integral, 0, None, "left"),
    "colsample_bytree": (Real, 0, 1, "right"),
    "subsample": (Real, 0, 1, "right"),
    "reg_alpha": (Real, 0, None, "left"),
    "reg_lambda": (Real, 0, None, "left"),
}
# With fewer values than these one thread is faster, since several wait for each other most of the
# time. The trees are the same.
FEW_TO_BOOST, FEW_TO_GROW = 250_000, 40_000


def threads(n_jobs: int | None, every: Collection[int], X: Any, few: int) -> int | None:
    """
    Return how many threads are to fit trees.

    Parameters
    ----------
    n_jobs : int or None
        The setting.
    every : collection of int
        Settings that stand for as many threads as there are. Any other is kept.
    X : array or sparse matrix
        Features of the training examples.
    few : int
        With fewer values than these in `X`, it is one thread.
    """
    return 1 if n_jobs in every and np.size(X) < few else n_jobs


@contextmanager
def _value_errors() -> Iterator[None]:
    """Raise ValueError instead of LightGBMError, as scikit-learn's estimators do."""
    try:
        yield
    except LightGBMError as error:
        reason = re.sub(r" at /.*, line \d+ ?\.?", "", str(error)).strip()
        raise ValueError(reason) from None


class BoostedInRounds(SavesBooster):
    """
    A mixin for LightGBM that takes validation examples and reports its losses.

    The parameters are LightGBM's. ``early_stopping_round`` is the number of rounds without a
    lower loss on validation before it stops. The best round is then used. Without validation
    all rounds are run.

    Attributes
    ----------
    LOSSES : dict of str to str
        The loss that each of LightGBM's metrics is reported as.
    """

    LOSSES: ClassVar[Mapping[str, str]]

    def fit(
        self,
        X: Any,
        y: np.ndarray,
        validation: tuple[Any, np.ndarray] | None = None,
        report: Report | None = None,
    ) -> Self:
        """
        Fit the model, with early stopping if there is validation.

        Parameters
        ----------
        X : array or sparse matrix of shape (n_examples, n_features)
            Features of the training examples.
        y : array of shape (n_examples,)
            Labels, or numbers.
        validation : tuple of (X, y), optional
            Examples for early stopping.
        report : callable, optional
            Called with the round and the loss on train and validation.

        Raises
        ------
        ValueError
            If LightGBM rejects a parameter or the data.
        """
        return self.boost((X, y), validation, report)

    def boost(
        self,
        train: Sequence[Any],
        validation: Sequence[Any] | None,
        report: Report | None,
        **beside: Any,
    ) -> Self:
        """
        Fit the model to what LightGBM reads.

        Parameters
        ----------
        train, validation : sequence of (X, y)
            Rows and targets. Of validation there may be none.
        report
            As for `fit`.
        **beside
            Further parameters of LightGBM's own ``fit``.
        """
        params = self.get_params()
        for name, (kind, least, greatest, included) in RANGES.items():
            check_scalar(
                params[name],
                name,
                kind,
                min_val=least,
                max_val=greatest,
                include_boundaries=included,
            )
        n_jobs = threads(self.n_jobs, (0, -1), train[0], FEW_TO_BOOST)
        if validation is None:
            # LightGBM rejects it without validation.
            disabled = {name: None for name in params if name == "early_stopping_round"}
            with _value_errors(), parameters(self, n_jobs=n_jobs, **disabled):
                return super().fit(*train, **beside)

        best = (np.inf, 0)

        def record(env: CallbackEnv) -> None:
            nonlocal best
            for _, name, _, _ in env.evaluation_result_list:
                if name not in self.LOSSES:
                    loss = next(iter(self.LOSSES.values())).replace("_", " ")
                    raise ValueError(
                        f"{type(self).__name__} stops on the {loss}, not on '{name}': leave "
                        f"objective out, or set metric to {' or '.join(self.LOSSES)}"
                    )
            if report is not None:
                losses = {
                    f"{split}/{self.LOSSES[name]}": self.loss(score)
                    for split, name, score, _ in env.evaluation_result_list
                }
                held_out = next(losses[name] for name in losses if name.startswith("validation/"))
                best = min(best, (held_out, env.iteration))
                if report(env.iteration + 1, losses):
                    raise EarlyStopException(best[1], env.evaluation_result_list)

        with warnings.catch_warnings(), _value_errors(), parameters(self, n_jobs=n_jobs):
            # LightGBM 4.7 would have `eval_X` and `eval_y`, but encodes labels in `eval_set` only.
            warnings.simplefilter("ignore", LGBMDeprecationWarning)
            return super().fit(
                *train,
                eval_set=[tuple(train), tuple(validation)],
                eval_names=["train", "validation"],
                callbacks=[record],
                **beside,
            )

    def loss(self, score: float) -> float:
        """Return the loss that a score of LightGBM's metric is."""
        return score


class LightGBM(BoostedInRounds, LGBMClassifier):
    """LightGBM for classes, which stops on the log loss and reports it."""

    LOSSES: ClassVar[Mapping[str, str]] = {
        "binary_logloss": "log_loss",
        "multi_logloss": "log_loss",
    }


class LightGBMRegressor(BoostedInRounds, LGBMRegressor):
    """LightGBM for numbers, which stops on the squared error and reports it."""

    LOSSES: ClassVar[Mapping[str, str]] = {"l2": "squared_error"}


class GrownInSteps(SavesTrees):
    """A mixin for forests that grow in steps and report their loss on validation after each."""

    STEPS = 10

    def fit(
        self,
        X: Any,
        y: np.ndarray,
        validation: tuple[Any, np.ndarray] | None = None,
        report: Report | None = None,
    ) -> Self:
        """
        Fit the same forest as scikit-learn, a tenth of the trees at a time.

        Parameters
        ----------
        X : array or sparse matrix of shape (n_examples, n_features)
            Features of the training examples.
        y : array of shape (n_examples,)
            Labels, or numbers.
        validation : tuple of (X, y), optional
            Examples to score. They do not influence the fit.
        report : callable, optional
            Called with the number of trees and the loss on validation.
        """
        n_jobs = threads(self.n_jobs, (-1,), X, FEW_TO_GROW)
        if validation is None or report is None:
            with parameters(self, n_jobs=n_jobs):
                return super().fit(X, y)
        most = self.n_estimators
        check_scalar(most, "n_estimators", Integral, min_val=1)
        sizes = np.linspace(0, most, self.STEPS + 1, dtype=int)[1:]
        votes: Any = 0
        scored = 0
        with parameters(self, n_jobs=n_jobs, n_estimators=most, warm_start=False):
            for step, trees in enumerate(np.unique(sizes[sizes > 0])):
                self.set_params(n_estimators=int(trees), warm_start=step > 0)
                with warnings.catch_warnings():
                    # Every step sees the same data, so the class weights are right.
                    warnings.filterwarnings("ignore", "class_weight presets")
                    super().fit(X, y)
                votes += sum(map(self._vote(validation[0]), self.estimators_[scored:]))
                scored = int(trees)
                if report(scored, self._losses(validation[1], votes / scored)):
                    break
        return self


class ForestOfClasses(GrownInSteps):
    """A mixin for forests whose trees vote with the probabilities of classes."""

    def _vote(self, X: Any) -> Callable[[Any], np.ndarray]:
        return lambda tree: tree.predict_proba(X)

    def _losses(self, y: np.ndarray, votes: np.ndarray) -> dict[str, float]:
        return {"validation/log_loss": log_loss(y, votes, labels=self.classes_)}


class ForestOfNumbers(GrownInSteps):
    """A mixin for forests whose trees vote with numbers."""

    def _vote(self, X: Any) -> Callable[[Any], np.ndarray]:
        return lambda tree: tree.predict(X)

    def _losses(self, y: np.ndarray, votes: np.ndarray) -> dict[str, float]:
        return {"validation/squared_error": mean_squared_error(y, votes)}


class RandomForest(ForestOfClasses, ensemble.RandomForestClassifier):
    """A random forest that reports its progress."""


class RandomForestRegressor(ForestOfNumbers, ensemble.RandomForestRegressor):
    """A random forest for numbers that reports its progress."""


class ExtraTrees(ForestOfClasses, ensemble.ExtraTreesClassifier):
    """Extremely randomised trees that report their progress."""


class ExtraTreesRegressor(ForestOfNumbers, ensemble.ExtraTreesRegressor):
    """Extremely randomised trees for numbers that report their progress."""


class HistogramBoosting(BaseEstimator):
    """
    A mixin for scikit-learn's histogram gradient boosting that takes validation examples.

    With ``early_stopping`` it stops after ``n_iter_no_change`` rounds without a lower loss on
    validation. As scikit-learn does, it keeps these rounds.

    Attributes
    ----------
    LOSS : tuple of (str, float)
        The name of the loss, and what scikit-learn's is multiplied by.
    """

    LOSS: ClassVar[tuple[str, float]]

    def fit(
        self,
        X: Any,
        y: np.ndarray,
        validation: tuple[Any, np.ndarray] | None = None,
        report: Report | None = None,
    ) -> Self:
        """
        Fit the model, with early stopping if there is validation.

        Parameters
        ----------
        X : array or sparse matrix of shape (n_examples, n_features)
            Features of the training examples.
        y : array of shape (n_examples,)
            Labels, or numbers.
        validation : tuple of (X, y), optional
            Examples for early stopping. Without them all rounds are run.
        report : callable, optional
            Called after the fit with each round and its loss on train and validation.
        """
        self.fit_reduction(X)
        if validation is None:
            with parameters(self, early_stopping=False):
                return super().fit(self.reduce(X), y)
        super().fit(self.reduce(X), y, X_val=self.reduce(validation[0]), y_val=validation[1])
        if report is not None:
            name, times = self.LOSS
            # The first scores are those before the first round.
            scores = zip(self.train_score_[1:], self.validation_score_[1:], strict=True)
            for step, (train, held_out) in enumerate(scores, 1):
                losses = {f"train/{name}": -times * train, f"validation/{name}": -times * held_out}
                report(step, losses)
        return self


class HistGradientBoosting(
    HistogramBoosting, ReducesSparseClassifier, ensemble.HistGradientBoostingClassifier
):
    """Histogram gradient boosting for classes."""

    LOSS: ClassVar[tuple[str, float]] = ("log_loss", 1.0)


class HistGradientBoostingRegressor(
    HistogramBoosting, ReducesSparse, ensemble.HistGradientBoostingRegressor
):
    """Histogram gradient boosting for numbers."""

    # scikit-learn's loss is half the squared error
    LOSS: ClassVar[tuple[str, float]] = ("squared_error", 2.0)
