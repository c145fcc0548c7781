"""Describe in words which model to take, how sure that is, and at what price."""

from collections.abc import Mapping, Sequence
from math import floor, isfinite, log10
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from pipeline.errors import UserError, nearest
from pipeline.evaluation.comparison import Comparison
from pipeline.evaluation.numbers import format_interval, format_numbers
from pipeline.evaluation.pairs import BETTER, CANNOT_TELL, EQUIVALENT, WORSE, find_pair, turn

# What "cheapest" can mean: the cost that decides, and how one model is cheaper than another.
COSTS = {
    "fit": ("fit_seconds", "fits {} times as fast"),
    "predict": ("predict_ms", "predicts {} times as fast"),
    "size": ("model_bytes", "is {} times as small"),
}
PRICES = {name: cost for name, (cost, _) in COSTS.items()}
# Prices that differ by less than this factor are called equal: seconds vary from run to run.
SAME_PRICE = {"fit": 2.0, "predict": 2.0, "size": 1.1}
# More than so many times the examples is no advice.
MOST_TIMES_THE_EXAMPLES = 100


def check_verdict(matters: float, cheapest: str) -> None:
    """
    Check what a task sets for the verdict.

    Raises
    ------
    UserError
        When the margin is below 0, or the price that decides is unknown.
    """
    if not matters >= 0:
        raise UserError(f"task.matters: {matters} is not at least 0")
    if cheapest not in COSTS:
        raise UserError(f"task.cheapest: unknown '{cheapest}'{nearest(cheapest, COSTS)}")


class Verdict(NamedTuple):
    """
    Which model to take.

    Attributes
    ----------
    take : str or None
        The recommended model. None when nothing can be said.
    contenders : list of str
        The models that no other one is better than, best first.
    sentences : list of str
        The verdict in words.
    """

    take: str | None
    contenders: list[str]
    sentences: list[str]


def write_verdict(
    comparison: Comparison,
    costs: Mapping[str, Mapping[str, float]],
    cheapest: str,
    *,
    matters: float,
    families: Mapping[str, str] = MappingProxyType({}),
) -> Verdict:
    """
    Recommend the cheapest of the contenders that score about as well as the best one.

    Contenders are the models that no other one is better than. Where examples are few, some of
    them are much worse as far as is known. Therefore only those are recommended whose score is
    behind that of the best contender by no more than what matters.

    Parameters
    ----------
    comparison : Comparison
        Scores, pairs and families.
    costs : mapping of str to mapping
        For each model ``fit_seconds``, ``predict_ms`` and ``model_bytes``; nan if unknown.
    cheapest : {"fit", "predict", "size"}
        Which cost decides.
    matters : float
        The smallest difference in the score that matters.
    families : mapping of str to str
        The family of each model. An ensemble, which holds others, is recommended only if no
        single model is a contender.
    """
    contenders = comparison.contenders
    if not contenders:
        return Verdict(None, [], ["Nothing can be said: no model has a score."])
    cost, _ = COSTS[cheapest]

    def price(model: str) -> float:
        value = costs[model].get(cost, np.nan)
        return value if isfinite(value) else np.inf

    single = [model for model in contenders if families.get(model) != "ensemble"] or contenders
    behind = comparison.scores["behind"]
    alike = [model for model in single if behind[model] - behind[single[0]] <= matters]
    # Of prices that are equal as far as measured, the better model.
    lowest = min(map(price, alike))
    take = next(model for model in alike if price(model) <= SAME_PRICE[cheapest] * lowest)
    sentences = [f"Take {take}."]
    others = [model for model in contenders if model != take]
    if len(comparison.scores) == 1:
        sentences.append("It is the only model that was compared.")
    elif others:
        sentences += _like(comparison.pairs, take, others, costs, cheapest)
        left = min((model for model in single if model not in alike), key=price, default=take)
        if SAME_PRICE[cheapest] * price(left) <= price(take):
            times = COSTS[cheapest][1].format(_times(price(take) / price(left)))
            worse = format_numbers(behind[left] - behind[take])[0]
            sentences.append(f"{left} {times}, and scores {worse} worse.")
    else:
        sentences.append(_ahead(comparison, take))
    own = families.get(take)
    sentences += [_family(pair, own) for pair in comparison.families.to_dict("records")]
    if others:
        sentences += _more_examples(
            oriented(comparison.pairs, *contenders[:2]), comparison.examples, matters
        )
    return Verdict(take, contenders, sentences)


