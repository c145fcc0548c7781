"""Find test examples of which train holds a copy, or nearly one."""

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from pipeline.features.inputs import kind_of
from pipeline.sources.examples import comparable, inputs_of

# Words of a shingle, and of the median text of a column that is compared by shingles.
SHINGLE, LONG = 3, 5
# A sketch has so many bins. Texts with equal bins in one of the bands are compared.
BINS, BANDS = 128, 32
# Share of their shingles that texts have in common if one is nearly a copy of the other.
ALIKE = 0.5
# Equal inputs with different labels are cases that are alike by chance.
MOST_CONTRADICTIONS = 0.1
WORD = re.compile(r"\w+")


class Copies(NamedTuple):
    """
    Test examples of which train holds a copy, or nearly one.

    Attributes
    ----------
    what : str
        The column of texts that is nearly the same, or an empty text if all inputs are equal.
    pairs : DataFrame
        A row per test example: ``test`` and ``train``, the ids of the example and of the copy.
    """

    what: str
    pairs: pd.DataFrame


def long_texts(examples: pd.DataFrame) -> list[str]:
    """Return the inputs that hold texts of several words rather than names or categories."""
    texts = [name for name in inputs_of(examples) if kind_of(examples[name]) == "string"]
    return [name for name in texts if examples[name].head(1000).str.count(r"\w+").median() >= LONG]


def find_copies(
    examples: pd.DataFrame, rounds: Sequence[tuple[np.ndarray, np.ndarray]]
) -> list[Copies]:
    """
    Find copies between train and test in time linear in the number of texts.

    Parameters
    ----------
    examples : DataFrame
        The examples of all rounds.
    rounds : sequence of (ndarray, ndarray)
        For each round the positions of its train examples, and those of its test examples.

    Returns
    -------
    list of Copies
        One per column of long texts in which there are some, and one of examples that are equal
        in all inputs. Of a column whose texts are shared by many groups, such as long names of
        categories, nothing is reported.
    """
    found = []
    groups = examples["group"].nunique()
    for name in long_texts(examples):
        codes, texts = pd.factorize(examples[name])
        if len(texts) >= groups / 2:
            sketches = sketch(list(texts))
            found.append(Copies(name, _pair(examples, rounds, codes, sketches)))
    codes = pd.factorize(pd.util.hash_pandas_object(comparable(examples), index=False))[0]
    equal = _pair(examples, rounds, codes, None)
    labels = examples.set_index("example_id")["label"]
    differing = labels[equal["test"]].to_numpy() != labels[equal["train"]].to_numpy()
    if differing.sum() <= MOST_CONTRADICTIONS * len(equal):
        found.append(Copies("", equal))
    return [copies for copies in found if len(copies.pairs)]


def _pair(
    examples: pd.DataFrame,
    rounds: Sequence[tuple[np.ndarray, np.ndarray]],
    codes: np.ndarray,
    sketches: np.ndarray | None,
) -> pd.DataFrame:
    """Pair test examples with train examples of the same code, or with a similar sketch."""
    ids = examples["example_id"].to_numpy()
    pairs = []
    for train, test in rounds:
        known, first = np.unique(codes[train], return_index=True)
        asked = np.unique(codes[test])
        if sketches is None:
            match = np.where(np.isin(asked, known), asked, -1)
        else:
            match = most_similar(sketches, asked, known)
        of_code = pd.Series(match, asked)
        matched = of_code[codes[test]].to_numpy()
        there = matched >= 0
        place = train[first[np.searchsorted(known, matched[there])]]
        pairs.append(pd.DataFrame({"test": ids[test[there]], "train": ids[place]}))
    return pd.concat(pairs, ignore_index=True)


def sketch(texts: Sequence[str]) -> np.ndarray:
    """
    Sketch the shingles of texts: the smallest hash in each bin of hashes.

    One hash serves all bins (Li, Owen and Zhang, "One permutation hashing", NeurIPS 2012), so
    that a text of any length is read once.

    Parameters
    ----------
    texts : sequence of str
        Case and punctuation do not matter.

    Returns
    -------
    ndarray of uint64, shape (n_texts, BINS)
        The largest number where a bin is empty.
    """
    words = [WORD.findall(text.lower()) for text in texts]
    # Words that end a text are followed by nothing.
    lengths = np.array([len(one) + SHINGLE - 1 for one in words])
    padded = [word for one in words for word in (*one, *[""] * (SHINGLE - 1))]
    codes = pd.factorize(np.array(padded, dtype=object))[0].astype(np.uint64)
    hashes = codes
    for shift in range(1, SHINGLE):
        hashes = _mix(hashes) + np.roll(codes, -shift)
    hashes = _mix(hashes)
    of_text = np.repeat(np.arange(len(texts)), lengths)
    # Not those that begin behind the last word.
    inside = np.arange(len(codes)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    kept = inside < np.repeat(lengths - SHINGLE + 1, lengths)
    cells = of_text[kept] * BINS + (hashes[kept] % BINS).astype(int)
    smallest = np.full(len(texts) * BINS, np.iinfo(np.uint64).max, dtype=np.uint64)
    np.minimum.at(smallest, cells, hashes[kept])
    return smallest.reshape(len(texts), BINS)


def _mix(numbers: np.ndarray) -> np.ndarray:
    """Spread numbers over all 64 bits (the finaliser of SplitMix64)."""
    numbers = numbers + np.uint64(0x9E3779B97F4A7C15)
    numbers = (numbers ^ (numbers >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    numbers = (numbers ^ (numbers >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return numbers ^ (numbers >> np.uint64(31))


def most_similar(sketches: np.ndarray, asked: np.ndarray, known: np.ndarray) -> np.ndarray:
    """
    Find for each text a known one that shares at least `ALIKE` of its shingles.

    Parameters
    ----------
    sketches : ndarray of uint64, shape (n_texts, BINS)
        What `sketch` returned.
    asked, known : ndarray of int
        Positions of texts.

    Returns
    -------
    ndarray of int, shape (n_asked,)
        The position of the most similar candidate, or -1. Candidates are texts that agree in a
        band of bins, one per band.
    """
    empty = np.iinfo(np.uint64).max
    best, match = np.zeros(len(asked)), np.full(len(asked), -1)
    for band in np.split(np.arange(BINS), BANDS):
        keys = sketches[:, band].sum(1, dtype=np.uint64)
        filled = (sketches[:, band] != empty).any(1)
        there = known[filled[known]]
        distinct, first = np.unique(keys[there], return_index=True)
        asking = np.flatnonzero(filled[asked])
        if not len(distinct) or not len(asking):
            continue
        place = np.searchsorted(distinct, keys[asked[asking]]).clip(max=len(distinct) - 1)
        hit = distinct[place] == keys[asked[asking]]
        asking, candidates = asking[hit], there[first[place[hit]]]
        one, other = sketches[asked[asking]], sketches[candidates]
        shared = ((one == other) & (one != empty)).sum(1)
        similar = shared / ((one != empty) | (other != empty)).sum(1)
        better = (similar >= ALIKE) & (similar > best[asking])
        best[asking[better]], match[asking[better]] = similar[better], candidates[better]
    return match
