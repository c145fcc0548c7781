"""Measure how well the remaining life of an engine is predicted."""

import numpy as np

from pipeline.problems import metric
from pipeline.problems.regression import NumberPredictions


@metric(greater_is_better=False)
def nasa_score(predictions: NumberPredictions, weights: np.ndarray) -> np.ndarray:
    """
    Compute the score of NASA's challenge, the sum of penalties that grow exponentially.

    Saxena et al., PHM 2008: exp(d / 10) - 1 if an engine is predicted to live d cycles longer than
    it does, exp(-d / 13) - 1 if shorter. As in published results, it is about the target as models
    learn it.
    """
    late = predictions.predicted - predictions.learned
    penalties = np.expm1(np.where(late > 0, late / 10, -late / 13))
    return weights @ penalties
