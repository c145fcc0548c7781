"""Read a table of the user's own: CSV, Parquet, JSON or Excel with a column to predict."""

import codecs
import gzip
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast
from zipfile import BadZipFile

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv, parquet
from pyarrow import json as json_lines

from pipeline.errors import UserError, encoding_fault, nearest
from pipeline.features.inputs import ISO, MISSING, USUAL, Form, convert, expected, kind_of
from pipeline.files import sha256
from pipeline.sources.columns import (
    CODE,
    Column,
    Given,
    class_doubts,
    codes_among_numbers,
    recognise,
)
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
# Bytes that are parsed at once. A row may not have more.
BLOCK = 1 << 24
SHOWN = 5
# Bytes of which is asked at once whether numbers in them begin with zeros.
CHUNK = 1 << 20
# Roles of columns that hold names or texts, though they may look like numbers.
TEXTS = ("text", "group", "user", "item")
# A class may be called so, though as an input it is missing.
NO_LABEL = [word for word in MISSING if word not in ("None", "<NA>")]
# How files begin that are of another type than their name says, and what to call them.
BEGINNINGS = {b"\x1f\x8b": ".csv.gz", b"PAR1": ".parquet", b"PK\x03\x04": ".xlsx"}
# How texts in UTF-16 begin.
UTF_16 = (b"\xff\xfe", b"\xfe\xff")
UNLABELLED = "no label"
# Numbers that may be years.
YEARS = (1700, 2200)
NUMBERED = (
    "column '{}' numbers the rows without a gap, as codes do: unless it is a quantity, "
    "add it to task.source.ignore"
)
COUNTING = "column '{}' numbers the rows from first to last, and is left out"
EMPTY = "column '{}' has no value in any row, and is left out"
COUNTED = "taken for missing: {}"
IN_ORDER = (
    "the rows are in the order of '{}', but are split at random: if later rows are to be predicted "
    "from earlier ones, set task.source.time={}"
)
HEADER = (
    "{}: the first row looks like values, as '{}', not like names of columns: if it is one of the "
    "examples, put a row of names above it"
)
ALIKE = (
    "{:,} rows have the same inputs as another, often under another label: "
    "they are taken for cases of their own, not for copies, and kept"
)


class Written(NamedTuple):
    """
    How a file is written.

    Attributes
    ----------
    sep : str, optional
        The mark between the values of CSV. By default it is found in the header.
    encoding : str
        The encoding of its text.
    decimal : str, optional
        The mark before the fractions of numbers. By default it is found in each column.
    """

    sep: str | None = None
    encoding: str = "utf-8"
    decimal: str | None = None

    def delimiter(self, header: str) -> str:
        """Return the mark between the values of CSV with a header."""
        return self.sep or max(",;\t|", key=header.count)


