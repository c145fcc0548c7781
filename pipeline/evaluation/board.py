"""
The board of a task: every model, best first, with scores and costs.

``board.json`` is the one file that a page, a report or a gate reads.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipeline import bundle
from pipeline.errors import UserError
from pipeline.evaluation.comparison import Comparison
from pipeline.evaluation.verdict import PRICES, Verdict
from pipeline.files import damaged, read_json

VERSION = 2
TEST = "test"
# The size of the batch whose latency is shown and compared.
BATCH = 100


def make_board(
    facts: Mapping[str, Any],
    compared: Mapping[str, Comparison],
    verdict: Verdict,
    costs: Mapping[str, Mapping[str, Any]],
    sizes: Mapping[str, int],
) -> dict[str, Any]:
    """
    Put together what a page, a report or a gate needs.

    Parameters
    ----------
    facts : mapping
        What was compared and how. ``models`` has for each model ``family``, and in
        ``failed`` the reason why it has no scores, or nothing.
    compared : mapping of str to Comparison
        The comparison on the test examples, and on each slice.
    verdict : Verdict
        Which model to take.
    costs : mapping of str to mapping
        Costs of each model that was compared.
    sizes : mapping of str to int
        Number of examples of each slice.

    Returns
    -------
    dict
        Plain values for ``board.json``. What is not defined is None.
    """
    comparison, metrics = compared[TEST], facts["metrics"]
    prices = {model: prices_of(of_model) for model, of_model in costs.items()}
    front = unbeaten(comparison.scores[facts["metric"]], prices, facts)
    models = {}
    for model, known in facts["models"].items():
        models[model] = dict(known)
        if model in comparison.scores.index:
            row = comparison.scores.loc[model]
            models[model] |= {
                "scores": {name: _score(row, name) for name in metrics},
                "probability_best": comparison.probability_best[model],
                "costs": costs[model],
                "prices": prices[model],
                "unbeaten": model in front,
            }
    examples = {TEST: facts["rounds"]["examples"], **sizes}
    board = {
        "format": VERSION,
        **facts,
        "models": models,
        "verdict": verdict._asdict(),
        "pairs": comparison.pairs.to_dict("records"),
        "families": comparison.families.to_dict("records"),
        "slices": {
            part: {"examples": examples[part], "rows": _rows(of_part, facts, verdict, prices)}
            for part, of_part in compared.items()
        },
    }
    return plain(board)


def unbeaten(
    scores: "pd.Series[float]", prices: Mapping[str, Mapping[str, float]], facts: Mapping[str, Any]
) -> list[str]:
    """Return the models that no other beats in both the deciding score and the price."""
    sign = 1 if facts["greater_is_better"] else -1
    price = {model: prices[model][PRICES[facts["cheapest"]]] for model in scores.index}
    return [
        model
        for model in scores.index
        if not any(
            sign * scores[other] >= sign * scores[model]
            and price[other] <= price[model]
            and (sign * scores[other] > sign * scores[model] or price[other] < price[model])
            for other in scores.index
        )
    ]


def prices_of(costs: Mapping[str, Any]) -> dict[str, float]:
    """
    Return the prices of a model that decide or are shown on the leaderboard.

    Returns
    -------
    dict of str to float
        ``fit_seconds``, ``predict_ms`` for a batch of `BATCH` examples, or for the largest
        one measured if the test has fewer, and ``model_bytes``.
    """
    latency = {int(size): ms for size, ms in costs["predict_ms"].items() if not np.isnan(ms)}
    sizes = [size for size in latency if size <= BATCH]
    return {
        "fit_seconds": costs["fit_seconds"],
        "predict_ms": latency[max(sizes)] * BATCH / max(sizes) if sizes else np.nan,
        "model_bytes": costs["model_bytes"],
    }


def _score(row: "pd.Series[Any]", name: str) -> dict[str, Any]:
    keys = {"score": name}
    keys |= {key: f"{name}_{key}" for key in ("low", "high", "why", "undefined")}
    if f"{name}_sd" in row:
        keys |= {"sd": f"{name}_sd", "rounds": f"{name}_rounds"}
    return {key: row[column] for key, column in keys.items()}


def _rows(
    comparison: Comparison,
    facts: Mapping[str, Any],
    verdict: Verdict,
    prices: Mapping[str, Mapping[str, float]],
) -> list[dict[str, Any]]:
    """Return a row per model: scores, costs, and last the models that failed."""
    left_out = [name for name in comparison.scores if name.endswith(("_rounds", "_why"))]
    board = comparison.scores.drop(columns=left_out).join(pd.DataFrame(prices).T)
    board.insert(0, "family", [facts["models"][model]["family"] for model in board.index])
    board.insert(0, "metric", facts["metric"])
    board.insert(0, "mark", [_mark(model, verdict) for model in board.index])
    board["failed"] = ""
    rows = board.rename_axis("model").reset_index().to_dict("records")
    failed = [
        {"model": model, "mark": "", "metric": facts["metric"], **known}
        for model, known in facts["models"].items()
        if known["failed"]
    ]
    return [*rows, *failed]


def _mark(model: str, verdict: Verdict) -> str:
    if model == verdict.take:
        return "take"
    return "contender" if model in verdict.contenders else ""


def plain(value: Any) -> Any:
    """Convert numbers of numpy to Python's, and what is not finite to None, in nested values."""
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [plain(one) for one in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not np.isfinite(value) else value


def test_scores(board: Mapping[str, Any]) -> dict[str, dict[str, dict[str, float]]]:
    """Return for each model its defined scores on test and slices, with the interval."""
    ends = [f"{board['metric']}_{end}" for end in ("low", "high", "sd")]
    found: dict[str, dict[str, dict[str, float]]] = {}
    for part, of_part in board["slices"].items():
        for row in of_part["rows"]:
            if not row["failed"]:
                scores = {name: row.get(name) for name in [*board["metrics"], *ends]}
                defined = {name: value for name, value in scores.items() if value is not None}
                found.setdefault(row["model"], {})[part] = defined
    return found


def model_digest(folder: Path) -> str | None:
    """Return the digest of the model in a folder, or None when there is no model."""
    return bundle.digest(folder) if (folder / bundle.MANIFEST).is_file() else None


def check_current(path: Path, folder_of: Callable[[str], Path]) -> None:
    """
    Check that a board compares the current models.

    DVC may restore models without running a stage. It does not restore boards: they hold
    seconds, and so are no outputs of DVC.

    Parameters
    ----------
    path : Path
        The file that `write_board` wrote.
    folder_of : callable
        From the name of a model to its folder.

    Raises
    ------
    UserError
        When the board is missing, is damaged, or compares other models.
    """
    board = read_board(path)
    try:
        task, compared = board["task"], board["models"]
        changed = [
            name
            for name, model in compared.items()
            if model["digest"] != model_digest(folder_of(name))
        ]
    except (KeyError, TypeError, AttributeError) as error:
        raise damaged(path, error) from None
    if changed:
        raise UserError(
            f"{path.parent} compares another {changed[0]} than the one in "
            f"{folder_of(changed[0])}: "
            f"python -m pipeline.evaluate task={task}"
        )


def read_board(path: Path) -> dict[str, Any]:
    """
    Read ``board.json``.

    Raises
    ------
    UserError
        When the file is missing, damaged, or of another version of the format.
    """
    keys = {"format": int, "task": str, "metric": str, "models": dict, "slices": dict}
    board: dict[str, Any] = read_json(path, keys)
    if board["format"] != VERSION:
        raise damaged(path, f"its format is {board['format']}, not {VERSION}")
    return board


def read_rows(board: Mapping[str, Any], part: str) -> pd.DataFrame:
    """
    Return the rows of a board.

    Parameters
    ----------
    board : mapping
        What `make_board` returned.
    part : str
        ``test``, or the name of a slice.

    Returns
    -------
    DataFrame
        One row per model, best first. ``mark`` is ``take`` for the recommended model,
        ``contender`` for those that cannot be told apart from the best, otherwise empty.
        ``failed`` is empty, or the reason why there are no scores.
    """
    return pd.DataFrame(board["slices"][part]["rows"])
