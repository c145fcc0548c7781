"""Texts on disk: a folder a class, a file a text."""

import hashlib
from pathlib import Path

import pandas as pd

from pipeline.errors import UserError
from pipeline.sources.examples import Source
from pipeline.sources.text import decoding_problem, normalise


def read(path: str, keep_layout: bool = False) -> Source:
    """
    Read ``<path>/<label>/<text>.txt`` and ``<path>/<label>/<group>/<text>.txt``.

    Parameters
    ----------
    path : str
        The folder that holds a folder for each class.
    keep_layout : bool, default=False
        Keep line breaks and indents instead of collapsing white space.

    Returns
    -------
    Source
        Input ``text``. Texts in one sub-folder of a class share a group, the
        sub-folder's name; any other text is a group of its own.

    Raises
    ------
    UserError
        For a folder that is missing or holds no text, and for a file that is
        not UTF-8.
    """
    folder = Path(path)
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder: task.source.path names a folder of classes")
    files = sorted(file for file in folder.glob("*/**/*.txt") if file.is_file())
    if not files:
        raise UserError(f"{folder} holds no text: expected {folder}/<label>/<text>.txt")
    digest = hashlib.sha256()
    rows = []
    for file in files:
        place = file.relative_to(folder)
        content = file.read_bytes()
        digest.update(place.as_posix().encode() + b"\0" + content + b"\0")
        try:
            text = content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise UserError(f"{file} {decoding_problem(error)}; save it as UTF-8") from None
        group = place.parts[1] if len(place.parts) > 2 else place.as_posix()
        rows.append((place.as_posix(), normalise(text, keep_layout), place.parts[0], group))
    examples = pd.DataFrame(rows, columns=["example_id", "text", "label", "group"])
    return Source(examples, [{"path": folder.as_posix(), "sha256": digest.hexdigest()}])
