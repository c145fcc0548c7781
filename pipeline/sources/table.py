"""Read a table of the user's own: CSV, Parquet or JSON-lines with a column to predict."""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv, json, parquet

from pipeline.errors import UserError, encoding_fault, nearest
from pipeline.files import sha256
from pipeline.sources.examples import (
    CONTRADICTION,
    META,
    META_PREFIX,
    Source,
    drop_duplicates,
    inputs_of,
    origin_of,
)

# In a table with fewer rows a column may count them by chance.
FEWEST_ROWS = 20
# Rows with equal inputs are no copies when a larger share of them than this differ in the label.
MOST_CONTRADICTIONS = 0.1
# A text column is probably meant to hold numbers if a larger share than MOSTLY of its first
# LOOKED_AT rows are numbers.
LOOKED_AT, MOSTLY = 1000, 0.8
NUMBER = r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?"
COMMA = r"[+-]?(\d{1,3}(\.\d{3})+|\d+),\d+"
# Bytes that are parsed at once. A row may not have more.
BLOCK = 1 << 24
SHOWN = 5
LEAK = (
    "column '{}' determines the label by itself: if it is not known when a prediction is wanted, "
    "add it to task.source.ignore"
)
NUMBERED = (
    "column '{}' numbers the rows, in another order: if that order determines the label, "
    "add it to task.source.ignore"
)
COUNTING = "column '{}' numbers the rows from first to last, and is left out"
COMMAS = (
    "column '{}' is taken for text: its numbers are written as '{}'; "
    "save them with a point, as pandas.read_csv(..., decimal=',') and to_csv do"
)
ODD = (
    "column '{}' is taken for text, though most of it is numbers: row {:,} holds '{}'; "
    "leave such values empty"
)
ALIKE = (
    "{:,} rows have the same inputs as another, often under another label: "
    "they are taken for cases of their own, not for copies, and kept"
)


def read(
    path: Path,
    label: str,
    group: str | None = None,
    time: str | None = None,
    test: Path | None = None,
    ignore: list[str] | None = None,
) -> Source:
    """
    Read a table whose columns are inputs, except those that the parameters name.

    Parameters
    ----------
    path : Path
        A file ``.csv``, ``.tsv``, ``.parquet``, ``.jsonl`` or ``.ndjson``.
    label : str
        The column to predict.
    group : str, optional
        A column whose values no two splits may share, such as the patient.
        Without it each row is a group of its own.
    time : str, optional
        A column of times or numbers; the latest rows are held out.
    test : Path, optional
        A file with the same columns, whose rows are the test examples.
    ignore : list of str, optional
        Columns to leave out.

    Returns
    -------
    Source
        With what `examples` returns, without columns that count the rows, and with a
        warning for each input that equals the label one to one.

    Raises
    ------
    UserError
        If a file cannot be read, a column cannot be used, or the label is missing in a row.
    """
    if group is not None and time is not None:
        raise UserError(
            "task.source.group and task.source.time are both set: rows are held out "
            "by group or by time; set one of them to null"
        )
    columns = {"label": label, "group": group, "time": time}
    roles = {role: name for role, name in columns.items() if name is not None}
    files = [Path(path)]
    tables = [load(files[0], roles, ignore or [])]
    if test is not None:
        texts = [field.name for field in tables[0].schema if pa.types.is_string(field.type)]
        files.append(Path(test))
        tables.append(load(files[1], roles, ignore or [], texts))
        _check_same_columns(files, tables)
    parts = examples(files, tables, roles)
    counting, shuffled = row_numbers(parts[0])
    parts = [part.drop(columns=counting) for part in parts]
    if not inputs_of(parts[0]):
        raise UserError(f"{files[0]}: no column is left to learn from")
    alike = alike_by_chance(parts[0])
    return Source(
        parts[0],
        [origin_of(file, sha256(file)) for file in files],
        test=parts[1] if test is not None else None,
        may_miss=True,
        may_repeat=alike > 0,
        label=label,
        warnings=[
            *(
                f"'{name}' has a meaning here: the input is called '{name}_'"
                for name in META
                if f"{name}_" in set(parts[0]) - set(tables[0].column_names)
            ),
            *(COUNTING.format(name) for name in counting),
            *(LEAK.format(name) for name in leaks(parts[0])),
            *(NUMBERED.format(name) for name in shuffled),
            *nearly_numbers(parts[0]),
            *([ALIKE.format(alike)] if alike else []),
        ],
    )


