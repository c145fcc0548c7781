"""The results of a study: the best trial, a table, lines to print, and means over seeds."""

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


def short_params(params: dict[str, Any]) -> str:
    """Format parameters on a line, as in ``lr=0.05 num_leaves=31``."""

    def short(value: Any) -> str:
        return f"{value:.3g}" if isinstance(value, float) else str(value)

    return " ".join(f"{key.rpartition('.')[2]}={short(v)}" for key, v in params.items())


def best_trial(study: optuna.Study, trials: Sequence[FrozenTrial]) -> FrozenTrial | None:
    """Return the complete trial with the best value, the first of equal ones; None without any."""
    complete = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    sign = 1 if study.direction == optuna.study.StudyDirection.MINIMIZE else -1
    # min takes the first of equals
    return min(complete, key=lambda trial: sign * (trial.value or 0.0), default=None)


def headline(study: optuna.Study, trials: Sequence[FrozenTrial], metric: str) -> str:
    """Return a line with the number of trials in each state, and the best trial."""
    states = [STATES[trial.state] for trial in trials]
    counts = ", ".join(f"{states.count(s)} {s}" for s in STATES.values() if s in states)
    line = f"{study.study_name}: {len(trials)} trials, {counts}"
    winner = best_trial(study, trials)
    if winner is None:
        return line
    return (
        f"{line}; best validation {metric} {winner.value:.4f} "
        f"in trial {winner.number}: {short_params(winner.params)}"
    )


def seed_lines(trials: Sequence[FrozenTrial], metric: str) -> list[str]:
    """Return a line per group of trials that differ in the seed only: mean, standard deviation."""
    return [
        f"{row['settings']} validation {metric} {row[f'{metric}_mean']:.4f} "
        f"± {row[f'{metric}_std']:.4f} over {row['seeds']} seeds".lstrip()
        for row in summarize_seeds(trials, [metric]).to_dict("records")
    ]


def failure_lines(trials: Sequence[FrozenTrial]) -> list[str]:
    """Return a line per trial that failed, with the reason."""
    return [
        f"trial {trial.number} failed: {trial.user_attrs.get(ERROR)} ({short_params(trial.params)})"
        for trial in trials
        if trial.state == TrialState.FAIL
    ]


def trial_table(trials: Sequence[FrozenTrial]) -> pd.DataFrame:
    """
    Lay out trials as a table with one row per trial.

    Returns
    -------
    DataFrame
        The columns are ``trial``, ``state``, the parameters, the task's metrics on validation,
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


def summarize_seeds(trials: Sequence[FrozenTrial], metrics: Sequence[str]) -> pd.DataFrame:
    """
    Compute means and standard deviations over trials that differ in the seed only.

    Parameters
    ----------
    trials : sequence of FrozenTrial
        Only complete ones count.
    metrics : sequence of str
        The metrics to summarize.

    Returns
    -------
    DataFrame
        One row per combination of the other parameters. ``settings`` is the combination on
        a line, ``seeds`` the number of trials, ``<metric>_mean`` their mean, and
        ``<metric>_std`` their standard deviation with n - 1 degrees of freedom.
    """
    complete = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    settings = [{k: v for k, v in trial.params.items() if k != "seed"} for trial in complete]
    rows = trial_table(complete).assign(settings=[json.dumps(values) for values in settings])
    grouped = rows.groupby("settings", sort=False)
    columns = {"seeds": grouped.size()}
    for metric in metrics:
        columns[f"{metric}_mean"] = grouped[metric].mean()
        columns[f"{metric}_std"] = grouped[metric].std()
    summary = pd.DataFrame(columns).reset_index()
    return summary.assign(settings=summary["settings"].map(json.loads).map(short_params))