def read(
    path: Path,
    label: str,
    group: str | None = None,
    time: str | None = None,
    test: Path | None = None,
    ignore: list[str] | None = None,
    columns: Mapping[str, str] | None = None,
    target: str = "category",
    unlabelled: str = "error",
    sep: str | None = None,
    encoding: str = "utf-8",
    decimal: str | None = None,
    thousands: str | None = None,
    date_format: str | None = None,
) -> Source:
    """
    Read a table whose columns are inputs, except those that the parameters name.

    Parameters
    ----------
    path : Path
        A file of a type in `READERS`, which may be compressed by gzip if it is text.
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
    columns : mapping of str to str, optional
        What columns are to be taken for, as for `pipeline.sources.columns.recognise`.
    target : {"category", "number"}, default="category"
        What the column to predict holds.
    unlabelled : {"error", "drop"}, default="error"
        What happens to rows without a label.
    sep, encoding, decimal
        As for `Written`.
    thousands : str, optional
        The mark between the thousands of numbers. By default it is found in each column.
    date_format : str, optional
        The format of dates, as for `datetime.datetime.strptime`. By default it is found in
        each column.

    Returns
    -------
    Source
        With what `examples` returns, without columns that count the rows or have no value.

    Raises
    ------
    UserError
        If a file cannot be read, a column cannot be used, or the label is missing in a row.
    """
    if group is not None and time is not None:
        raise UserError(
            "task.source.group and task.source.time are both set: rows are held out "
            "by group or by time; leave one of them out"
        )
    _check_choice("target", target, ("category", "number"))
    named = {"label": label, "group": group, "time": time}
    roles = {role: name for role, name in named.items() if name is not None}
    for role, name in roles.items():
        if role != "label" and name == label:
            raise UserError(f"task.source.{role}: column '{name}' is task.source.label")
    wanted = columns or {}
    for role, name in roles.items():
        if name in wanted:
            raise UserError(f"task.source.columns: column '{name}' is task.source.{role}, no input")
    given = checked(decimal, thousands, date_format)
    how = Written(sep, encoding, given.decimal)
    texts = [name for role, name in roles.items() if role == "group" or target == "category"]
    texts = [name for name in texts if name != time]
    texts += [name for name, kind in wanted.items() if kind in ("category", "text")]
    files = [Path(path)]
    tables = [load(files[0], roles, ignore or [], texts, how)]
    if test is not None:
        texts += [field.name for field in tables[0].schema if pa.types.is_string(field.type)]
        files.append(Path(test))
        tables.append(load(files[1], roles, ignore or [], texts, how))
        _check_same_columns(files, tables)
    frames = [plain(file, table) for file, table in zip(files, tables, strict=True)]
    found = {}
    if target == "number":
        found = recognise(frames[0][[label]], {}, given, codes=False)
        for frame in frames if found[label].form.missing else []:
            frame[label] = frame[label].mask(frame[label].isin(found[label].form.missing))
    frames, dropped = settle_unlabelled(frames, label, unlabelled)
    inputs = recognise(frames[0].drop(columns=list(roles.values())), wanted, given)
    found |= inputs
    if "time" in roles:
        found |= recognise(frames[0][[time]], {}, given, codes=False)
    in_test = codes_among_numbers(inputs, frames[-1], files[-1]) if test is not None else []
    parts = examples(files, frames, roles, found, target)
    counting, numbering = row_numbers(parts[0])
    empty = [name for name in inputs_of(parts[0]) if parts[0][name].isna().all()]
    parts = [part.drop(columns=[*counting, *empty]) for part in parts]
    if not inputs_of(parts[0]):
        raise UserError(f"{files[0]}: no column is left to learn from")
    alike = alike_by_chance(parts[0])
    return Source(
        parts[0],
        [origin_of(file, sha256(file)) for file in files],
        test=parts[1] if test is not None else None,
        dropped=dropped,
        may_miss=True,
        may_repeat=alike > 0,
        label=label,
        columns={
            input_name(name): column.settings()
            for name, column in found.items()
            if name not in roles.values() and input_name(name) in parts[0]
        },
        warnings=[
            *_header_doubts(files[0], tables[0]),
            *(
                f"'{name}' has a meaning here: the input is called '{name}_'"
                for name in META
                if f"{name}_" in set(parts[0]) - set(tables[0].column_names)
            ),
            *(COUNTING.format(name) for name in counting),
            *(EMPTY.format(name) for name in empty),
            *(NUMBERED.format(name) for name in numbering),
            *(doubt for column in found.values() for doubt in column.doubts),
            *in_test,
            *_count_missing(found),
            *(class_doubts(parts[0]["label"], label) if target == "category" else []),
            *([] if set(roles) & {"group", "time"} else _in_order(parts[0])),
            *([ALIKE.format(alike)] if alike else []),
        ],
    )


