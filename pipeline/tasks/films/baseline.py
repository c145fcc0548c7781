"""The rule to beat: some users like more films, and some films are liked by more users."""

from typing import Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.utils.validation import check_is_fitted, validate_data


class Means(BaseEstimator):
    """
    A base class that adds the mean rating of a user to that of a film, each damped.

    Parameters
    ----------
    damping : float
        Ratings that a mean is pulled towards the mean of all with.

    Attributes
    ----------
    expected_ : float
        Mean of the known means of training, which stands for what is not known.
    """

    def __init__(self, damping: float = 5.0) -> None:
        self.damping = damping

    def fit_sums(self, X: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """
        Check examples, find what to expect, and return the sums of the means and the targets.

        Parameters
        ----------
        X : array of shape (n, 4)
            Number and mean of the ratings of the user, number and mean of those of the film.
            A mean is nan where there is none.
        y : array of shape (n,)
            Targets.
        """
        X, y = validate_data(self, X, y, dtype=np.float64, ensure_all_finite="allow-nan")
        known = X[:, [1, 3]]
        self.expected_ = float(known[np.isfinite(known)].mean()) if np.isfinite(known).any() else 0
        return self._add(X), y

    def sums(self, X: np.ndarray) -> np.ndarray:
        """Return the sum of the damped means of each row as a column."""
        check_is_fitted(self)
        return self._add(
            validate_data(self, X, reset=False, dtype=np.float64, ensure_all_finite="allow-nan")
        )

    def _add(self, X: np.ndarray) -> np.ndarray:
        counts, known = X[:, [0, 2]], np.nan_to_num(X[:, [1, 3]], nan=self.expected_)
        damped = (counts * known + self.damping * self.expected_) / (counts + self.damping)
        return damped.sum(1, keepdims=True)


class UserAndFilmMeans(ClassifierMixin, Means):
    """
    Predict whether a film is liked by a logistic regression on the sum of the means.

    Parameters
    ----------
    damping : float
        As for `Means`.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels, sorted.
    """

    def fit(self, X: np.ndarray, y: np.ndarray) -> Self:
        """Fit the regression."""
        self.calibration_ = LogisticRegression(C=np.inf).fit(*self.fit_sums(X, y))
        self.classes_ = self.calibration_.classes_
        return self

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        """Return the probability of each class."""
        return self.calibration_.predict_proba(self.sums(X))

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Return the more probable class."""
        return self.classes_[self.predict_proba(X).argmax(1)]


class UserAndFilmMeansRegressor(RegressorMixin, Means):
    """
    Predict a rating by a line through the sum of the means.

    Parameters
    ----------
    damping : float
        As for `Means`.
    """

    def fit(self, X: np.ndarray, y: np.ndarray) -> Self:
        """Fit the line."""
        self.calibration_ = LinearRegression().fit(*self.fit_sums(X, y))
        return self

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Return the rating of each row."""
        return self.calibration_.predict(self.sums(X))
