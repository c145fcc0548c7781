"""What came of a study's trials: as a table, in words, and over seeds."""

import json
from collections.abc import Sequence
from typing import Any

import optuna
import pandas as pd
from optuna.trial import FrozenTrial, TrialState

from pipeline.sweep.study import ERROR, SCORES

STATES = {
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
    TrialState.RUNNING: "running",
    TrialState.WAITING: "waiting",
}


def named(params: dict[str, Any]) -> str:
    """Tell values in short, ``lr=0.05 num_leaves=31``."""

    def short(value: Any) -> str:
        return f"{value:.3g}" if isinstance(value, float) else str(value)

    return " ".join(f"{key.rpartition('.')[2]}={short(v)}" for key, v in params.items())


def best(study: optuna.Study, trials: Sequence[FrozenTrial]) -> FrozenTrial | None:
    """Find the complete trial with the best value, the first of equals."""
    complete = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    sign = 1 if study.direction == optuna.study.StudyDirection.MINIMIZE else -1
    # min takes the first of equals
    return min(complete, key=lambda trial: sign * (trial.value or 0.0), default=None)


def headline(study: optuna.Study, trials: Sequence[FrozenTrial], metric: str) -> str:
    """Tell in a line how many trials there are in which state, and the best one."""
    states = [STATES[trial.state] for trial in trials]
    counts = ", ".join(f"{states.count(s)} {s}" for s in STATES.values() if s in states)
    line = f"{study.study_name}: {len(trials)} trials, {counts}"
    winner = best(study, trials)
    if winner is None:
        return line
    return (
        f"{line}; best validation {metric} {winner.value:.4f} "
        f"in trial {winner.number}: {named(winner.params)}"
    )


def by_seeds(trials: Sequence[FrozenTrial], metric: str) -> list[str]:
    """Tell the mean and standard deviation of each group of trials that differ in the seed."""
    return [
        f"{row['settings']} validation {metric} {row[f'{metric}_mean']:.4f} "
        f"± {row[f'{metric}_std']:.4f} over {row['seeds']} seeds".lstrip()
        for row in over_seeds(trials, [metric]).to_dict("records")
    ]


def failures(trials: Sequence[FrozenTrial]) -> list[str]:
    """Tell each trial that failed, and why."""
    return [
        f"trial {trial.number} failed: {trial.user_attrs.get(ERROR)} ({named(trial.params)})"
        for trial in trials
        if trial.state == TrialState.FAIL
    ]


def table(trials: Sequence[FrozenTrial]) -> pd.DataFrame:
    """
    Lay out trials, one a row.

    Returns
    -------
    DataFrame
        ``trial``, ``state``, the parameters, the task's metrics on validation,
        ``fit_seconds``, and ``error``.
    """
    return pd.DataFrame(
        {
            "trial": trial.number,
            "state": STATES[trial.state],
            **trial.params,
            **trial.user_attrs.get(SCORES, {}),
            "error": trial.user_attrs.get(ERROR),
        }
        for trial in trials
    )


def over_seeds(trials: Sequence[FrozenTrial], metrics: Sequence[str]) -> pd.DataFrame:
    """
    Sum up trials that differ in their seed alone.

    Parameters
    ----------
    trials : sequence of FrozenTrial
        Those that are complete count.
    metrics : sequence of str
        What to sum up.

    Returns
    -------
    DataFrame
        A row for each combination of the other parameters, in short under ``settings``:
        ``seeds``, how many there were, and ``<metric>_mean`` and ``<metric>_std``, the
        standard deviation of a sample (of n - 1).
    """
    complete = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    told = [{k: v for k, v in trial.params.items() if k != "seed"} for trial in complete]
    rows = table(complete).assign(settings=[json.dumps(values) for values in told])
    grouped = rows.groupby("settings", sort=False)
    columns = {"seeds": grouped.size()}
    for metric in metrics:
        columns[f"{metric}_mean"] = grouped[metric].mean()
        columns[f"{metric}_std"] = grouped[metric].std()
    summed = pd.DataFrame(columns).reset_index()
    return summed.assign(settings=summed["settings"].map(json.loads).map(named))
