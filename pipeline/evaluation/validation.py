"""What a fitted model predicts for validation, which is what it is chosen by."""

from dataclasses import replace

import numpy as np

from pipeline.evaluation.metrics import Answers, problem
from pipeline.features.store import Numbers


def answered(
    validation: Numbers,
    probabilities: np.ndarray,
    classes: list[str],
    positive: str | None,
    threshold: str | None,
) -> Answers:
    """Take a model's answers to validation, with the threshold that is best in a metric, if any."""
    answers = Answers.of(
        validation.y,
        probabilities,
        classes,
        positive,
        group=validation.group,
        time_to_event=validation.time_to_event,
    )
    decision = problem(classes, positive, threshold).decide(answers)
    return replace(answers, threshold=decision.get("threshold"))
