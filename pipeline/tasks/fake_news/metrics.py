"""The score of the challenge."""

import numpy as np

from pipeline.problems import metric
from pipeline.problems.classification import ClassPredictions, ratio


@metric("class 'unrelated'")
def fnc_score(predictions: ClassPredictions, weights: np.ndarray) -> np.ndarray:
    """
    Score as the Fake News Challenge did, as a share of the highest possible score.

    A quarter for telling unrelated from related, three quarters more for the
    right one of agree, disagree and discuss.

    References
    ----------
    Pomerleau and Rao, "The Fake News Challenge", 2017, stage 1.
    """
    apart = predictions.classes.index("unrelated")
    related = predictions.actual != apart
    points = 0.25 * (related == (predictions.predicted != apart))
    points += 0.75 * (related & (predictions.actual == predictions.predicted))
    return ratio(weights @ points, weights @ np.where(related, 1, 0.25))
