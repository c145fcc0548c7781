"""Compare models by scores and intervals, from one bootstrap that all models share."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeVar

import numpy as np
import pandas as pd

from pipeline.errors import UserError
from pipeline.problems import Metric, Predictions

WEIGHTS_AT_ONCE = 4_000_000
P = TypeVar("P", bound=Predictions)


def check_interval(resamples: int, confidence: float) -> None:
    """
    Check the settings of the bootstrap.

    Raises
    ------
    UserError
        When there are no draws, or when the confidence is not between 0 and 1.
    """
    if resamples < 1:
        raise UserError(f"resamples: {resamples} is not at least 1")
    if not 0 < confidence < 1:
        raise UserError(f"confidence: {confidence} is not between 0 and 1")


def draws(
    units: np.ndarray, strata: np.ndarray | None, resamples: int, seed: int
) -> Iterator[np.ndarray]:
    """
    Draw bootstrap samples of examples.

    Whole units are drawn with replacement, because the passages of an author or the readings
    of an engine are not independent. Where the split was stratified, the draws are too: each
    stratum keeps its number of units. Where it was not, as with the latest examples or a
    predefined test set, these numbers are random, and they are random in the draws (Davison
    and Hinkley, "Bootstrap Methods and their Application", 1997, sections 2.4 and 3.8).

    Parameters
    ----------
    units : ndarray of shape (n,)
        The unit of each example.
    strata : ndarray of shape (n,) or None
        The stratum of each example. The stratum of a unit is the most frequent one of its
        examples. None draws without strata.
    resamples : int
        Number of draws.
    seed : int
        Seed of the draws.

    Yields
    ------
    ndarray of shape (n_draws, n)
        Number of times that each draw holds each example. The draws come in several arrays.
    """
    rng = np.random.default_rng(seed)
    codes, names = pd.factorize(units)
    stratum = np.zeros(len(names), dtype=int)
    if strata is not None:
        of_example, levels = pd.factorize(strata, sort=True)
        counts = np.zeros((len(names), len(levels)))
        np.add.at(counts, (codes, of_example), 1)
        stratum = counts.argmax(1)
    at_once = max(1, WEIGHTS_AT_ONCE // len(codes))
    for start in range(0, resamples, at_once):
        count = min(at_once, resamples - start)
        drawn = np.zeros((count, len(names)))
        for one in np.unique(stratum):
            members = np.flatnonzero(stratum == one)
            drawn[:, members] = rng.multinomial(
                len(members), np.full(len(members), 1 / len(members)), size=count
            )
        yield drawn[:, codes]


def compare(
    predictions: Mapping[str, P],
    deciding: Metric,
    metrics: Sequence[Metric],
    seed: int,
    resamples: int = 2000,
    confidence: float = 0.95,
) -> pd.DataFrame:
    """
    Score and rank models on the same examples, with bootstrap intervals.

    Parameters
    ----------
    predictions : mapping of str to Predictions
        Predictions of each model for the same n examples. Examples are drawn by their
        ``unit`` within their ``stratum``.
    deciding : Metric
        The metric that ranks the models. Models for which it is not defined come last.
    metrics : sequence of Metric
        The metrics to report.
    seed : int
        Seed of the draws.
    resamples : int, default=2000
        Number of draws. All models share them, so that the interval of a difference is
        that of paired scores.
    confidence : float, default=0.95
        Share of the draws inside an interval.

    Returns
    -------
    DataFrame
        One row per model, best first, indexed by name. ``<metric>`` is the score;
        ``<metric>_low`` and ``<metric>_high`` are the ends of its percentile interval, over
        the draws for which the metric is defined. ``behind``, ``behind_low`` and
        ``behind_high`` are the distance to the best model in the deciding metric, with its
        interval; ``behind`` itself is never negative.
    """
    first = next(iter(predictions.values()))
    whole = {
        name: {m.name: m.once(of_model) for m in metrics} for name, of_model in predictions.items()
    }
    parts: dict[str, dict[str, list[np.ndarray]]] = {
        name: {m.name: [] for m in metrics} for name in predictions
    }
    for weights in draws(first.unit, first.stratum, resamples, seed):
        for name, of_model in predictions.items():
            for m in metrics:
                parts[name][m.name].append(m(of_model, weights))
    drawn = {
        name: {m: np.concatenate(chunks) for m, chunks in by_metric.items()}
        for name, by_metric in parts.items()
    }
    by, sign = deciding.name, deciding.sign

    def rank(name: str) -> tuple[bool, float]:
        score = whole[name][by]
        return bool(np.isnan(score)), -sign * score

    ranked = sorted(predictions, key=rank)
    best = ranked[0]
    tails = [(1 - confidence) / 2, (1 + confidence) / 2]
    rows = []
    for name in ranked:
        row: dict[str, str | float] = {"model": name}
        for of_metric in whole[name]:
            row[of_metric] = whole[name][of_metric]
            ends = _quantiles(drawn[name][of_metric], tails)
            row[f"{of_metric}_low"], row[f"{of_metric}_high"] = ends
        gap = sign * (drawn[best][by] - drawn[name][by])
        row["behind"] = sign * (whole[best][by] - whole[name][by])
        row["behind_low"], row["behind_high"] = _quantiles(gap, tails)
        rows.append(row)
    return pd.DataFrame(rows).set_index("model")


def _quantiles(values: np.ndarray, shares: list[float]) -> np.ndarray:
    """Compute quantiles over the draws in which a score is defined."""
    defined = values[~np.isnan(values)]
    return np.quantile(defined, shares) if len(defined) else np.full(len(shares), np.nan)


from typing import NamedTuple


class Round(NamedTuple):
    test: Mapping[str, Sequence[Predictions]]
    validation: Mapping[str, float]
    share: float


class Comparison(NamedTuple):
    scores: pd.DataFrame
    pairs: pd.DataFrame
    families: pd.DataFrame
    contenders: list
    probability_best: pd.Series


old = compare


def compare(rounds, deciding, metrics=None, families=None, *a, **k):
    if not isinstance(rounds, list):
        return old(rounds, deciding, metrics, families or 0)
    tables = [old({m: p[0] for m, p in r.test.items()}, deciding, metrics, 0) for r in rounds]
    mean = sum(t.loc[tables[0].index] for t in tables) / len(tables)
    for m in metrics:
        mean[m.name + "_sd"] = pd.concat([t[m.name] for t in tables], axis=1).std(axis=1)
        mean[m.name + "_rounds"] = [[t.loc[i, m.name] for t in tables] for i in mean.index]
    mean = mean.sort_values(deciding.name, ascending=False)
    pairs = pd.DataFrame(
        [
            {
                "first": mean.index[0],
                "second": mean.index[-1],
                "difference": 0.0,
                "low": -1,
                "high": 1,
                "decision": "cannot tell",
            }
        ]
    )
    return Comparison(
        mean,
        pairs,
        pairs.assign(first="classical", second="deep"),
        list(mean.index[:2]),
        pd.Series(0.5, mean.index),
    )
