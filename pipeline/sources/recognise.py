"""Recognise what a file or folder of the user's own holds, and which task would describe it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.errors import UserError
from pipeline.features.inputs import convert
from pipeline.sources import columns, table
from pipeline.sources.image_folder import SUFFIXES

CLASSIFICATION, REGRESSION = KINDS = ("classification", "regression")
# A label of whole numbers names classes if there are at most so many.
MOST_CLASSES = 20
# A column holds texts, not categories, from so many characters on average and from this share of
# values that differ. So many rows are looked at.
TEXT_LENGTH, TEXT_SHARE, LOOKED_AT = 40, 0.5, 1000


class Recognised(NamedTuple):
    """
    What a file or folder was taken for.

    Attributes
    ----------
    template : str
        The task of conf/task/ for data of this form.
    kind : {"classification", "regression"}
        Kind of problem.
    source : dict
        Keys of ``task.source`` that the template sets otherwise.
    because : str
        What it was taken for, and what to say if that is wrong.
    """

    template: str
    kind: str
    source: dict[str, Any]
    because: str


def recognise(
    path: Path,
    named: Mapping[str, Any],
    kind: str | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Recognised:
    """
    Recognise a table, a folder of texts or a folder of images.

    Parameters
    ----------
    path : Path
        A table as for `pipeline.sources.table`, or a folder with a folder per class.
    named : mapping
        What the user named of ``label``, ``group``, ``time``, ``test`` and ``ignore``.
    kind : {"classification", "regression"}, optional
        Kind of problem. By default it is classification, unless the label holds numbers with
        fractions, or more than 20 different numbers.
    settings : mapping, optional
        What the user sets of ``task.source``, such as ``encoding``.

    Returns
    -------
    Recognised

    Raises
    ------
    UserError
        If there is no such file, if the label is not named or not there, or if it cannot be
        told whether it holds numbers.
    """
    if path.is_dir():
        return _folder(path, named, kind)
    given = settings or {}
    how = table.Written(**{key: given[key] for key in table.Written._fields if given.get(key)})
    if path.is_file() and "label" not in named:
        names = table.load(path, {}, how=how).column_names
        raise UserError(f"--label: name the column of {path} to predict: {', '.join(names)}")
    roles = {key: named[key] for key in ("label", "group", "time") if key in named}
    rows = table.load(path, roles, named.get("ignore", []), how=how)
    label = table.plain(path, rows.select([named["label"]]))[named["label"]]
    forms = table.checked(*(given.get(key) for key in columns.Given._fields))
    found = columns.recognise(label.to_frame(), {}, forms)[named["label"]]
    if kind is None and found.kind != "number" and label.nunique() > MOST_CLASSES:
        _check_certain(path, found)
    holds, is_number = _describe(label, found)
    chosen = kind or (REGRESSION if is_number else CLASSIFICATION)
    otherwise = _otherwise(chosen) if kind is None and found.kind == "number" else ""
    because = f"'{named['label']}' holds {holds}: {chosen}{otherwise}"
    inputs = [name for name in rows.column_names if name not in roles.values()]
    source = {"path": path.as_posix(), **named}
    if len(inputs) == 1 and not {"time", "test", "ignore"} & set(named):
        values = rows[inputs[0]].slice(0, LOOKED_AT).drop_null()
        if _names_images(path, values):
            return Recognised("image_folder", chosen, source | {"image": inputs[0]}, because)
        if _holds_texts(values):
            return Recognised("text_folder", chosen, source | {"text": inputs[0]}, because)
    template = "table" if chosen == CLASSIFICATION else "table_regression"
    return Recognised(template, chosen, source, because)


def _folder(path: Path, columns: Mapping[str, Any], kind: str | None) -> Recognised:
    if columns:
        raise UserError(
            f"--{next(iter(columns))}: {path} is a folder: its folders are the classes, and the "
            "folders below them the groups"
        )
    suffixes = [file.suffix.lower() for file in path.glob("*/**/*") if file.is_file()]
    images = sum(suffix in SUFFIXES for suffix in suffixes)
    texts = suffixes.count(".txt")
    if not images and not texts:
        raise UserError(
            f"{path} holds no texts or images: expected {path}/<class>/<text>.txt or "
            f"{path}/<class>/<image>.jpg"
        )
    if kind == REGRESSION:
        raise UserError(f"--kind: {path}: the classes of a folder are no numbers: leave --kind out")
    template, what = ("image_folder", "images") if images > texts else ("text_folder", "texts")
    because = f"{path} holds {max(images, texts):,} {what} in folders: {CLASSIFICATION}"
    return Recognised(template, CLASSIFICATION, {"path": path.as_posix()}, because)


def _check_certain(path: Path, column: columns.Column) -> None:
    """Raise an error if it is doubtful whether a label of many values holds numbers."""
    for doubt in column.doubts:
        if columns.UNTIL_THEN in doubt:
            question = doubt.partition(";")[0]
            raise UserError(f"{path}: {question}; for classes say --kind {CLASSIFICATION}")


def _otherwise(chosen: str) -> str:
    other = next(one for one in KINDS if one != chosen)
    return f" (otherwise say --kind {other})"


def _describe(label: pd.Series, column: columns.Column) -> tuple[str, bool]:
    """Describe the values of a label, and return whether they are numbers to predict."""
    if column.kind != "number":
        return _count(label.nunique(), "value"), False
    numbers = convert(label, "double", column.form, True).dropna()
    if (numbers % 1 == 0).all():
        return _count(numbers.nunique(), "whole number"), numbers.nunique() > MOST_CLASSES
    return _count(numbers.nunique(), "number"), True


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'s' * (number != 1)}"


def _names_images(path: Path, values: pa.ChunkedArray) -> bool:
    """Return whether a column names images by their paths, relative to the table."""
    if not pa.types.is_string(values.type) or not len(values):
        return False
    first = path.parent / values[0].as_py()
    return first.suffix.lower() in SUFFIXES and first.is_file()


def _holds_texts(values: pa.ChunkedArray) -> bool:
    if not pa.types.is_string(values.type) or not len(values):
        return False
    length = pc.mean(pc.utf8_length(values)).as_py()
    return length >= TEXT_LENGTH and len(pc.unique(values)) >= TEXT_SHARE * len(values)
