"""Featurize tables: convert each column to numbers according to its kind."""

from typing import Any, Self

import numpy as np
import pandas as pd
from scipy import sparse
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder
from sklearn.utils.validation import check_is_fitted, validate_data

from pipeline.errors import UserError
from pipeline.features.inputs import column_kind
from pipeline.features.reduction import Reduction
from pipeline.features.scaler import Scaler
from pipeline.features.text import Tfidf

KINDS = {
    "number": "numbers",
    "date": "dates",
    "category": "categories",
    "text": "texts",
    "identifier": "left out, another value in almost every row",
    "constant": "left out, one value only",
}
NAMES_SHOWN = 8
EPOCH, DAY = pd.Timestamp("1970-01-01"), pd.Timedelta(days=1)


class Columns(TransformerMixin, BaseEstimator):
    """
    Convert the columns of a table to numbers, by kinds that are found in training.

    Numbers are standardised. Missing ones become the median and are marked in a column of
    their own. Dates become days, month, weekday and hour. Categories become one-hot columns.
    Texts become TF-IDF.

    Parameters
    ----------
    max_categories : int
        One-hot columns per input. Rare and unknown categories share one.
    words : int
        Number of most frequent words per input of texts.
    components : int, optional
        Number of components that the words are reduced to by truncated SVD (latent
        semantic analysis, Deerwester et al. 1990). The features are then dense. By default
        words are not reduced, and the features are dense or sparse, whichever is smaller.
    columns : dict of str to str, optional
        Whether strings of an input are each a ``category`` or a ``text``, whatever they look
        like. Other values decide nothing here.

    Attributes
    ----------
    kinds_ : dict of str to str
        The kind of each input, a key of `KINDS`.
    """

    def __init__(
        self,
        max_categories: int,
        words: int,
        components: int | None = None,
        columns: dict[str, str] | None = None,
    ) -> None:
        self.max_categories = max_categories
        self.words = words
        self.components = components
        self.columns = columns

    def fit(self, X: pd.DataFrame, y: object = None) -> Self:
        """
        Fit kinds, medians, scales, categories and words.

        Raises
        ------
        UserError
            If no column can be used.
        """
        self.fit_transform(X)
        return self

    def fit_transform(self, X: pd.DataFrame, y: object = None) -> np.ndarray | sparse.csr_matrix:
        """Fit, and return what `transform` returns for the same rows."""
        validate_data(self, X, skip_check_array=True)
        given = {n: k for n, k in (self.columns or {}).items() if k in ("category", "text")}
        self.kinds_ = {name: given.get(name) or column_kind(X[name]) for name in X}
        one_hot = OneHot(
            max_categories=self.max_categories,
            handle_unknown="infrequent_if_exist",
            dtype=np.float32,
        )
        texts = self._names_of("text")
        self.columns_ = ColumnTransformer(
            [
                ("numbers", _make_scaler(), self._names_of("number")),
                ("dates", make_pipeline(DateParts(), _make_scaler()), self._names_of("date")),
                ("categories", one_hot, self._names_of("category")),
                *((f"words {i}", self._make_tfidf(), name) for i, name in enumerate(texts)),
            ],
            # A number that is not 0 takes twice the space in a sparse matrix.
            sparse_threshold=0.5 if self.components is None else 0,
        )
        if not any(columns for _, _, columns in self.columns_.transformers):
            raise UserError(f"there is no column to learn from: {self.summary()}")
        numbers: np.ndarray = self.columns_.fit_transform(self._prepare(X))
        return numbers

    def transform(self, X: pd.DataFrame) -> np.ndarray | sparse.csr_matrix:
        """
        Convert rows to numbers.

        Parameters
        ----------
        X : DataFrame
            With the columns seen in `fit`. Values may be missing.

        Returns
        -------
        ndarray or CSR matrix of shape (n_rows, n_features)
            32-bit floats.
        """
        check_is_fitted(self)
        numbers: np.ndarray = self.columns_.transform(self._prepare(X))
        return numbers

    def summary(self) -> str:
        """Return which columns are of which kind, as one line."""
        by_kind = {shown: self._names_of(kind) for kind, shown in KINDS.items()}
        return "; ".join(f"{shown}: {_list(names)}" for shown, names in by_kind.items() if names)

    def _names_of(self, kind: str) -> list[str]:
        return [name for name, its in self.kinds_.items() if its == kind]

    def _make_tfidf(self) -> Any:
        tfidf = Tfidf(max_features=self.words, sublinear_tf=True, dtype=np.float32)
        if self.components is None:
            return tfidf
        return make_pipeline(tfidf, Reduction(self.components), Scaler())

    def _prepare(self, X: pd.DataFrame) -> pd.DataFrame:
        """Convert booleans to numbers, and missing categories and texts to empty ones."""
        strings = X[self._names_of("category") + self._names_of("text")].fillna("")
        columns = {name: X[name].astype(np.float64) for name in self._names_of("number")}
        columns |= {name: X[name] for name in self._names_of("date")}
        return pd.DataFrame(columns | {name: strings[name].str.strip() for name in strings})


class DateParts(TransformerMixin, BaseEstimator):
    """Convert dates to the numbers in `NAMES`."""

    NAMES = ("days", "month", "weekday", "hour")

    def fit(self, X: pd.DataFrame, y: object = None) -> Self:
        """Check the columns. Nothing is fitted."""
        validate_data(self, X, skip_check_array=True)
        return self

    def transform(self, X: pd.DataFrame) -> np.ndarray:
        """
        Convert dates to numbers.

        Parameters
        ----------
        X : DataFrame
            Columns of dates.

        Returns
        -------
        ndarray of shape (n_rows, n_columns * len(NAMES))
            Days since 1970 with fractions, month from 1, weekday from 0 for Monday, and
            hour. They are missing if the date is.
        """
        dates = [X[name].astype("datetime64[us]") for name in X]
        parts = [((at - EPOCH) / DAY, at.dt.month, at.dt.day_of_week, at.dt.hour) for at in dates]
        return np.column_stack([part for date in parts for part in date]).astype(np.float64)


class OneHot(OneHotEncoder):
    """
    Encode categories as one-hot columns, and store the categories as arrays of text.

    skops stores an array of objects value by value, which takes seconds.
    """

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())
        if "categories_" in state:
            state["categories_"] = [names.astype(str) for names in self.categories_]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if "categories_" in state:
            self.categories_ = [names.astype(object) for names in state["categories_"]]


def _make_scaler() -> Pipeline:
    return make_pipeline(SimpleImputer(strategy="median", add_indicator=True), Scaler())


def _list(names: list[str]) -> str:
    more = len(names) - NAMES_SHOWN
    return ", ".join(names[:NAMES_SHOWN]) + f" and {more:,} more" * (more > 0)
