"""
Time what tracking adds to a fit, in the train stage and with `mlflow.autolog`.

Run: python benchmarks/tracking.py

Everything runs in one process, on new features of one round in a temporary folder, into existing
SQLite stores:

- project: `pipeline.train.main`, minus the same without tracking. The difference is everything that
  the stage records: commit, parameters, curves and their computation, scores, dataset, the model
  with signature and input example, status.
- autolog: the library's own classifier with the same parameters, fitted in `mlflow.start_run()`
  with `mlflow.sklearn.autolog()` or `mlflow.lightgbm.autolog()` and their defaults, minus the same
  fit without them. It records parameters, scores on train, dataset and model, but no commit, no
  scores on validation, no input example, and no signature for LightGBM.

Each repetition measures all rows, and the four times of a row one after another. A ratio is that
of successive measurements. On a busy machine rows differ by more than what they measure: compare
within a row. LightGBM on genre has no peer: autolog draws an importance plot of some thousand
bars.
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"  # two threads that wait for each other measure the machine

import importlib
import logging
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import lightgbm
import mlflow
import skops.io  # noqa: F401 before the project's, which leaves it trusting fewer types
from report import machine, spread, table
from sklearn.ensemble import RandomForestClassifier

from pipeline import experiment, paths, train
from pipeline.command import run
from pipeline.config import command_line, schema, targets
from pipeline.features import views
from pipeline.models.fitting import fit
from pipeline.progress import console

TASKS = ("breast_cancer", "genre")
MODELS = ("logistic_regression", "random_forest", "lightgbm")
REPETITIONS = 3
# With more columns, autolog's plot for LightGBM takes longer than everything else here.
MOST_BARS = 1000


def main() -> None:
    """Time every model on every task and print a table."""
    print(machine())
    quiet()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        redirect(Path(folder))
        for task in TASKS:
            command("ingest", f"task={task}", "task.split.folds=null")
            command("featurize", f"task={task}")
        runs = f"tracking.uri=sqlite:///{folder}/project.db"
        fits = [
            compose("train", f"task={task}", f"model={model}", runs)
            for task in TASKS
            for model in MODELS
        ]
        for cfg in fits[: len(MODELS)]:
            turn(cfg)  # warms up
        rounds = [[turn(cfg) for cfg in fits] for _ in range(REPETITIONS)]
    rows = [row(cfg, turns) for cfg, *turns in zip(fits, *rounds, strict=True)]
    print(f"Seconds that tracking adds to a fit: median (min..max) of {REPETITIONS} repetitions")
    print(table(["task", "model", "fit", "project", "autolog", "autolog / project"], rows))


def quiet() -> None:
    """Silence the libraries and the stages."""
    console.quiet = True
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)


def redirect(folder: Path) -> None:
    """Let the stages and autolog write into a folder."""
    for name in ("ingested_folder", "features_folder", "model_folder", "validation_file"):
        usual = getattr(paths, name)

        def inside(*names: str, usual: Callable[..., Path] = usual) -> Path:
            return folder / usual(*names).relative_to(paths.ROOT)

        setattr(paths, name, inside)
    command_line.publishes = lambda: True  # it raises outside of a job of Hydra's
    mlflow.set_tracking_uri(f"sqlite:///{folder}/autolog.db")
    mlflow.create_experiment("autolog", f"{folder}/autolog")


def command(stage: str, *overrides: str) -> None:
    """Run the command of a stage."""
    with mock.patch.object(sys, "argv", [stage, *overrides]):
        run(stage)


def compose(stage: str, *overrides: str) -> Any:
    """Compose and check a stage's configuration as its command does."""
    configs: list[Any] = []
    with mock.patch.object(importlib.import_module(f"pipeline.{stage}"), "main", configs.append):
        command(stage, *overrides)
    return configs[0]


def row(cfg: schema.Train, turns: list[dict[str, float]]) -> list[str]:
    """Return a row of the table: what tracking adds to one fit."""
    fits = [turn["bare"] for turn in turns]
    ours = [turn["tracked"] - turn["untracked"] for turn in turns]
    cells = [cfg.task.name, cfg.model.name, spread(fits), spread(ours)]
    if "autologged" not in turns[0]:
        return [*cells, "-", "-"]
    theirs = [turn["autologged"] - turn["bare"] for turn in turns]
    return [*cells, spread(theirs), spread([b / a for a, b in zip(ours, theirs, strict=True)])]


def turn(cfg: schema.Train) -> dict[str, float]:
    """Time each of the four ways once."""
    ways = [tracked, untracked, autologged, bare]
    columns = data(cfg)[0].X.shape[1]
    if cfg.model.name == "lightgbm" and columns > MOST_BARS:
        ways.remove(autologged)
    return {way.__name__: seconds(way, cfg) for way in ways}


def data(cfg: schema.Train) -> list[views.Features]:
    """Read the features for training and for validation."""
    view = paths.features_folder(cfg.task.name) / cfg.model.view / "0"
    return [views.load(view / f"{split}.npz") for split in ("train", "validation")]


def seconds(way: Callable[[schema.Train], None], cfg: schema.Train) -> float:
    """Time a fit."""
    start = time.perf_counter()
    way(cfg)
    return time.perf_counter() - start


def tracked(cfg: schema.Train) -> None:
    """Train as the stage does."""
    train.main(cfg)


def untracked(cfg: schema.Train) -> None:
    """Train as the stage does, without a run and without curves."""

    @contextmanager
    def no_run(*_: Any, **__: Any) -> Iterator[Any]:
        yield SimpleNamespace(id="", log_training=lambda *_: None)

    @contextmanager
    def nothing(*_: Any) -> Iterator[Any]:
        yield SimpleNamespace(start_run=no_run)

    def plain(model: Any, train: Any, validation: Any, *_: Any) -> float:
        return fit(model, train, validation, None)

    with (
        mock.patch.object(train.tracking, "recording", nothing),
        mock.patch.object(experiment, "fit", plain),
    ):
        train.main(cfg)


def autologged(cfg: schema.Train) -> None:
    """Fit in a run with autolog."""
    flavour = mlflow.lightgbm if cfg.model.name == "lightgbm" else mlflow.sklearn
    flavour.autolog()
    with mlflow.start_run(experiment_id=mlflow.get_experiment_by_name("autolog").experiment_id):
        bare(cfg)
    flavour.autolog(disable=True)


def bare(cfg: schema.Train) -> None:
    """Fit the library's own classifier."""
    features, validation = data(cfg)
    model = targets.build(cfg.model.estimator)
    extra: dict[str, Any] = {}
    if cfg.model.name == "lightgbm":
        parameters = model.get_params()
        patience = parameters.pop("early_stopping_round")
        model = lightgbm.LGBMClassifier(**parameters)
        extra = {
            "eval_set": [tuple(features[:2]), tuple(validation[:2])],
            "eval_names": ["train", "validation"],
            "callbacks": [lightgbm.early_stopping(patience, verbose=False)],
        }
    elif cfg.model.name == "random_forest":
        model = RandomForestClassifier(**model.get_params())
    model.fit(features.X, features.y, **extra)


if __name__ == "__main__":
    main()
