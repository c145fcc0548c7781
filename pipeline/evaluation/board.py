"""What a comparison found, in one file for whatever shows it or decides by it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline import bundle
from pipeline.errors import UserError
from pipeline.files import damaged, read_json, write_json

VERSION = 1


def write(
    path: Path,
    known: Mapping[str, Any],
    boards: Mapping[str, pd.DataFrame],
    examples: Mapping[str, int],
) -> None:
    """
    Write the board of a task.

    Parameters
    ----------
    path : Path
        The file.
    known : mapping
        What was compared, and how: plain values.
    boards : mapping of str to DataFrame
        For the test examples and each slice what `leaderboard` returns.
    examples : mapping of str to int
        How many examples each has.
    """
    slices = {
        name: {
            "examples": examples[name],
            "rows": board.astype(object).where(board.notna(), None).to_dict("records"),
        }
        for name, board in boards.items()
    }
    write_json(path, {"format": VERSION, **known, "slices": slices})


def digest_in(folder: Path) -> str | None:
    """Return the digest of the model in a folder, None when there is none."""
    return bundle.digest(folder) if (folder / bundle.MANIFEST).is_file() else None


def check_current(path: Path, models: Path) -> None:
    """
    Check that a board compares the models that are there now.

    DVC may bring models back without a stage that is run, and boards, which hold seconds, are
    none of its outputs.

    Parameters
    ----------
    path : Path
        What `write` wrote.
    models : Path
        The folder with a folder for each model.

    Raises
    ------
    UserError
        When it is missing, damaged, or compares others.
    """
    board = read_json(path)
    try:
        task, compared = board["task"], board["models"]
        changed = [n for n, known in compared.items() if known["digest"] != digest_in(models / n)]
    except (KeyError, TypeError, AttributeError) as error:
        raise damaged(path, error) from None
    if changed:
        raise UserError(
            f"{path.parent} compares another {changed[0]} than the one in {models}: "
            f"python -m pipeline.evaluate task={task}"
        )


def read(path: Path, part: str) -> pd.DataFrame:
    """
    Read the rows of a board.

    Parameters
    ----------
    path : Path
        What `write` wrote.
    part : str
        ``test``, or a slice.

    Returns
    -------
    DataFrame
        A row per model, best first, as `leaderboard` returns it.

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
