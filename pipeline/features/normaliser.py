"""Normalise quotes and white space of texts, the first step of every view of texts."""

from typing import Self

import pandas as pd
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

_QUOTES = {"'": "‘’‚‛", '"': "“”„«»"}


def normalise(text: str, keep_layout: bool = False) -> str:
    r"""
    Replace curly quotes and line ends, and collapse white space unless layout is kept.

    Parameters
    ----------
    text : str
        Decoded text.
    keep_layout : bool, default=False
        Whether line breaks, indents and blank lines are kept.

    Returns
    -------
    str
        With straight quotes, line ends ``\n``, and no white space at either end.
    """
    for straight, curly in _QUOTES.items():
        for quote in curly:  # str.translate takes several times as long
            text = text.replace(quote, straight)
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return text.strip() if keep_layout else " ".join(text.split())


def normalise_each(texts: pd.Series, keep_layout: bool = False) -> pd.Series:
    """Normalise a column of texts, each distinct text once. Missing texts stay missing."""
    distinct = texts.dropna().unique()
    return texts.map({text: normalise(text, keep_layout) for text in distinct}).astype("str")


class Normaliser(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """
    Normalise every column of a table of texts, as `normalise` does.

    Parameters
    ----------
    keep_layout : bool, default=False
        Whether line breaks, indents and blank lines are kept.
    """

    def __init__(self, keep_layout: bool = False) -> None:
        self.keep_layout = keep_layout

    def fit(self, X: pd.DataFrame, y: object = None) -> Self:
        """Check the columns. Nothing is fitted."""
        validate_data(self, X, skip_check_array=True)
        return self

    def transform(self, X: pd.DataFrame) -> pd.DataFrame:
        """Return a table of the same shape with normalised texts."""
        check_is_fitted(self)
        return X.apply(normalise_each, keep_layout=self.keep_layout)
