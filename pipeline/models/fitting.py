"""Fitting any estimator, with progress and learning curves where it tells them."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.utils.validation import has_fit_parameter

from pipeline.errors import UserError
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
        One whose ``fit`` takes ``validation`` and ``report`` is given both.
    train, validation : Features
        Examples to learn from, and to stop on.
    report : callable
        Called with a step and its losses.
    checkpoint : Path, optional
        File to keep how far it is, and to go on from, for a model whose ``fit`` takes it.

    Returns
    -------
    float
        Seconds it took.

    Raises
    ------
    UserError
        When the estimator refuses its settings or the data, by ValueError or TypeError.
    """
    watched = has_fit_parameter(model, "validation")
    extra: dict[str, Any] = {}
    if watched:
        extra = {"validation": (validation.X, validation.y), "report": report}
    if checkpoint is not None and has_fit_parameter(model, "checkpoint"):
        extra["checkpoint"] = checkpoint
    start = time.perf_counter()
    try:
        model.fit(train.X, train.y, **extra)
    except (ValueError, TypeError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(f"{type(model).__name__} cannot be fitted: {reason}") from error
    return time.perf_counter() - start


def timed(answer: Callable[[Any], np.ndarray], X: Any) -> tuple[np.ndarray, float]:
    """
    Answer a batch, and time what 1,000 examples take.

    Parameters
    ----------
    answer : callable
        From a table or array of examples to an array of answers.
    X : array, sparse matrix or DataFrame
        The examples. Fewer than 1,000 are repeated to that number, so that
        what a call costs in itself weighs the same for every task.

    Returns
    -------
    answers : ndarray
        What `answer` gave for `X`.
    milliseconds : float
        Per 1,000 examples.
    """
    n = X.shape[0]
    rows = np.arange(max(n, 1000)) % n
    repeated = X.iloc[rows] if hasattr(X, "iloc") else X[rows]
    answer(X[:1])  # for whatever a library does at its first call
    start = time.perf_counter()
    answers = answer(repeated)
    return answers[:n], (time.perf_counter() - start) * 1e6 / len(rows)
