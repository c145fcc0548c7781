"""Compare models by scores and intervals, from one bootstrap that all models share."""

from collections.abc import Mapping, Sequence
from functools import partial
from itertools import combinations
from typing import NamedTuple

import numpy as np
import pandas as pd

from pipeline.errors import UserError
from pipeline.evaluation.draws import Units, units_of
from pipeline.evaluation.intervals import (
    FEWEST_FOR_BOUNDED,
    FEWEST_FOR_PERCENTILES,
    FEWEST_FOR_UNBOUNDED,
    FEWEST_UNITS,
    expanded_percentiles,
    quantile,
    score_interval,
)
from pipeline.evaluation.pairs import (
    BETTER,
    WORSE,
    compare_pairs,
    enough_for_differences,
    find_same,
    represent,
)
from pipeline.evaluation.samples import Estimates, Round, Sample, mean_defined, sample_scores
from pipeline.problems import Metric, Predictions

TOO_FEW = "too few to tell"


class Comparison(NamedTuple):
    """
    What a comparison of models found.

    Attributes
    ----------
    scores : DataFrame
        One row per model, best first, indexed by name. ``<metric>`` is the mean score over
        rounds and seeds, ``<metric>_low`` and ``<metric>_high`` are the ends of its interval.
        Without an interval they are nan, and ``<metric>_why`` tells the reason.
        ``<metric>_sd`` is the standard deviation over rounds, ``<metric>_rounds`` the list of
        their scores, ``<metric>_undefined`` the share of draws in which the score is not
        defined. ``behind``, ``behind_low`` and ``behind_high`` are the distance to the first
        model in the deciding metric, with its simultaneous interval.
    pairs : DataFrame
        One row per pair of models: ``first``, ``second``, ``difference``, ``low``, ``high`` and
        ``decision``. A difference above 0 means that the first one is better. Intervals are
        simultaneous: all hold together with the confidence.
    families : DataFrame
        The same for families of models.
    contenders : list of str
        The models that no other one is better than, best first. With the confidence the best
        model is among them.
    probability_best : Series
        For each model the share of draws in which it is the best.
    examples : int
        Number of different test examples.
    """

    scores: pd.DataFrame
    pairs: pd.DataFrame
    families: pd.DataFrame
    contenders: list[str]
    probability_best: "pd.Series[float]"
    examples: int


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


def interval(
    predictions: Predictions,
    metric: Metric,
    *,
    seed: int,
    resamples: int = 2000,
    confidence: float = 0.95,
) -> tuple[float, float]:
    """
    Compute the interval of the score of one model on one set of examples.

    Parameters
    ----------
    predictions : Predictions
        Predictions of the model.
    metric : Metric
        The metric.
    seed : int
        Seed of the draws.
    resamples : int, default=2000
        Number of draws.
    confidence : float, default=0.95
        Share of such intervals that hold the true score.

    Returns
    -------
    low, high : float
        nan where there are too few examples to tell.
    """
    rounds = [Round({"model": [predictions]}, {}, 0)]
    ways = units_of([predictions])
    sample = sample_scores(rounds, ["model"], [metric], ways, seed, resamples)[metric.name]
    return _interval(metric, [predictions], sample.of(0), ways, sample, confidence)


def compare(
    rounds: Sequence[Round],
    deciding: Metric,
    metrics: Sequence[Metric],
    families: Mapping[str, str],
    *,
    matters: float,
    seed: int,
    resamples: int = 2000,
    confidence: float = 0.95,
) -> Comparison:
    """
    Score and rank models on the same examples, and decide which ones differ.

    Scores are computed per round and averaged over rounds. What varies is drawn together for
    all models: the test examples, by their units and within their strata, and the training
    seeds. One draw of a unit holds in all rounds. Models of rounds are fitted on sets that
    overlap and that are themselves drawn; therefore the variance of several rounds is
    multiplied by 1 + n * share, where n is how many times as many units are tested in all
    rounds as in one (Nadeau and Bengio, Machine Learning 2003). Nothing is chosen on test.

    Parameters
    ----------
    rounds : sequence of Round
        At least one. All hold the same models.
    deciding : Metric
        The metric that ranks the models. Models for which it is not defined come last.
    metrics : sequence of Metric
        The metrics to report, including the deciding one.
    families : mapping of str to str
        The family of each model. In each round a family is represented by its model that is
        best on the validation examples of the round. Baselines and ensembles take no part.
    matters : float
        The smallest difference in the deciding metric that matters.
    seed : int
        Seed of the draws.
    resamples : int, default=2000
        Number of draws.
    confidence : float, default=0.95
        Share of such comparisons whose intervals all hold the truth.
    """
    models = sorted(families)
    ways = units_of([next(iter(one.test.values()))[0] for one in rounds])
    samples = sample_scores(rounds, models, metrics, ways, seed, resamples)
    columns = [
        _score_columns(rounds, models, m, ways, samples[m.name], confidence) for m in metrics
    ]
    scores = pd.concat(columns, axis=1).sort_values(
        deciding.name, ascending=not deciding.greater_is_better, kind="stable"
    )
    ranked = list(scores.index)
    position = {model: number for number, model in enumerate(models)}
    chosen = {
        model: np.full(len(rounds), position[model])
        for model in scores.index[scores[deciding.name].notna()]
    }
    decide = partial(
        compare_pairs,
        samples[deciding.name],
        sign=deciding.sign,
        matters=matters,
        confidence=confidence,
        enough=enough_for_differences(ways),
    )
    pairs = decide(chosen, same=find_same(rounds, combinations(chosen, 2)))
    beaten = {*pairs["second"][pairs["decision"] == BETTER]}
    beaten |= {*pairs["first"][pairs["decision"] == WORSE]}
    behind = pairs[pairs["first"] == ranked[0]].set_index("second")
    behind = behind[["difference", "low", "high"]].astype(float).reindex(ranked)
    behind.columns = ["behind", "behind_low", "behind_high"]
    behind.iloc[: min(1, len(chosen))] = 0.0
    return Comparison(
        scores.join(behind).rename_axis("model"),
        pairs,
        decide(represent(rounds, families, deciding.sign, position)),
        [model for model in chosen if model not in beaten],
        probability_best(samples[deciding.name], chosen, deciding.sign).reindex(ranked),
        round(ways[0].examples),
    )


