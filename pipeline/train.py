"""
Stage 3: fit a model, score it on validation, and record the run.

A DVC stage writes the model to ``models/<task>/<model>/``, where evaluate reads it, and so does a
command that names only task and model. A command with other settings does not replace that
model. It writes to ``runs/<task>/<model>/<run id>/``, or in a multirun to the folder of the job.
"""

import os
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pipeline import bundle, command, experiment, paths, tracking
from pipeline.config import composition, schema, targets
from pipeline.errors import ModelError, UserError
from pipeline.evaluation.comparison import compare
from pipeline.experiment import Examples, Fitted
from pipeline.features import views
from pipeline.files import aside, put, size, write_json
from pipeline.problems import Predictions, Problem
from pipeline.progress import Bar, console

# DVC sets this variable for the command of a stage.
STAGE = "DVC_STAGE"


def main(cfg: schema.Train) -> None:
    """
    Fit a model on its view of a task, score it on validation, and record the run.

    If the model fails, the reason is written in its place, and evaluate shows it beside the
    other models. Under DVC a failed model is a result of the stage, so that evaluate still runs.
    """
    task, model = cfg.task, cfg.model
    view = paths.features_folder(task.name) / model.view
    examples = experiment.load(view, paths.ingested_folder(task.name))
    kind = experiment.problem_of(task, examples.about["target"])
    settings = composition.merge(examples.about["settings"], composition.settings("train", cfg))
    # Nothing is read back from models/, because another training may write there.
    with aside(paths.model_folder(task.name, model.name)) as scratch:
        folder = scratch / "model"
        folder.mkdir()
        try:
            with tracking.start_run(
                cfg.tracking.uri, paths.ROOT, **experiment.identity(settings)
            ) as run:
                scores = train(model, settings, kind, examples, view, run, folder)
        except ModelError as error:
            bundle.write_failed(folder, provenance(settings, examples), str(error))
            if composition.publishes():
                keep(folder, {}, task.name, model.name, run.id)
            if STAGE not in os.environ:
                raise
            print(f"{task.name} {model.name} failed: {error}", file=sys.stderr)
            return
        # The model is moved only after the run has ended well.
        keep(folder, scores, task.name, model.name, run.id)


def train(
    model: schema.Model,
    settings: Mapping[str, Any],
    kind: Problem,
    examples: Examples,
    view: Path,
    run: tracking.Run,
    folder: Path,
) -> dict[str, float]:
    """
    Fit a model, write it, and record it.

    Parameters
    ----------
    model : schema.Model
        The model to fit.
    settings : mapping
        Settings of all stages, as they are recorded.
    kind : Problem
        Problem of the task, for its target.
    examples : Examples
        Examples to fit on and to validate on.
    view : Path
        Folder of the view, which holds the featurizer.
    run : tracking.Run
        Run to record the model in.
    folder : Path
        Empty folder for the model.

    Returns
    -------
    dict of str to float
        Scores on validation.

    Raises
    ------
    ModelError
        If the model fails. The run records the failure too.
    """
    curve = Curve(run, f"{settings['task']['name']} {model.name}", most_steps(model), kind.loss)
    try:
        try:
            estimator = targets.build(model.estimator)
        except UserError as error:
            raise ModelError(str(error)) from error
        with curve.bar:
            fitted = experiment.run(estimator, examples, kind, curve.add)
        scores = validation_scores(kind, fitted.predictions, settings["seed"])
        manifest = bundle.write(
            folder,
            provenance(settings, examples)
            | interface(examples, kind, fitted)
            | {"scores": scores, "curve": curve.points},
            estimator,
            view / views.FEATURIZER,
            model.trusted,
        )
    except ModelError as error:
        run.log_failure(str(error), traceback.format_exc())
        raise
    except MemoryError as error:  # not the model's fault: another machine may have enough
        raise UserError(
            f"{settings['task']['name']} {model.name}: out of memory. {error}".strip()
        ) from error
    costs = {
        "fit_seconds": fitted.fit_seconds,
        "predict_ms_per_1000": fitted.predict_ms,
        "model_bytes": size(folder),
    }
    run.log_training(manifest, folder, bundle.digest(folder), costs, model.trusted)
    console.print(summary(settings, kind.deciding.name, scores, fitted.fit_seconds))
    return scores


