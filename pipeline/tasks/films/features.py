"""Featurize what was known of a rating before it: numbers, genres, and codes of who and what."""

from typing import Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.utils.validation import check_is_fitted, validate_data

from pipeline.features.scaler import Scaler

WHO, WHAT, GENRES, TITLE = "user", "film", "genres", "title"
MEANS = ["user_count", "user_mean", "film_count", "film_mean"]
# Ends of the names of numbers that grow without bound, of which the logarithm is used.
GROWING = ("_count", "_first", "_last")


def engineered() -> Pipeline:
    """Make a featurizer of standardised numbers and genres, for users and films of any kind."""
    return make_pipeline(
        NumbersAndGenres(), SimpleImputer(strategy="median", add_indicator=True), Scaler()
    )


def means() -> ColumnTransformer:
    """Make a featurizer that keeps numbers and means of ratings alone: `MEANS`."""
    return ColumnTransformer([("means", "passthrough", MEANS)])


class NumbersAndGenres(TransformerMixin, BaseEstimator):
    """
    Keep the numbers of each example, and mark the genres of its film.

    Attributes
    ----------
    genres_ : ndarray of str
        The genres seen in training, sorted. Others are ignored.
    """

    def fit(self, X: pd.DataFrame, y: object = None) -> Self:
        """Find the genres."""
        validate_data(self, X, skip_check_array=True)
        self.genres_ = np.unique(X[GENRES].dropna().str.split("|").explode().to_numpy(str))
        return self

    def transform(self, X: pd.DataFrame) -> np.ndarray:
        """
        Convert examples.

        Parameters
        ----------
        X : DataFrame
            With the columns that `source.likes` gives. Values may be missing.

        Returns
        -------
        ndarray of float, shape (n, n_numbers + n_genres)
            Missing numbers are nan. Of a film without genres none is marked.
        """
        check_is_fitted(self)
        numbers = X.drop(columns=[WHO, WHAT, GENRES, TITLE]).astype(np.float64)
        growing = [name for name in numbers if name.endswith(GROWING)]
        numbers[growing] = np.log1p(numbers[growing].clip(lower=0))
        kinds, names = pd.factorize(X[GENRES].fillna(""))
        marks = np.array([np.isin(self.genres_, name.split("|")) for name in names], dtype=float)
        return np.hstack([numbers.to_numpy(), marks.reshape(len(names), -1)[kinds]])


class Coded(TransformerMixin, BaseEstimator):
    """
    Put the codes of user and film before what `engineered` gives, for networks.

    Parameters
    ----------
    least : int
        Users and films with fewer training ratings share code 0 with those never seen.

    Attributes
    ----------
    users_, films_ : ndarray of str
        Those with codes of their own, sorted. The first has code 1.
    """

    def __init__(self, least: int) -> None:
        self.least = least

    def fit(self, X: pd.DataFrame, y: object = None) -> Self:
        """Find users and films, and fit `engineered`."""
        self.fit_transform(X)
        return self

    def fit_transform(self, X: pd.DataFrame, y: object = None) -> np.ndarray:
        """Fit, and return what `transform` returns for the same examples."""
        validate_data(self, X, skip_check_array=True)
        self.users_, self.films_ = (self._often(X[name]) for name in (WHO, WHAT))
        self.engineered_ = engineered()
        return self._join(X, self.engineered_.fit_transform(X))

    def transform(self, X: pd.DataFrame) -> np.ndarray:
        """
        Convert examples.

        Returns
        -------
        ndarray of float32, shape (n, 2 + n_numbers)
            Code of the user, code of the film, and what `engineered` gives.
        """
        check_is_fitted(self)
        return self._join(X, self.engineered_.transform(X))

    def _often(self, names: pd.Series) -> np.ndarray:
        found, counts = np.unique(names.to_numpy(str), return_counts=True)
        return found[counts >= self.least]

    def _join(self, X: pd.DataFrame, numbers: np.ndarray) -> np.ndarray:
        codes = [
            pd.Index(known).get_indexer(X[name].fillna("").to_numpy(str)) + 1
            for name, known in ((WHO, self.users_), (WHAT, self.films_))
        ]
        return np.column_stack([*codes, numbers]).astype(np.float32)