def load(
    file: Path, roles: Mapping[str, str], ignore: Sequence[str] = (), texts: Sequence[str] = ()
) -> pa.Table:
    """
    Read a table without changing its values.

    Parameters
    ----------
    file : Path
        Its suffix names its format.
    roles : mapping of str to str
        Columns that it must have, by key of ``task.source``.
    ignore : sequence of str
        Columns to leave out.
    texts : sequence of str
        Columns of CSV to read as text even if they look like numbers. The columns of
        `roles` are read as text anyway, except ``time``.

    Returns
    -------
    pyarrow.Table
        With at least one row.

    Raises
    ------
    UserError
        If the file is missing, of an unknown type, damaged or empty, lacks a column, or
        has two columns of one name.
    """
    if not file.is_file():
        raise UserError(f"{file} is not a file: task.source names a table, {', '.join(READERS)}")
    kind = file.suffix.lower()
    if kind not in READERS:
        raise UserError(f"{file}: unknown type of file '{kind}'; known: {', '.join(READERS)}")
    try:
        table = READERS[kind](file, [*texts, *_texts(roles)])
        names = [name or f"column {i}" for i, name in enumerate(table.column_names, 1)]
    except (pa.ArrowException, UnicodeDecodeError) as error:
        raise _unreadable(file, str(error)) from None
    for name, count in Counter(names).items():
        if count > 1:
            raise UserError(f"{file}: {count} columns are called '{name}'; rename all but one")
    for key, name in [*roles.items(), *(("ignore", name) for name in ignore)]:
        if name not in names:
            raise UserError(f"{file}: task.source.{key}: no column '{name}'{nearest(name, names)}")
        if key != "ignore" and name in ignore:
            raise UserError(f"task.source.{key}: column '{name}' is also in task.source.ignore")
    table = table.rename_columns(names).drop_columns(sorted(set(ignore)))
    for name in META:
        if {name, f"{name}_"} <= set(table.column_names) - set(roles.values()):
            raise UserError(f"{file}: '{name}' and '{name}_' cannot both be inputs; rename one")
    for name in table.column_names:
        if name.startswith(META_PREFIX):
            raise UserError(f"{file}: '{name}' begins with '{META_PREFIX}'; rename it")
    if not len(table):
        raise UserError(f"{file} holds no rows")
    for field in table.schema:
        if pa.types.is_binary(field.type):
            raise _unreadable(file, f"column '{field.name}' holds bytes that are no text")
    return table


def examples(
    files: Sequence[Path], tables: Sequence[pa.Table], roles: Mapping[str, str]
) -> list[pd.DataFrame]:
    """
    Convert the rows of tables to examples.

    Parameters
    ----------
    files : sequence of Path
        The files of the tables: the examples to fit on, and optionally the test examples.
    tables : sequence of pyarrow.Table
        With the same columns.
    roles : mapping of str to str
        The columns that are ``label``, and optionally ``group`` or ``time``.

    Returns
    -------
    list of DataFrame
        ``example_id`` is the number of the row from 1, in the second table with the
        prefix ``test-``. Numbers become floats, and so do booleans if some are missing.
        Times of day and durations become seconds. Times become UTC. An input with a name
        in `META` gets the suffix ``_``.

    Raises
    ------
    UserError
        If a column cannot be used.
    """
    try:
        whole = pa.concat_tables(tables, promote_options="permissive")
    except pa.ArrowException as error:
        raise UserError(f"{files[-1]} does not fit {files[0]}: {_line(error)}") from None
    texts = _texts(roles)
    columns = {name: _text(whole[name].cast(pa.string())) for name in texts}
    others = [name for name in whole.column_names if name not in texts]
    columns |= {name: _plain(files[0], name, whole[name]) for name in others}
    if "time" in roles:
        _check_time(files[0], roles["time"], columns[roles["time"]])
    inputs = {
        f"{name}_" if name in META else name: column
        for name, column in columns.items()
        if name not in roles.values()
    }
    parts, start = [], 0
    for file, table, prefix in zip(files, tables, ("", "test-"), strict=False):
        rows = np.arange(1, len(table) + 1)
        ids = pc.binary_join_element_wise(prefix, pa.array(rows).cast(pa.string()), "")
        meta = {role: columns[name].slice(start, len(table)) for role, name in roles.items()}
        for role, column in meta.items():
            _check_complete(file, role, roles[role], column)
        own = {name: column.slice(start, len(table)) for name, column in inputs.items()}
        part = pa.table({"example_id": ids, "group": ids} | meta | own)
        parts.append(part.to_pandas(split_blocks=True, self_destruct=True))
        start += len(table)
    return parts


