"""One experiment: a model fitted on a task's view, and what it predicts for validation."""

import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from sysconfig import get_path
from typing import Any, NamedTuple

import numpy as np

from pipeline.errors import ModelError, UserError
from pipeline.evaluation.metrics import Answers
from pipeline.evaluation.validation import answered
from pipeline.features import store
from pipeline.features.store import Numbers
from pipeline.models.classification import (
    check_classes,
    check_estimator,
    check_probabilities,
    labels_for,
    name_of,
)
from pipeline.models.fitting import fit, timed

Report = Callable[[int, Mapping[str, float]], None]
LOSS = "validation/log_loss"
STDLIB = get_path("stdlib")


class Examples(NamedTuple):
    """A view of a task: what a model learns from, what it is chosen by, and what featurize knew."""

    train: Numbers
    validation: Numbers
    about: dict[str, Any]


class Fitted(NamedTuple):
    """A fitted model, its predictions for validation, and what both took."""

    estimator: Any
    predictions: Answers
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
        When a file is missing or damaged, other examples were ingested since, or a class
        has no training example.
    """
    train, validation = (store.load(view / f"{split}.npz") for split in ("train", "validation"))
    about = store.about(view, ingested)
    unseen = sorted(set(about["classes"]) - set(np.unique(train.y)))
    if unseen:
        raise UserError(
            f"no training example in {view} is of the class {unseen[0]!r}: ingest and featurize "
            "again, without this class or with more examples of it"
        )
    return Examples(train, validation, about)


def run(
    estimator: Any,
    examples: Examples,
    task: Mapping[str, Any],
    report: Report,
    checkpoint: Path | None = None,
) -> Fitted:
    """
    Fit an estimator, and predict validation.

    Parameters
    ----------
    estimator : classifier
        Not fitted.
    examples : Examples
        To learn from and to predict.
    task : mapping
        ``positive``, a class or None, and ``threshold``, a metric or None.
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
        When the estimator cannot be fitted, or does not give the probabilities of the
        data's classes.
    """
    train, validation, about = examples
    classes = about["classes"]
    check_estimator(estimator)
    raised: list[Exception] = []

    def heard(step: int, losses: Mapping[str, float]) -> None:
        _check_losses(estimator, step, losses)
        try:
            report(step, losses)
        except Exception as error:
            raised.append(error)
            raise

    given_y = (labels_for(estimator, part.y, classes) for part in (train, validation))
    learned, watched = (
        part._replace(y=y) for part, y in zip((train, validation), given_y, strict=True)
    )
    try:
        seconds = fit(estimator, learned, watched, heard, checkpoint)
        check_classes(estimator, classes)
        given, milliseconds = timed(estimator.predict_proba, validation.X)
    except (OSError, MemoryError):  # the machine's fault, not the model's
        raise
    except UserError as error:
        raise raised[0] if raised else ModelError(str(error)) from error
    except Exception as error:
        if error in raised:
            raise
        raise ModelError(f"{name_of(estimator)} failed: {reason(error)}") from error
    probabilities = check_probabilities(estimator, given, len(validation.y), len(classes))
    predictions = answered(validation, probabilities, classes, task["positive"], task["threshold"])
    return Fitted(estimator, predictions, seconds, milliseconds)


def _check_losses(estimator: Any, step: int, losses: Mapping[str, float]) -> None:
    """Check that a step of a fit has a loss on validation, under its name, that is a number."""
    if LOSS not in losses:
        raise ModelError(
            f"{name_of(estimator)} reports {', '.join(losses) or 'nothing'} at step {step}; "
            f"expected is {LOSS}"
        )
    if np.isnan(losses[LOSS]):
        raise ModelError(f"{name_of(estimator)}: the validation log loss is nan at step {step}")


def reason(error: Exception) -> str:
    """Return an error's type, the first line of its message, and where in own code it arose."""
    first = (str(error).splitlines() or [""])[0]
    said = f"{type(error).__name__}: {first}".rstrip(": ")
    ours = (__file__, fit.__code__.co_filename)
    own = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith((STDLIB, "<"))
        and "site-packages" not in frame.filename
        and frame.filename not in ours
    ]
    return f"{said} ({Path(own[-1].filename).name}, line {own[-1].lineno})" if own else said
