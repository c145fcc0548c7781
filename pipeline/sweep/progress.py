"""How far a sweep is: a live panel on a terminal, a line for each trial elsewhere."""

import threading
import time
from datetime import timedelta
from types import TracebackType
from typing import Self

import optuna
from optuna.trial import FrozenTrial, TrialState
from rich.live import Live
from rich.panel import Panel
from rich.text import Text

from pipeline.progress import console
from pipeline.sweep.table import STATES, best, named

EVERY_SECONDS = 0.5


class Watch:
    """
    Looks at a study now and then while it is worked on; a context manager.

    Parameters
    ----------
    study : optuna.Study
        Whose trials may be run by any process.
    n_trials : int
        How many there shall be.
    """

    def __init__(self, study: optuna.Study, n_trials: int) -> None:
        self.study = study
        self.n_trials = n_trials
        self.told = {trial.number for trial in self.finished()}
        self.before = len(self.told)
        self.start = time.monotonic()
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._watch, daemon=True)
        self.live = Live(console=console, auto_refresh=False, transient=True)

    def __enter__(self) -> Self:
        if console.is_terminal:
            self.live.start()
        self.thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.over.set()
        self.thread.join()
        self.live.stop()

    def finished(self) -> list[FrozenTrial]:
        """List the trials that are done."""
        trials = self.study.get_trials(deepcopy=False)[: self.n_trials]
        return [trial for trial in trials if trial.state.is_finished()]

    def _watch(self) -> None:
        while not self.over.wait(EVERY_SECONDS):
            self._look()
        self._look()

    def _look(self) -> None:
        trials = self.finished()
        if console.is_terminal:
            self.live.update(self._panel(trials), refresh=True)
            return
        for trial in trials:
            if trial.number not in self.told:
                self.told.add(trial.number)
                console.print(self._line(trial, len(self.told)), markup=False)

    def _line(self, trial: FrozenTrial, done: int) -> str:
        value = f" {trial.value:.4f}" if trial.state == TrialState.COMPLETE else ""
        state = STATES[trial.state]
        return f"{done}/{self.n_trials} trial {trial.number} {state}{value}: {named(trial.params)}"

    def _panel(self, trials: list[FrozenTrial]) -> Panel:
        done = len(trials)
        states = [STATES[trial.state] for trial in trials]
        counts = ", ".join(f"{states.count(s)} {s}" for s in ("pruned", "failed") if s in states)
        lines = [f"{done} of {self.n_trials} trials done" + (f" ({counts})" if counts else "")]
        winner = best(self.study, trials)
        if winner is not None:
            lines.append(f"best {winner.value:.4f} in trial {winner.number}")
            lines += [f"  {named({key: value})}" for key, value in winner.params.items()]
        here = done - self.before
        if here:
            seconds = (time.monotonic() - self.start) / here * (self.n_trials - done)
            lines.append(f"about {timedelta(seconds=round(seconds))} left")
        return Panel(Text("\n".join(lines)), title=self.study.study_name, expand=False)
