"""Views of tables: each column turned into numbers according to its kind."""

from typing import Any, Self

import numpy as np
import pandas as pd
from scipy import sparse
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import TruncatedSVD
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder
from sklearn.utils.validation import check_is_fitted, validate_data

from pipeline.errors import UserError
from pipeline.features.inputs import kind_of
from pipeline.features.scaler import Scaler
from pipeline.features.text import Tfidf

KINDS = {
    "number": "numbers",
    "date": "dates",
    "category": "categories",
    "text": "texts",
    "identifier": "left out, another value in each row",
    "constant": "left out, one value only",
}
# A column with more different strings than this, or than half of those it has, holds no
# categories if they have several words.
MOST_CATEGORIES = 1000
# So many texts, evenly chosen, tell which words occur together.
MOST_TEXTS = 100_000
NAMES_SHOWN = 8
EPOCH, DAY = pd.Timestamp("1970-01-01"), pd.Timedelta(days=1)


class Columns(TransformerMixin, BaseEstimator):
    """
    Columns of a table as numbers; what kind each is of is learned from train.

    Numbers are standardised, with the median for what is missing and a column
    that says so. Dates become days, month, weekday and hour. Of categories, each
    frequent one gets a column. Texts become TF-IDF.

    Parameters
    ----------
    max_categories : int
        Columns for the categories of an input: the rare and the new ones share one.
    words : int
        How many of the most frequent words of an input of texts to weigh.
    components : int, optional
        How many numbers to reduce those to, by truncated SVD (latent semantic
        analysis, Deerwester et al. 1990); all is dense then. Without it the
        words stay, and all is dense or sparse, whichever is leaner.

    Attributes
    ----------
    kinds_ : dict of str to str
        The kind of each input, a key of `KINDS`.
    """

    def __init__(self, max_categories: int, words: int, components: int | None = None) -> None:
        self.max_categories = max_categories
        self.words = words
        self.components = components

    def fit(self, X: pd.DataFrame, y: object = None) -> Self:
        """
        Learn kinds, medians, scales, categories and words.

        Raises
        ------
        UserError
            When there is no column to learn from.
        """
        self.fit_transform(X)
        return self

    def fit_transform(self, X: pd.DataFrame, y: object = None) -> np.ndarray | sparse.csr_matrix:
        """Do what `fit` and then `transform` would, in one go."""
        validate_data(self, X, skip_check_array=True)
        self.kinds_ = {name: column_kind(X[name]) for name in X}
        one_hot = OneHot(
            max_categories=self.max_categories,
            handle_unknown="infrequent_if_exist",
            dtype=np.float32,
        )
        self.columns_ = ColumnTransformer(
            [
                ("numbers", _standardised(), self._of("number")),
                ("dates", make_pipeline(DateParts(), _standardised()), self._of("date")),
                ("categories", one_hot, self._of("category")),
                *((f"words {i}", self._word_weights(), n) for i, n in enumerate(self._of("text"))),
            ],
            # A number that is not 0 takes twice the space in a sparse matrix.
            sparse_threshold=0.5 if self.components is None else 0,
        )
        if not any(columns for _, _, columns in self.columns_.transformers):
            raise UserError(f"there is no column to learn from: {self.summary()}")
        numbers: np.ndarray = self.columns_.fit_transform(self._prepared(X))
        return numbers

    def transform(self, X: pd.DataFrame) -> np.ndarray | sparse.csr_matrix:
        """
        Turn rows into numbers.

        Parameters
        ----------
        X : DataFrame
            With the columns seen in `fit`; values may be missing.

        Returns
        -------
        ndarray or CSR matrix of shape (n_rows, n_features)
            32-bit floats.
        """
        check_is_fitted(self)
        numbers: np.ndarray = self.columns_.transform(self._prepared(X))
        return numbers

    def summary(self) -> str:
        """Say which column was taken for what."""
        by_kind = {shown: self._of(kind) for kind, shown in KINDS.items()}
        return "; ".join(f"{shown}: {_listed(names)}" for shown, names in by_kind.items() if names)

    def _of(self, kind: str) -> list[str]:
        return [name for name, its in self.kinds_.items() if its == kind]

    def _word_weights(self) -> Any:
        tfidf = Tfidf(max_features=self.words, sublinear_tf=True, dtype=np.float32)
        if self.components is None:
            return tfidf
        return make_pipeline(tfidf, Topics(self.components), Scaler())

    def _prepared(self, X: pd.DataFrame) -> pd.DataFrame:
        """Give truth values as numbers, and what is missing of categories and texts as empty."""
        strings = X[self._of("category") + self._of("text")].fillna("")
        columns = {name: X[name].astype(np.float64) for name in self._of("number")}
        columns |= {name: X[name] for name in self._of("date")}
        return pd.DataFrame(columns | {name: strings[name].str.strip() for name in strings})


