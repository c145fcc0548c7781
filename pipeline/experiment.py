"""One experiment: a model fitted on a task's view, and what it predicts for validation."""

import traceback
from collections.abc import Callable, Mapping
from dataclasses import fields
from functools import partial
from pathlib import Path
from sysconfig import get_path
from typing import Any, NamedTuple

import numpy as np

from pipeline.config import schema
from pipeline.errors import ModelError, UserError
from pipeline.features import views
from pipeline.features.views import Features
from pipeline.models.fitting import fit, time_prediction
from pipeline.problems import Predictions, Problem, problem

Report = Callable[[int, Mapping[str, float]], None]
STDLIB = get_path("stdlib")


class Examples(NamedTuple):
    """A view of a task: what a model learns from, what it is chosen by, and what featurize knew."""

    train: Features
    validation: Features
    about: dict[str, Any]


class Fitted(NamedTuple):
    """A fitted model, its predictions for validation, what was decided on them, and the costs."""

    estimator: Any
    predictions: Predictions
    decision: dict[str, Any]
    fit_seconds: float
    predict_ms: float


def identity(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return what an experiment's run is called, searched by, and set to."""
    task, model = settings["task"]["name"], settings["model"]
    tags = {
        "task": task,
        "model": model["name"],
        "family": model["family"],
        "view": model["view"],
        "seed": str(settings["seed"]),
    }
    return {"experiment": task, "name": model["name"], "settings": settings, "tags": tags}


def problem_of(task: schema.Task, target: Mapping[str, Any]) -> Problem:
    """
    Return the problem of a task, for its target.

    Parameters
    ----------
    task : schema.Task
        Names the kind, and sets its parameters.
    target : mapping
        What ingest wrote of it on the card.

    Raises
    ------
    UserError
        When a setting does not fit the kind or the target.
    """
    settings = {one.name: getattr(task, one.name) for one in fields(schema.Kind)}
    return problem(task.kind, settings).on(target)


def load(view: Path, ingested: Path) -> Examples:
    """
    Read a view of a task.

    Parameters
    ----------
    view : Path
        Its folder.
    ingested : Path
        The examples that it was made of, which need not be there any more.

    Raises
    ------
    UserError
        When a file is missing or damaged, or other examples were ingested since.
    """
    train, validation = (views.load(view / f"{split}.npz") for split in ("train", "validation"))
    return Examples(train, validation, views.about(view, ingested))


def run(
    estimator: Any,
    examples: Examples,
    kind: Problem,
    report: Report,
    checkpoint: Path | None = None,
) -> Fitted:
    """
    Fit an estimator, and predict validation.

    Parameters
    ----------
    estimator : estimator
        Not fitted.
    examples : Examples
        To learn from and to predict.
    kind : Problem
        That of the task, for its target.
    report : callable
        Called with each step of the fit and its losses. What it raises ends the fit.
    checkpoint : Path, optional
        File to keep how far the fit is, and to go on from.

    Returns
    -------
    Fitted

    Raises
    ------
    ModelError
        When the estimator cannot be fitted, reports no loss that is a number, or does not
        predict what the problem needs.
    """
    train, validation, _ = examples
    kind.check_estimator(estimator)
    raised: list[Exception] = []

    def checked(step: int, losses: Mapping[str, float]) -> None:
        _check_losses(estimator, step, losses, f"validation/{kind.loss}")
        try:
            report(step, losses)
        except Exception as error:
            raised.append(error)
            raise

    learned, held_out = (
        part._replace(y=kind.encode(estimator, part.y)) for part in (train, validation)
    )
    try:
        seconds = fit(estimator, learned, held_out, checked, checkpoint)
        outputs, milliseconds = time_prediction(partial(kind.outputs, estimator), validation.X)
    except (OSError, MemoryError):  # the machine's fault, not the model's
        raise
    except UserError as error:
        raise raised[0] if raised else ModelError(str(error)) from error
    except Exception as error:
        if error in raised:
            raise
        raise ModelError(f"{type(estimator).__name__} failed: {reason(error)}") from error
    known = (validation.y, outputs, validation.meta)
    decision = kind.decide(kind.predictions(*known))
    predictions = kind.predictions(*known, decision)
    return Fitted(estimator, predictions, decision, seconds, milliseconds)


def _check_losses(estimator: Any, step: int, losses: Mapping[str, float], expected: str) -> None:
    """Check that a step of a fit has a loss on validation, under its name, that is a number."""
    name = type(estimator).__name__
    if expected not in losses:
        raise ModelError(
            f"{name} reports {', '.join(losses) or 'nothing'} at step {step}; "
            f"expected is {expected}"
        )
    if np.isnan(losses[expected]):
        raise ModelError(f"{name}: {expected} is nan at step {step}")


def scores(kind: Problem, predictions: Predictions) -> dict[str, float]:
    """
    Score predictions in all metrics that are reported, as far as these are defined.

    Parameters
    ----------
    kind : Problem
        Names the metrics.
    predictions : Predictions
        For validation.

    Returns
    -------
    dict of str to float
        By the metrics' names.

    Raises
    ------
    ModelError
        When the deciding metric is not defined.
    """
    found = {one.name: one.once(predictions) for one in kind.reported}
    if np.isnan(found[kind.deciding.name]):
        raise ModelError(f"{kind.deciding.name} on validation is not defined")
    return {name: score for name, score in found.items() if not np.isnan(score)}


def reason(error: Exception) -> str:
    """Return an error's type, the first line of its message, and where in own code it arose."""
    first = (str(error).splitlines() or [""])[0]
    what = f"{type(error).__name__}: {first}".rstrip(": ")
    ours = (__file__, fit.__code__.co_filename)
    own = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith((STDLIB, "<"))
        and "site-packages" not in frame.filename
        and frame.filename not in ours
    ]
    return f"{what} ({Path(own[-1].filename).name}, line {own[-1].lineno})" if own else what
