"""Read what is to be predicted: a table in parts of some rows, or a folder of texts or images."""

import codecs
import csv
import gzip
import json
import re
import zlib
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from io import TextIOWrapper
from itertools import chain, islice
from pathlib import Path
from typing import IO, Any, NamedTuple

import pandas as pd
import pyarrow as pa
from pyarrow import parquet

from pipeline.errors import UserError, encoding_fault, nearest
from pipeline.sources import image_folder, table, text_folder
from pipeline.sources.examples import META

# Rows of a table, and files, that are in memory at once.
ROWS, FILES = 4096, 128
# Files that are an input by themselves, by its kind.
WHOLE = {"string": frozenset({".txt"}), "binary": frozenset(image_folder.SUFFIXES)}
# Sources of one input, with the key that names its column in a table.
COLUMN = {f"{text_folder.__name__}.read": "text", f"{image_folder.__name__}.read": "image"}
# What booleans among numbers are.
BOOLEANS = {"true": "1", "false": "0"}
# Characters of the longest value in CSV. Python's own limit is below a long text.
csv.field_size_limit(1 << 30)
# What stands for a byte that is not in the encoding of its text.
SURROGATE = re.compile("[\udc80-\udcff]")
DAMAGES = (EOFError, UnicodeError, csv.Error, gzip.BadGzipFile, pa.ArrowException, zlib.error)

# The values of a row by column, or why it cannot be read.
Row = dict[str, Any] | str


class Part(NamedTuple):
    """
    Some rows of what is to be predicted.

    Attributes
    ----------
    rows : DataFrame
        A column per input. Indexed by ``row``, the number of the row from 1 without a header,
        or by ``file``, its path in the folder.
    faults : dict
        By index, why a row cannot be read. Its values are missing.
    """

    rows: pd.DataFrame
    faults: dict[Any, str]


def read(path: Path, inputs: Mapping[str, str], source: Mapping[str, Any]) -> Iterator[Part]:
    """
    Read rows without labels as the source of the training examples reads those with labels.

    Parameters
    ----------
    path : Path
        A table of a type in `READERS`, which may be compressed by gzip if it is text. Columns
        that are no inputs are ignored. If the model reads a text or an image, also a ``.txt`` or
        an image, or a folder with such files at any depth. In a table images are named by their
        paths, relative to the table.
    inputs : mapping of str to str
        The kind of each input.
    source : mapping
        ``task.source`` of the training, whose ``sep`` and ``encoding`` hold here too.

    Yields
    ------
    Part
        The first one has no rows if the table has none.

    Raises
    ------
    UserError
        If the path is missing, of an unknown type, damaged or empty, or lacks a column.
    """
    kinds = [*inputs.values()]
    suffixes = WHOLE.get(kinds[0], frozenset()) if len(kinds) == 1 else frozenset()
    how = table.Written(source.get("sep"), source.get("encoding", table.Written().encoding))
    kind = table.type_of(path)
    if path.is_dir():
        yield from _folder(path, next(iter(inputs)), suffixes, how)
    elif not path.is_file():
        raise UserError(f"{path} does not exist")
    elif kind in suffixes:
        yield _files([path], path.parent, next(iter(inputs)), how)
    elif kind in READERS:
        yield from _table(path, _readable(path, READERS[kind](path, how)), inputs, source)
    else:
        known = ", ".join([*READERS, *sorted(suffixes)])
        raise UserError(f"{path}: unknown type of file '{path.suffix}'; known: {known}")


def _folder(
    folder: Path, name: str, suffixes: frozenset[str], how: table.Written
) -> Iterator[Part]:
    """Read the files of a folder, but hidden ones. Each is the input of that name."""
    if not suffixes:
        raise UserError(f"{folder} is a folder: name a table, {', '.join(READERS)}")
    found = [
        file
        for file in sorted(folder.rglob("*"))
        if file.suffix.lower() in suffixes
        and not any(part.startswith(".") for part in file.relative_to(folder).parts)
    ]
    if not found:
        raise UserError(f"{folder} holds no file of the types {', '.join(sorted(suffixes))}")
    for start in range(0, len(found), FILES):
        yield _files(found[start : start + FILES], folder, name, how)


def _files(files: list[Path], folder: Path, name: str, how: table.Written) -> Part:
    index = pd.Index([file.relative_to(folder).as_posix() for file in files], name="file")
    encodings = {".txt": _with_mark(how.encoding)}
    rows = [_content(file, name, encodings.get(file.suffix.lower())) for file in files]
    return _part(rows, index, {name: name})


def _content(file: Path, name: str, encoding: str | None = None) -> Row:
    """Read a file, as a text if its encoding is given."""
    try:
        content = file.read_bytes()
        return {name: content if encoding is None else content.decode(encoding)}
    except UnicodeDecodeError as error:
        return f"it {encoding_fault(error)}"
    except OSError as error:
        return f"{file}: {error.strerror}"


def _table(
    path: Path, rows: Iterator[Row], inputs: Mapping[str, str], source: Mapping[str, Any]
) -> Iterator[Part]:
    """Read a table in parts, with the columns that are inputs."""
    column = COLUMN.get(str(source.get("_target_")))
    at_once = FILES if column == "image" else ROWS
    names: dict[str, str] = {}
    start = 1
    while (part := list(islice(rows, at_once))) or start == 1:
        whole = [row for row in part if isinstance(row, dict)]
        if whole and not names:
            known = list(dict.fromkeys(name for row in whole for name in row))
            names = _columns(path, known, inputs, source.get(column, column) if column else None)
        index = pd.RangeIndex(start, start + len(part), name="row")
        cleaned = [_cleaned(row, names, inputs) for row in part]
        if column == "image":
            cleaned = [_opened(row, path.parent) for row in cleaned]
        yield _part(cleaned, index, inputs)
        start += max(len(part), 1)