def column_kind(values: pd.Series) -> str:
    """
    Tell what a column is to a model.

    Parameters
    ----------
    values : Series
        Of the training examples; some may be missing.

    Returns
    -------
    str
        A key of `KINDS`. ``constant`` has one value only. ``identifier`` has
        another string of one word in each row. ``text`` has strings of several
        words that hardly come again.
    """
    distinct = values.nunique()
    if distinct + values.hasnans <= 1:
        return "constant"
    kind = kind_of(values)
    if kind == "datetime":
        return "date"
    if kind != "string":
        return "number"
    several_words = values.str.count(r"\w\w+").mean() >= 2
    if several_words and distinct > min(values.count() / 2, MOST_CATEGORIES):
        return "text"
    return "identifier" if distinct == len(values) else "category"


class DateParts(TransformerMixin, BaseEstimator):
    """What of a date may matter: see `NAMES`."""

    NAMES = ("days", "month", "weekday", "hour")

    def fit(self, X: pd.DataFrame, y: object = None) -> Self:
        """Learn nothing: every part is of the date alone."""
        validate_data(self, X, skip_check_array=True)
        return self

    def transform(self, X: pd.DataFrame) -> np.ndarray:
        """
        Take dates apart.

        Parameters
        ----------
        X : DataFrame
            Of dates.

        Returns
        -------
        ndarray of shape (n_rows, n_columns * len(NAMES))
            Days since 1970, with fractions; month from 1; weekday from Monday, 0;
            hour. Missing where the date is.
        """
        dates = [X[name].astype("datetime64[us]") for name in X]
        parts = [((at - EPOCH) / DAY, at.dt.month, at.dt.day_of_week, at.dt.hour) for at in dates]
        return np.column_stack([part for date in parts for part in date]).astype(np.float64)


class OneHot(OneHotEncoder):
    """
    One-hot encoding whose categories are stored as arrays of text.

    skops stores an array of objects value by value, which takes it seconds.
    """

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())
        if "categories_" in state:
            state["categories_"] = [known.astype(str) for known in self.categories_]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if "categories_" in state:
            self.categories_ = [known.astype(object) for known in state["categories_"]]


class Topics(TransformerMixin, BaseEstimator):
    """
    Truncated SVD to fewer components where there are fewer words.

    Parameters
    ----------
    components : int
        Most numbers for each text.
    """

    def __init__(self, components: int) -> None:
        self.components = components

    def fit(self, X: sparse.csr_matrix, y: object = None) -> Self:
        """Learn which words occur together."""
        some = X[:: -(-X.shape[0] // MOST_TEXTS)]
        self.svd_ = TruncatedSVD(min(self.components, *some.shape), random_state=0).fit(some)
        return self

    def transform(self, X: sparse.csr_matrix) -> np.ndarray:
        """Give a row of numbers for each row of weighed words."""
        numbers: np.ndarray = self.svd_.transform(X)
        return numbers


def _standardised() -> Pipeline:
    return make_pipeline(SimpleImputer(strategy="median", add_indicator=True), Scaler())


def _listed(names: list[str]) -> str:
    more = len(names) - NAMES_SHOWN
    return ", ".join(names[:NAMES_SHOWN]) + f" and {more:,} more" * (more > 0)
