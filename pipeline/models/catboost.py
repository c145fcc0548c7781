"""Fit CatBoost with validation, and report its losses."""

from typing import Any, ClassVar, Self

import catboost
import numpy as np
from sklearn.base import BaseEstimator

from pipeline.models.fitting import Report

# CatBoost notes them in a model, which then would differ after each fit.
CHANGING = ("model_guid", "train_finish_time")


class BoostedInRounds(catboost.CatBoost):
    """
    A mixin for CatBoost that takes validation examples and reports its losses.

    The parameters are CatBoost's. With ``early_stopping_rounds`` it stops after as many rounds
    without a lower loss on validation. The best round is then used. Without validation all
    rounds are run.

    Attributes
    ----------
    LOSS : tuple of (str, int)
        The name of the loss, and the power of CatBoost's that it is.
    """

    LOSS: ClassVar[tuple[str, int]]

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
            Indices of the classes, or numbers.
        validation : tuple of (X, y), optional
            Examples for early stopping.
        report : callable, optional
            Called with the round and the loss on train and validation.
        """
        curve = _Curve(report, *self.LOSS)
        super().fit(X, y, eval_set=validation, callbacks=[curve])
        if curve.raised is not None:
            raise curve.raised
        metadata = self.get_metadata()
        for name in CHANGING:
            metadata[name] = ""
        return self


class CatBoost(BoostedInRounds, catboost.CatBoostClassifier, BaseEstimator):
    """CatBoost for classes."""

    LOSS: ClassVar[tuple[str, int]] = ("log_loss", 1)


class CatBoostRegressor(BoostedInRounds, catboost.CatBoostRegressor, BaseEstimator):
    """CatBoost for numbers."""

    # CatBoost's loss is the root of the mean squared error
    LOSS: ClassVar[tuple[str, int]] = ("squared_error", 2)


class _Curve:
    """Report the losses of each round."""

    def __init__(self, report: Report | None, name: str, power: int) -> None:
        self.report = report
        self.name = name
        self.power = power
        self.raised: BaseException | None = None

    def after_iteration(self, info: Any) -> bool:
        """Report the losses. Training ends if that raises, which CatBoost would wrap."""
        losses = {
            f"{part}/{self.name}": next(iter(info.metrics[split].values()))[-1] ** self.power
            for split, part in (("learn", "train"), ("validation", "validation"))
            if split in info.metrics
        }
        try:
            return self.report is None or not self.report(info.iteration, losses)
        except BaseException as error:
            self.raised = error
            return False
