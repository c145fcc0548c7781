"""Let models that read dense features only learn from sparse ones."""

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator

from pipeline.features.reduction import Reduction


class ReducesSparse(BaseEstimator):
    """
    A mixin for models: sparse features are reduced before they are read.

    `fit` of the class calls `fit_reduction`, and fits on what `reduce` returns.
    """

    def fit_reduction(self, X: Any) -> None:
        """Fit the reduction on training examples."""
        self.reduction_ = Reduction().fit(X)

    def reduce(self, X: Any) -> np.ndarray:
        """Return the features that the model reads."""
        return self.reduction_.transform(X)

    def predict(self, X: Any) -> np.ndarray:
        """Predict the target."""
        predicted: np.ndarray = super().predict(self.reduce(X))
        return predicted


class ReducesSparseClassifier(ReducesSparse):
    """The same for classifiers."""

    def predict_proba(self, X: Any) -> np.ndarray:
        """Predict the probability of each class."""
        probabilities: np.ndarray = super().predict_proba(self.reduce(X))
        return probabilities
