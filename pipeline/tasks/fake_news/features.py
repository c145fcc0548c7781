"""Featurize headlines with bodies: measures of how they relate, and ids for networks."""

import re
import zlib
from collections import Counter
from functools import cache, lru_cache
from typing import Any, Self

import numpy as np
import pandas as pd
from scipy import sparse
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler, normalize
from sklearn.utils.validation import check_is_fitted, validate_data

from pipeline.features.normaliser import Normaliser

HEADLINE, BODY = PAIR = ["headline", "body"]
# Words that express a stance.
CUES = {
    "denying": "not no never n't nor cannot deny denies denied refute refuted dismiss dismissed "
    "reject rejected contradict dispute disputed",
    "debunking": "fake false hoax fraud bogus debunk debunked untrue prank satire satirical "
    "fabricated doctored photoshopped myth lie lied wrong incorrect misleading retract retracted "
    "correction",
    "doubting": "? doubt doubtful skeptical sceptical questionable unlikely dubious however but "
    "despite although though yet whether",
    "hedging": "may might could would if possible possibly perhaps apparently seemingly alleged "
    "allegedly reportedly purported purportedly supposedly rumor rumored rumour rumoured "
    "unconfirmed unverified claim suggest appear seem believed speculation speculated potential "
    "potentially",
    "attributing": "say said tell told according report source cited spokesman spokesperson "
    "spokeswoman statement interview quoted asked added wrote tweeted",
    "confirming": "confirm confirmed official officially announce announced reveal revealed proof "
    "prove evidence verified indeed true truth fact admit admitted",
}
# The number of first sentences, which summarise an article.
LEAD = 3
NGRAMS = (("words", 1), ("words", 2), ("words", 3), ("characters", 4))
# Terms are hashed, because no vocabulary has the names of a new topic.
BUCKETS = 2**16
ROWS_AT_ONCE = 20_000
TINY = 1e-6

_SENTENCE_END = re.compile(r"(?<=[.!?])[\"']?\s+")
# "don't" is "do" and "n't".
_TERM = re.compile(r"\w+(?=n't)|n't|\w+|\?")
_ENDING = re.compile(r"(?:ies|es|s|ed|ing|ly|ers?|ions?|y|e)$")


def engineered() -> Pipeline:
    """Make a featurizer of standardised `Relations` of normalised pairs."""
    return make_pipeline(Normaliser(), Relations(), StandardScaler())


def token_ids(max_length: int, min_texts: int, buckets: int) -> Pipeline:
    """Make a featurizer of token ids: `Normaliser`, then `PairTokenIds`."""
    return make_pipeline(Normaliser(), PairTokenIds(max_length, min_texts, buckets))


def stems(text: str) -> list[str]:
    """Return the stems and question marks of a text in lower case."""
    return [_stem(term) for term in _TERM.findall(text.lower())]


@lru_cache(maxsize=100_000)
def _stem(word: str) -> str:
    return _ENDING.sub("", word) if len(word) > 4 else word


def sentences(text: str) -> list[str]:
    """Split a text after ``.``, ``!`` and ``?``. A text without words is one sentence."""
    return [part for part in _SENTENCE_END.split(text) if _TERM.search(part)] or [text]


class Relations(TransformerMixin, BaseEstimator):
    """
    Measure how a headline relates to a body, independently of the topic: see `measures`.

    Each distinct headline and sentence is processed once, however many pairs it is in.

    Attributes
    ----------
    idf_ : ndarray of float32, shape (len(NGRAMS), BUCKETS)
        Inverse document frequency of each kind of n-gram in the training bodies, by hash.
    """

    def fit(self, X: pd.DataFrame, y: object = None) -> Self:
        """Fit the inverse document frequencies."""
        validate_data(self, X, skip_check_array=True)
        bodies = X[BODY].unique()
        having = np.vstack([_present(_counts(bodies, *kind)).sum(0).A1 for kind in NGRAMS])
        self.idf_ = (np.log((1 + len(bodies)) / (1 + having)) + 1).astype(np.float32)
        return self

    def transform(self, X: pd.DataFrame) -> np.ndarray:
        """Return `measures` as 32-bit floats."""
        return self.measures(X).to_numpy(np.float32)

    def measures(self, X: pd.DataFrame) -> pd.DataFrame:
        """
        Measure pairs.

        Parameters
        ----------
        X : DataFrame
            With columns ``headline`` and ``body``.

        Returns
        -------
        DataFrame
            A row per pair.

            - ``shared <words or characters> by <n> in <body or lead>``: the share of the
              headline's distinct n-grams that are there too, weighted by IDF.
            - ``cosine to <body, lead, closest sentence, mean sentence>``: cosine similarity
              of the TF-IDF of stems, with logarithmic term frequencies.
            - ``closest sentence``, ``closest sentence, relative``: its position.
            - ``close sentences``, ``close sentences, relative``: how many sentences are at
              least half as similar as the closest one.
            - ``middle``: mean position of the sentences, weighted by similarity.
            - ``<stance> words of <headline, body, lead, closest, close>``: number of `CUES`
              in the headline, per word of the body, in the lead, in the closest sentence,
              and per sentence weighted by squared similarity.
            - ``<cue> close``: the last of these for each stem.
            - ``quotes of <headline, body>``, ``words of <headline, body>``: the number of
              quotation marks, and the logarithm of 1 plus the number of words.
        """
        check_is_fitted(self)
        texts = _Texts(X)
        similar = _Similar(texts, self.idf_[0])
        found = _shared(texts, self.idf_) | similar.measures() | _cues(texts, similar)
        for name, distinct, rows in (
            (HEADLINE, texts.headlines, texts.headline),
            (BODY, texts.bodies, texts.body),
        ):
            found[f"quotes of {name}"] = np.array([text.count('"') for text in distinct])[rows]
            found[f"words of {name}"] = np.log1p([len(text.split()) for text in distinct])[rows]
        return pd.DataFrame(found)


