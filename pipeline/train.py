"""
Stage 3: fit a model, score it on validation, and record the run.

A DVC stage writes the model to ``models/<task>/<model>/``, where evaluate reads it, and so does a
command that names only task and model. A command with other settings does not replace that
model. It writes to ``runs/<task>/<model>/<run id>/``, or in a multirun to the folder of the job.
"""

import os
import sys
import time
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from pipeline import bundle, command, experiment, paths, tracking
from pipeline.config import command_line, schema
from pipeline.config.settings import merge, pick_settings
from pipeline.errors import ModelError, UserError
from pipeline.evaluation.comparison import interval
from pipeline.evaluation.numbers import format_interval, format_numbers
from pipeline.features import views
from pipeline.files import aside, new_folder, put, write_json
from pipeline.models.fitting import (
    Report,
    Spent,
    TimeLimit,
    peak_memory,
    reset_peak_memory,
    stops_early,
)
from pipeline.problems import Predictions, Problem
from pipeline.progress import Bar, console
from pipeline.sources.rounds import FINAL

# DVC sets this variable for the command of a stage.
STAGE = "DVC_STAGE"


class Fit(NamedTuple):
    """One fit of a training: its round, its seed, and its folder within that of the model."""

    round: str
    seed: int
    folder: str


def main(cfg: schema.Train) -> None:
    """Fit a model on each round of its view of a task, score it on validation, and record it."""
    fit_and_keep(cfg, command_line.publishes())


def fit_and_keep(cfg: schema.Train, publish: bool) -> None:
    """
    Fit a model on each round of its view of a task, score it on validation, and record the run.

    If the model fails, the reason is written in its place, and evaluate shows it beside the
    other models. Under DVC a failed model is a result of the stage, so that evaluate still runs.

    Parameters
    ----------
    cfg : schema.Train
        Settings of the training.
    publish : bool
        Whether it is the model that is compared and that DVC keeps.

    Raises
    ------
    ModelError
        If the model fails, but not under DVC.
    """
    task, model = cfg.task, cfg.model
    if model.unsupported:
        leave_out(task.name, model)
        return
    view = paths.features_folder(task.name) / model.view
    about = views.about(view, paths.ingested_folder(task.name))
    kind = experiment.problem_of(task, about["target"])
    settings = merge(about["settings"], pick_settings("train", cfg))
    # Nothing is read back from models/, because another training may write there.
    with (
        tracking.recording(cfg.tracking.uri, cfg.tracking.required) as records,
        aside(paths.model_folder(task.name, model.name)) as scratch,
    ):
        folder = scratch / "model"
        folder.mkdir()
        try:
            with records.start_run(paths.ROOT, **experiment.identity(settings)) as run:
                scores = train(model, settings, kind, about, view, run, folder)
        except ModelError as error:
            bundle.write_failed(folder, provenance(settings, about), str(error))
            if publish:
                keep(folder, {}, task.name, model.name, None)
            if STAGE not in os.environ:
                raise
            print(f"{task.name} {model.name} failed: {error}", file=sys.stderr)
            return
        # The model is moved only after the run has ended well. A column of `dvc metrics show` per
        # metric is enough; deviations and intervals are in the manifest and the run.
        shown = {one.name: scores[one.name] for one in kind.reported if one.name in scores}
        keep(folder, shown, task.name, model.name, None if publish else run.id)


def leave_out(task: str, model: schema.Model) -> None:
    """Write nothing in the place of a model, for DVC, which runs each model of each task."""
    print(f"{task}: {model.unsupported}")
    with new_folder(paths.model_folder(task, model.name)):
        write_json(paths.validation_file(task, model.name), {})


def plan_fits(rounds: list[str], seeds: list[int]) -> list[Fit]:
    """
    List the fits of a training.

    Parameters
    ----------
    rounds : list of str
        Names of the rounds. The model of the last one is kept.
    seeds : list of int
        Each round that is scored is fitted once per seed. The first seed is that of the
        kept model.

    Returns
    -------
    list of Fit
        The fit of the kept model comes last.
    """
    kept = (rounds[-1], seeds[0])
    scored = [(name, seed) for name in rounds if name != FINAL for seed in seeds]
    others = [Fit(*one, f"{bundle.ROUNDS}/{one[0]}/{one[1]}") for one in scored if one != kept]
    return [*others, Fit(*kept, ".")]


