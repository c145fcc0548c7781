"""Featurize texts: TF-IDF and style for classical models, token ids for networks."""

import re
from collections import Counter
from numbers import Integral
from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import check_scalar
from sklearn.utils.validation import check_is_fitted, validate_data

from pipeline.features.normaliser import Normaliser

TEXT = "text"
_WORD = r"\w+(?:'\w+)*"
_TOKEN = re.compile(rf"{_WORD}|[^\w\s]")


def engineered(words: int, characters: int, min_texts: int, keep_layout: bool = False) -> Pipeline:
    """
    Make a featurizer of words, character n-grams and style.

    Capitals and marks are kept. A capital within a sentence, or what follows a mark, tells more of
    style than most words.

    Parameters
    ----------
    words : int
        Number of most frequent words and marks, and pairs of them.
    characters : int
        Number of most frequent n-grams of 2 to 4 characters, across words.
    min_texts : int
        Terms in fewer training texts are dropped.
    keep_layout : bool, default=False
        As for `normalise`, which is applied first.

    Returns
    -------
    Pipeline
        From a column ``text`` to a sparse matrix of at most
        ``words + characters + len(StyleMeasures.NAMES)`` columns.
    """
    common = {
        "lowercase": False,
        "sublinear_tf": True,
        "min_df": min_texts,
        "dtype": np.float32,
    }
    measures = ColumnTransformer(
        [
            (
                "words",
                Tfidf(
                    token_pattern=_TOKEN.pattern, ngram_range=(1, 2), max_features=words, **common
                ),
                TEXT,
            ),
            (
                "characters",
                Tfidf(analyzer="char", ngram_range=(2, 4), max_features=characters, **common),
                TEXT,
            ),
            ("style", make_pipeline(StyleMeasures(), StandardScaler()), [TEXT]),
        ],
        sparse_threshold=1.0,
    )
    return make_pipeline(Normaliser(keep_layout), measures)


def token_ids(max_length: int, min_texts: int, keep_layout: bool = False) -> Pipeline:
    """
    Make a featurizer of token ids: `Normaliser`, then `TokenIds`.

    Parameters
    ----------
    max_length, min_texts : int
        As for `TokenIds`.
    keep_layout : bool, default=False
        As for `normalise`.
    """
    return make_pipeline(Normaliser(keep_layout), TokenIds(max_length, min_texts))


class Tfidf(TfidfVectorizer):
    """
    Compute TF-IDF, and store the vocabulary as one array.

    skops stores a dictionary term by term. 20,000 terms take seconds and megabytes as a
    dictionary, but milliseconds as an array.
    """

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())
        # This is an address in memory, which differs each time.
        state.pop("_stop_words_id", None)
        if "vocabulary_" in state:
            state["vocabulary_"] = np.array(
                sorted(self.vocabulary_, key=self.vocabulary_.__getitem__)
            )
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if "vocabulary_" in state:
            self.vocabulary_ = {str(term): i for i, term in enumerate(state["vocabulary_"])}


class StyleMeasures(TransformerMixin, BaseEstimator):
    """Measure the style of texts, independently of their topic, by the measures in `NAMES`."""

    NAMES = (
        "log_words",
        "word_length",
        "sentence_length",
        "root_type_token_ratio",
        "commas",
        "semicolons_and_colons",
        "stops",
        "questions",
        "exclamations",
        "quotes",
        "dashes",
        "capitals",
    )

    def fit(self, X: pd.DataFrame, y: object = None) -> Self:
        """Check the columns. Nothing is fitted."""
        validate_data(self, X, skip_check_array=True)
        return self

    def transform(self, X: pd.DataFrame) -> np.ndarray:
        """
        Measure texts.

        Parameters
        ----------
        X : DataFrame
            With a column ``text``.

        Returns
        -------
        ndarray of shape (n_texts, len(NAMES))
            Marks and capitals are per word. Lengths are means in words or characters. The
            type/token ratio is Guiraud's (types over the square root of tokens), which
            depends less on the length of a text.
        """
        text = X[TEXT]
        words = text.str.findall(_WORD)
        count = words.str.len().clip(lower=1)
        types = text.str.lower().str.findall(_WORD).map(set).str.len()

        # Not Series.str.count: with PyArrow, \b also matches after each match, depending on the
        # other texts in the column.
        def occurrences(pattern: str) -> np.ndarray:
            found = re.compile(pattern)
            return np.array([len(found.findall(one)) for one in text])

        def per_word(marks: str) -> np.ndarray:
            return occurrences(marks) / count.to_numpy()

        sentences = occurrences(r"[.!?]+(?=\W|$)").clip(min=1)
        return np.column_stack(
            [
                np.log(count),
                words.str.join("").str.len() / count,
                count / sentences,
                types / np.sqrt(count),
                per_word(","),
                per_word("[;:]"),
                per_word(r"\."),
                per_word(r"\?"),
                per_word("!"),
                per_word('"'),
                per_word("[—–]|--|- "),
                per_word(r"\b[A-Z]"),
            ]
        ).astype(np.float64)

    def get_feature_names_out(self, input_features: object = None) -> np.ndarray:
        """Return the names of the measures."""
        return np.array(self.NAMES, dtype=object)


