"""Fit XGBoost with validation, and report its losses."""

from collections.abc import Callable
from typing import Any, Self

import numpy as np
from xgboost import XGBClassifier, XGBRegressor
from xgboost.callback import TrainingCallback

from pipeline.models.fitting import Report, parameters

Validation = tuple[Any, np.ndarray]


class XGBoost(XGBClassifier):
    """
    XGBoost for classes that takes validation examples and reports its losses.

    The parameters are XGBoost's. With ``early_stopping_rounds`` it stops after as many rounds
    without a lower loss on validation. The best round is then used. Without validation all
    rounds are run.
    """

    def fit(
        self,
        X: Any,
        y: np.ndarray,
        validation: Validation | None = None,
        report: Report | None = None,
    ) -> Self:
        """
        Fit the model, with early stopping if there is validation.

        Parameters
        ----------
        X : array or sparse matrix of shape (n_examples, n_features)
            Features of the training examples.
        y : array of shape (n_examples,)
            Indices of the classes.
        validation : tuple of (X, y), optional
            Examples for early stopping.
        report : callable, optional
            Called with the round and the log loss on train and validation.
        """
        curve = None if report is None else _Curve(report, "log_loss", 1)
        return _fit(self, super().fit, X, y, validation, curve)


# Not a class of its own for what the two share: XGBoost finds its parameters in the first base.
class XGBoostRegressor(XGBRegressor):
    """The same for numbers."""

    def fit(
        self,
        X: Any,
        y: np.ndarray,
        validation: Validation | None = None,
        report: Report | None = None,
    ) -> Self:
        """Fit the model as `XGBoost.fit` does, to numbers, and report the squared error."""
        # XGBoost's loss is its root.
        curve = None if report is None else _Curve(report, "squared_error", 2)
        return _fit(self, super().fit, X, y, validation, curve)


class _Curve(TrainingCallback):
    """Report the losses of each round under a name: XGBoost's, to a power."""

    def __init__(self, report: Report, name: str, power: int) -> None:
        self.report = report
        self.name = name
        self.power = power

    def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
        """Report the losses on the two sets, in their order, and return whether training ends."""
        losses = [next(iter(found.values()))[-1] ** self.power for found in evals_log.values()]
        names = (f"train/{self.name}", f"validation/{self.name}")
        return bool(self.report(epoch + 1, dict(zip(names, losses, strict=True))))


def _fit(
    model: Any,
    fit: Callable[..., Any],
    X: Any,
    y: np.ndarray,
    validation: Validation | None,
    curve: _Curve | None,
) -> Any:
    if validation is None:
        with parameters(model, early_stopping_rounds=None):
            return fit(X, y)
    with parameters(model, callbacks=[] if curve is None else [curve]):
        return fit(X, y, eval_set=[(X, y), validation], verbose=False)
