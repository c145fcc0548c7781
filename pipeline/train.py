"""Stage 3: a model fitted, scored on validation, and recorded."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pipeline import command, paths, scoring, tracking
from pipeline.config import composition, schema, targets
from pipeline.evaluation import metrics
from pipeline.evaluation.comparison import compare
from pipeline.evaluation.metrics import Answers
from pipeline.evaluation.validation import answered
from pipeline.features import store
from pipeline.files import new_folder, read_json, size, write_json
from pipeline.models.fitting import fit, timed
from pipeline.progress import Bar, console
from pipeline.scoring import RECORD


def main(cfg: schema.Train) -> None:
    """Fit a model on its view of a task, score it on validation, and record the run."""
    view = paths.features_folder(cfg.task.name) / cfg.model.view
    train, validation = (store.load(view / f"{split}.npz") for split in ("train", "validation"))
    about = store.about(view, paths.ingested_folder(cfg.task.name))
    task = cfg.task
    metrics.check(task.metric, task.metrics, task.positive, task.threshold, about["classes"])
    used = composition.merged(about["settings"], composition.settings("train", cfg))
    who = identity(cfg, used)
    with tracking.started(cfg.tracking.uri, paths.ROOT, **who) as run:
        model = targets.build(cfg.model.estimator)
        curve = Curve(run, f"{cfg.task.name} {cfg.model.name}", most_steps(cfg.model))
        with curve.bar:
            fit_seconds = fit(model, train, validation, curve.add)
        probabilities, predict_ms = timed(model.predict_proba, validation.X)
        classes = list(model.classes_)
        answers = answered(validation, probabilities, classes, task.positive, task.threshold)
        scores = validation_scores(cfg, answers)
        costs = {"fit_seconds": fit_seconds, "predict_ms_per_1000": predict_ms}
        decision = {"positive": answers.positive, "threshold": answers.threshold}
        record = {"run_id": run.id, **who, "about": about, "decision": decision}
        record |= {"scores": scores, "costs": costs}
        folder = write(cfg, model, record | {"curve": curve.points})
        run.trained(read_json(folder / RECORD), folder)
    console.print(summary(cfg, scores, fit_seconds))


def write(cfg: schema.Train, model: Any, record: dict[str, Any]) -> Path:
    """
    Write a trained model with its featurizer and record, and its scores.

    Parameters
    ----------
    cfg : schema.Train
        The experiment.
    model : classifier
        Fitted.
    record : dict
        Plain values; the size of the model is added to its ``costs``.

    Returns
    -------
    Path
        The model's folder.
    """
    target = paths.model_folder(cfg.task.name, cfg.model.name)
    with new_folder(target) as folder:
        scoring.save(model, folder)
        featurizer = paths.features_folder(cfg.task.name) / cfg.model.view / scoring.FEATURIZER
        shutil.copy(featurizer, folder)
        costs = record["costs"] | {"model_bytes": size(folder)}
        write_json(folder / RECORD, record | {"costs": costs})
    write_json(paths.validation_file(cfg.task.name, cfg.model.name), record["scores"])
    return target


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
    """

    def __init__(self, run: tracking.Run, title: str, most: int | None) -> None:
        self.run = run
        self.bar = Bar(title, most)
        self.points: list[dict[str, float]] = []
        self.best = np.inf

    def add(self, step: int, losses: Mapping[str, float]) -> None:
        """Take the losses of a step."""
        self.points.append({"step": step} | {name: float(loss) for name, loss in losses.items()})
        self.run.curve(step, losses)
        now = losses["validation/log_loss"]
        self.best = min(self.best, now)
        self.bar.step(step, f"validation log loss {now:.4f}, best {self.best:.4f}")


def most_steps(model: schema.Model) -> int | None:
    """Read how many epochs, rounds or trees a model may take."""
    for name in ("max_epochs", "n_estimators"):
        if isinstance(model.estimator.get(name), int):
            return int(model.estimator[name])
    return None


def identity(cfg: schema.Train, settings: dict[str, Any]) -> dict[str, Any]:
    """Say which experiment this is: what its run is called, searched by, and set to."""
    tags = {
        "task": cfg.task.name,
        "model": cfg.model.name,
        "family": cfg.model.family,
        "view": cfg.model.view,
        "seed": str(cfg.seed),
    }
    return {
        "experiment": cfg.task.name,
        "name": cfg.model.name,
        "settings": settings,
        "tags": tags,
    }


def validation_scores(cfg: schema.Train, answers: Answers) -> dict[str, float]:
    """Score a fitted model on validation, as far as defined; the deciding metric with interval."""
    row = compare(
        {cfg.model.name: answers},
        cfg.task.metric,
        cfg.task.metrics,
        cfg.seed,
    ).loc[cfg.model.name]
    shown = [*cfg.task.metrics, f"{cfg.task.metric}_low", f"{cfg.task.metric}_high"]
    return row[shown].dropna().to_dict()


def summary(cfg: schema.Train, scores: Mapping[str, float], fit_seconds: float) -> str:
    """Tell in a line how good the model is on validation, and what it cost."""
    metric = cfg.task.metric
    return (
        f"{cfg.task.name} {cfg.model.name}: validation {metric} {scores[metric]:.3f} "
        f"[{scores[f'{metric}_low']:.3f}, {scores[f'{metric}_high']:.3f}], "
        f"fitted in {fit_seconds:.1f} s"
    )


if __name__ == "__main__":
    command.run("train")