class WordCount(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """Count the words of a text between white space, which normalising does not change."""

    def fit(self, X: pd.DataFrame, y: object = None) -> Self:
        """Check the columns. Nothing is fitted."""
        validate_data(self, X, skip_check_array=True)
        return self

    def transform(self, X: pd.DataFrame) -> np.ndarray:
        """
        Count words.

        Parameters
        ----------
        X : DataFrame
            With a column ``text``.

        Returns
        -------
        ndarray of shape (n_texts, 1)
            Counts as 32-bit floats.
        """
        return X[TEXT].str.split().str.len().to_numpy(np.float32)[:, np.newaxis]


class TokenIds(TransformerMixin, BaseEstimator):
    """
    Convert words and marks to ids, cut or padded to one length.

    Words are in lower case. One that begins with a capital has the token `CAPITAL` before it, as
    in fastai, so that a network sees capitals and knows the word.

    Parameters
    ----------
    max_length : int
        Most tokens kept per text.
    min_texts : int
        Tokens in fewer training texts get the id for unknown tokens.

    Attributes
    ----------
    tokens_ : ndarray of str
        The vocabulary, most frequent tokens first. The id of ``tokens_[i]`` is ``i + 2``.
        Id 0 is padding, and id 1 is any token outside the vocabulary.
    length_ : int
        Tokens of the longest training text, at most `max_length`. Longer texts are cut to it.
    unread_ : float
        Share of the training tokens that are cut off.
    """

    PADDING, UNKNOWN, FIRST = 0, 1, 2
    # No token of a text, since those are in lower case.
    CAPITAL = "Aa"

    def __init__(self, max_length: int = 3000, min_texts: int = 2) -> None:
        self.max_length = max_length
        self.min_texts = min_texts

    def fit(self, X: pd.DataFrame, y: object = None) -> Self:
        """Fit the vocabulary and the length."""
        self.fit_transform(X)
        return self

    def fit_transform(self, X: pd.DataFrame, y: object = None) -> np.ndarray:
        """Fit, and return what `transform` returns for the same texts."""
        for name in ("max_length", "min_texts"):
            check_scalar(getattr(self, name), name, Integral, min_val=1)
        validate_data(self, X, skip_check_array=True)
        texts = [self._tokenise(text) for text in X[TEXT]]
        lengths = np.array([len(tokens) for tokens in texts])
        self.length_ = int(min(lengths.max(), self.max_length))
        kept = [tokens[: self.length_] for tokens in texts]
        counts = Counter(token for tokens in kept for token in set(tokens))
        frequent = [(-n, token) for token, n in counts.items() if n >= self.min_texts]
        if not frequent:
            raise ValueError(f"no token is in {self.min_texts} texts: lower min_texts")
        self.tokens_ = np.array([token for _, token in sorted(frequent)], dtype=str)
        self.unread_ = 1 - float(lengths.clip(max=self.length_).sum() / lengths.sum())
        return self._identify(kept)

    def transform(self, X: pd.DataFrame) -> np.ndarray:
        """
        Convert texts to ids.

        Parameters
        ----------
        X : DataFrame
            With a column ``text``.

        Returns
        -------
        ndarray of shape (n_texts, length_)
            Ids as 32-bit integers.
        """
        check_is_fitted(self)
        return self._identify([self._tokenise(text)[: self.length_] for text in X[TEXT]])

    def _identify(self, texts: list[list[str]]) -> np.ndarray:
        ids = {str(token): i for i, token in enumerate(self.tokens_, self.FIRST)}
        rows = np.full((len(texts), self.length_), self.PADDING, dtype=np.int32)
        for row, tokens in zip(rows, texts, strict=True):
            row[: len(tokens)] = [ids.get(token, self.UNKNOWN) for token in tokens]
        return rows

    def _tokenise(self, text: str) -> list[str]:
        tokens = []
        for token in _TOKEN.findall(text):
            if token[0].isupper():
                tokens.append(self.CAPITAL)
            tokens.append(token.lower())
        return tokens
