"""Fit any estimator, with progress and learning curves if it reports them."""

import resource
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils.validation import has_fit_parameter

from pipeline.features.views import Features

Report = Callable[[int, Mapping[str, float]], None]
# Examples per batch whose latency is measured, the most calls for each, and the seconds after
# which no further call is made.
SIZES = (1, 10, 100, 1000)
CALLS, LONGEST_SECONDS = 15, 0.5


def fit(
    model: Any,
    train: Features,
    validation: Features,
    report: Report,
    checkpoint: Path | None = None,
) -> float:
    """
    Fit an estimator.

    Parameters
    ----------
    model : estimator
        If its ``fit`` has a parameter ``validation``, it gets `validation` and `report`.
    train, validation : Features
        Examples to fit on, and for early stopping.
    report : callable
        Called with a step and its losses.
    checkpoint : Path, optional
        File to write the progress to and to continue from, for a model whose ``fit`` has a
        parameter ``checkpoint``.

    Returns
    -------
    float
        Seconds that the fit took.
    """
    extra: dict[str, Any] = {}
    if stops_early(model):
        extra = {"validation": (validation.X, validation.y), "report": report}
    if checkpoint is not None and has_fit_parameter(model, "checkpoint"):
        extra["checkpoint"] = checkpoint
    start = time.perf_counter()
    model.fit(train.X, train.y, **extra)
    return time.perf_counter() - start


def stops_early(model: Any) -> bool:
    """Return whether an estimator learns from validation when to stop."""
    return bool(has_fit_parameter(model, "validation"))


def peak_memory() -> int:
    """Return the most memory that this process has held so far, in bytes."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def measure_latency(
    predict: Callable[[Any], Any], table: pd.DataFrame, sizes: Sequence[int] = SIZES
) -> dict[int, float]:
    """
    Measure the time of predicting batches of different sizes.

    Parameters
    ----------
    predict : callable
        From a table of examples to predictions.
    table : DataFrame
        Distinct examples. A batch larger than the table is not measured.
    sizes : sequence of int
        Numbers of examples per batch.

    Returns
    -------
    dict of int to float
        Median milliseconds per batch, by its size. Each call gets other examples where there
        are enough, so that nothing that was computed before is used again.
    """
    predict(table.head(1))  # libraries do extra work in their first call
    found = {}
    for size in sizes:
        seconds: list[float] = []
        starts = range(0, len(table) - size + 1, size)
        for start in starts[:CALLS]:
            batch = table.iloc[start : start + size]
            began = time.perf_counter()
            predict(batch)
            seconds.append(time.perf_counter() - began)
            if sum(seconds) > LONGEST_SECONDS:
                break
        if seconds:
            found[size] = float(np.median(seconds)) * 1000
    return found
