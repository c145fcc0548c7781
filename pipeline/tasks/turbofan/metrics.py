"""Measure how early the failure of an engine is predicted."""

import numpy as np

from pipeline.problems import metric
from pipeline.problems.classification import ClassPredictions, ratio


@metric("positive", "time_to_event")
def warning_time(predictions: ClassPredictions, weights: np.ndarray) -> np.ndarray:
    """
    Compute the mean time to the event at the first right alarm of each group that needs one.

    Groups with an example of the positive class need one. Groups without an alarm count as 0.
    Alarms before the positive class begins are false alarms and do not count. Otherwise a
    model would be better the more often it is wrong. The result is nan if each group has a
    single example.
    """
    _, first_rows, codes = np.unique(predictions.group, return_index=True, return_inverse=True)
    if len(first_rows) == len(codes):
        return np.full(len(weights), np.nan)
    positive = predictions.actual == predictions.positive
    warned = positive & (predictions.predicted == predictions.positive)
    earliest = np.zeros(len(first_rows))
    np.maximum.at(earliest, codes[warned], predictions.meta["time_to_event"][warned])
    due = np.unique(codes[positive])
    # The examples of a group are drawn together, so that each has the weight of the group.
    drawn = weights[:, first_rows[due]]
    return ratio(drawn @ earliest[due], drawn.sum(1), undefined=np.nan)
