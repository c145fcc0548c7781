"""Plots of a study: its history, the importance of parameters, and where good values lie."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import optuna
from matplotlib import colormaps
from matplotlib.figure import Figure
from optuna.trial import FrozenTrial, TrialState

FEWEST = 4
# The importance is that for being among the best trials: a tenth of all, and at least five.
BEST, AT_LEAST = 0.1, 5


def figures(study: optuna.Study, trials: Sequence[FrozenTrial], metric: str) -> dict[str, Figure]:
    """
    Draw the history of a study, the importance of its parameters, and where good values lie.

    Parameters
    ----------
    study : optuna.Study
        The study, for its direction and the importances.
    trials : sequence of FrozenTrial
        Only complete trials are plotted.
    metric : str
        Name of the value of a trial.

    Returns
    -------
    dict of str to Figure
        By file name. Plots that need more trials than there are are left out.
    """
    complete = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    plots = {"history.png": plot_history(study, complete, metric)}
    searched = dict.fromkeys(name for trial in complete for name in trial.params)
    varied = [n for n in searched if len({str(trial.params.get(n)) for trial in complete}) > 1]
    if len(varied) > 1 and has_best_and_others(study, complete):
        plots["importance.png"] = plot_importance(study, len(complete), varied, metric)
    everywhere = [name for name in varied if all(name in trial.params for trial in complete)]
    if len(complete) >= FEWEST and everywhere:
        plots["parallel.png"] = plot_parallel(complete, everywhere, metric)
    return plots


def plot_history(study: optuna.Study, complete: list[FrozenTrial], metric: str) -> Figure:
    """Draw the value of each trial, and the best so far."""
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    numbers = [trial.number for trial in complete]
    values = np.array([trial.value for trial in complete], dtype=float)
    higher = study.direction == optuna.study.StudyDirection.MAXIMIZE
    best = (np.maximum if higher else np.minimum).accumulate(values)
    axes.plot(numbers, values, "o", alpha=0.6, label="trial")
    axes.step(numbers, best, where="post", label="best so far")
    axes.set(xlabel="trial", ylabel=f"validation {metric}", title=study.study_name)
    axes.legend()
    return figure


def has_best_and_others(study: optuna.Study, complete: list[FrozenTrial]) -> bool:
    """Return whether there are enough trials among the best, and enough others."""
    if len(complete) < 2 * AT_LEAST:
        return False
    sign = 1 if study.direction == optuna.study.StudyDirection.MINIMIZE else -1
    losses = sign * np.array([trial.value for trial in complete], dtype=float)
    worst_of_best = np.quantile(losses, best_share(len(complete)), method="inverted_cdf")
    return bool(worst_of_best < losses.max())


def best_share(n_trials: int) -> float:
    """Return the share of the trials that count as the best."""
    return max(BEST, AT_LEAST / n_trials)


def plot_importance(study: optuna.Study, n_trials: int, names: list[str], metric: str) -> Figure:
    """
    Draw how much each parameter decides whether a trial is among the best.

    The method is PED-ANOVA (Watanabe, Bansal and Hutter, IJCAI 2023). It is fast in any space,
    and takes parameters that apply to some trials only.
    """
    evaluator = optuna.importance.PedAnovaImportanceEvaluator(target_quantile=best_share(n_trials))
    shares = optuna.importance.get_param_importances(study, evaluator=evaluator, params=names)
    figure = Figure(figsize=(7, 1.5 + 0.35 * len(shares)), layout="constrained")
    axes = figure.subplots()
    axes.barh([name.removeprefix("model.") for name in shares][::-1], list(shares.values())[::-1])
    share = f"the best {best_share(n_trials):.0%} by validation {metric}"
    axes.set(xlabel=f"importance for being among {share}", title=study.study_name)
    return figure


def plot_parallel(complete: list[FrozenTrial], names: list[str], metric: str) -> Figure:
    """Draw each trial as a line through its parameters, coloured by its value."""
    values = np.array([trial.value for trial in complete], dtype=float)
    figure = Figure(figsize=(2 + 1.6 * len(names), 4.5), layout="constrained")
    axes = figure.subplots()
    heights, ends = zip(
        *(_scale_ranks([t.params[n] for t in complete]) for n in names), strict=True
    )
    lines = np.column_stack([*heights, _scale_ranks(list(values))[0]])
    span = np.ptp(values) or 1.0
    for line, value in zip(lines, values, strict=True):
        axes.plot(line, color=colormaps["viridis"]((value - values.min()) / span), alpha=0.7)
    labels = [*(name.rpartition(".")[2] for name in names), metric]
    axes.set_xticks(range(len(labels)), labels)
    axes.set(yticks=[], ylim=(-0.12, 1.12), title=f"from the least to the highest {metric}")
    for place, (low, high) in enumerate([*ends, (f"{values.min():.3g}", f"{values.max():.3g}")]):
        axes.text(place, -0.03, low, ha="center", va="top", fontsize=8)
        axes.text(place, 1.03, high, ha="center", va="bottom", fontsize=8)
    return figure


def _scale_ranks(values: list[Any]) -> tuple[np.ndarray, tuple[str, str]]:
    """Scale values to between 0 and 1 by rank, whatever their type; return them and the ends."""
    if all(isinstance(value, int | float) for value in values):
        kinds = sorted(set(values))
        names = [f"{value:.3g}" for value in kinds]
    else:
        kinds = sorted({str(value) for value in values})
        names, values = kinds, [str(value) for value in values]
    ranks = np.array([kinds.index(value) for value in values]) / max(1, len(kinds) - 1)
    return ranks, (names[0], names[-1])