class _Texts:
    """Distinct headlines and bodies, the sentences of bodies, and the index of each pair's own."""

    def __init__(self, X: pd.DataFrame) -> None:
        self.headline, self.headlines = pd.factorize(X[HEADLINE])
        self.body, self.bodies = pd.factorize(X[BODY])
        by_body = [sentences(text) for text in self.bodies]
        self.sentences = [sentence for one in by_body for sentence in one]
        self.length = np.array([len(one) for one in by_body])
        self.first = np.cumsum(self.length) - self.length
        n = len(self.sentences)
        of = np.repeat(np.arange(len(by_body)), self.length)
        # Bodies and leads as sums of sentences: bodies are rows, sentences columns.
        self.whole = sparse.csr_matrix((np.ones(n, np.float32), (of, np.arange(n))))
        self.lead = self.whole.multiply(np.arange(n) - self.first[of] < LEAD).tocsr()


class _Similar:
    """Cosine similarities of the TF-IDF of each headline and each sentence of its body."""

    def __init__(self, texts: _Texts, idf: np.ndarray) -> None:
        def weighted(counts: sparse.csr_matrix) -> sparse.csr_matrix:
            logarithmic = counts.copy()
            logarithmic.data = 1 + np.log(counts.data)
            return normalize(logarithmic.multiply(idf)).tocsr()

        headlines = weighted(_counts(texts.headlines, "words", 1))
        counts = _counts(texts.sentences, "words", 1)
        self.to_body = _dots(headlines, texts.headline, weighted(texts.whole @ counts), texts.body)
        self.to_lead = _dots(headlines, texts.headline, weighted(texts.lead @ counts), texts.body)
        # A row per pair and sentence of its body.
        self.length = texts.length[texts.body]
        self.start = np.cumsum(self.length) - self.length
        self.pair = np.repeat(np.arange(len(self.length)), self.length)
        self.place = np.arange(len(self.pair)) - self.start[self.pair]
        self.sentence = texts.first[texts.body[self.pair]] + self.place
        headline = texts.headline[self.pair]
        self.cosine = _dots(headlines, headline, weighted(counts), self.sentence)
        self.highest = np.maximum.reduceat(self.cosine, self.start)
        highest = np.flatnonzero(self.cosine == self.highest[self.pair])
        # The first one if several are equally close.
        self.closest = highest[np.unique(self.pair[highest], return_index=True)[1]]

    def measures(self) -> dict[str, np.ndarray]:
        total = self._sum(self.cosine)
        close = self._sum(self.cosine >= self.highest[self.pair] / 2)
        first = self.place[self.closest]
        return {
            "cosine to body": self.to_body,
            "cosine to lead": self.to_lead,
            "cosine to closest sentence": self.highest,
            "cosine to mean sentence": total / self.length,
            "closest sentence": first,
            "closest sentence, relative": first / self.length,
            "close sentences": close,
            "close sentences, relative": close / self.length,
            "middle": self._sum(self.cosine * self.place / self.length[self.pair])
            / np.maximum(total, TINY),
        }

    def attention(self, sentences: int) -> sparse.csr_matrix:
        """Return the weights of sentences per pair, by squared similarity. Rows sum to 1."""
        ends = np.append(self.start, len(self.pair))
        shape = (len(self.start), sentences)
        return normalize(sparse.csr_matrix((self.cosine**2, self.sentence, ends), shape), "l1")

    def _sum(self, values: np.ndarray) -> np.ndarray:
        return np.bincount(self.pair, values, len(self.start))


def _shared(texts: _Texts, idf: np.ndarray) -> dict[str, np.ndarray]:
    found = {}
    for (unit, n), weights in zip(NGRAMS, idf, strict=True):
        headlines = _present(_counts(texts.headlines, unit, n)).multiply(weights).tocsr()
        whole = np.maximum(headlines.sum(1).A1, TINY)
        counts = _counts(texts.sentences, unit, n)
        for name, parts in (("body", texts.whole), ("lead", texts.lead)):
            shared = _dots(headlines, texts.headline, _present(parts @ counts), texts.body)
            found[f"shared {unit} by {n} in {name}"] = shared / whole[texts.headline]
    return found


