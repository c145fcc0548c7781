"""Compare models and families over many tasks."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

# With fewer tasks an interval over tasks would promise too much.
FEWEST_TASKS = 8
DRAWS = 2000
MEASURES = ("win rate", "mean rank", "improvability")


def compare_over_tasks(
    boards: Mapping[str, Mapping[str, Any]], confidence: float = 0.95, seed: int = 0
) -> pd.DataFrame:
    """
    Compare models and families by what they reach on several tasks.

    Parameters
    ----------
    boards : mapping of str to mapping
        For each task what `board.make_board` returned.
    confidence : float, default=0.95
        Confidence of the intervals.
    seed : int, default=0
        Seed of the draws of tasks.

    Returns
    -------
    DataFrame
        One row per model and per family (``kind`` tells which), best first. ``tasks`` is the
        number of tasks with a score. ``win rate`` is the share of tasks in which it is the
        best, ties shared; ``mean rank`` its mean place; ``improvability`` the mean share of
        its error that the best one of the task avoids. With at least `FEWEST_TASKS` tasks
        also ``<measure>_low`` and ``<measure>_high``, from a bootstrap over tasks.

    Notes
    -----
    A family is represented in a task by its model that is best on validation. The error of
    a metric whose higher values are better is 1 minus the score.
    """
    models = {task: _errors(board) for task, board in boards.items()}
    families = {task: _errors_of_families(board) for task, board in boards.items()}
    parts = [
        _measure(errors, confidence, seed).assign(kind=kind)
        for kind, errors in (("model", models), ("family", families))
    ]
    return pd.concat(parts).rename_axis("name").reset_index()


def _errors(board: Mapping[str, Any]) -> dict[str, float]:
    """Return the error of each model that has a score."""
    found = {}
    for name, model in board["models"].items():
        score = model.get("scores", {}).get(board["metric"], {}).get("score")
        if score is not None:
            found[name] = 1 - score if board["greater_is_better"] else score
    return found


def _errors_of_families(board: Mapping[str, Any]) -> dict[str, float]:
    """Return the error of the model of each family that is best on validation."""
    sign = 1 if board["greater_is_better"] else -1
    chosen: dict[str, tuple[float, float]] = {}
    for name, error in _errors(board).items():
        model = board["models"][name]
        validation = model.get("validation")
        if validation is None:
            continue
        candidate = (sign * validation, error)
        best = chosen.get(model["family"])
        if best is None or candidate[0] > best[0]:
            chosen[model["family"]] = candidate
    return {family: error for family, (_, error) in chosen.items()}


def _measure(
    errors: Mapping[str, Mapping[str, float]], confidence: float, seed: int
) -> pd.DataFrame:
    """Compute the measures of each name over tasks, with intervals if there are enough tasks."""
    table = pd.DataFrame.from_dict(errors, orient="index")
    best = table.min(axis=1)
    first = table.eq(best, axis=0)
    per_task = {
        "win rate": first.div(first.sum(axis=1), axis=0).where(table.notna()),
        "mean rank": table.rank(axis=1),
        # Where nobody errs nothing can be improved.
        "improvability": (1 - table.rdiv(best, axis=0)).fillna(0.0).where(table.notna()),
    }
    found = pd.DataFrame({name: values.mean() for name, values in per_task.items()})
    found.insert(0, "tasks", table.notna().sum().astype(int))
    if len(table) >= FEWEST_TASKS:
        tails = [(1 - confidence) / 2, (1 + confidence) / 2]
        for name, values in per_task.items():
            low, high = np.nanquantile(_draw_means(values, seed), tails, axis=0)
            found[f"{name}_low"], found[f"{name}_high"] = low, high
    return found.sort_values("mean rank", kind="stable")


def _draw_means(values: pd.DataFrame, seed: int) -> np.ndarray:
    """Return the means over tasks that are drawn with replacement, a row per draw."""
    rng = np.random.default_rng(seed)
    count = len(values)
    weights = rng.multinomial(count, np.full(count, 1 / count), size=DRAWS).astype(float)
    known, filled = values.notna().to_numpy(float), values.fillna(0.0).to_numpy()
    total = weights @ known
    return np.divide(weights @ filled, total, out=np.full(total.shape, np.nan), where=total > 0)


def format_over_tasks(found: pd.DataFrame, columns: Sequence[str] = MEASURES) -> pd.DataFrame:
    """Format what `compare_over_tasks` returned as texts."""

    def cell(row: Mapping[str, Any], name: str) -> str:
        ends = [row.get(f"{name}_{end}") for end in ("low", "high")]
        if any(end is None for end in ends):
            return f"{row[name]:.2f}"
        return f"{row[name]:.2f} [{ends[0]:.2f}, {ends[1]:.2f}]"

    rows = found.to_dict("records")
    texts = [{name: cell(row, name) for name in columns} for row in rows]
    about = [{"name": row["name"], "": row["kind"], "tasks": str(row["tasks"])} for row in rows]
    return pd.DataFrame([one | text for one, text in zip(about, texts, strict=True)])