def probability_best(
    sample: Sample, chosen: Mapping[str, np.ndarray], sign: int
) -> "pd.Series[float]":
    """Return for each model the share of draws in which it is the best; ties are shared."""
    if not chosen:
        return pd.Series(dtype=float)
    found = sample.take(np.stack(list(chosen.values()), axis=1))
    scores = sign * (found.value + np.nan_to_num(found.noise))
    best = np.isclose(scores, scores.max(1, keepdims=True), rtol=0, atol=1e-12)
    return pd.Series((best / best.sum(1, keepdims=True)).mean(0), index=list(chosen))


def _score_columns(
    rounds: Sequence[Round],
    models: Sequence[str],
    metric: Metric,
    ways: Sequence[Units],
    sample: Sample,
    confidence: float,
) -> pd.DataFrame:
    """Compute the columns of one metric in `Comparison.scores`."""
    name, rows = metric.name, []
    for number, model in enumerate(models):
        found = sample.of(number)
        tests = [one.test[model][0] for one in rounds]
        low, high = _interval(metric, tests, found, ways, sample, confidence)
        row = {
            name: found.value[0],
            f"{name}_low": low,
            f"{name}_high": high,
            f"{name}_why": TOO_FEW if np.isnan(low) and not np.isnan(found.value[0]) else "",
            f"{name}_undefined": np.isnan(found.drawn).mean(),
        }
        if len(rounds) > 1:
            of_rounds = sample.whole[:, number]
            row[f"{name}_sd"] = pd.Series(of_rounds).std()
            row[f"{name}_rounds"] = of_rounds.tolist()
        rows.append(row)
    return pd.DataFrame(rows, index=list(models))


def _interval(
    metric: Metric,
    tests: Sequence[Predictions],
    found: Estimates,
    ways: Sequence[Units],
    sample: Sample,
    confidence: float,
) -> tuple[float, float]:
    """Compute the interval of the score of one model; nan where there are too few examples."""
    score, error, degrees = float(found.value[0]), float(found.error[0]), float(found.degrees[0])
    if np.isnan(score):
        return np.nan, np.nan
    if metric.counted is not None:
        tests = [test.take(metric.counted(test)) for test in tests]
        ways = units_of(tests)
    units = min(ways, key=len)
    # Rounds test different units, or the same ones again.
    per_round = units.tested / len(units)
    normal = float(quantile(confidence, np.inf))
    times = float(quantile(confidence, degrees)) if degrees >= 1 else normal
    if metric.variance is not None:
        of_metric = metric.variance

        def variance(true: np.ndarray) -> np.ndarray:
            return mean_defined(np.array([of_metric(test, true) for test in tests]), 0) * per_round

        effect, expected = sample.inflation, float(variance(np.array([score]))[0])
        if len(ways) == 1 and units.single and not sample.seed_degrees.any():
            times = normal
        elif expected > 0 and degrees >= 1:
            effect = max(effect, error**2 / expected)
        else:
            # Nothing varies: at worst the examples of a unit are as one.
            effect *= units.examples / len(units)
            times = float(quantile(confidence, len(units) - 1))
        return score_interval(score, variance, times * np.sqrt(effect))
    unseen = min(map(metric.unseen, tests)) * per_round if metric.unseen else 0.0
    fewest = FEWEST_FOR_BOUNDED if metric.bounded else FEWEST_FOR_UNBOUNDED
    few = units.rare_examples < fewest or units.rare_units < FEWEST_UNITS
    if few or (degrees < 1 and not unseen):
        return np.nan, np.nan
    if metric.bounded:
        width = times * np.sqrt(error**2 + unseen * sample.inflation)
        if not 0 < score < 1:
            return max(0.0, score - width), min(1.0, score + width)
        # The standard error shrinks towards the bounds as that of a share does.
        at_score = score * (1 - score)
        return score_interval(score, lambda true: true * (1 - true) / at_score, width)
    if units.rare_units < FEWEST_FOR_PERCENTILES or sample.seed_degrees.any():
        return score - times * error, score + times * error
    drawn = found.drawn[:, 0]
    return expanded_percentiles(drawn[~np.isnan(drawn)], times * np.sqrt(sample.inflation))
