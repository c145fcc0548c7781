"""
The process that writes a sweep into MLflow: the study says what happened, runs repeat it.

It reads what to record from its first line of input, and goes on until the input ends:
after the word `finished` the sweep is over, without it the command was interrupted.
"""

import json
import os
import select
import sys
from datetime import datetime
from typing import Any

import optuna
from filelock import FileLock
from optuna.trial import FrozenTrial, TrialState

from pipeline import paths, tracking
from pipeline.errors import UserError
from pipeline.sweep import study as studies
from pipeline.sweep.plots import figures
from pipeline.sweep.table import STATES, best, named, over_seeds, table

EVERY_SECONDS = 0.5
INTERRUPTED = "interrupted"


def main() -> None:
    """Record a sweep until it is over; one process at a time records a study."""
    os.nice(10)  # trials come first where cores are short
    order = json.loads(_line())
    study = optuna.load_study(study_name=order["study"], storage=studies.connect(order["storage"]))
    lock = FileLock(paths.sweep_folder(order["study"]) / ".recorder.lock")
    word = None
    alone = studies.taken(lock)
    if not alone:
        print("another process records", flush=True)
        while word is None and not studies.taken(lock):
            word = heard()
        if word == INTERRUPTED:
            return
        lock.acquire()
    with tracking.sweeping(
        order["uri"],
        paths.ROOT,
        order["task"],
        f"sweep {order['study']}",
        order["settings"],
        {"task": order["task"], "model": order["model"], "sweep": order["study"]},
        study.user_attrs.get(studies.RUN),
        order["loss"],
    ) as run:
        study.set_user_attr(studies.RUN, run.id)
        if alone:  # whoever started this waits for one line
            print("recording", flush=True)
        record = Record(study, run, order)
        while word is None:
            record.trials()
            word = heard()
        record.trials()
        if word == INTERRUPTED:
            record.interrupted()
            raise KeyboardInterrupt
        record.summary()


def heard() -> str | None:
    """Wait a little for the last word: None while there is none."""
    ready, _, _ = select.select([0], [], [], EVERY_SECONDS)
    if not ready:
        return None
    return _line() or INTERRUPTED


def _line() -> str:
    """Read a line from the input, and nothing beyond it."""
    read = b""
    while not read.endswith(b"\n"):
        byte = os.read(0, 1)
        if not byte:
            break
        read += byte
    return read.decode().strip()


class Record:
    """
    What is written of a study.

    Parameters
    ----------
    study : optuna.Study
        Whose trials are recorded.
    run : tracking.SweepRun
        Where to.
    order : dict
        What the command asked for.
    """

    def __init__(self, study: optuna.Study, run: tracking.SweepRun, order: dict[str, Any]) -> None:
        self.study = study
        self.run = run
        self.order = order
        self.begun: set[int] = set()
        self.sign = -1 if study.direction == optuna.study.StudyDirection.MAXIMIZE else 1

    def known(self) -> list[FrozenTrial]:
        """List the trials wanted."""
        return self.study.get_trials(deepcopy=False)[: self.order["n_trials"]]

    def trials(self) -> None:
        """Write what is new of every trial that has begun."""
        for trial in self.known():
            # Before its curve begins a trial may not have all its values.
            if trial.number in self.run.ended or (
                not trial.state.is_finished() and not trial.intermediate_values
            ):
                continue
            if trial.number not in self.begun:
                self._begin(trial)
            if trial.state == TrialState.RUNNING:
                self.run.advance(trial.number, self._curve(trial))
            else:
                self._end(trial)

    def _begin(self, trial: FrozenTrial) -> None:
        self.begun.add(trial.number)
        tags = {name: self.order[name] for name in ("task", "model")}
        start = trial.datetime_start or datetime.now()
        name = named(trial.params) or f"trial {trial.number}"
        self.run.begin(trial.number, name, trial.params, tags, start)

    def _end(self, trial: FrozenTrial) -> None:
        scores = {
            "cost/fit_seconds" if name == "fit_seconds" else f"validation/{name}": value
            for name, value in trial.user_attrs.get(studies.SCORES, {}).items()
        }
        error = trial.user_attrs.get(studies.ERROR)
        tags = {"trial.error": error} if error else {}
        end = trial.datetime_complete or datetime.now()
        state = STATES[trial.state]
        self.run.end(trial.number, state, self._curve(trial), scores, tags, end)

    def _curve(self, trial: FrozenTrial) -> dict[int, float]:
        return {step: self.sign * value for step, value in trial.intermediate_values.items()}

    def interrupted(self) -> None:
        """End the runs of the trials that were interrupted."""
        for number in self.begun - self.run.ended:
            self.run.end(number, INTERRUPTED, {}, {}, {}, datetime.now())

    def summary(self) -> None:
        """Write the best trial, the table of all, and the plots, into the sweep's run."""
        trials = self.known()
        metric = self.order["metric"]
        self.run.text("trials.csv", table(trials).to_csv(index=False))
        winner = best(self.study, trials)
        if winner is not None:
            self.run.scores({f"best/{metric}": winner.value or 0.0})
            said = {"best.trial": str(winner.number)}
            said |= {f"best.{name}": str(value) for name, value in winner.params.items()}
            self.run.tags(said)
            if any("seed" in trial.params for trial in trials):
                summed = over_seeds(trials, list(winner.user_attrs[studies.SCORES]))
                self.run.text("seeds.csv", summed.to_csv(index=False))
                if len(summed) == 1:  # the seed alone was varied
                    (row,) = summed.drop(columns=["settings", "seeds"]).to_dict("records")
                    self.run.scores({f"seeds/{name}": row[name] for name in row})
            for name, drawn in figures(self.study, trials, metric).items():
                self.run.figure(name, drawn)
        done = sum(trial.state.is_finished() for trial in trials)
        self.study.set_user_attr(studies.RECORDED, done)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
    except (UserError, OSError) as error:
        sys.exit(f"error: {error}")
