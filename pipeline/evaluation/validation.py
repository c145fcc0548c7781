"""What a fitted model answers to validation, which is what it is chosen by."""

from dataclasses import replace

import numpy as np

from pipeline import config
from pipeline.evaluation import metrics
from pipeline.evaluation.metrics import Answers
from pipeline.features.store import Numbers


def answered(
    task: config.Task, classes: list[str], probabilities: np.ndarray, validation: Numbers
) -> Answers:
    """Take a model's answers to validation, with the threshold that suits them best."""
    answers = Answers.of(
        validation.y,
        probabilities,
        classes,
        task.positive,
        group=validation.group,
        time_to_event=validation.time_to_event,
    )
    if task.threshold is None:
        return answers
    return replace(answers, threshold=metrics.best_threshold(task.threshold, answers))
