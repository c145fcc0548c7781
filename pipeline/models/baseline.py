"""Define the rules that models must beat."""

from typing import Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets, unique_labels
from sklearn.utils.validation import check_is_fitted, validate_data


class WordCountRule(ClassifierMixin, BaseEstimator):
    """
    Classify texts by length: short ones are poetry, long ones novels, others essays.

    Parameters
    ----------
    poetry_below : int, default=100
        Texts with fewer words are poetry.
    novel_above : int, default=1000
        Texts with more words are novels. Texts in between are essays.

    Attributes
    ----------
    classes_ : ndarray of str
        The classes seen in training, sorted. Nothing else is fitted.
    """

    SHORT_TO_LONG = ("poetry", "essay", "novel")

    def __init__(self, poetry_below: int = 100, novel_above: int = 1000) -> None:
        self.poetry_below = poetry_below
        self.novel_above = novel_above

    def fit(self, X: np.ndarray, y: np.ndarray) -> Self:
        """
        Check that the rule applies to the task.

        Parameters
        ----------
        X : array of shape (n_texts, 1)
            Numbers of words.
        y : array of str
            Labels.

        Raises
        ------
        ValueError
            If X does not have exactly one column, or the labels are not poetry, essay and
            novel.
        """
        X, y = validate_data(self, X, y)
        check_classification_targets(y)
        if X.shape[1] != 1:
            raise ValueError(f"the rule reads one column, the number of words, not {X.shape[1]}")
        self.classes_ = unique_labels(y)
        classes = [str(name) for name in self.classes_]
        if classes != sorted(self.SHORT_TO_LONG):
            raise ValueError(f"the rule is for poetry, essay and novel, not {', '.join(classes)}")
        return self

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Predict the classes of texts from their numbers of words."""
        check_is_fitted(self)
        words = validate_data(self, X, reset=False)[:, 0]
        # An essay runs from `poetry_below` to `novel_above`, both included.
        place = (words >= self.poetry_below).astype(int) + (words > self.novel_above)
        return np.array(self.SHORT_TO_LONG)[place]

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        """Return probability 1 for the predicted class and 0 for the others."""
        return (self.predict(X)[:, np.newaxis] == self.classes_).astype(float)
