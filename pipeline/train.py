"""
Stage 3: a model fitted, scored on validation, and recorded.

A stage of DVC, and a training by hand that names task and model alone, make the model in
``models/<task>/<model>/`` that evaluate compares. A training with settings of its own leaves
it as it is: its model lies in ``runs/<task>/<model>/<run id>/``, or in a multirun in the folder
of the job, and in MLflow.
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

# What DVC sets for the command of a stage.
STAGE = "DVC_STAGE"


def main(cfg: schema.Train) -> None:
    """
    Fit a model on its view of a task, score it on validation, and record the run.

    A model that fails leaves its reason where it would lie, for evaluate to show beside the
    others. Under DVC that is a result of the stage, which ends well, so that evaluate is run.
    """
    task, model = cfg.task, cfg.model
    view = paths.features_folder(task.name) / model.view
    examples = experiment.load(view, paths.ingested_folder(task.name))
    kind = experiment.problem_of(task, examples.about["target"])
    settings = composition.merged(examples.about["settings"], composition.settings("train", cfg))
    # Nothing is read back from models/, where another training may write.
    with aside(paths.model_folder(task.name, model.name)) as scratch:
        folder = scratch / "model"
        folder.mkdir()
        try:
            with tracking.start_run(
                cfg.tracking.uri, paths.ROOT, **experiment.identity(settings)
            ) as run:
                scores = train(model, settings, kind, examples, view, run, folder)
        except ModelError as error:
            bundle.write_failed(folder, known(settings, examples), str(error))
            if composition.publishes():
                keep(folder, {}, task.name, model.name, run.id)
            if STAGE not in os.environ:
                raise
            print(f"{task.name} {model.name} failed: {error}", file=sys.stderr)
            return
        # Now that the run has ended well.
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
    Fit a model, write it, and record both.

    Parameters
    ----------
    model : schema.Model
        What to fit.
    settings : mapping
        Of all stages, as they are recorded.
    kind : Problem
        That of the task, for its target.
    examples : Examples
        What it sees.
    view : Path
        The folder of the view, for its featurizer.
    run : tracking.Run
        Where to record.
    folder : Path
        Empty; where to write.

    Returns
    -------
    dict of str to float
        Scores on validation.

    Raises
    ------
    ModelError
        When the model fails, which the run records too.
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
            known(settings, examples)
            | described(examples, kind, fitted)
            | {"scores": scores, "curve": curve.points},
            estimator,
            view / views.FEATURIZER,
            model.trusted,
        )
    except ModelError as error:
        run.log_failure(str(error), traceback.format_exc())
        raise
    except MemoryError as error:  # which another machine may have enough of
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
    """Move a model to where it belongs, and write its scores."""
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
    The losses of a fit as they come: kept, recorded, and shown.

    Parameters
    ----------
    run : tracking.Run
        Where to record them.
    title : str
        What is being fitted.
    most : int or None
        The last step that there can be.
    loss : str
        The loss whose values on validation are shown.
    """

    def __init__(self, run: tracking.Run, title: str, most: int | None, loss: str) -> None:
        self.run = run
        self.loss = loss
        self.bar = Bar(title, most)
        self.points: list[dict[str, float]] = []
        self.best = np.inf

    def add(self, step: int, losses: Mapping[str, float]) -> None:
        """Take the losses of a step."""
        self.points.append({"step": step} | {name: float(loss) for name, loss in losses.items()})
        self.run.log_curve(step, losses)
        now = losses[f"validation/{self.loss}"]
        self.best = min(self.best, now)
        words = f"validation {self.loss.replace('_', ' ')}"
        self.bar.step(step, f"{words} {now:.4f}, best {self.best:.4f}")


def most_steps(model: schema.Model) -> int | None:
    """Read how many epochs, rounds or trees a model may take."""
    for name in ("max_epochs", "n_estimators"):
        if isinstance(model.estimator.get(name), int):
            return int(model.estimator[name])
    return None


def known(settings: Mapping[str, Any], examples: Examples) -> dict[str, Any]:
    """Return what a manifest says of a model before it is fitted."""
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


def described(examples: Examples, kind: Problem, fitted: Fitted) -> dict[str, Any]:
    """Return what a manifest says of a fitted model's inputs and outputs."""
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
    Score a fitted model on validation, as far as defined; the deciding metric with interval.

    Raises
    ------
    ModelError
        When the deciding metric is not defined.
    """
    scores, name = experiment.scores(kind, predictions), kind.deciding.name
    board = compare({"model": predictions}, kind.deciding, [kind.deciding], seed)
    ends: dict[str, float] = board.loc["model", [f"{name}_low", f"{name}_high"]].to_dict()
    return scores | ends


def summary(
    settings: Mapping[str, Any], metric: str, scores: Mapping[str, float], fit_seconds: float
) -> str:
    """Word in a line how good the model is on validation, and what it cost."""
    return (
        f"{settings['task']['name']} {settings['model']['name']}: "
        f"validation {metric} {scores[metric]:.3f} "
        f"[{scores[f'{metric}_low']:.3f}, {scores[f'{metric}_high']:.3f}], "
        f"fitted in {fit_seconds:.1f} s"
    )


if __name__ == "__main__":
    command.run("train")
