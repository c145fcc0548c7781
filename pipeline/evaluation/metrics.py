"""Names under which the stages reach classification until they talk to their problem."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from pipeline.problems import Metric, Predictions
from pipeline.problems.classification import Classification, ClassPredictions, decided

__all__ = ["LOWER_IS_BETTER", "Answers", "check", "decided", "named", "problem", "score"]

LOWER_IS_BETTER = {m.name for m in Classification.METRICS.values() if not m.greater_is_better}
MOVED = {
    "fnc_score": "pipeline.tasks.fake_news.metrics.fnc_score",
    "warning_time": "pipeline.tasks.turbofan.metrics.warning_time",
}


@dataclass(frozen=True)
class Answers(ClassPredictions):
    """Predictions with the classes as strata, as every split was taken to be stratified."""

    @classmethod
    def of(
        cls,
        labels: np.ndarray,
        probabilities: np.ndarray,
        classes: list[str],
        positive: str | None,
        threshold: float | None = None,
        **known: np.ndarray | None,
    ) -> Self:
        """Put labels and probabilities together."""
        meta = {name: values for name, values in known.items() if values is not None}
        made = problem(classes, positive).predictions(
            labels, probabilities, meta | {"stratum": labels}
        )
        return cls(**{**vars(made), "threshold": threshold})


def problem(
    classes: Iterable[str],
    positive: str | None,
    threshold: str | None = None,
    metric: str | None = None,
    metrics: Iterable[str] = (),
) -> Classification:
    """Return the problem of a task's settings."""
    asked = tuple(MOVED.get(name, name) for name in metrics)
    decides = None if metric is None else MOVED.get(metric, metric)
    target: Mapping[str, Any] = {"classes": list(classes), "columns": ["time_to_event"]}
    made = Classification(decides, asked, positive=positive, threshold=threshold)
    return made.on(target)


def check(
    metric: str,
    metrics: list[str],
    positive: str | None,
    threshold: str | None,
    classes: list[str],
) -> None:
    """Check what a task asks to be measured."""
    problem(classes, positive, threshold, metric, metrics)


def named(metric: Metric | str, predictions: Predictions) -> Metric:
    """Find a metric by its name, if it is one."""
    if isinstance(metric, Metric):
        return metric
    target = {"classes": getattr(predictions, "classes", ())}
    return Classification(target=target).find(MOVED.get(metric, metric))


def score(names: list[str], answers: Answers, weights: np.ndarray) -> dict[str, np.ndarray]:
    """Compute several metrics."""
    return {name: named(name, answers)(answers, weights) for name in names}