def leaks(examples: pd.DataFrame) -> list[str]:
    """
    Return the names of inputs whose values map one to one to the labels.

    Parameters
    ----------
    examples : DataFrame
        With ``label``. A missing value counts as a value.
    """
    labels, classes = pd.factorize(examples["label"])
    found = []
    for name in inputs_of(examples):
        values, distinct = pd.factorize(examples[name], use_na_sentinel=False)
        if len(distinct) == len(classes) == len(np.unique(values * len(classes) + labels)):
            found.append(name)
    return found


def row_numbers(examples: pd.DataFrame) -> tuple[list[str], list[str]]:
    """
    Return the names of inputs that number the rows, such as the index of a DataFrame.

    Of a table with few rows none is returned.

    Returns
    -------
    counting : list of str
        Inputs that count the rows in their order, from 0 or 1.
    shuffled : list of str
        Inputs that would count the rows, from any number, if the rows were sorted by them.
    """
    counting: list[str] = []
    shuffled: list[str] = []
    count = np.arange(len(examples))
    for name in inputs_of(examples):
        if len(count) > FEWEST_ROWS and pd.api.types.is_float_dtype(examples[name]):
            values = examples[name].to_numpy()
            ranked = np.sort(values)
            if not np.array_equal(ranked - ranked[0], count):
                continue
            if not np.array_equal(values, ranked):
                shuffled.append(name)
            elif values[0] in (0, 1):
                counting.append(name)
    return counting, shuffled


def nearly_numbers(examples: pd.DataFrame) -> list[str]:
    """Return warnings for text inputs with decimal commas, or with a few words among numbers."""
    warnings = []
    for name in inputs_of(examples):
        values = examples[name].head(LOOKED_AT)
        if pd.api.types.is_numeric_dtype(values) or pd.api.types.is_datetime64_any_dtype(values):
            continue
        values = values.dropna()
        commas, plain = (values.str.fullmatch(form).to_numpy(bool) for form in (COMMA, NUMBER))
        if len(values) and (commas | plain).mean() > MOSTLY and commas.any():
            warnings.append(COMMAS.format(name, values[commas].iloc[0]))
        elif len(values) and plain.mean() > MOSTLY and not plain.all():
            odd = values[~plain]
            warnings.append(ODD.format(name, odd.index[0] + 1, odd.iloc[0]))
    return warnings


def alike_by_chance(examples: pd.DataFrame) -> int:
    """
    Count the rows with equal inputs, if these are separate cases rather than copies.

    With few columns of few values many cases are equal, and dropping them would leave
    little. Copies of one case have the same label.

    Parameters
    ----------
    examples : DataFrame
        As a source returns them.

    Returns
    -------
    int
        0 if the rows with equal inputs are copies, or if there are none.
    """
    _, dropped = drop_duplicates(examples)
    alike = sum(dropped.values())
    return alike if dropped.get(CONTRADICTION, 0) > alike * MOST_CONTRADICTIONS else 0


def _csv(file: Path, texts: list[str]) -> pa.Table:
    with file.open("rb") as content:
        header = content.readline()
    delimiter = max(",;\t|", key=lambda mark: header.count(mark.encode()))
    types = dict.fromkeys(texts, pa.string())
    return csv.read_csv(
        file,
        # With one thread its errors name the row.
        csv.ReadOptions(use_threads=False, block_size=BLOCK),
        csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
        csv.ConvertOptions(strings_can_be_null=True, column_types=types),
    )


