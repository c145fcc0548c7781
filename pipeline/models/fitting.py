"""Fit any estimator, with progress and learning curves if it reports them."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.utils.validation import has_fit_parameter

from pipeline.features.views import Features

Report = Callable[[int, Mapping[str, float]], None]


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
    if has_fit_parameter(model, "validation"):
        extra = {"validation": (validation.X, validation.y), "report": report}
    if checkpoint is not None and has_fit_parameter(model, "checkpoint"):
        extra["checkpoint"] = checkpoint
    start = time.perf_counter()
    model.fit(train.X, train.y, **extra)
    return time.perf_counter() - start


def time_prediction(predict: Callable[[Any], np.ndarray], X: Any) -> tuple[np.ndarray, float]:
    """
    Predict examples, and measure the time per 1,000 of them.

    Parameters
    ----------
    predict : callable
        From a table or array of examples to an array of predictions.
    X : array, sparse matrix or DataFrame
        The examples. Fewer than 1,000 are repeated up to that number, so that the fixed
        cost of a call has the same weight in every task.

    Returns
    -------
    predictions : ndarray
        What `predict` returned for `X`.
    milliseconds : float
        Per 1,000 examples.
    """
    n = X.shape[0]
    rows = np.arange(max(n, 1000)) % n
    repeated = X.iloc[rows] if hasattr(X, "iloc") else X[rows]
    predict(X[:1])  # libraries do extra work in their first call
    start = time.perf_counter()
    predictions = predict(repeated)
    return predictions[:n], (time.perf_counter() - start) * 1e6 / len(rows)
