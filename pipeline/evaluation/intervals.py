"""Intervals of scores and of differences of scores."""

from collections.abc import Callable

import numpy as np
from scipy.special import ndtr, ndtri, stdtrit

# With fewer examples of the rarest category no interval keeps its promise in
# benchmarks/intervals.py: of a score between 0 and 1, of another score, and of a difference.
FEWEST_FOR_BOUNDED, FEWEST_FOR_UNBOUNDED, FEWEST_FOR_DIFFERENCE = 15, 40, 5
FEWEST_UNITS = 3
# Percentiles of draws of fewer units are too coarse.
FEWEST_FOR_PERCENTILES = 10


def degrees_of_freedom(left_out: np.ndarray, category: np.ndarray) -> np.ndarray:
    """
    Estimate how many degrees of freedom the variance of scores has.

    A variance that rests on a few units, or on a few examples with a large influence, such as
    the rare errors of a good model, is itself uncertain. Per category the variance of a mean of
    n values has n - 1 degrees of freedom, divided by 1 + k / 2 if their excess kurtosis k is above
    0; categories are combined as by Satterthwaite (Biometrics Bulletin 1946). The kurtosis
    is corrected for the bias of few values (Joanes and Gill, The Statistician 1998).

    Parameters
    ----------
    left_out : ndarray of shape (n_blocks, n_scores)
        Each score without each block of units.
    category : ndarray of int, shape (n_blocks,)
        The category of each block.

    Returns
    -------
    ndarray of shape (n_scores,)
        0 where no block has an influence, or the influence of one is not defined.
    """
    variances, uncertainty = np.zeros((2, left_out.shape[1]))
    for one in np.unique(category):
        scores = left_out[category == one]
        n = len(scores)
        square = (scores - scores.mean(0)) ** 2
        # The influence on the score of the whole, of blocks that make up less the more there are.
        variance = (n - 1) / n * square.sum(0)
        variances += variance
        if n > 1:
            with np.errstate(invalid="ignore", divide="ignore"):
                excess = n * (square**2).sum(0) / square.sum(0) ** 2 - 3
                if n > 3:
                    excess = (n - 1) / ((n - 2) * (n - 3)) * ((n + 1) * excess + 6)
                alone = (n - 1) / np.maximum(1, 1 + excess / 2)
                uncertainty += np.where(variance > 0, variance**2 / alone, 0)
    out = np.zeros(left_out.shape[1])
    return np.divide(variances**2, uncertainty, out=out, where=uncertainty > 0)


def quantile(confidence: float, degrees: np.ndarray | float) -> np.ndarray:
    """Return the two-sided quantile of Student's t."""
    return stdtrit(degrees, (1 + confidence) / 2)


def score_interval(
    score: float, variance: Callable[[np.ndarray], np.ndarray], times: float
) -> tuple[float, float]:
    """
    Return the scores between 0 and 1 from which the observed one does not differ.

    For a share that is Wilson's interval (JASA 1927), for an area under the ROC curve
    Newcombe's (Statistics in Medicine 2006, part 2).

    Parameters
    ----------
    score : float
        The observed score.
    variance : callable
        From the true score to the variance of observed ones. 0 at 0 and at 1.
    times : float
        How many standard errors the observed score may be away.
    """

    def beyond(true: np.ndarray) -> np.ndarray:
        return (score - true) ** 2 > times**2 * variance(true)

    outer, inner = np.array([0.0, 1.0]), np.array([score, score])
    for _ in range(50):
        middle = (outer + inner) / 2
        out = beyond(middle)
        outer, inner = np.where(out, middle, outer), np.where(out, inner, middle)
    low, high = inner
    return float(low), float(high)


def expanded_percentiles(draws: np.ndarray, times: float) -> tuple[float, float]:
    """
    Return the ends of the expanded percentile interval.

    The percentile interval of normal draws reaches as many standard deviations as the normal
    quantile. This one reaches `times` standard deviations, as intervals for few units do
    (Hesterberg, The American Statistician 2015).

    Parameters
    ----------
    draws : ndarray of shape (n_draws,)
        Scores of the draws for which the score is defined.
    times : float
        How many standard deviations the interval reaches on each side.
    """
    low, high = np.quantile(draws, ndtr([-times, times]))
    return float(low), float(high)


def max_t(noise: np.ndarray, confidence: float) -> float:
    """
    Return how many standard errors simultaneous intervals reach.

    Parameters
    ----------
    noise : ndarray of shape (n_draws, n_intervals)
        Deviations of the draws, in standard errors.
    confidence : float
        Share of the draws in which no deviation is larger.

    Returns
    -------
    float
        At least the normal quantile, which is that of one interval.
    """
    alone = float(ndtri((1 + confidence) / 2))
    if not noise.size:
        return alone
    return max(alone, float(np.quantile(np.abs(noise).max(1), confidence)))
