"""
The process that writes a sweep into MLflow, from what the study holds.

Its first line of input says what to record. It records until the input ends: after the word
`finished` the sweep is over, without it the command was interrupted.
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
from pipeline.sweep.results import (
    STATES,
    best_trial,
    short_params,
    summarize_seeds,
    trial_table,
)

EVERY_SECONDS = 0.5
INTERRUPTED = "interrupted"


def main() -> None:
    """Record a sweep until it is over. Only one process at a time records a study."""
    os.nice(10)  # leaves the cores to the trials
    order = json.loads(_read_line())
    study = optuna.load_study(study_name=order["study"], storage=studies.connect(order["storage"]))
    lock = FileLock(paths.sweep_folder(order["study"]) / ".recorder.lock")
    word = None
    alone = studies.try_lock(lock)
    if not alone:
        print("another process records", flush=True)
        while word is None and not studies.try_lock(lock):
            word = read_word()
        if word == INTERRUPTED:
            return
        lock.acquire()
    with tracking.sweep_run(
        order["uri"],
        paths.ROOT,
        order["task"],
        f"sweep {order['study']}",
        order["settings"],
        {"task": order["task"], "model": order["model"], "sweep": order["study"]},
        study.user_attrs.get(studies.RUN),
        order["loss"],
    ) as (run, trials):
        study.set_user_attr(studies.RUN, run.id)
        if alone:  # the command that started this process waits for one line
            print("recording", flush=True)
        recorder = Recorder(study, run, trials, order)
        while word is None:
            recorder.write_trials()
            word = read_word()
        recorder.write_trials()
        if word == INTERRUPTED:
            recorder.end_interrupted()
            raise KeyboardInterrupt
        recorder.write_summary()


def read_word() -> str | None:
    """Wait up to `EVERY_SECONDS` for the last word, and return it, or None when none came."""
    ready, _, _ = select.select([0], [], [], EVERY_SECONDS)
    if not ready:
        return None
    return _read_line() or INTERRUPTED


def _read_line() -> str:
    """Read a line from the input, and nothing beyond it."""
    read = b""
    while not read.endswith(b"\n"):
        byte = os.read(0, 1)
        if not byte:
            break
        read += byte
    return read.decode().strip()


class Recorder:
    """
    Write the trials of a study into MLflow.

    Parameters
    ----------
    study : optuna.Study
        The study of the sweep.
    run : tracking.Run
        The run of the sweep.
    trials : tracking.TrialRuns
        The runs of the trials.
    order : dict
        What to record, as the command wrote it.
    """

    def __init__(
        self,
        study: optuna.Study,
        run: tracking.Run,
        trials: tracking.TrialRuns,
        order: dict[str, Any],
    ) -> None:
        self.study = study
        self.run = run
        self.trials = trials
        self.order = order
        self.started: set[int] = set()
        self.sign = -1 if study.direction == optuna.study.StudyDirection.MAXIMIZE else 1

    def wanted_trials(self) -> list[FrozenTrial]:
        """Return the trials that belong to the order."""
        return studies.begun_trials(self.study, self.order["n_trials"])

    def write_trials(self) -> None:
        """Write the news of every trial that has started."""
        for trial in self.wanted_trials():
            # A trial may not have all its parameters before its curve begins.
            if trial.number in self.trials.ended or (
                not trial.state.is_finished() and not trial.intermediate_values
            ):
                continue
            if trial.number not in self.started:
                self._start(trial)
            if trial.state == TrialState.RUNNING:
                self._update(trial, datetime.now())
            else:
                self._end(trial)

    def _start(self, trial: FrozenTrial) -> None:
        self.started.add(trial.number)
        tags = {name: self.order[name] for name in ("task", "model")}
        start = trial.datetime_start or datetime.now()
        name = short_params(trial.params) or f"trial {trial.number}"
        self.trials.start_trial(trial.number, name, trial.params, tags, start)

    def _end(self, trial: FrozenTrial) -> None:
        scores = {
            "cost/fit_seconds" if name == "fit_seconds" else f"validation/{name}": value
            for name, value in trial.user_attrs.get(studies.SCORES, {}).items()
        }
        error = trial.user_attrs.get(studies.ERROR)
        tags = {"trial.error": error} if error else {}
        end = trial.datetime_complete or datetime.now()
        state = STATES[trial.state]
        self._update(trial, end)
        self.trials.end_trial(trial.number, state, scores, tags, end)

    def _update(self, trial: FrozenTrial, now: datetime) -> None:
        curve = {step: self.sign * value for step, value in trial.intermediate_values.items()}
        self.trials.update_trial(trial.number, curve, now)

    def end_interrupted(self) -> None:
        """End the runs of the trials that did not finish."""
        for number in self.started - self.trials.ended:
            self.trials.end_trial(number, INTERRUPTED, {}, {}, datetime.now())

    def write_summary(self) -> None:
        """Write the best trial, the table of trials, and the plots into the run of the sweep."""
        trials = self.wanted_trials()
        metric = self.order["metric"]
        self.run.log_text("trials.csv", trial_table(trials).to_csv(index=False))
        winner = best_trial(self.study, trials)
        if winner is not None:
            self.run.log_scores({f"best/{metric}": winner.value or 0.0})
            tags = {"best.trial": str(winner.number)}
            tags |= {f"best.{name}": str(value) for name, value in winner.params.items()}
            self.run.log_tags(tags)
            if any("seed" in trial.params for trial in trials):
                summary = summarize_seeds(trials, list(winner.user_attrs[studies.SCORES]))
                self.run.log_text("seeds.csv", summary.to_csv(index=False))
                if len(summary) == 1:  # only the seed varies
                    (row,) = summary.drop(columns=["settings", "seeds"]).to_dict("records")
                    self.run.log_scores({f"seeds/{name}": row[name] for name in row})
            for name, figure in figures(self.study, trials, metric).items():
                self.run.log_figure(name, figure)
        done = sum(trial.state.is_finished() for trial in trials)
        self.study.set_user_attr(studies.RECORDED, done)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
    except (UserError, OSError) as error:
        sys.exit(f"error: {error}")
