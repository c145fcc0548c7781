"""Bootstrap draws of the units of one or several test sets."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from pipeline.problems import Predictions

WEIGHTS_AT_ONCE = 4_000_000
# The jackknife leaves out at most so many blocks of units.
MOST_BLOCKS = 200


@dataclass(frozen=True)
class Units:
    """
    The units that the test examples of rounds belong to.

    Attributes
    ----------
    codes : list of ndarray of int, shape (n_examples,)
        For each round the unit of each test example. Units are identified by name: one of
        several rounds has the same code in all.
    stratum : ndarray of int, shape (n_units,)
        Units of one stratum are drawn among themselves.
    category : ndarray of int, shape (n_units,)
        The category of the targets of each unit.
    rare_examples : float
        Number of different examples in the rarest category. Where there are more than ten
        categories, the rarest tenth is passed over.
    rare_units : float
        The same of units.
    """

    codes: list[np.ndarray]
    stratum: np.ndarray
    category: np.ndarray
    rare_examples: float
    rare_units: float

    def __len__(self) -> int:
        """Count the units."""
        return len(self.stratum)

    @cached_property
    def tested(self) -> float:
        """The mean number of units that a round tests."""
        return float(np.mean([len(np.unique(codes)) for codes in self.codes]))

    @cached_property
    def examples(self) -> float:
        """The number of different examples in all rounds, if all units are tested as often."""
        return float(np.mean([len(codes) for codes in self.codes])) * len(self) / self.tested

    @cached_property
    def single(self) -> bool:
        """Whether each example is a unit of its own."""
        return self.examples == len(self)


def units_of(tests: Sequence[Predictions]) -> list[Units]:
    """
    Find the units of test examples.

    Parameters
    ----------
    tests : sequence of Predictions
        The test examples of each round.

    Returns
    -------
    list of Units
        One way of grouping, or two where the examples name a second unit, ``unit_2``. Two ways
        have no strata. The stratum and the category of a unit are the most frequent ones of
        its examples.
    """
    named = [[test.unit for test in tests]]
    if all("unit_2" in test.meta for test in tests):
        named.append([test.meta["unit_2"] for test in tests])
    nothing = np.zeros(sum(map(len, tests)), dtype=int)
    strata = [test.stratum for test in tests if test.stratum is not None]
    stratified = len(named) == 1 and len(strata) == len(tests)
    of_examples = np.concatenate(strata) if stratified else nothing
    categories = [test.category for test in tests if test.category is not None]
    known = np.concatenate(categories) if len(categories) == len(tests) else nothing
    found = []
    for names in named:
        codes, distinct = pd.factorize(np.concatenate(names))
        stratum = _count(codes, of_examples).argmax(1)
        counts = _count(codes, known)
        ends = np.cumsum([len(one) for one in names])[:-1]
        of_rounds = np.split(codes, ends)
        times = sum(len(np.unique(one)) for one in of_rounds) / len(distinct)
        examples, units = counts.sum(0) / times, (counts > 0).sum(0)
        found.append(Units(of_rounds, stratum, counts.argmax(1), _rarest(examples), _rarest(units)))
    return found


def _count(codes: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Count the examples of each unit with each value: shape (n_units, n_values)."""
    of_example, levels = pd.factorize(values, sort=True)
    shape = codes.max() + 1, len(levels)
    cells = np.bincount(codes * shape[1] + of_example, minlength=shape[0] * shape[1])
    return cells.reshape(shape)


def _rarest(counts: np.ndarray) -> float:
    """Return the count of the rarest category, past the rarest tenth."""
    return float(np.quantile(counts, 0.1, method="lower"))


def draw(ways: Sequence[Units], resamples: int, seed: int) -> Iterator[list[np.ndarray]]:
    """
    Draw bootstrap samples of units.

    Whole units are drawn with replacement, because the passages of an author or the readings
    of an engine are not independent. Where the split was stratified, the draws are too: each
    stratum keeps its total weight. Where it was not, as with the latest examples or a
    predefined test set, the share of a stratum is random, and it is random in the draws
    (Davison and Hinkley, "Bootstrap Methods and their Application", 1997, sections 2.4 and
    3.8). Of the n units of a stratum n - 1 are drawn, and their weights are scaled to a sum of
    n: the variance over draws is then unbiased for few units too (Rao and Wu, JASA 1988). With
    two ways of grouping, the weight of an example is the product of those of its two units
    (Owen, "The pigeonhole bootstrap", Annals of Applied Statistics 2007).

    Parameters
    ----------
    ways : sequence of Units
        One or two.
    resamples : int
        Number of draws.
    seed : int
        Seed of the draws.

    Yields
    ------
    list of ndarray of shape (n_draws, n_examples)
        For each round the weight of each test example in each draw. The draws come in several
        parts.
    """
    rng = np.random.default_rng(seed)
    most = max(sum(map(len, ways[0].codes)), *map(len, ways))
    at_once = max(1, WEIGHTS_AT_ONCE // most)
    for start in range(0, resamples, at_once):
        count = min(at_once, resamples - start)
        drawn = [_draw_units(way, count, rng) for way in ways]
        yield _spread(ways, drawn)


def _draw_units(way: Units, count: int, rng: np.random.Generator) -> np.ndarray:
    """Draw the weight of each unit."""
    weights = np.ones((count, len(way)))
    for members in _members(way.stratum):
        n = len(members)
        if n > 1:
            shift = np.arange(count)[:, None] * n
            picked = rng.integers(n, size=(count, n - 1)) + shift
            times = np.bincount(picked.ravel(), minlength=count * n).reshape(count, n)
            weights[:, members] = times * (n / (n - 1))
    return weights


def leave_out(way: Units) -> Iterator[tuple[int, list[np.ndarray]]]:
    """
    Leave out units in turn.

    Parameters
    ----------
    way : Units
        Many units are left out in blocks of one category, so that the time does not grow with
        the square of the number of examples.

    Yields
    ------
    category : int
        The category of the block.
    list of ndarray of shape (n_blocks, n_examples)
        For each round the weight of each test example, with one block left out in each row.
        The blocks come in several parts.
    """
    categories = _members(way.category)
    blocks = max(2, MOST_BLOCKS // len(categories))
    at_once = max(1, WEIGHTS_AT_ONCE // sum(map(len, way.codes)))
    for number, members in enumerate(categories):
        block = np.full(len(way), -1)
        block[members] = np.arange(len(members)) % blocks
        count = min(blocks, len(members))
        for start in range(0, count, at_once):
            rows = np.arange(start, min(start + at_once, count))
            kept = (block != rows[:, None]).astype(float)
            yield number, [kept[:, codes] for codes in way.codes]


def _spread(ways: Sequence[Units], drawn: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Weight each example by the product of the weights of its units."""
    weights = [drawn[0][:, codes] for codes in ways[0].codes]
    for way, of_units in zip(ways[1:], drawn[1:], strict=True):
        for one, codes in zip(weights, way.codes, strict=True):
            one *= of_units[:, codes]
    return weights


def _members(labels: np.ndarray) -> list[np.ndarray]:
    """Return the positions of each label."""
    order = np.argsort(labels, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(labels[order])) + 1)