def _part(rows: list[Row], index: pd.Index, inputs: Mapping[str, str]) -> Part:
    faults = {at: row for at, row in zip(index, rows, strict=True) if isinstance(row, str)}
    whole = [{} if isinstance(row, str) else row for row in rows]
    columns = {name: [row.get(name) for row in whole] for name in inputs}
    return Part(pd.DataFrame(columns, index=index, dtype=object), faults)


def _columns(
    path: Path, known: list[str], inputs: Mapping[str, str], column: str | None
) -> dict[str, str]:
    """
    Return the column of a table that holds each input.

    Parameters
    ----------
    path : Path
        The table.
    known : list of str
        Its columns.
    inputs : mapping of str to str
        The inputs.
    column : str or None
        The column of the only input, if the source names it.
    """
    # The source of a table gives the suffix to an input whose name has a meaning here.
    names = {
        name: name[:-1] if name[:-1] in META and name not in known else name for name in inputs
    }
    if column is not None:
        names = dict.fromkeys(inputs, column)
    lacking = [name for name in names.values() if name not in known]
    if lacking:
        more = f" (and {len(lacking) - 1} more are missing)" if len(lacking) > 1 else ""
        raise UserError(f"{path}: no column '{lacking[0]}'{nearest(lacking[0], known)}{more}")
    return names


def _cleaned(row: Row, names: Mapping[str, str], kinds: Mapping[str, str]) -> Row:
    """Return the inputs of a row, with values as a training table would have them."""
    if isinstance(row, str):
        return row
    return {name: _value(row.get(column), kinds[name]) for name, column in names.items()}


def _value(value: Any, kind: str) -> Any:
    if isinstance(value, str):
        text = value.strip()
        return BOOLEANS.get(text.lower(), text or None) if kind == "double" else text or None
    return value.total_seconds() if isinstance(value, timedelta) else value


def _opened(row: Row, folder: Path) -> Row:
    """Read the image that a row names by its path."""
    if isinstance(row, str):
        return row
    ((name, value),) = row.items()
    return _content(folder / value, name) if isinstance(value, str) else row


def _csv(file: Path, how: table.Written) -> Iterator[Row]:
    with _text(file, how) as content:
        first = content.readline()
        if not first.strip():
            raise UserError(f"{file} has no header in its first line")
        if reason := _undecoded(first, how):
            raise UserError(f"{file}: its header {reason}, as the training file was: save it so")
        rows = csv.reader(chain([first], content), delimiter=how.delimiter(first))
        names = table.column_names(file, next(rows))
        for values in filter(None, rows):
            if len(values) != len(names):
                yield f"it has {len(values)} values, the header has {len(names)}"
            elif reason := _undecoded("".join(values), how):
                yield f"it {reason}"
            else:
                yield dict(zip(names, values, strict=True))


def _json_lines(file: Path, how: table.Written) -> Iterator[Row]:
    # Training reads it in this encoding whatever the settings say.
    how = how._replace(encoding="utf-8")
    with _text(file, how) as content:
        for line in content:
            if reason := _undecoded(line, how):
                yield f"it {reason}"
            elif line.strip():
                yield _json_row(line)


def _json_row(line: str) -> Row:
    try:
        row = json.loads(line)
    except ValueError as error:
        return f"it is not JSON: {error}"
    return row if isinstance(row, dict) else "it is no object of JSON"


def _parquet(file: Path, _: table.Written) -> Iterator[Row]:
    with parquet.ParquetFile(file) as content:
        for batch in content.iter_batches(ROWS):
            yield from batch.to_pylist()


def _at_once(file: Path, how: table.Written) -> Iterator[Row]:
    """Read a file of a type that cannot be read in parts."""
    for batch in table.parse(file, [], how).to_batches(ROWS):
        yield from batch.to_pylist()


def _text(file: Path, how: table.Written) -> IO[str]:
    """Open a text. What is not in its encoding becomes surrogates: the other rows are read."""
    encoding = _with_mark(how.encoding)
    opened = table.open_file(file)
    return TextIOWrapper(opened, encoding=encoding, errors="surrogateescape", newline="")


def _with_mark(encoding: str) -> str:
    """Return an encoding that accepts the mark which some programs write before UTF-8."""
    return "utf-8-sig" if codecs.lookup(encoding).name == "utf-8" else encoding


def _undecoded(text: str, how: table.Written) -> str:
    """Return that a text was not in its encoding, and nothing if it was."""
    return f"is not {how.encoding}" if SURROGATE.search(text) else ""


def _readable(file: Path, rows: Iterator[Row]) -> Iterator[Row]:
    """Yield rows, and reword the errors of a file that cannot be read on."""
    try:
        yield from rows
    except DAMAGES as error:
        raise UserError(f"{file} is damaged: {str(error).splitlines()[0]}") from None


READERS: dict[str, Callable[[Path, table.Written], Iterator[Row]]] = {
    ".csv": _csv,
    ".tsv": _csv,
    ".parquet": _parquet,
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
    ".json": _at_once,
    ".xlsx": _at_once,
}
