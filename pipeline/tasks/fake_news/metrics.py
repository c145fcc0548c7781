"""Define the score of the challenge."""

import numpy as np

from pipeline.problems import metric
from pipeline.problems.classification import ClassPredictions, ratio


@metric("class 'unrelated'", bounded=True)
def fnc_score(predictions: ClassPredictions, weights: np.ndarray) -> np.ndarray:
    """
    Compute the score of the Fake News Challenge as a share of the highest possible score.

    A pair scores 0.25 if unrelated and related are distinguished, and 0.75 more if the right
    one of agree, disagree and discuss is predicted.

    References
    ----------
    Pomerleau and Rao, "The Fake News Challenge", 2017, stage 1.
    """
    unrelated = predictions.classes.index("unrelated")
    related = predictions.actual != unrelated
    points = 0.25 * (related == (predictions.predicted != unrelated))
    points += 0.75 * (related & (predictions.actual == predictions.predicted))
    return ratio(weights @ points, weights @ np.where(related, 1, 0.25))
