"""Show the progress of a sweep: a live panel on a terminal, one line per trial elsewhere."""

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
from pipeline.sweep.results import STATES, best_trial, short_params
from pipeline.sweep.study import Limit, spent

EVERY_SECONDS = 0.5


class SweepPanel:
    """
    Show the progress of a study while workers run its trials; a context manager.

    Parameters
    ----------
    study : optuna.Study
        Any process may run its trials.
    limit : Limit
        The end of the sweep.
    """

    def __init__(self, study: optuna.Study, limit: Limit) -> None:
        self.study = study
        self.limit = limit
        before = self.finished_trials()
        self.printed = {trial.number for trial in before}
        self.share_before = self._share(before)
        self.start = time.monotonic()
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
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
        self.stop.set()
        self.thread.join()
        self.live.stop()

    def finished_trials(self) -> list[FrozenTrial]:
        """Return the trials that are finished: complete, pruned or failed."""
        trials = self.study.get_trials(deepcopy=False)[: self.limit.n_trials]
        return [trial for trial in trials if trial.state.is_finished()]

    def _run(self) -> None:
        while not self.stop.wait(EVERY_SECONDS):
            self._update()
        self._update()

    def _update(self) -> None:
        trials = self.finished_trials()
        if console.is_terminal:
            self.live.update(self._panel(trials), refresh=True)
            return
        for trial in trials:
            if trial.number not in self.printed:
                self.printed.add(trial.number)
                console.print(self._line(trial, len(self.printed)))

    def _of(self) -> str:
        """Return how many trials there will be, if that is known."""
        return f"/{self.limit.n_trials}" if self.limit.seconds is None else ""

    def _share(self, trials: list[FrozenTrial]) -> float:
        """Return the share of the sweep that is done."""
        if self.limit.seconds is None:
            return len(trials) / self.limit.n_trials
        return min(1.0, spent(trials) / self.limit.seconds)

    def _line(self, trial: FrozenTrial, done: int) -> str:
        value = f" {trial.value:.4f}" if trial.state == TrialState.COMPLETE else ""
        state = STATES[trial.state]
        params = short_params(trial.params)
        return f"{done}{self._of()} trial {trial.number} {state}{value}: {params}"

    def _panel(self, trials: list[FrozenTrial]) -> Panel:
        done = len(trials)
        states = [STATES[trial.state] for trial in trials]
        counts = ", ".join(f"{states.count(s)} {s}" for s in ("pruned", "failed") if s in states)
        lines = [f"{done}{self._of()} trials done" + (f" ({counts})" if counts else "")]
        winner = best_trial(self.study, trials)
        if winner is not None:
            lines.append(f"best {winner.value:.4f} in trial {winner.number}")
            lines += [f"  {short_params({key: value})}" for key, value in winner.params.items()]
        share = self._share(trials)
        here = share - self.share_before
        if here > 0:
            seconds = (time.monotonic() - self.start) / here * (1 - share)
            lines.append(f"about {timedelta(seconds=round(seconds))} left")
        return Panel(Text("\n".join(lines)), title=self.study.study_name, expand=False)
