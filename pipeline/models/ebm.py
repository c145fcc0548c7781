"""Fit explainable boosting machines that stop on validation."""

from typing import Any, Self

import numpy as np
from interpret.glassbox import ExplainableBoostingClassifier

from pipeline.models.fitting import Report, parameters
from pipeline.models.reduction import ReducesSparse


class EBM(ReducesSparse, ExplainableBoostingClassifier):
    """
    An explainable boosting machine (Lou et al. 2013) that takes validation examples.

    The parameters are those of `interpret.glassbox.ExplainableBoostingClassifier`. Sparse features
    are reduced first. As always with that class, bins and intercept are fitted on the validation
    examples too.
    """

    # Steps per point of the learning curve: each step adds to one feature only.
    STEPS = 100

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
            Examples for early stopping, of every bag. Without them, the model splits them off
            itself, as `validation_size` says.
        report : callable, optional
            Called with the step and the log loss on validation.
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
                    report(steps, {"validation/log_loss": rest[-1]})
            return False

        part = np.repeat([1, -1], [len(y), len(validation[1])]).astype(np.int8)
        with parameters(self, callback=count):
            return super().fit(
                np.concatenate([X, self.reduce(validation[0])]),
                np.concatenate([y, validation[1]]),
                bags=np.tile(part[:, np.newaxis], self.outer_bags),
            )
