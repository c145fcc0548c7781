"""Texts with straight quotes and plain white space: the first step of every view of texts."""

from typing import Self

import pandas as pd
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

_QUOTES = {"'": "‘’‚‛", '"': "“”„«»"}


def normalise(text: str, keep_layout: bool = False) -> str:
    r"""
    Make quotes straight and line ends ``\n``; collapse white space unless layout counts.

    Parameters
    ----------
    text : str
        Decoded text.
    keep_layout : bool, default=False
        Whether line breaks, indents and blank lines stay.

    Returns
    -------
    str
        Without white space at its ends.
    """
    for straight, curly in _QUOTES.items():
        for quote in curly:  # str.translate takes several times as long
            text = text.replace(quote, straight)
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return text.strip() if keep_layout else " ".join(text.split())


def normalise_each(texts: pd.Series, keep_layout: bool = False) -> pd.Series:
    """Normalise a column of texts, each distinct one once; what is missing stays missing."""
    distinct = texts.dropna().unique()
    return texts.map({text: normalise(text, keep_layout) for text in distinct}).astype("str")


class Normaliser(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """
    Normalise every column of a table of texts, as `normalise` does.

    Parameters
    ----------
    keep_layout : bool, default=False
        Whether line breaks, indents and blank lines stay.
    """

    def __init__(self, keep_layout: bool = False) -> None:
        self.keep_layout = keep_layout

    def fit(self, X: pd.DataFrame, y: object = None) -> Self:
        """Remember the names of the columns."""
        validate_data(self, X, skip_check_array=True)
        return self

    def transform(self, X: pd.DataFrame) -> pd.DataFrame:
        """Return a table of the same shape, its texts normalised."""
        check_is_fitted(self)
        return X.apply(normalise_each, keep_layout=self.keep_layout)
