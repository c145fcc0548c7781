"""What networks of any library share as scikit-learn estimators."""

from collections.abc import Mapping
from typing import Any, TypeVar

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.preprocessing import LabelEncoder
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from pipeline.errors import nearest

T = TypeVar("T")
# Types of inputs that networks read as they are. Others become the first.
DTYPES = [np.float32, np.int32, np.uint8]


class NetworkEstimator(BaseEstimator):
    """
    A base class for networks.

    Attributes
    ----------
    n_epochs_ : int
        Number of epochs that were run.
    """

    def draw_seed(self) -> int:
        """Draw a seed from ``random_state``."""
        return int(check_random_state(self.random_state).randint(2**31))

    def check_inputs(self, X: Any) -> np.ndarray:
        """Check inputs against those of training, and return them as one of `DTYPES`."""
        check_is_fitted(self)
        checked: np.ndarray = validate_data(self, X, reset=False, dtype=DTYPES, allow_nd=True)
        return checked

    def describe_fit(self) -> dict[str, Any]:
        """Return what was fitted beside the weights, as plain values."""
        return {"n_features": self.n_features_in_, "n_epochs": self.n_epochs_}

    def restore_fit(self, described: Mapping[str, Any]) -> None:
        """Restore what `describe_fit` returned."""
        self.n_features_in_ = described["n_features"]
        self.n_epochs_ = described["n_epochs"]


class NetworkClassifier(ClassifierMixin, NetworkEstimator):
    """
    A base class for networks that predict probabilities of classes.

    Attributes
    ----------
    classes_ : ndarray
        The labels, sorted. They are the columns of `predict_proba`.
    """

    def fit_labels(self, X: Any, y: Any) -> tuple[np.ndarray, np.ndarray, LabelEncoder]:
        """
        Check training examples, and fit the encoder of their labels.

        Parameters
        ----------
        X : array of shape (n_examples, ...)
            Input of the network.
        y : array of shape (n_examples,)
            Labels.

        Returns
        -------
        X : ndarray of one of `DTYPES`
            The inputs.
        codes : ndarray of int, shape (n_examples,)
            The index of each label in ``classes_``.
        encoder : LabelEncoder
            Encodes further labels.

        Raises
        ------
        ValueError
            If the examples cannot be classified, such as those of one class.
        """
        X, y = validate_data(self, X, y, dtype=DTYPES, allow_nd=True)
        check_classification_targets(y)
        encoder = LabelEncoder()
        codes = encoder.fit_transform(y)
        self.classes_ = encoder.classes_
        if len(self.classes_) < 2:
            raise ValueError(f"Classifier can't train when only one class is present: {y[0]!r}.")
        return X, codes, encoder

    def predict(self, X: Any) -> np.ndarray:
        """Predict the most probable class."""
        best = self.predict_proba(X).argmax(1)
        return self.classes_[best]

    def describe_fit(self) -> dict[str, Any]:
        """Return what was fitted beside the weights, as plain values."""
        return {"classes": self.classes_.tolist(), **super().describe_fit()}

    def restore_fit(self, described: Mapping[str, Any]) -> None:
        """Restore what `describe_fit` returned."""
        super().restore_fit(described)
        self.classes_ = np.array(described["classes"])


class NetworkRegressor(RegressorMixin, NetworkEstimator):
    """
    A base class for networks that predict numbers, which they learn standardised.

    Attributes
    ----------
    mean_, scale_ : float
        Mean and standard deviation of the targets.
    """

    def fit_numbers(self, X: Any, y: Any) -> tuple[np.ndarray, np.ndarray]:
        """
        Check training examples, and fit mean and scale of their targets.

        Parameters
        ----------
        X : array of shape (n_examples, ...)
            Input of the network.
        y : array of shape (n_examples,)
            Numbers.

        Returns
        -------
        X : ndarray of one of `DTYPES`
            The inputs.
        y : ndarray of float, shape (n_examples,)
            The numbers.
        """
        X, y = validate_data(self, X, y, dtype=DTYPES, allow_nd=True, y_numeric=True)
        self.mean_, self.scale_ = float(y.mean()), float(y.std()) or 1.0
        return X, y

    def find_objective(self, objectives: Mapping[str, T]) -> T:
        """
        Return what a library minimises for ``objective``.

        Raises
        ------
        ValueError
            If there is none of that name, with the nearest.
        """
        if self.objective not in objectives:
            known = nearest(self.objective, objectives)
            raise ValueError(f"objective is unknown: {self.objective!r}{known}")
        return objectives[self.objective]

    def predict(self, X: Any) -> np.ndarray:
        """
        Predict numbers.

        Parameters
        ----------
        X : array of shape (n_examples, ...)
            Input of the network.

        Returns
        -------
        ndarray of shape (n_examples,)
        """
        standardised = np.asarray(self.outputs(X), float)[:, 0]
        return standardised * self.scale_ + self.mean_

    def standardise(self, y: np.ndarray) -> np.ndarray:
        """Return numbers as the network learns them."""
        return (y - self.mean_) / self.scale_

    def describe_fit(self) -> dict[str, Any]:
        """Return what was fitted beside the weights, as plain values."""
        return {"mean": self.mean_, "scale": self.scale_, **super().describe_fit()}

    def restore_fit(self, described: Mapping[str, Any]) -> None:
        """Restore what `describe_fit` returned."""
        super().restore_fit(described)
        self.mean_, self.scale_ = described["mean"], described["scale"]
