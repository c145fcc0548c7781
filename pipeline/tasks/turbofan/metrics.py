"""How early an engine's failure is predicted."""

import numpy as np

from pipeline.problems import metric
from pipeline.problems.classification import ClassPredictions, ratio


@metric("positive", "time_to_event")
def warning_time(predictions: ClassPredictions, weights: np.ndarray) -> np.ndarray:
    """
    Mean time to the event at the first right alarm of each group that needs one.

    Groups with an example of the positive class need one, and 0 counts for those
    that never get it. Alarms before that class begins are false, not early:
    counted here, they would make a model better the more often it is wrong.
    Not a number where each group has a single example, which has no first alarm.
    """
    _, first_rows, codes = np.unique(predictions.group, return_index=True, return_inverse=True)
    if len(first_rows) == len(codes):
        return np.full(len(weights), np.nan)
    positive = predictions.actual == predictions.positive
    warned = positive & (predictions.predicted == predictions.positive)
    earliest = np.zeros(len(first_rows))
    np.maximum.at(earliest, codes[warned], predictions.meta["time_to_event"][warned])
    due = np.unique(codes[positive])
    # The examples of a group are drawn together: any one of them has the group's weight.
    drawn = weights[:, first_rows[due]]
    return ratio(drawn @ earliest[due], drawn.sum(1), undefined=np.nan)
