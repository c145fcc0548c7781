"""
Time a sweep against a bare Optuna loop over the same fits, and two workers against one.

Run: python benchmarks/sweep.py

The last commit is cloned into a temporary folder. Each process has one thread, and a trial is one
fit: the task has one round.

- 50 trials of LightGBM on breast_cancer, without pruning. The project runs them as a user does,
  `python -m pipeline.train --multirun +sweep=lightgbm`: each trial is stored when it ends, can be
  continued, and is recorded in MLflow. The peer is `ask`, fit, ROC-AUC, `tell` in memory, with the
  same sampler; it is checked that parameters and scores are the same. The time is that from the
  start of the first trial to the end of the last one, without imports on either side. `and
  recorded` is the time until the command ends, with all runs, the table and the plots in MLflow.
- 12 trainings of the MLP, of two seconds on average, by one and by two processes of
  hydra/launcher=joblib. The time is that from the start of the first trial to the end of the last.

The two sides alternate, and a ratio is that of two successive repetitions.
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"  # two threads that wait for each other measure the machine

import tempfile
import time
from pathlib import Path

import optuna
from omegaconf import OmegaConf
from pipeline_total import ROOT, output
from report import machine, spread, table

from pipeline.features import views
from pipeline.models.trees import LightGBM
from pipeline.paths import JOURNAL
from pipeline.problems import problem
from pipeline.sweep import study

REPETITIONS = 3
TRIALS = 50
LIGHTGBM = ["model=lightgbm", "+sweep=lightgbm", f"sweep.n_trials={TRIALS}"]
MLP = ["model=neural_net", "+sweep=neural_net", "sweep.n_trials=12", "sweep.sampler=random"]
MLP += ["hydra/launcher=joblib", "model.max_epochs=240", "model.patience=240"]


def main() -> None:
    """Time both and print two tables."""
    print(machine())
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        clone = Path(folder, "clone")
        output("git", "clone", "--quiet", str(ROOT), str(clone))
        for stage in (["ingest", "task.split.folds=null"], ["featurize"]):
            name, *overrides = stage
            output("python", "-m", f"pipeline.{name}", "task=breast_cancer", *overrides, cwd=clone)
        fits = [
            (*time_sweep(clone, f"fits-{number}", LIGHTGBM), time_bare(clone, f"fits-{number}"))
            for number in range(REPETITIONS)
        ]
        workers = [
            [time_sweep(clone, f"mlp-{n}-{w}", [*MLP, f"sweep.workers={w}"])[0] for w in (1, 2)]
            for n in range(REPETITIONS)
        ]
    print(f"Seconds: median (min..max) of {REPETITIONS} repetitions")
    ours, recorded, theirs = zip(*fits, strict=True)
    ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
    header = [f"{TRIALS} trials", "project", "and recorded", "bare Optuna", "project / bare"]
    print(table(header, [["LightGBM", *map(spread, (ours, recorded, theirs, ratios))]]))
    one, two = zip(*workers, strict=True)
    ratios = [a / b for a, b in zip(one, two, strict=True)]
    header = ["12 trials", "1 worker", "2 workers", "1 / 2"]
    print(table(header, [["MLP", *map(spread, (one, two, ratios))]]))


def trials(clone: Path, name: str) -> list[optuna.trial.FrozenTrial]:
    """Read the trials of a sweep."""
    storage = study.connect(f"{JOURNAL}{clone}/sweeps/{name}.db")
    return optuna.load_study(study_name=name, storage=storage).get_trials(deepcopy=False)


def time_sweep(clone: Path, name: str, overrides: list[str]) -> tuple[float, float]:
    """Run a sweep; return the seconds from its first trial to its last, and to its end."""
    overrides = ["task=breast_cancer", "sweep.pruner=null", f"sweep.study={name}", *overrides]
    output("python", "-m", "pipeline.train", "--multirun", *overrides, cwd=clone)
    end = time.time()
    finished = trials(clone, name)
    start = min(trial.datetime_start for trial in finished).timestamp()
    return max(trial.datetime_complete for trial in finished).timestamp() - start, end - start


def time_bare(clone: Path, name: str) -> float:
    """Search with a bare Optuna loop over the ranges of a sweep, and return the seconds."""
    view = clone / "data" / "features" / "breast_cancer" / "engineered" / "0"
    train, validation = (views.load(view / f"{split}.npz") for split in ("train", "validation"))
    config = OmegaConf.load(clone / "conf" / "model" / "lightgbm.yaml")
    config.random_state = 0
    fixed = {key: config[key] for key in config if key not in ("family", "view", "_target_")}
    sweep_trials = trials(clone, name)
    ranges = sweep_trials[0].distributions
    settings = {"metric": "roc_auc", "metrics": ["roc_auc"], "positive": "malignant"}
    tumours = problem("classification", settings).on({"classes": ["benign", "malignant"]})
    loop = optuna.create_study(direction="maximize")
    start = time.perf_counter()
    for number in range(TRIALS):
        loop.sampler = study.make_sampler("tpe", 0, number)
        trial = loop.ask(ranges)
        values = {key.removeprefix("model."): value for key, value in trial.params.items()}
        model = LightGBM(**fixed | values)
        model.fit(train.X, train.y, (validation.X, validation.y))
        probabilities = model.predict_proba(validation.X)
        predictions = tumours.predictions(validation.y, probabilities, {})
        # scikit-learn's metric differs in the last digit, and then the sampler suggests others
        loop.tell(trial, tumours.deciding.once(predictions))
    seconds = time.perf_counter() - start
    for ours, theirs in zip(sweep_trials, loop.get_trials(), strict=True):
        if (ours.params, ours.value) != (theirs.params, theirs.value):
            raise SystemExit(f"error: trial {ours.number} was not the same fit in both")
    return seconds


if __name__ == "__main__":
    main()
