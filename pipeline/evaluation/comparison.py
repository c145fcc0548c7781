"""Which model is better, and how sure that is: one bootstrap shared by all models."""

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd

from pipeline.errors import UserError
from pipeline.evaluation.metrics import LOWER_IS_BETTER, Answers, score

WEIGHTS_AT_ONCE = 4_000_000


def check_interval(resamples: int, confidence: float) -> None:
    """
    Check how intervals shall be drawn.

    Raises
    ------
    UserError
        When there are no draws, or the confidence is not between 0 and 1.
    """
    if resamples < 1:
        raise UserError(f"resamples: {resamples} is not at least 1")
    if not 0 < confidence < 1:
        raise UserError(f"confidence: {confidence} is not between 0 and 1")


def draws(
    groups: np.ndarray, labels: np.ndarray, resamples: int, seed: int
) -> Iterator[np.ndarray]:
    """
    Draw the test examples anew, many times, with replacement.

    Whole groups are drawn, because the passages of an author or the readings
    of an engine are not independent, and each stratum of groups keeps its
    number, as the split was stratified (Davison and Hinkley, "Bootstrap
    Methods and their Application", 1997, sections 2.4 and 3.8).

    Parameters
    ----------
    groups : ndarray of shape (n,)
        The group of each example.
    labels : ndarray of int, shape (n,)
        The class of each example; the stratum of a group is its most frequent one.
    resamples : int
        How many draws.
    seed : int
        Decides them.

    Yields
    ------
    ndarray of shape (some draws, n)
        How often each draw holds each example.
    """
    rng = np.random.default_rng(seed)
    codes, names = pd.factorize(groups)
    tally = np.zeros((len(names), labels.max() + 1))
    np.add.at(tally, (codes, labels), 1)
    stratum = tally.argmax(1)
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
    answers: Mapping[str, Answers],
    metric: str,
    metrics: list[str],
    seed: int,
    resamples: int = 2000,
    confidence: float = 0.95,
) -> pd.DataFrame:
    """
    Score every model on the same examples, with intervals, and rank them.

    Parameters
    ----------
    answers : mapping of str to Answers
        What each model answered to the same n examples; drawn by their ``group``.
    metric : str
        The metric that ranks.
    metrics : list of str
        All metrics to report.
    seed : int
        Decides the draws.
    resamples : int, default=2000
        Draws of the bootstrap; every model sees the same ones, so that the
        interval of a difference is that of paired scores.
    confidence : float, default=0.95
        Share of the draws that an interval holds.

    Returns
    -------
    DataFrame
        A row a model, best first, indexed by name. For each metric the score
        and the ends of its percentile interval over the draws that define it, ``<metric>``,
        ``<metric>_low``, ``<metric>_high``; and how far the model is behind
        the best in the deciding metric, ``behind``, ``behind_low``,
        ``behind_high``, never negative in ``behind`` itself.
    """
    first = next(iter(answers.values()))
    labels, n = first.actual, len(first.actual)
    groups = np.arange(n) if first.group is None else first.group
    whole = {name: score(metrics, given, np.ones((1, n))) for name, given in answers.items()}
    parts: dict[str, dict[str, list[np.ndarray]]] = {
        name: {m: [] for m in metrics} for name in answers
    }
    for weights in draws(groups, labels, resamples, seed):
        for name, given in answers.items():
            for m, values in score(metrics, given, weights).items():
                parts[name][m].append(values)
    drawn = {
        name: {m: np.concatenate(chunks) for m, chunks in by_metric.items()}
        for name, by_metric in parts.items()
    }
    sign = -1 if metric in LOWER_IS_BETTER else 1
    ranked = sorted(answers, key=lambda name: -sign * whole[name][metric][0])
    best = ranked[0]
    tails = [(1 - confidence) / 2, (1 + confidence) / 2]
    rows = []
    for name in ranked:
        row = {"model": name}
        for m in metrics:
            row[m] = whole[name][m][0]
            row[f"{m}_low"], row[f"{m}_high"] = _quantiles(drawn[name][m], tails)
        gap = sign * (drawn[best][metric] - drawn[name][metric])
        row["behind"] = sign * (whole[best][metric][0] - whole[name][metric][0])
        row["behind_low"], row["behind_high"] = _quantiles(gap, tails)
        rows.append(row)
    return pd.DataFrame(rows).set_index("model")


def _quantiles(values: np.ndarray, shares: list[float]) -> np.ndarray:
    """Take quantiles over the draws in which a score is defined."""
    defined = values[~np.isnan(values)]
    return np.quantile(defined, shares) if len(defined) else np.full(len(shares), np.nan)
