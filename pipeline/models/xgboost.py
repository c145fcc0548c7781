"""Fit XGBoost with validation, and report its losses."""

from typing import Any, Self

import numpy as np
from xgboost import XGBClassifier
from xgboost.callback import TrainingCallback

from pipeline.models.fitting import Report, parameters


class XGBoost(XGBClassifier):
    """
    XGBoost that takes validation examples and reports its losses.

    The parameters are XGBoost's. With ``early_stopping_rounds`` it stops after as many rounds
    without a lower log loss on validation. The best round is then used. Without validation all
    rounds are run.
    """

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
            Indices of the classes.
        validation : tuple of (X, y), optional
            Examples for early stopping.
        report : callable, optional
            Called with the round and the log loss on train and validation.
        """
        if validation is None:
            with parameters(self, early_stopping_rounds=None):
                return super().fit(X, y)
        callbacks = [] if report is None else [_Curve(report)]
        with parameters(self, callbacks=callbacks):
            return super().fit(X, y, eval_set=[(X, y), validation], verbose=False)


class _Curve(TrainingCallback):
    """Report the losses of each round."""

    def __init__(self, report: Report) -> None:
        self.report = report

    def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
        """Report the losses on the two sets, in their order. Training goes on."""
        train, held_out = (next(iter(losses.values()))[-1] for losses in evals_log.values())
        self.report(epoch + 1, {"train/log_loss": train, "validation/log_loss": held_out})
        return False
