"""Fit explainable boosting machines that stop on validation."""

from typing import Any, ClassVar, Self

import numpy as np
from interpret.glassbox import ExplainableBoostingClassifier, ExplainableBoostingRegressor
from sklearn.base import BaseEstimator

from pipeline.models.fitting import Report, parameters
from pipeline.models.reduction import ReducesSparse, ReducesSparseClassifier


class StopsOnValidation(BaseEstimator):
    """
    A mixin for explainable boosting machines (Lou et al. 2013) that take validation examples.

    The parameters are those of `interpret.glassbox.ExplainableBoostingClassifier`. Sparse features
    are reduced first. As always with that class, bins and intercept are fitted on the validation
    examples too.

    Attributes
    ----------
    LOSS : str
        The name of the loss.
    """

    # Steps per point of the learning curve: each step adds to one feature only.
    STEPS = 100
    LOSS: ClassVar[str]

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
            Examples for early stopping, of every bag. Without them, the model splits them off
            itself, as `validation_size` says.
        report : callable, optional
            Called with the step and the loss on validation.
        """
        self.fit_reduction(X)
        X = self.reduce(X)
        if validation is None:
            return super().fit(X, y)
        steps = 0

        def count(bag: int, *rest: Any) -> bool:
            nonlocal steps
            if bag == 0:
                steps += 1
                if steps % self.STEPS == 0 and report is not None:
                    return bool(report(steps, {f"validation/{self.LOSS}": rest[-1]}))
            return False

        part = np.repeat([1, -1], [len(y), len(validation[1])]).astype(np.int8)
        with parameters(self, callback=count):
            return super().fit(
                np.concatenate([X, self.reduce(validation[0])]),
                np.concatenate([y, validation[1]]),
                bags=np.tile(part[:, np.newaxis], self.outer_bags),
            )


class EBM(StopsOnValidation, ReducesSparseClassifier, ExplainableBoostingClassifier):
    """An explainable boosting machine for classes."""

    LOSS: ClassVar[str] = "log_loss"


class EBMRegressor(StopsOnValidation, ReducesSparse, ExplainableBoostingRegressor):
    """An explainable boosting machine for numbers."""

    LOSS: ClassVar[str] = "squared_error"
