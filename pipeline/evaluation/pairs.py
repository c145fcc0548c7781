"""Decide which models, and which families of models, differ."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import fields
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import ndtr

from pipeline.evaluation.draws import Units
from pipeline.evaluation.intervals import FEWEST_FOR_DIFFERENCE, FEWEST_UNITS, max_t, quantile
from pipeline.evaluation.samples import Round, Sample
from pipeline.problems import Predictions

# Families that are no answer to the question which family is better.
NO_CONTESTANTS = {"baseline", "ensemble"}
BETTER, WORSE, EQUIVALENT, CANNOT_TELL = "better", "worse", "equivalent", "cannot tell"
OPPOSITE = {BETTER: WORSE, WORSE: BETTER}


def represent(
    rounds: Sequence[Round], families: Mapping[str, str], sign: int, position: Mapping[str, int]
) -> dict[str, np.ndarray]:
    """
    Return for each family and round which model represents it: the best on validation.

    Returns
    -------
    dict of str to ndarray of int, shape (n_rounds,)
    """

    def rank(one: Round, model: str) -> tuple[bool, float, str]:
        score = one.validation[model]
        return score != score, -sign * score, model

    contestants = [family for family in families.values() if family not in NO_CONTESTANTS]
    return {
        family: np.array(
            [
                position[
                    min((m for m in families if families[m] == family), key=lambda m: rank(one, m))
                ]
                for one in rounds
            ]
        )
        for family in dict.fromkeys(contestants)
    }


def compare_pairs(
    sample: Sample,
    chosen: Mapping[str, np.ndarray],
    *,
    sign: int,
    matters: float,
    confidence: float,
    enough: bool = True,
    same: Collection[tuple[str, str]] = (),
    pairs: Sequence[tuple[str, str]] | None = None,
) -> pd.DataFrame:
    """
    Decide for each pair by simultaneous intervals.

    The intervals reach as many standard errors as the largest deviation of all pairs does with
    the confidence (max-t: Westfall and Young, "Resampling-Based Multiple Testing", 1993), and
    more where the standard error has few degrees of freedom.

    Parameters
    ----------
    sample : Sample
        Scores in the deciding metric.
    chosen : mapping of str to ndarray of int, shape (n_rounds,)
        For each name which model stands for it in each round.
    sign : int
        1 if greater is better, otherwise -1.
    matters : float
        The smallest difference that matters.
    confidence : float
        Share of comparisons whose intervals all hold the truth.
    enough : bool, default=True
        Whether there are enough examples for intervals.
    same : collection of tuple of str
        Pairs whose predictions are the same.
    pairs : sequence of tuple of str, optional
        The pairs to decide for; all by default.

    Returns
    -------
    DataFrame
        As `Comparison.pairs`.
    """
    names = list(combinations(chosen, 2) if pairs is None else pairs)
    if not names:
        columns = ["first", "second", "difference", "low", "high", "decision"]
        return pd.DataFrame(columns=columns)
    first = np.stack([chosen[one] for one, _ in names], axis=1)
    second = np.stack([chosen[other] for _, other in names], axis=1)
    taken = sample.take(first, second)
    known = (taken.degrees >= 1) & enough
    with np.errstate(invalid="ignore", divide="ignore"):
        noise = np.nan_to_num(taken.noise / taken.error)[:, known]
    reach = quantile(2 * ndtr(max_t(noise, confidence)) - 1, taken.degrees)
    width = np.where(known, reach * taken.error, np.nan)
    width[[pair in same for pair in names]] = 0
    value = sign * taken.value
    found = pd.DataFrame(names, columns=["first", "second"])
    found["difference"], found["low"], found["high"] = value, value - width, value + width
    found["decision"] = np.select(
        [
            found["low"].ge(-matters) & found["high"].le(matters),
            found["low"] > 0,
            found["high"] < 0,
        ],
        [EQUIVALENT, BETTER, WORSE],
        CANNOT_TELL,
    )
    return found


def find_same(rounds: Sequence[Round], pairs: Iterable[tuple[str, str]]) -> set[tuple[str, str]]:
    """Find the pairs of models that predict the same in every round."""

    def same(one: Predictions, other: Predictions) -> bool:
        names = [field.name for field in fields(one) if field.name != "meta"]
        return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in names)

    return {
        (first, second)
        for first, second in pairs
        if all(
            len(one.test[first]) == len(one.test[second])
            and all(map(same, one.test[first], one.test[second]))
            for one in rounds
        )
    }


def turn(pair: Mapping[str, Any]) -> dict[str, Any]:
    """Return a pair from the view of its second one. Numbers may be None."""
    difference, low, high = (
        None if pair[key] is None else -pair[key] for key in ("difference", "high", "low")
    )
    return {
        "first": pair["second"],
        "second": pair["first"],
        "difference": difference,
        "low": low,
        "high": high,
        "decision": OPPOSITE.get(pair["decision"], pair["decision"]),
    }


def find_pair(pairs: pd.DataFrame, first: str, second: str) -> dict[str, Any] | None:
    """
    Return the difference of two models from the view of the first.

    Parameters
    ----------
    pairs : DataFrame
        What `compare_pairs` returned.
    first, second : str
        The models.

    Returns
    -------
    dict or None
        A row of `pairs`; None if the two were not compared.
    """
    for pair in pairs.to_dict("records"):
        if (pair["first"], pair["second"]) == (first, second):
            return pair
        if (pair["first"], pair["second"]) == (second, first):
            return turn(pair)
    return None


def enough_for_differences(ways: Sequence[Units]) -> bool:
    """Check whether there are enough examples for intervals of differences."""
    return all(
        units.rare_examples >= FEWEST_FOR_DIFFERENCE and units.rare_units >= FEWEST_UNITS
        for units in ways
    )
