"""
The board of a task: every model, best first, with scores and costs.

``board.json`` is the one file that a page, a report or a gate reads.
"""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from pipeline import bundle
from pipeline.errors import UserError
from pipeline.files import damaged, read_json, write_json

VERSION = 1


def make_board(
    scores: pd.DataFrame,
    costs: Mapping[str, Mapping[str, float]],
    metric: str,
    failed: Mapping[str, Mapping[str, str]] = MappingProxyType({}),
) -> pd.DataFrame:
    """
    Join scores and costs, and mark the best models.

    Parameters
    ----------
    scores : DataFrame
        What `comparison.compare` returns: one row per model, best first.
    costs : mapping of str to mapping
        For each model ``family``, ``fit_seconds``, ``predict_ms_per_1000``
        and ``model_bytes``.
    metric : str
        Name of the deciding metric.
    failed : mapping of str to mapping
        For each model that cannot be compared ``family``, and in ``failed`` the reason.

    Returns
    -------
    DataFrame
        One row per model, best first; models without scores come last. ``best`` is
        ``overall`` for the best model, ``family`` for the best of each other family, and
        empty for the others, among them those for which the metric is not defined.
        ``failed`` is empty, or the reason why there are no scores.
    """
    board = scores.join(pd.DataFrame(costs).T.infer_objects())
    defined = board[metric].notna()
    first = ~board["family"].duplicated() & defined
    board.insert(0, "metric", metric)
    board.insert(0, "best", np.where(first, "family", ""))
    if defined.iloc[0]:
        board.iloc[0, 0] = "overall"
    board["failed"] = ""
    board = board.rename_axis("model").reset_index()
    if not failed:
        return board
    rows = [
        {"model": model, "best": "", "metric": metric, **values} for model, values in failed.items()
    ]
    return pd.concat([board, pd.DataFrame(rows)], ignore_index=True)


def write_board(
    path: Path,
    comparison: Mapping[str, Any],
    boards: Mapping[str, pd.DataFrame],
    examples: Mapping[str, int],
) -> None:
    """
    Write the board of a task.

    Parameters
    ----------
    path : Path
        The file.
    comparison : mapping
        What is compared, and how: plain values.
    boards : mapping of str to DataFrame
        What `make_board` returns, for the test examples and for each slice.
    examples : mapping of str to int
        Number of examples of each.
    """
    slices = {
        name: {
            "examples": examples[name],
            "rows": board.astype(object).where(board.notna(), None).to_dict("records"),
        }
        for name, board in boards.items()
    }
    write_json(path, {"format": VERSION, **comparison, "slices": slices})


def model_digest(folder: Path) -> str | None:
    """Return the digest of the model in a folder, or None when there is no model."""
    return bundle.digest(folder) if (folder / bundle.MANIFEST).is_file() else None


def check_current(path: Path, models: Path) -> None:
    """
    Check that a board compares the current models.

    DVC may restore models without running a stage. It does not restore boards: they hold
    seconds, and so are no outputs of DVC.

    Parameters
    ----------
    path : Path
        The file that `write_board` wrote.
    models : Path
        The folder that holds one folder per model.

    Raises
    ------
    UserError
        When the board is missing, is damaged, or compares other models.
    """
    board = read_json(path)
    try:
        task, compared = board["task"], board["models"]
        changed = [
            name
            for name, model in compared.items()
            if model["digest"] != model_digest(models / name)
        ]
    except (KeyError, TypeError, AttributeError) as error:
        raise damaged(path, error) from None
    if changed:
        raise UserError(
            f"{path.parent} compares another {changed[0]} than the one in {models}: "
            f"python -m pipeline.evaluate task={task}"
        )


def read_board(path: Path, part: str) -> pd.DataFrame:
    """
    Read the rows of a board.

    Parameters
    ----------
    path : Path
        The file that `write_board` wrote.
    part : str
        ``test``, or the name of a slice.

    Returns
    -------
    DataFrame
        One row per model, best first, as `make_board` returns it.

    Raises
    ------
    UserError
        When the file is missing or damaged.
    """
    board = read_json(path)
    try:
        return pd.DataFrame(board["slices"][part]["rows"])
    except (KeyError, TypeError) as error:
        raise damaged(path, error) from None