def _cues(texts: _Texts, similar: _Similar) -> dict[str, np.ndarray]:
    stances = {stance: sorted(set(stems(words))) for stance, words in CUES.items()}
    cues = sorted(set().union(*stances.values()))
    counter = CountVectorizer(
        tokenizer=stems, token_pattern=None, lowercase=False, vocabulary=cues, dtype=np.float32
    )
    sentences = counter.transform(texts.sentences)
    words = np.array([max(len(text.split()), 1) for text in texts.bodies])[:, np.newaxis]
    close = (similar.attention(len(texts.sentences)) @ sentences).toarray()
    places = {
        "headline": counter.transform(texts.headlines).toarray()[texts.headline],
        "body": ((texts.whole @ sentences).toarray() / words)[texts.body],
        "lead": (texts.lead @ sentences).toarray()[texts.body],
        "closest": sentences[similar.sentence[similar.closest]].toarray(),
        "close": close,
    }
    found = {f"{cue} close": close[:, column] for column, cue in enumerate(cues)}
    for stance, members in stances.items():
        columns = np.isin(cues, members)
        for place, counts in places.items():
            found[f"{stance} words of {place}"] = counts[:, columns].sum(1)
    return found


def _counts(texts: Any, unit: str, n: int) -> sparse.csr_matrix:
    """Count the n-grams of texts: runs of n stems, or of n characters within a word."""
    words = {"tokenizer": stems, "token_pattern": None, "lowercase": False}
    options = words if unit == "words" else {"analyzer": "char_wb"}
    return HashingVectorizer(
        n_features=BUCKETS,
        ngram_range=(n, n),
        alternate_sign=False,
        norm=None,
        dtype=np.float32,
        **options,
    ).transform(texts)


def _present(counts: sparse.csr_matrix) -> sparse.csr_matrix:
    return (counts > 0).astype(np.float32)


def _dots(A: sparse.csr_matrix, a: np.ndarray, B: sparse.csr_matrix, b: np.ndarray) -> np.ndarray:
    """Return dot products of rows `a` of `A` and rows `b` of `B`, in chunks to limit memory."""
    chunks = [slice(start, start + ROWS_AT_ONCE) for start in range(0, len(a), ROWS_AT_ONCE)]
    return np.concatenate([A[a[one]].multiply(B[b[one]]).sum(1).A1 for one in chunks])


class PairTokenIds(TransformerMixin, BaseEstimator):
    """
    Convert headlines and bodies to ids of stems, cut or padded to one length.

    Parameters
    ----------
    max_length : int
        Stems kept per text.
    min_texts : int
        Stems in fewer distinct training texts are not in the vocabulary.
    buckets : int
        Number of ids that stems outside the vocabulary share by hash. Two new names rarely
        get the same id.

    Attributes
    ----------
    stems_ : ndarray of str
        The vocabulary, most frequent stems first. The id of ``stems_[i]`` is ``i + 1``.
        Id 0 is padding. The buckets follow the vocabulary.
    """

    def __init__(self, max_length: int = 256, min_texts: int = 20, buckets: int = 1000) -> None:
        self.max_length = max_length
        self.min_texts = min_texts
        self.buckets = buckets

    def fit(self, X: pd.DataFrame, y: object = None) -> Self:
        """Fit the vocabulary."""
        validate_data(self, X, skip_check_array=True)
        distinct = np.concatenate([X[side].unique() for side in PAIR])
        texts = Counter(stem for text in distinct for stem in set(self._stems(text)))
        frequent = [(-n, stem) for stem, n in texts.items() if n >= self.min_texts]
        self.stems_ = np.array([stem for _, stem in sorted(frequent)], dtype=str)
        return self

    def transform(self, X: pd.DataFrame) -> np.ndarray:
        """
        Convert pairs to ids.

        Returns
        -------
        ndarray of int32, shape (n_pairs, 2, max_length)
            Headline and body of each pair.
        """
        check_is_fitted(self)
        vocabulary = {str(stem): i for i, stem in enumerate(self.stems_, 1)}

        @cache
        def identify(stem: str) -> int:
            hashed = len(vocabulary) + 1 + zlib.crc32(stem.encode()) % self.buckets
            return vocabulary.get(stem, hashed)

        sides = []
        for side in PAIR:
            which, texts = pd.factorize(X[side])
            ids = np.zeros((len(texts), self.max_length), dtype=np.int32)
            for row, text in zip(ids, texts, strict=True):
                found = [identify(stem) for stem in self._stems(text)]
                row[: len(found)] = found
            sides.append(ids[which])
        return np.stack(sides, axis=1)

    def _stems(self, text: str) -> list[str]:
        return stems(text)[: self.max_length]