def train(
    model: schema.Model,
    settings: Mapping[str, Any],
    kind: Problem,
    about: Mapping[str, Any],
    view: Path,
    run: tracking.Run,
    folder: Path,
) -> dict[str, float]:
    """
    Fit a model on each round, write what was fitted, and record it.

    Parameters
    ----------
    model : schema.Model
        The model to fit.
    settings : mapping
        Settings of all stages, as they are recorded.
    kind : Problem
        Problem of the task, for its target.
    about : mapping
        Description of the view by featurize.
    view : Path
        Folder of the view, with a folder per round.
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
    name = f"{settings['task']['name']} {model.name}"
    fits = plan_fits(about["rounds"], settings["task"]["seeds"])
    reset_peak_memory()  # of another training in this process
    limit = TimeLimit(settings["task"]["time_limit"], len(fits))
    scored: list[dict[str, Any]] = []
    outputs: dict[tuple[str, int], np.ndarray] = {}
    spent: list[Spent] = []
    limited = 0
    try:
        for number, one in enumerate(fits, 1):
            title = name if len(fits) == 1 else f"{name}, fit {number} of {len(fits)}"
            # Curves of other fits are in their manifests.
            recorded_in = run if one is fits[-1] else None
            curve = Curve(recorded_in, title, most_steps(model), kind.loss, limit.next_end())
            with curve.bar:
                fitted = fit_round(model, kind, view / one.round, one, curve.add)
            spent.append(fitted.spent)
            limited += curve.ended
            scores = experiment.scores(kind, fitted.predictions)
            entries = {
                **provenance(settings, about),
                **interface(about, kind, fitted),
                "scores": scores,
                "curve": curve.points,
            }
            if one.round != FINAL:
                scored.append({**one._asdict(), "scores": scores})
                outputs[one.round, one.seed] = fitted.outputs
            place = folder / one.folder
            place.mkdir(parents=True, exist_ok=True)
            if one is fits[-1]:
                scores = validation_scores(kind, scored, fitted.predictions, settings["seed"])
                entries |= {"scores": scores, "rounds": scored, "limited": limited}
                entries["validation"] = bundle.write_validation(folder, outputs)
            featurizer = view / one.round / views.FEATURIZER
            manifest = bundle.write(place, entries, fitted.estimator, featurizer, model.trusted)
            if one is not fits[-1]:
                scored[-1]["digest"] = bundle.digest(place)
    except ModelError as error:
        run.log_failure(str(error), traceback.format_exc())
        raise
    except MemoryError as error:  # not the model's fault: another machine may have enough
        raise UserError(f"{name}: out of memory. {error}".strip()) from error
    costs = {
        "fit_seconds": float(np.mean([one.seconds for one in spent])),
        "fit_seconds_total": sum(one.seconds for one in spent),
        "peak_bytes": peak_memory(),
        "model_bytes": bundle.size(folder),
    }
    joules = [one.joules for one in spent if one.joules is not None]
    if len(joules) == len(spent):
        costs["energy_joules"] = float(np.mean(joules))
    run.log_training(manifest, folder, bundle.digest(folder), costs, model.trusted)
    line = summary(name, kind.deciding.name, scores, len(scored), costs["fit_seconds"])
    console.print(f"{line}; the time limit ended {limited}" if limited else line)
    return scores


def fit_round(
    model: schema.Model, kind: Problem, features: Path, one: Fit, report: Report
) -> experiment.Fitted:
    """
    Fit a model on a round.

    In the final round, a model that does not stop early is fitted again on train and
    validation together. It keeps the decision from the fit on train.

    Parameters
    ----------
    model : schema.Model
        The model to fit.
    kind : Problem
        Problem of the task, for its target.
    features : Path
        Folder of the features of the round.
    one : Fit
        The round and the seed.
    report : callable
        Called with each step of the fit and its losses.

    Returns
    -------
    Fitted
    """
    examples = experiment.load(features)
    estimator = experiment.build(model.estimator, one.seed)
    fitted = experiment.run(estimator, examples, kind, report)
    if one.round != FINAL or stops_early(estimator):
        return fitted
    everything = examples._replace(train=experiment.join(examples))
    estimator = experiment.build(model.estimator, one.seed)
    again = experiment.run(estimator, everything, kind, report)
    return fitted._replace(estimator=again.estimator, spent=again.spent)


def keep(
    folder: Path, scores: Mapping[str, float], task: str, model: str, run_id: str | None
) -> None:
    """
    Move a model to the folder of its run, or without a run to its place; write its scores.

    The scores of before go first. A kill in between leaves a model without scores, which DVC
    trains again, and never one with the scores of another.
    """
    if run_id is None:
        place, scores_file = paths.model_folder(task, model), paths.validation_file(task, model)
    else:
        home = command_line.run_folder(task, model, run_id)
        place, scores_file = home / "model", home / "metrics.json"
    scores_file.unlink(missing_ok=True)
    put(folder, place)
    write_json(scores_file, scores)
    if run_id is not None:
        console.print(f"{task} {model}: kept in {home.relative_to(paths.ROOT)}")


class Curve:
    """
    Keep, record and show the losses of a fit as they are reported.

    Parameters
    ----------
    run : tracking.Run, optional
        Run to record them in.
    title : str
        Title of the progress bar.
    most : int or None
        Maximum number of steps, if there is one.
    loss : str
        Name of the loss on validation to show.
    end : float
        When the fit has to end, on the clock of `time.monotonic`.
    """

    def __init__(
        self, run: tracking.Run | None, title: str, most: int | None, loss: str, end: float
    ) -> None:
        self.run = run
        self.loss = loss
        self.end = end
        self.ended = False
        self.bar = Bar(title, most)
        self.points: list[dict[str, float]] = []
        self.best = np.inf

    def add(self, step: int, losses: Mapping[str, float]) -> bool:
        """Add the losses of a step, and return whether the time of the fit is over."""
        self.points.append({"step": step} | {name: float(loss) for name, loss in losses.items()})
        if self.run is not None:
            self.run.log_curve(step, losses)
        now = losses[f"validation/{self.loss}"]
        self.best = min(self.best, now)
        title = f"validation {self.loss.replace('_', ' ')}"
        self.bar.step(step, f"{title} {now:.4f}, best {self.best:.4f}")
        # A model that reports on has not ended.
        self.ended = not self.ended and time.monotonic() >= self.end
        return self.ended


def most_steps(model: schema.Model) -> int | None:
    """Return the maximum number of epochs, rounds or trees of a model, if it has one."""
    for name in ("max_epochs", "n_estimators"):
        if isinstance(model.estimator.get(name), int):
            return int(model.estimator[name])
    return None


def provenance(settings: Mapping[str, Any], about: Mapping[str, Any]) -> dict[str, Any]:
    """Return the entries of a manifest that are known before the fit."""
    model = settings["model"]
    return {
        "kind": settings["task"]["kind"],
        "task": settings["task"]["name"],
        "model": model["name"],
        "family": model["family"],
        "view": model["view"],
        "data": {"digest": about["digest"], "origin": about["origin"]},
        "settings": settings,
        "curve": [],
        "rounds": [],
    }


def interface(about: Mapping[str, Any], kind: Problem, fitted: experiment.Fitted) -> dict[str, Any]:
    """Return the entries of a manifest about the inputs and outputs of a fitted model."""
    return {
        "inputs": about["inputs"],
        "may_miss": about["may_miss"],
        "forms": about["forms"],
        "unread": about["unread"],
        "example": about["example"],
        "target": about["target"],
        "outputs": kind.columns(),
        "decision": fitted.decision,
    }


def validation_scores(
    kind: Problem, scored: list[dict[str, Any]], predictions: Predictions, seed: int
) -> dict[str, float]:
    """
    Return the mean scores on validation, and how sure that of the deciding metric is.

    Parameters
    ----------
    kind : Problem
        Names the metrics.
    scored : list of dict
        Fits with their ``scores``.
    predictions : Predictions
        Predictions of the only fit. They are not used if there are several.
    seed : int
        Seed of the bootstrap.

    Returns
    -------
    dict of str to float
        As `experiment.average_scores`. Of one fit also ``<metric>_low`` and ``<metric>_high``,
        the ends of the interval of the deciding metric, if there are enough examples for one.
    """
    deciding, scores = kind.deciding.name, experiment.average_scores(kind, scored)
    if len(scored) > 1:
        return scores
    low, high = interval(predictions, kind.deciding, seed=seed)
    return scores if np.isnan(low) else scores | {f"{deciding}_low": low, f"{deciding}_high": high}


def summary(
    name: str, metric: str, scores: Mapping[str, float], fits: int, fit_seconds: float
) -> str:
    """Return one line about the score of a model on validation and the time of its fit."""
    if fits > 1:
        score, deviation = format_numbers(scores[metric], scores[f"{metric}_sd"])
        spread = f"{score} ± {deviation} over {fits} fits, {fit_seconds:.1f} s each"
    else:
        ends = [scores.get(f"{metric}_{end}") for end in ("low", "high")]
        spread = f"{format_interval(scores[metric], *ends)}, fitted in {fit_seconds:.1f} s"
    return f"{name}: validation {metric} {spread}"


if __name__ == "__main__":
    command.run("train")