def load(
    file: Path,
    roles: Mapping[str, str],
    ignore: Sequence[str] = (),
    texts: Sequence[str] = (),
    how: Written | None = None,
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
        Columns of CSV to read as text even if they look like numbers.
    how : Written, optional
        How the file is written.

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
    how = how or Written()
    if how.sep is not None and len(how.sep) != 1:
        raise UserError(f"task.source.sep: '{how.sep}' is not one character")
    try:
        codecs.lookup(how.encoding)
    except LookupError:
        raise UserError(f"task.source.encoding: unknown '{how.encoding}'") from None
    if type_of(file) not in READERS:
        known = ", ".join(READERS)
        raise UserError(f"{file}: unknown type of file '{type_of(file)}'; known: {known}")
    table = parse(file, texts, how)
    names = table.column_names
    for key, name in [*roles.items(), *(("ignore", name) for name in ignore)]:
        if name not in names:
            asked = "".join(f"; {doubt}" for doubt in _header_doubts(file, table))
            raise UserError(
                f"{file}: task.source.{key}: no column '{name}'{nearest(name, names)}{asked}"
            )
        if key != "ignore" and name in ignore:
            raise UserError(f"task.source.{key}: column '{name}' is also in task.source.ignore")
    table = table.drop_columns(sorted(set(ignore)))
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
            raise _unreadable(file, f"column '{field.name}' holds bytes that are no text", how)
    return table


def parse(file: Path, texts: Sequence[str], how: Written) -> pa.Table:
    """
    Parse a file of a type in `READERS` as a whole, which may have no rows.

    Raises
    ------
    UserError
        If the file is damaged, or has two columns of one name.
    """
    try:
        table = READERS[type_of(file)](file, list(texts), how)
        names = column_names(file, map(str, table.column_names))
    except (pa.ArrowException, BadZipFile, EOFError, KeyError, OSError, ValueError) as error:
        raise _unreadable(file, str(error), how) from None
    return table.rename_columns(names)


def column_names(file: Path, header: Iterable[str]) -> list[str]:
    """Name the columns without a name. A UserError is raised if two have the same."""
    names = [name or f"column {i}" for i, name in enumerate(header, 1)]
    for name, count in Counter(names).items():
        if count > 1:
            raise UserError(f"{file}: {count} columns are called '{name}'; rename all but one")
    return names


def plain(file: Path, table: pa.Table) -> pd.DataFrame:
    """
    Convert the columns of a table to floats, booleans, times and texts without space around.

    Times of day and durations become seconds. Times become UTC. Empty texts become missing.

    Raises
    ------
    UserError
        If a column holds something else.
    """
    columns = {name: _plain(file, name, table[name]) for name in table.column_names}
    return pa.table(columns).to_pandas(split_blocks=True, self_destruct=True)


def settle_unlabelled(
    frames: Sequence[pd.DataFrame], label: str, unlabelled: str
) -> tuple[list[pd.DataFrame], dict[str, int]]:
    """
    Drop the rows without a label, if that is wanted, and count them.

    Parameters
    ----------
    frames : sequence of DataFrame
        What `plain` returned.
    label : str
        The column of labels.
    unlabelled : {"error", "drop"}
        What happens to these rows. An error is left to `examples`.
    """
    _check_choice("unlabelled", unlabelled, ("error", "drop"))
    if unlabelled == "error":
        return list(frames), {}
    kept = [frame[frame[label].notna() & ~frame[label].isin(NO_LABEL)] for frame in frames]
    count = sum(map(len, frames)) - sum(map(len, kept))
    return kept, {UNLABELLED: count} if count else {}


def examples(
    files: Sequence[Path],
    frames: Sequence[pd.DataFrame],
    roles: Mapping[str, str],
    columns: Mapping[str, Column],
    target: str = "category",
) -> list[pd.DataFrame]:
    """
    Convert the rows of tables to examples.

    Parameters
    ----------
    files : sequence of Path
        The files of the tables: the examples to fit on, and optionally the test examples.
    frames : sequence of DataFrame
        What `plain` returned, with the same columns. The index numbers the rows from 0.
    roles : mapping of str to str
        The columns that are ``label``, ``time``, ``rating``, or one of `TEXTS`.
    columns : mapping of str to Column
        What the other columns, and ``time``, are taken for.
    target : {"category", "number"}, default="category"
        What the label is.

    Returns
    -------
    list of DataFrame
        ``example_id`` is the number of the row from 1, in the second table with the
        prefix ``test-``. Booleans become floats if some are missing. An input with a name in
        `META` gets the suffix ``_``.

    Raises
    ------
    UserError
        If a column cannot be used.
    """
    kinds = {name: _kind(column, [f[name] for f in frames]) for name, column in columns.items()}
    if "time" in roles:
        _check_time(files[0], roles["time"], frames[0], columns[roles["time"]])
    parts = []
    for file, frame, prefix in zip(files, frames, ("", "test-"), strict=False):
        ids = pd.Series(prefix + (frame.index + 1).astype(str), frame.index)
        part = {"example_id": ids, "group": ids}
        for role, name in roles.items():
            is_text = role in TEXTS or (role == "label" and target == "category")
            values = _as_text(frame[name]) if is_text else frame[name]
            no_label = values.isin([] if role == "text" else NO_LABEL)
            words, values = values[no_label], values.mask(no_label)
            _check_complete(file, role, values, words)
            if role == "label" and not is_text and columns[name].doubts:
                raise UserError(f"{file}: {columns[name].doubts[0].partition(';')[0]}")
            if not is_text and (role == "time" or columns[name].kind == "number"):
                values = _converted(file, values, kinds[name], columns[name].form)
            part[role] = values
        for name, column in columns.items():
            if name not in roles.values():
                part[input_name(name)] = _converted(file, frame[name], kinds[name], column.form)
        parts.append(pd.DataFrame(part).reset_index(drop=True))
    return parts


def input_name(name: str) -> str:
    """Return what an input is called: as its column, unless that name has a meaning here."""
    return f"{name}_" if name in META else name


def row_numbers(examples: pd.DataFrame) -> tuple[list[str], list[str]]:
    """
    Return the names of inputs that number the rows, such as the index of a DataFrame.

    Of a table with few rows none is returned.

    Returns
    -------
    counting : list of str
        Inputs that count the rows in their order, from 0 or 1.
    numbering : list of str
        Other inputs that count the rows, in any order and from any number, but for years.
    """
    counting: list[str] = []
    numbering: list[str] = []
    count = np.arange(len(examples))
    for name in inputs_of(examples):
        if len(count) > FEWEST_ROWS and pd.api.types.is_float_dtype(examples[name]):
            values = examples[name].to_numpy()
            ranked = np.sort(values)
            of_years = YEARS[0] <= ranked[0] <= ranked[-1] <= YEARS[1]
            if of_years or not np.array_equal(ranked - ranked[0], count):
                continue
            in_order = values[0] in (0, 1) and np.array_equal(values, ranked)
            (counting if in_order else numbering).append(name)
    return counting, numbering


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


def _csv(file: Path, texts: list[str], how: Written) -> pa.Table:
    with open_file(file) as content:
        beginning = content.read(BLOCK)
    if not beginning.strip():
        raise ValueError("Empty file")
    # str.splitlines() would end it at marks that a name may hold
    header = re.split(r"[\r\n]+", beginning.decode(how.encoding, errors="ignore").strip())[0]
    delimiter = how.delimiter(header)

    def parsed(texts: list[str], only: list[str] | None = None) -> pa.Table:
        return csv.read_csv(
            file,
            # With one thread its errors name the row.
            csv.ReadOptions(use_threads=False, block_size=BLOCK, encoding=how.encoding),
            csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
            csv.ConvertOptions(
                # Texts keep the words for missing, which are counted.
                strings_can_be_null=False,
                null_values=MISSING,
                column_types=dict.fromkeys(texts, pa.string()),
                decimal_point=how.decimal or ".",
                include_columns=only,
            ),
        )

    table = parsed(texts)
    numbers = [field.name for field in table.schema if _is_number(field.type)]
    if not numbers or not _may_have_codes(file, delimiter):
        return table
    written = parsed(numbers, only=numbers)
    for name in numbers:
        values = pc.ascii_trim_whitespace(written[name])
        # which leaves few for the slower check
        values = values.filter(pc.starts_with(values, "0"))
        if pc.any(pc.match_substring_regex(values, f"^{CODE}$")).as_py():
            table = table.set_column(table.column_names.index(name), name, written[name])
    return table


def _is_number(kind: pa.DataType) -> bool:
    return pa.types.is_integer(kind) or pa.types.is_floating(kind)


def _may_have_codes(file: Path, delimiter: str) -> bool:
    """Return whether numbers in CSV may begin with zeros, faster than they could be read."""
    marks = f'{delimiter}"\t\r\n'.encode()
    to_spaces = bytes.maketrans(marks, b" " * len(marks))
    before = b" "
    with open_file(file) as content:
        while block := content.read(CHUNK):
            # without the zero bytes of UTF-16
            plain = (before + block).translate(to_spaces, b"\0")
            if re.search(rb" 0\d", plain):
                return True
            before = plain[-2:]
    return False


def _json_lines(file: Path, *_: object) -> pa.Table:
    return json_lines.read_json(file, json_lines.ReadOptions(use_threads=False, block_size=BLOCK))


def _json(file: Path, _: list[str], how: Written) -> pa.Table:
    with open_file(file) as content:
        records = json.loads(content.read().decode(how.encoding))
    if not isinstance(records, list) or not all(isinstance(one, dict) for one in records):
        raise ValueError("expected a list of records, as pandas writes with orient='records'")
    return _from_frame(pd.DataFrame(records))


def _excel(file: Path, *_: object) -> pa.Table:
    if find_spec("openpyxl") is None:
        raise UserError(
            f"{file}: reading .xlsx needs openpyxl, which is not installed: "
            "pip install -e '.[excel]', or save it as CSV"
        )
    # As objects, cells of text stay texts: pandas would read the text 1.234 as a number.
    cells = pd.read_excel(
        file, engine="openpyxl", dtype=object, keep_default_na=False, na_values=[""]
    )
    return _from_frame(cells.infer_objects())


def _from_frame(frame: pd.DataFrame) -> pa.Table:
    """Convert a frame whose columns may hold texts among numbers, which then are texts too."""
    for name in frame.columns[[dtype.kind == "O" for dtype in frame.dtypes]]:
        if any(isinstance(value, str) for value in frame[name]):
            frame[name] = convert(frame[name], "string", USUAL, False)
    return pa.Table.from_pandas(frame, preserve_index=False)


def _parquet(file: Path, *_: object) -> pa.Table:
    return parquet.read_table(file)


READERS: dict[str, Callable[[Path, list[str], Written], pa.Table]] = {
    ".csv": _csv,
    ".tsv": _csv,
    ".parquet": _parquet,
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
    ".json": _json,
    ".xlsx": _excel,
}


def open_file(file: Path) -> BinaryIO:
    """Open a file of text that may be compressed by gzip."""
    return cast(BinaryIO, gzip.open(file)) if file.suffix.lower() == ".gz" else file.open("rb")


def type_of(file: Path) -> str:
    """Return the suffix of a file, without that of gzip for the types that may have it."""
    inner = Path(file.stem).suffix.lower()
    zipped = file.suffix.lower() == ".gz" and inner not in (".parquet", ".xlsx")
    return inner if zipped and inner in READERS else file.suffix.lower()


def _check_choice(key: str, value: str, choices: Sequence[str]) -> None:
    if value not in choices:
        raise UserError(f"task.source.{key}: unknown '{value}'{nearest(value, choices)}")


def checked(decimal: str | None, thousands: str | None, date_format: str | None) -> Given:
    """Check what the user says of how values are written. A UserError names the wrong key."""
    for key, mark in (("decimal", decimal), ("thousands", thousands)):
        if mark is not None and mark not in (".", ",", "'", " "):
            raise UserError(f"task.source.{key}: '{mark}' is not one of the marks . , ' and space")
    try:
        pd.to_datetime(pd.Series(["1"]), format=date_format or ISO, errors="coerce")
        known = date_format is None or "%" in date_format
    except ValueError:
        known = False
    if not known:
        raise UserError(f"task.source.date_format: '{date_format}' is no format such as %d/%m/%Y")
    if decimal is None and thousands is not None:
        decimal = "," if thousands == "." else "."
    if decimal is not None and decimal == thousands:
        raise UserError(f"task.source.decimal and task.source.thousands are both '{decimal}'")
    return Given(decimal, thousands, date_format)


def _unreadable(file: Path, reason: str, how: Written) -> UserError:
    """Return the error for a file that cannot be read, with what to do."""
    content = file.read_bytes()
    kind = type_of(file)
    for beginning, suffix in BEGINNINGS.items():
        if content.startswith(beginning) and not file.name.lower().endswith((suffix, ".gz")):
            return UserError(f"{file} is no text, but a file of another type: name it {suffix}")
    if kind not in (".parquet", ".xlsx"):
        if content.startswith(UTF_16) and not how.encoding.lower().startswith("utf-16"):
            return UserError(
                f"{file} is not {how.encoding}, but UTF-16, from line 1 on: "
                "set task.source.encoding=utf-16, or save it as UTF-8"
            )
        try:
            with open_file(file) as text:
                text.read().decode(how.encoding)
        except UnicodeDecodeError as error:
            return UserError(
                f"{file} {encoding_fault(error)}; save it as UTF-8, or set task.source.encoding, "
                "such as to cp1252"
            )
        except (OSError, EOFError) as error:
            return UserError(f"{file} is damaged: {_line(error)}")
    if "Row #" in reason:
        return UserError(f"{file}: {_line(reason)}; row 1 is the header")
    if "straddling" in reason:
        return UserError(
            f"{file}: a value or row is larger than {BLOCK >> 20} MiB: "
            'look for a quotation mark (") that is not closed'
        )
    # pyarrow counts the rows of JSON from 0, and starts again in each block.
    row = re.search(r" in row (\d+)$", reason)
    if row and file.stat().st_size <= BLOCK:
        return UserError(f"{file}, line {int(row[1]) + 1}: {reason[: row.start()]}")
    extra = "; if there is a record in each line, name it .jsonl" * ("Extra data" in reason)
    return UserError(f"{file}: {_line(reason)}{extra}")


def _line(reason: object) -> str:
    """Return the first line of a message, which may quote a whole row."""
    return str(reason).splitlines()[0][:200]


def _header_doubts(file: Path, table: pa.Table) -> list[str]:
    """Ask about a header that looks like a row of values."""
    names = [str(name).strip() for name in table.column_names]
    numbers = [name for name in names if re.fullmatch(USUAL.number, name)]
    # Numbers that count are names of columns, such as pandas gives.
    counting = (
        all(name.isdigit() for name in numbers)
        and len({int(name) - place for place, name in enumerate(numbers)}) == 1
    )
    if len(numbers) * 2 > len(names) and not counting:
        return [HEADER.format(file, numbers[0])]
    return []


def _check_same_columns(files: Sequence[Path], tables: Sequence[pa.Table]) -> None:
    one, other = (set(table.column_names) for table in tables)
    for name in sorted(one ^ other):
        has, lacks = files if name in one else files[::-1]
        raise UserError(
            f"{lacks}: column '{name}' of {has} is missing: the two must have the same columns, "
            "but for task.source.ignore"
        )


def _kind(column: Column, parts: Sequence[pd.Series]) -> str:
    """Return the kind of an input. Booleans that may miss are numbers."""
    if column.kind in ("identifier", "constant"):
        return kind_of(parts[0])
    if column.kind != "boolean":
        return column.input_kind
    missing = any(part.isna().any() or part.isin(MISSING).any() for part in parts)
    return "double" if missing else "boolean"


def _converted(file: Path, values: pd.Series, kind: str, form: Form) -> pd.Series:
    """Convert a column as a served one is. What cannot be converted is an error."""
    found = convert(values, kind, form, True)
    failed = (found.isna() & values.notna()).to_numpy()
    if failed.any():
        failed = failed & ~values.isin((*MISSING, *form.missing)).to_numpy()
    if failed.any():
        row = values.index[failed][0] + 1
        raise UserError(
            f"{file}: column '{values.name}', row {row:,}: expected {expected(kind, form)}, "
            f"not '{values[failed].iloc[0]}'"
        )
    return found


def _as_text(values: pd.Series) -> pd.Series:
    """Write the labels of classes, or the names of groups, as texts."""
    if pd.api.types.is_bool_dtype(values):
        values = values.map({True: "true", False: "false"})
    return convert(values, "string", USUAL, False)


def _plain(file: Path, name: str, column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Convert a column to one of the four types that an input may have."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        return _plain(file, name, column.cast(kind.value_type))
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return _text(column)
    if pa.types.is_boolean(kind):
        return column.cast(pa.float64()) if column.null_count else column
    if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        return column.cast(pa.timestamp("us"), safe=False)
    if pa.types.is_time(kind):
        return pc.divide(column.cast(pa.time64("us"), safe=False).cast(pa.int64()), 1e6)
    if pa.types.is_duration(kind):
        return pc.divide(column.cast(pa.duration("us"), safe=False).cast(pa.int64()), 1e6)
    try:
        return column.cast(pa.float64(), safe=False)
    except pa.ArrowException:
        raise UserError(
            f"{file}: column '{name}' holds {kind}, which is neither number, time nor text: "
            "make columns of it, or add it to task.source.ignore"
        ) from None


def _text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Strip white space, and make empty texts missing."""
    stripped = pc.utf8_trim_whitespace(column)
    return pc.if_else(pc.equal(stripped, ""), None, stripped)


def _check_complete(file: Path, role: str, column: pd.Series, words: pd.Series) -> None:
    """Raise an error for a label, group, time or text that is missing, or written as a word."""
    missing = column.isna()
    if not missing.any():
        return
    rows = column.index[missing] + 1
    shown = ", ".join(f"{row}" for row in rows[:SHOWN]) + ", …" * (len(rows) > SHOWN)
    remedy = "set task.source.unlabelled=drop" if role == "label" else "leave those rows out"
    called = (
        "" if words.empty else f"; '{words.iloc[0]}' counts as missing: rename what is called so"
    )
    raise UserError(
        f"{file}: {role} '{column.name}' is missing in {len(rows):,} of {len(column):,} rows "
        f"({shown}, not counting a header): fill it in, or {remedy}{called}"
    )


def _check_time(file: Path, name: str, frame: pd.DataFrame, column: Column) -> None:
    if column.kind not in ("number", "date") and not _is_numeric(frame[name]):
        first = frame[name].dropna().iloc[0]
        shown = str(first).lower() if isinstance(first, bool) else first
        doubts = "".join(f"; {doubt}" for doubt in column.doubts)
        raise UserError(
            f"{file}: task.source.time: column '{name}' holds neither times such as 2024-12-31 or "
            f"2024-12-31 23:59:59, nor numbers, but '{shown}'{doubts}"
        )


def _is_numeric(values: pd.Series) -> bool:
    return pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)


def _count_missing(columns: Mapping[str, Column]) -> list[str]:
    """Return a message about the words that were taken for missing values, and how often."""
    counts = [
        f"'{word}' in '{name}' ({count:,} row{'s' * (count > 1)})"
        for name, column in columns.items()
        for word, count in column.missing.items()
    ]
    more = len(counts) - SHOWN
    shown = ", ".join(counts[:SHOWN]) + f" and {more:,} more" * (more > 0)
    return [COUNTED.format(shown)] if counts else []


def _in_order(examples: pd.DataFrame) -> list[str]:
    """Return a message about a column of dates that the rows are in order of."""
    for name in inputs_of(examples):
        dates = examples[name]
        if pd.api.types.is_datetime64_any_dtype(dates):
            dates = dates.dropna()
            in_order = dates.is_monotonic_increasing or dates.is_monotonic_decreasing
            if in_order and dates.nunique() > FEWEST_ROWS:
                return [IN_ORDER.format(name, name)]
    return []
