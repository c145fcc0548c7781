"""Run an experiment: fit a model on each round of a view of a task, and predict validation."""

import traceback
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from sysconfig import get_path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy import sparse

from pipeline.config import schema, targets
from pipeline.errors import ModelError, UserError
from pipeline.features import views
from pipeline.features.views import Features
from pipeline.models.fitting import Report, Spent, fit
from pipeline.problems import Predictions, Problem, problem

STDLIB = get_path("stdlib")


class Examples(NamedTuple):
    """The features of a round: those to fit on, and those for early stopping and decisions."""

    train: Features
    validation: Features


class Fitted(NamedTuple):
    """
    A fitted model, what it says about validation, and what the fit took.

    Attributes
    ----------
    estimator : estimator
        The fitted estimator.
    outputs : ndarray of shape (n, ...)
        Its outputs for validation, as `Problem.outputs` returns them.
    predictions : Predictions
        The predictions that are made of them.
    decision : dict
        What was chosen for that.
    spent : Spent
        What the fit took.
    """

    estimator: Any
    outputs: np.ndarray
    predictions: Predictions
    decision: dict[str, Any]
    spent: Spent


def identity(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return experiment, name, settings and tags of a run."""
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
    Return the problem of a task for its target.

    Parameters
    ----------
    task : schema.Task
        Names the kind of problem and sets its parameters.
    target : mapping
        Description of the target on the card that ingest wrote.

    Raises
    ------
    UserError
        If a setting does not fit the kind or the target.
    """
    settings = {one.name: getattr(task, one.name) for one in fields(schema.Kind)}
    return problem(task.kind, settings).on(target)


def load(folder: Path) -> Examples:
    """
    Read the features of a round.

    Parameters
    ----------
    folder : Path
        Folder of the round, in that of a view.

    Raises
    ------
    UserError
        If a file is missing or damaged.
    """
    return Examples(*(views.load(folder / f"{part}.npz") for part in ("train", "validation")))


def build(estimator: dict[str, Any], seed: int) -> Any:
    """
    Build an estimator, and seed it as scikit-learn seeds the members of an ensemble.

    Parameters
    ----------
    estimator : dict
        ``_target_`` and hyperparameters.
    seed : int
        Replaces each ``random_state`` that is set. What is not set stays so.

    Raises
    ------
    ModelError
        If it cannot be built.
    """
    try:
        built = targets.build(estimator)
    except UserError as error:
        raise ModelError(str(error)) from error
    parameters = built.get_params() if hasattr(built, "get_params") else {}
    seeds = {
        name: seed
        for name, value in parameters.items()
        if name.rpartition("__")[2] == "random_state" and value is not None
    }
    return built.set_params(**seeds) if seeds else built


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
        An estimator that is not fitted.
    examples : Examples
        Examples to fit on and to predict.
    kind : Problem
        Problem of the task, for its target.
    report : callable
        Called with each step of the fit and its losses. Its exceptions end the fit, and so does
        true, with what was best so far.
    checkpoint : Path, optional
        File to write the progress to and to continue from.

    Returns
    -------
    Fitted

    Raises
    ------
    ModelError
        If the estimator cannot be fitted, reports no loss or nan, or does not predict what
        the problem needs.
    """
    train, validation = examples
    kind.check_estimator(estimator)
    raised: list[Exception] = []

    def check_and_report(step: int, losses: Mapping[str, float]) -> bool | None:
        _check_losses(estimator, step, losses, f"validation/{kind.loss}")
        try:
            return report(step, losses)
        except Exception as error:
            raised.append(error)
            raise

    fitted_on, held_out = (
        part._replace(y=kind.encode(estimator, part.y))
        for part in (learned(kind, train), learned(kind, validation))
    )
    try:
        spent = fit(estimator, fitted_on, held_out, check_and_report, checkpoint)
        outputs = kind.outputs(estimator, validation.X)
    except (OSError, MemoryError):  # not the model's fault
        raise
    except UserError as error:
        raise raised[0] if raised else ModelError(str(error)) from error
    except Exception as error:
        if error in raised:
            raise
        raise ModelError(f"{type(estimator).__name__} failed: {reason(error)}") from error
    target, meta = validation.y, validation.meta
    decision, predictions = kind.decided(target, outputs, meta)
    return Fitted(estimator, outputs, predictions, decision, spent)


def learned(kind: Problem, part: Features) -> Features:
    """Return the features of the examples that a model can learn from."""
    rows = kind.learned(part.y)
    if rows.all():  # and still mapped from their file
        return part
    return Features(part.X[rows], part.y[rows], {name: v[rows] for name, v in part.meta.items()})


def join(examples: Examples) -> Features:
    """Return the features of train and validation together."""
    train, validation = examples
    stack = sparse.vstack if sparse.issparse(train.X) else np.concatenate
    return Features(
        stack([train.X, validation.X]),
        np.concatenate([train.y, validation.y]),
        {name: np.concatenate([train.meta[name], validation.meta[name]]) for name in train.meta},
    )


def _check_losses(estimator: Any, step: int, losses: Mapping[str, float], expected: str) -> None:
    """Check that a step of a fit reports the expected loss on validation, and no nan."""
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
    Return the scores of all reported metrics that are defined.

    Parameters
    ----------
    kind : Problem
        Names the metrics.
    predictions : Predictions
        Predictions for validation.

    Returns
    -------
    dict of str to float
        Scores by the names of metrics.

    Raises
    ------
    ModelError
        If the deciding metric is not defined.
    """
    found = {one.name: one.once(predictions) for one in kind.reported}
    if np.isnan(found[kind.deciding.name]):
        raise ModelError(f"{kind.deciding.name} on validation is not defined")
    return {name: score for name, score in found.items() if not np.isnan(score)}


def average_scores(kind: Problem, fits: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """
    Average scores on validation over fits.

    Parameters
    ----------
    kind : Problem
        Names the deciding metric.
    fits : sequence of mapping
        Fits with their ``scores``.

    Returns
    -------
    dict of str to float
        Mean over the fits of each score that is defined in all of them. Of several fits also
        ``<metric>_sd``, the standard deviation of the deciding one.
    """
    table = pd.DataFrame([one["scores"] for one in fits]).dropna(axis=1)
    means = {str(name): float(mean) for name, mean in table.mean().items()}
    if len(fits) > 1:
        means[f"{kind.deciding.name}_sd"] = float(table[kind.deciding.name].std())
    return means


def reason(error: Exception) -> str:
    """Return an error in a line, with its type and place where code of one's own raised it."""
    first = (str(error).splitlines() or [""])[0]
    ours = (__file__, fit.__code__.co_filename)
    own = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith((STDLIB, "<"))
        and "site-packages" not in frame.filename
        and frame.filename not in ours
    ]
    if first and not own and isinstance(error, ValueError | TypeError):
        return first
    what = f"{type(error).__name__}: {first}".rstrip(": ")
    return f"{what} ({Path(own[-1].filename).name}, line {own[-1].lineno})" if own else what