def describe_variant(
    variant: str, take: str, metric: str, whole: Comparison, changed: Comparison
) -> str:
    """
    Describe how much of its score the recommended model keeps on changed test examples.

    Parameters
    ----------
    variant : str
        What the change leaves of the examples.
    take : str
        The recommended model.
    metric : str
        Name of the deciding metric.
    whole, changed : Comparison
        The models on the test examples, and on the changed ones.
    """
    kept, best = changed.scores[metric], changed.scores.index[0]
    now, before, of_best = format_numbers(kept[take], whole.scores[metric][take], kept[best])
    others = "" if best == take else f", and {best}, then the best, {of_best}"
    return f"On {variant}, {take} has {metric} {now} instead of {before}{others}."


def oriented(pairs: pd.DataFrame, first: str, second: str) -> dict[str, Any]:
    """Return the pair of two models that were compared, from the view of the first."""
    found = find_pair(pairs, first, second)
    if found is None:
        raise KeyError((first, second))
    return found


def _like(
    pairs: pd.DataFrame,
    take: str,
    others: Sequence[str],
    costs: Mapping[str, Mapping[str, float]],
    cheapest: str,
) -> list[str]:
    """Describe how the recommended model compares with other contenders, and what it saves."""
    found = [oriented(pairs, take, other) for other in others]
    parts = []
    for decision, words in (
        (EQUIVALENT, "is equivalent to"),
        (CANNOT_TELL, "cannot be told apart from"),
    ):
        alike = [
            f"{pair['second']} ({_interval(pair)})"
            for pair in found
            if pair["decision"] == decision
        ]
        if alike:
            parts.append(f"{words} {_enumerate(alike)}")
    cost, words = COSTS[cheapest]
    own, of_next = costs[take].get(cost, np.nan), costs[others[0]].get(cost, np.nan)
    if own > 0 and of_next / own >= SAME_PRICE[cheapest]:
        saves = words.format(_times(of_next / own))
        if len(others) > 1:
            return [f"It {_enumerate(parts)}.", f"It {saves} as {others[0]}."]
        parts.append(saves)
    return [f"It {_enumerate(parts)}."]


def _times(ratio: float) -> str:
    """Format how many times as dear a model is."""
    return f"{ratio:,.0f}" if ratio >= 2 else f"{ratio:.1f}"


def _ahead(comparison: Comparison, take: str) -> str:
    """Describe how far the next model is behind the only contender."""
    ranked = [model for model in comparison.scores.index if model != take]
    known = [model for model in ranked if not np.isnan(comparison.scores.loc[model, "behind"])]
    if not known:
        return "It is the only model that has a score."
    pair = oriented(comparison.pairs, take, known[0])
    others = ", and better than all others" * (len(ranked) > 1)
    return f"It is better than {known[0]} by {_interval(pair)}{others}."


def _family(pair: Mapping[str, Any], own: str | None) -> str:
    """Describe which of two families is better, and why if it is not that of the recommendation."""
    if pair["decision"] == WORSE:
        pair = turn(pair)
    second, decision = pair["second"], pair["decision"]
    between = f"{pair['first'].capitalize()} models"
    if decision == BETTER:
        how = ", each family by its model that is best on validation" * (second == own)
        return f"{between} beat {second} ones by {_interval(pair)}{how}."
    if decision == EQUIVALENT:
        return f"{between} and {second} ones are equivalent ({_interval(pair)})."
    return f"{between} cannot be told apart from {second} ones ({_interval(pair)})."


def _more_examples(pair: Mapping[str, Any], examples: int, matters: float) -> list[str]:
    """Estimate how many more test examples would decide between two models."""
    if pair["decision"] != CANNOT_TELL or not isfinite(pair["low"]):
        return []
    width, difference = (pair["high"] - pair["low"]) / 2, abs(pair["difference"])
    # Either the difference would leave 0 behind, or it would stay within what matters.
    room = difference if difference >= matters / 2 else matters - difference
    times = (width / room) ** 2 - 1 if room > 0 else np.inf
    if not 0 < times <= MOST_TIMES_THE_EXAMPLES:
        return []
    more, both = f"{_two_digits(times * examples):,}", f"{pair['first']} and {pair['second']}"
    if difference >= matters / 2:
        return [f"About {more} more examples would separate {both}."]
    return [f"About {more} more examples would show that {both} are equivalent."]


def _two_digits(count: float) -> int:
    """Round to two significant digits, up to a whole number."""
    return int(max(1, round(count, 1 - floor(log10(max(count, 1))))))


def _interval(pair: Mapping[str, Any]) -> str:
    """Format a difference with its interval."""
    if not isfinite(pair["low"]):
        return f"{format_numbers(pair['difference'])[0]}, too few to tell"
    return format_interval(pair["difference"], pair["low"], pair["high"])


def _enumerate(parts: Sequence[str]) -> str:
    """Join parts of a sentence."""
    return ", ".join(parts[:-1]) + " and " * (len(parts) > 1) + parts[-1]