def keep(folder: Path, scores: Mapping[str, float], task: str, model: str, run_id: str) -> None:
    """Move a model to its final folder, and write its scores."""
    if composition.publishes():
        put(folder, paths.model_folder(task, model))
        write_json(paths.validation_file(task, model), scores)
        return
    home = composition.run_folder(task, model, run_id)
    put(folder, home / "model")
    write_json(home / "metrics.json", scores)
    console.print(f"{task} {model}: kept in {home.relative_to(paths.ROOT)}", markup=False)


class Curve:
    """
    Keep, record and show the losses of a fit as they are reported.

    Parameters
    ----------
    run : tracking.Run
        Run to record them in.
    title : str
        Title of the progress bar.
    most : int or None
        Maximum number of steps, if there is one.
    loss : str
        Name of the loss on validation to show.
    """

    def __init__(self, run: tracking.Run, title: str, most: int | None, loss: str) -> None:
        self.run = run
        self.loss = loss
        self.bar = Bar(title, most)
        self.points: list[dict[str, float]] = []
        self.best = np.inf

    def add(self, step: int, losses: Mapping[str, float]) -> None:
        """Add the losses of a step."""
        self.points.append({"step": step} | {name: float(loss) for name, loss in losses.items()})
        self.run.log_curve(step, losses)
        now = losses[f"validation/{self.loss}"]
        self.best = min(self.best, now)
        title = f"validation {self.loss.replace('_', ' ')}"
        self.bar.step(step, f"{title} {now:.4f}, best {self.best:.4f}")


def most_steps(model: schema.Model) -> int | None:
    """Return the maximum number of epochs, rounds or trees of a model, if it has one."""
    for name in ("max_epochs", "n_estimators"):
        if isinstance(model.estimator.get(name), int):
            return int(model.estimator[name])
    return None


def provenance(settings: Mapping[str, Any], examples: Examples) -> dict[str, Any]:
    """Return the entries of a manifest that are known before the fit."""
    model, about = settings["model"], examples.about
    return {
        "kind": settings["task"]["kind"],
        "task": settings["task"]["name"],
        "model": model["name"],
        "family": model["family"],
        "view": model["view"],
        "data": {"digest": about["digest"], "origin": about["origin"]},
        "settings": settings,
        "curve": [],
    }


def interface(examples: Examples, kind: Problem, fitted: Fitted) -> dict[str, Any]:
    """Return the entries of a manifest about the inputs and outputs of a fitted model."""
    about = examples.about
    return {
        "inputs": about["inputs"],
        "may_miss": about["may_miss"],
        "example": about["example"],
        "target": about["target"],
        "outputs": kind.columns(),
        "decision": fitted.decision,
    }


def validation_scores(kind: Problem, predictions: Predictions, seed: int) -> dict[str, float]:
    """
    Return the defined scores on validation, with an interval for the deciding metric.

    Raises
    ------
    ModelError
        If the deciding metric is not defined.
    """
    scores, name = experiment.scores(kind, predictions), kind.deciding.name
    board = compare({"model": predictions}, kind.deciding, [kind.deciding], seed)
    ends: dict[str, float] = board.loc["model", [f"{name}_low", f"{name}_high"]].to_dict()
    return scores | ends


def summary(
    settings: Mapping[str, Any], metric: str, scores: Mapping[str, float], fit_seconds: float
) -> str:
    """Return one line about the score of a model on validation and the time of its fit."""
    return (
        f"{settings['task']['name']} {settings['model']['name']}: "
        f"validation {metric} {scores[metric]:.3f} "
        f"[{scores[f'{metric}_low']:.3f}, {scores[f'{metric}_high']:.3f}], "
        f"fitted in {fit_seconds:.1f} s"
    )


if __name__ == "__main__":
    command.run("train")