def _json(file: Path, _: list[str]) -> pa.Table:
    return json.read_json(file, json.ReadOptions(use_threads=False, block_size=BLOCK))


def _parquet(file: Path, _: list[str]) -> pa.Table:
    return parquet.read_table(file)


READERS: dict[str, Callable[[Path, list[str]], pa.Table]] = {
    ".csv": _csv,
    ".tsv": _csv,
    ".parquet": _parquet,
    ".jsonl": _json,
    ".ndjson": _json,
}


def _texts(roles: Mapping[str, str]) -> list[str]:
    """Return the columns that are read as text, whatever they hold."""
    return [name for role, name in roles.items() if role != "time"]


def _unreadable(file: Path, reason: str) -> UserError:
    """Return the error for a file that cannot be read, most often because of its encoding."""
    if READERS[file.suffix.lower()] is not _parquet:
        try:
            file.read_bytes().decode("utf-8")
        except UnicodeDecodeError as error:
            return UserError(f"{file} {encoding_fault(error)}; save it as UTF-8")
    if "Row #" in reason:
        return UserError(f"{file}: {_line(reason)}; row 1 is the header")
    # pyarrow counts the rows of JSON from 0, and starts again in each block.
    row = re.search(r" in row (\d+)$", reason)
    if row and file.stat().st_size <= BLOCK:
        return UserError(f"{file}, line {int(row[1]) + 1}: {reason[: row.start()]}")
    return UserError(f"{file}: {_line(reason)}")


def _line(reason: object) -> str:
    """Return the first line of a message, which may quote a whole row."""
    return str(reason).splitlines()[0][:200]


def _check_same_columns(files: Sequence[Path], tables: Sequence[pa.Table]) -> None:
    one, other = (set(table.column_names) for table in tables)
    for name in sorted(one ^ other):
        has, lacks = files if name in one else files[::-1]
        raise UserError(
            f"{lacks}: column '{name}' of {has} is missing: the two must have the same columns, "
            "but for task.source.ignore"
        )


def _plain(file: Path, name: str, column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Convert a column to one of the four types that an input may have."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        return _plain(file, name, column.cast(kind.value_type))
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        column = _text(column)
    elif pa.types.is_boolean(kind):
        column = column.cast(pa.float64()) if column.null_count else column
    elif pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        column = column.cast(pa.timestamp("us"), safe=False)
    elif pa.types.is_time(kind):
        column = pc.divide(column.cast(pa.time64("us"), safe=False).cast(pa.int64()), 1e6)
    elif pa.types.is_duration(kind):
        column = pc.divide(column.cast(pa.duration("us"), safe=False).cast(pa.int64()), 1e6)
    elif not pa.types.is_null(kind):
        try:
            column = column.cast(pa.float64(), safe=False)
        except pa.ArrowException:
            raise UserError(
                f"{file}: column '{name}' holds {kind}, which is neither number, time nor text: "
                "make columns of it, or add it to task.source.ignore"
            ) from None
    if column.null_count == len(column):
        raise UserError(
            f"{file}: column '{name}' has no value in any row: add it to task.source.ignore"
        )
    return column


def _text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Strip white space, and make empty texts missing."""
    stripped = pc.utf8_trim_whitespace(column)
    return pc.if_else(pc.equal(stripped, ""), None, stripped)


def _check_complete(file: Path, role: str, name: str, column: pa.ChunkedArray) -> None:
    if not column.null_count:
        return
    rows = np.flatnonzero(column.is_null().to_numpy()) + 1
    shown = ", ".join(f"{row}" for row in rows[:SHOWN]) + ", …" * (len(rows) > SHOWN)
    raise UserError(
        f"{file}: {role} '{name}' is missing in {len(rows):,} of {len(column):,} rows "
        f"({shown}, not counting a header): fill it in, or leave those rows out; "
        "NA, N/A and null count as missing"
    )


def _check_time(file: Path, name: str, column: pa.ChunkedArray) -> None:
    if not (pa.types.is_floating(column.type) or pa.types.is_timestamp(column.type)):
        first: Any = column.drop_null()[0]
        raise UserError(
            f"{file}: task.source.time: column '{name}' holds neither times such as 2024-12-31 or "
            f"2024-12-31 23:59:59, nor numbers, but '{first}'"
        )
