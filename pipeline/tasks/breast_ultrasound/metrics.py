"""Measure how many malignant findings are recognised at few false alarms."""

import numpy as np

from pipeline.problems import metric
from pipeline.problems.classification import ClassPredictions, ratio

SPECIFICITY = 0.95


@metric("positive", bounded=True)
def sensitivity_at_95_specificity(predictions: ClassPredictions, weights: np.ndarray) -> np.ndarray:
    """
    Compute the share of positives above the threshold that 95 % of the negatives stay below.

    The threshold is the lowest probability at which at most 5 % of the weight of the negatives
    is at or above it.
    """
    score = predictions.probabilities[:, predictions.positive]
    values, codes = np.unique(-score, return_inverse=True)
    order = np.argsort(codes, kind="stable")
    starts = np.searchsorted(codes[order], np.arange(len(values)))
    positive = predictions.actual[order] == predictions.positive
    drawn = weights[:, order]
    # From the highest probability down, equal ones at once.
    alarms = np.add.reduceat(drawn * ~positive, starts, axis=1).cumsum(1)
    found = np.add.reduceat(drawn * positive, starts, axis=1).cumsum(1)
    allowed = alarms <= (1 - SPECIFICITY) * alarms[:, -1:] + 1e-9
    return ratio((found * allowed).max(1), found[:, -1], undefined=np.nan)
