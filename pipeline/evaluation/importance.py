"""How much worse models predict validation when one column is shuffled."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from pipeline.evaluation.draws import units_of
from pipeline.evaluation.pairs import compare_pairs, enough_for_differences, find_same
from pipeline.evaluation.samples import Round, sample_scores
from pipeline.problems import Metric, Predictions, Problem
from pipeline.sources.examples import inputs_of

# The fewest and the most validation examples of a round that are predicted, and how many rows
# they may become with each column shuffled.
FEWEST, MOST, MOST_ROWS = 50, 500, 10_000
RESAMPLES = 500
AS_IT_IS = ""


def sample_validation(kind: Problem, validation: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Draw so many validation examples that shuffling each column takes little time."""
    columns = len(inputs_of(validation))
    return kind.sample(validation, min(MOST, max(FEWEST, MOST_ROWS // (columns + 1))), seed)


def shuffle_columns(examples: pd.DataFrame, seed: int) -> pd.DataFrame:
    """
    Stack examples as they are and with each column shuffled.

    Parameters
    ----------
    examples : DataFrame
        n examples.
    seed : int
        Seed of the permutations.

    Returns
    -------
    DataFrame
        The n examples, then n rows per input in their order, with that input shuffled.
    """
    rng = np.random.default_rng(seed)
    parts = [examples]
    for name in inputs_of(examples):
        shuffled = examples[name].take(rng.permutation(len(examples)))
        parts.append(examples.assign(**{name: shuffled.set_axis(examples.index)}))
    return pd.concat(parts, ignore_index=True)


def measure_importance(
    rounds: Sequence[Predictions],
    columns: Sequence[str],
    metric: Metric,
    *,
    share: float,
    matters: float,
    seed: int,
    confidence: float,
) -> list[dict[str, Any]]:
    """
    Measure by how much a score drops when a column is shuffled (Breiman, "Random Forests", 2001).

    A column whose place another one can take seems to matter little.

    Parameters
    ----------
    rounds : sequence of Predictions
        For each round the predictions of its model for the rows of `shuffle_columns`.
    columns : sequence of str
        The inputs, in their order.
    metric : Metric
        The deciding metric.
    share : float
        Number of validation examples per training example.
    matters : float
        The smallest drop that matters.
    seed : int
        Seed of the draws.
    confidence : float
        Share of models for which the intervals of all columns hold the truth.

    Returns
    -------
    list of dict
        For each column, the most important first: ``column``, ``drop`` and its interval ``low``
        and ``high``, which are nan where there are too few examples to tell. A drop above 0
        means worse predictions.
    """
    names = [AS_IT_IS, *columns]
    split = []
    for predictions in rounds:
        places = np.split(np.arange(len(predictions)), len(names))
        parts = [[predictions.take(place)] for place in places]
        split.append(Round(dict(zip(names, parts, strict=True)), {}, share))
    ways = units_of([one.test[AS_IT_IS][0] for one in split])
    sample = sample_scores(split, names, [metric], ways, seed, RESAMPLES)[metric.name]
    asked = [(AS_IT_IS, name) for name in columns]
    pairs = compare_pairs(
        sample,
        {name: np.full(len(split), number) for number, name in enumerate(names)},
        sign=metric.sign,
        matters=matters,
        confidence=confidence,
        enough=enough_for_differences(ways),
        same=find_same(split, asked),
        pairs=asked,
    )
    drops = pairs.set_axis(pairs["second"])[["difference", "low", "high"]]
    drops.columns = ["drop", "low", "high"]
    ranked = drops.sort_values("drop", ascending=False, kind="stable")
    return [{"column": name, **row} for name, row in ranked.to_dict("index").items()]


def order_columns(by_model: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[str]:
    """Return columns by their mean drop over models, the greatest first."""
    drops = pd.DataFrame(
        {model: {row["column"]: row["drop"] for row in rows} for model, rows in by_model.items()}
    )
    return list(drops.mean(axis=1).sort_values(ascending=False, kind="stable").index)
