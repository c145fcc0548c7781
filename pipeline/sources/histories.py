"""Describe each rating by what was known before it: of its user, of its item, of both."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import sparse

# Ratings that a mean is pulled towards what is expected with.
DAMPING = 5.0
# Numbers of last ratings of a user whose mean tells how strict the user is of late.
RECENT = (5, 20)
SECONDS_PER_DAY = 86_400
# Residuals are rounded to multiples of this, a power of two. Sums of them are then exact in any
# order, so that a feature cannot depend on what comes later, not even in its last digit.
GRAIN = 2.0**-20
# Ratings that are described together, so that what is looked up stays in the processor's cache.
# All at once, ten times the ratings take far more than ten times as long.
TOGETHER = 2**15


class Span(NamedTuple):
    """
    What is known of each of n keys at a moment: rows in the order of their `Past`.

    Attributes
    ----------
    start, end : ndarray of int, shape (n,)
        Position of the first row, and the one after the last.
    """

    start: np.ndarray
    end: np.ndarray

    @property
    def number(self) -> np.ndarray:
        """Number of rows."""
        return self.end - self.start


class Past:
    """
    Rows with keys and times, to ask for those of a key that are before a moment.

    Parameters
    ----------
    keys : ndarray of int, shape (n,)
        At least 0.
    moments : ndarray of int, shape (n,)
        Times, at least 0.
    """

    def __init__(self, keys: np.ndarray, moments: np.ndarray) -> None:
        self.after = int(moments.max(initial=0)) + 2
        codes = keys * self.after + moments
        self.order = np.argsort(codes)
        self.codes = codes[self.order]
        # For each row, and the end, the first row of the same key and moment.
        self.heads = np.append(_starts(self.codes), len(keys))

    def own(self) -> Span:
        """Return for each row, in the order that they had at first, which are before it."""
        start, end = np.empty((2, len(self.order)), np.int64)
        start[self.order] = _starts(self.codes // self.after)
        end[self.order] = self.heads[:-1]
        return Span(start, end)

    def before(self, keys: np.ndarray, moments: np.ndarray) -> Span:
        """
        Return which rows of keys are strictly before moments.

        Parameters
        ----------
        keys, moments : ndarray of int, shape (n,)
            In any order. A key need not have a row. A moment is at most the one after the last
            of the rows.
        """
        codes = keys * self.after + moments
        if len(codes) == len(self.codes) and np.array_equal(codes[self.order], self.codes):
            return self.own()  # which need not search
        # Searching in order is several times as fast, since it stays in the processor's cache.
        order = np.argsort(codes)
        start, end = np.empty((2, len(codes)), np.int64)
        end[order] = np.searchsorted(self.codes, codes[order])
        start[order] = np.searchsorted(self.codes, keys[order] * self.after)
        return Span(start, end)

    def latest(self, span: Span, most: int) -> Span:
        """Return the last rows, and with the earliest of these all others of its moment."""
        return Span(self.heads[np.maximum(span.start, span.end - most)], span.end)

    def total(self, values: np.ndarray, span: Span) -> np.ndarray:
        """Sum values of rows, given in the order that the rows had at first."""
        sums = np.append(0, np.cumsum(values[self.order]))
        return sums[span.end] - sums[span.start]

    def edges(self, values: np.ndarray, span: Span) -> tuple[np.ndarray, np.ndarray]:
        """Return the values of the first and of the last row, nan if there is none."""
        ordered = np.append(values[self.order].astype(np.float64), np.nan)
        known = span.number > 0
        first, last = (
            np.where(known, ordered[place], np.nan) for place in (span.start, span.end - 1)
        )
        return first, last


class Block(NamedTuple):
    """
    All ratings of some users, or of some items.

    Attributes
    ----------
    rows : ndarray of int, shape (n,)
        Which ratings they are.
    past : Past
        These ratings by who or what is rated.
    then : Span
        For each of them, those of the same key that were before it.
    known : Span
        For each of them, those of the same key that were before the moment it is described at.
    """

    rows: np.ndarray
    past: Past
    then: Span
    known: Span


def describe(
    ratings: pd.DataFrame,
    tags: Mapping[str, pd.Series],
    limit: np.ndarray,
    liked: float,
    middle: float,
) -> pd.DataFrame:
    """
    Describe each rating by what was known of its user and its item before it.

    Parameters
    ----------
    ratings : DataFrame
        A row per rating with ``user``, ``item``, ``rating``, and ``time`` in whole seconds.
    tags : mapping of str to Series
        By what they tell, such as ``genre``, the tags of items: a row per item and tag, indexed
        by item.
    limit : ndarray of int, shape (n,)
        The moment that each rating is described at, at most its own time. Only what is
        strictly before counts, so that ratings of one second do not tell of each other.
    liked : float
        The rating from which an item is liked.
    middle : float
        What is expected before anything is known: the middle of the scale.

    Returns
    -------
    DataFrame
        A row per rating. What is not known is missing. For ``user`` and ``item`` each:

        - ``_count``, ``_mean``, ``_deviation``, ``_liked``: number, mean and standard deviation
          of the ratings, and the share of those that are at least `liked`.
        - ``_offset``: mean of the ratings less what the other side led to expect then, damped.
        - ``_first``, ``_last``: days since the first and the last rating.

        ``user_recent_5`` and ``user_recent_20`` are means of the user's last ratings. For each of
        `tags`, as means over those of the item, ``_share`` is the share of the user's ratings
        that have the tag, and ``_offset`` the damped mean of what these are above or below what
        user and item led to expect.
    """
    time = ratings["time"].to_numpy(np.int64)
    rating = ratings["rating"].to_numpy(np.float64)
    # Nothing is known at the first moment, nor before it.
    now, asked = (np.maximum(moment - time.min(initial=0), 0) for moment in (time, limit))
    keys = {side: pd.factorize(ratings[side])[0].astype(np.int64) for side in ("user", "item")}
    blocks = {side: _blocks(of_side, now, asked) for side, of_side in keys.items()}

    # What each rating was above or below what was expected at its own time.
    mean = _means_before(now, rating, middle)
    surprise, offset = ({side: np.empty(len(ratings)) for side in keys} for _ in range(2))
    for side, other in (("user", "item"), ("item", "user")):
        for rows, past, then, _ in blocks[side]:
            expected = _damped(past.total(rating[rows], then), then.number, mean[rows])
            surprise[other][rows] = _rounded(rating[rows] - expected)
    for side, of_side in blocks.items():
        for rows, past, then, _ in of_side:
            total = past.total(surprise[side][rows], then)
            offset[side][rows] = _damped(total, then.number, 0.0)
    unexplained = _rounded(rating - mean - offset["user"] - offset["item"])

    columns: dict[str, np.ndarray] = {}

    def put(rows: np.ndarray, found: Mapping[str, np.ndarray]) -> None:
        for name, values in found.items():
            columns.setdefault(name, np.empty(len(ratings)))[rows] = values

    for side, of_side in blocks.items():
        for one in of_side:
            surprises = surprise[side][one.rows]
            found = _habits(one, rating[one.rows], time[one.rows], surprises, liked)
            put(one.rows, {f"{side}_{name}": values for name, values in found.items()})
    for one in blocks["user"]:
        put(one.rows, _recent(one, rating[one.rows]))
    for name, of_items in tags.items():
        for one in blocks["user"]:
            row, tag = _tags_of(ratings["item"].iloc[one.rows], of_items)
            tastes = keys["user"][one.rows][row] * (tag.max(initial=0) + 1) + tag
            now_and_asked = now[one.rows][row], asked[one.rows][row]
            found = _tastes(one, row, tastes, now_and_asked, unexplained[one.rows][row])
            put(one.rows, {f"{name}_{what}": values for what, values in found.items()})
    return pd.DataFrame(columns, index=ratings.index, copy=False)


def _means_before(now: np.ndarray, rating: np.ndarray, middle: float) -> np.ndarray:
    """Return for each rating the damped mean of all that were before it."""
    order = np.argsort(now)
    before = _starts(now[order])
    total = np.append(0, np.cumsum(rating[order]))[before]
    mean = np.empty(len(now))
    mean[order] = _damped(total, before, middle)
    return mean


def _habits(
    block: Block, rating: np.ndarray, time: np.ndarray, surprise: np.ndarray, liked: float
) -> dict[str, np.ndarray]:
    """Describe how a user rates, or an item is rated, as `describe` says."""
    past, span = block.past, block.known
    facts = rating, rating**2, (rating >= liked).astype(np.float64)
    average, square, share = (_ratio(past.total(one, span), span.number) for one in facts)
    first, last = past.edges(time, span)
    return {
        "count": span.number,
        "mean": average,
        "deviation": np.sqrt(np.maximum(square - average**2, 0)),
        "liked": share,
        "offset": _damped(past.total(surprise, span), span.number, 0.0),
        "first": (time - first) / SECONDS_PER_DAY,
        "last": (time - last) / SECONDS_PER_DAY,
    }


def _recent(block: Block, rating: np.ndarray) -> dict[str, np.ndarray]:
    """Return the means of the last ratings of each user."""
    found = {}
    for most in RECENT:
        span = block.past.latest(block.known, most)
        found[f"user_recent_{most}"] = _ratio(block.past.total(rating, span), span.number)
    return found


def _tastes(
    block: Block,
    row: np.ndarray,
    tastes: np.ndarray,
    moments: tuple[np.ndarray, np.ndarray],
    unexplained: np.ndarray,
) -> dict[str, np.ndarray]:
    """
    Describe what users made of the tags of an item.

    Parameters
    ----------
    block : Block
        All ratings of some users.
    row, tastes, unexplained : ndarray of shape (n_tags,)
        For each rating and tag of its item: the place of the rating in the block, a key of user
        and tag, and what the rating was above or below what user and item led to expect.
    moments : tuple of ndarray of int, shape (n_tags,)
        When the rating was, and the moment it is described at.
    """
    now, asked = moments
    taste = Past(tastes, now)
    span = taste.before(tastes, asked)
    liking = _damped(taste.total(unexplained, span), span.number, 0.0)
    n_tags, rated, total = (
        np.bincount(row, weights, minlength=len(block.rows))
        for weights in (None, span.number, liking)
    )
    return {
        "share": _ratio(rated, n_tags * block.known.number),
        "offset": _ratio(total, n_tags),
    }


def _blocks(keys: np.ndarray, now: np.ndarray, asked: np.ndarray) -> list[Block]:
    """Divide ratings into blocks of about `TOGETHER`, each with all ratings of some keys."""
    # A sparse matrix sorts by counting, in linear time.
    known = np.ones(len(keys), np.int8)
    by_key = sparse.csr_matrix((known, (keys, np.arange(len(keys)))))
    ends = np.searchsorted(by_key.indptr, np.arange(TOGETHER, len(keys), TOGETHER))
    cuts = np.unique(by_key.indptr[ends])
    blocks = []
    for rows in np.split(by_key.indices.astype(np.int64), cuts[cuts < len(keys)]):
        past = Past(keys[rows], now[rows])
        blocks.append(Block(rows, past, past.own(), past.before(keys[rows], asked[rows])))
    return blocks


def _tags_of(items: pd.Series, tags: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    """Return a row for each rating and tag of its item: number of the rating, code of the tag."""
    codes, names = pd.factorize(items)
    place = names.get_indexer(tags.index)
    tags, place = tags[place >= 0], place[place >= 0]
    order = np.argsort(place, kind="stable")
    tag = pd.factorize(tags)[0].astype(np.int64)[order]
    counts = np.bincount(place, minlength=len(names))
    starts = np.cumsum(counts) - counts
    row = np.repeat(np.arange(len(items)), counts[codes])
    within = np.arange(len(row)) - np.repeat(
        np.cumsum(counts[codes]) - counts[codes], counts[codes]
    )
    return row, tag[starts[codes][row] + within]


def _starts(ordered: np.ndarray) -> np.ndarray:
    """Return for each of some sorted values the place of the first one that is the same."""
    first = np.ones(len(ordered), bool)
    first[1:] = ordered[1:] != ordered[:-1]
    return np.maximum.accumulate(np.where(first, np.arange(len(ordered)), 0))


def _ratio(total: np.ndarray, count: np.ndarray) -> np.ndarray:
    """Divide, and return nan where there is nothing to divide by."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(count > 0, total / count, np.nan)


def _damped(total: np.ndarray, count: np.ndarray, expected: np.ndarray | float) -> np.ndarray:
    """Return a mean that is pulled towards what is expected, the more the fewer there are."""
    return (total + DAMPING * expected) / (count + DAMPING)


def _rounded(values: np.ndarray) -> np.ndarray:
    return np.round(values / GRAIN) * GRAIN
