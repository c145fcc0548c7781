"""Find the kinds of inputs, and convert a served table to them."""

import base64
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from pipeline.errors import UserError

EXPECTED = {
    "double": "a finite number",
    "boolean": "true or false",
    "datetime": "a date as in ISO 8601, such as 2024-12-31 or 2024-12-31 23:59:59",
    "string": "a text",
    "sequence": "one or more finite numbers",
    "binary": "one or more bytes, or text that encodes them in base64",
}
SHOWN = 40
TRUTH = {"true": 1.0, "1": 1.0, "1.0": 1.0, "false": 0.0, "0": 0.0, "0.0": 0.0}


def kind_of(values: pd.Series) -> str:
    """
    Return the kind of an input from its values.

    Returns
    -------
    str
        ``double``, ``boolean``, ``datetime``, ``string``, ``sequence`` for a column with
        one sequence of numbers per row, or ``binary`` for one with bytes, such as images.
        The names are those of MLflow's types where it has them.
    """
    if pd.api.types.is_bool_dtype(values):
        return "boolean"
    if pd.api.types.is_numeric_dtype(values):
        return "double"
    if pd.api.types.is_datetime64_any_dtype(values):
        return "datetime"
    first = None if isinstance(values.dtype, pd.StringDtype) else values.first_valid_index()
    if first is not None and isinstance(values[first], list | np.ndarray):
        return "sequence"
    if first is not None and isinstance(values[first], bytes):
        return "binary"
    return "string"


def conform(table: pd.DataFrame, kinds: Mapping[str, str], may_miss: bool) -> pd.DataFrame:
    """
    Convert a served table to the columns and types of the training examples.

    Parameters
    ----------
    table : DataFrame
        As `pandas.read_csv`, JSON or a user's own code makes it. Columns may be in any
        order. Further columns are ignored.
    kinds : mapping of str to str
        The kind of each input, a key of `EXPECTED`, in the order of training.

        - ``double`` accepts numbers, text, and times of day or durations, which become
          seconds.
        - ``boolean`` accepts true and false, and 1 and 0.
        - ``datetime`` accepts dates and text in ISO 8601. Values with a time zone become
          UTC.
        - ``string`` accepts numbers. Whole numbers are written without a point.
        - ``sequence`` accepts one list, tuple or array per row.
        - ``binary`` accepts bytes, and text that encodes them in base64, as JSON needs it.
    may_miss : bool
        Whether values may be missing. A blank text counts as missing unless a text is
        expected.

    Returns
    -------
    DataFrame
        With only the inputs, in the order of `kinds`. The rows are those of `table`,
        numbered from 0.

    Raises
    ------
    UserError
        If a column is missing or is there twice, or if a value cannot be converted. The
        message names the column, the row (from 1), and what is expected.
    """
    lacking = [name for name in kinds if name not in table]
    if lacking:
        raise UserError(f"the input lacks the column{'s' * (len(lacking) > 1)} {lacking}")
    twice = table.columns[table.columns.duplicated()].intersection(list(kinds))
    if len(twice):
        raise UserError(f"the input has two columns '{twice[0]}': rename one")
    table = table[list(kinds)].reset_index(drop=True)
    columns = {}
    for name, kind in kinds.items():
        values = table[name]
        if kind == "double" and values.dtype == np.float64 and np.isfinite(values.to_numpy()).all():
            columns[name] = values  # which converting would give back
            continue
        if isinstance(values.dtype, pd.CategoricalDtype):
            values = values.astype(object)
        columns[name] = CONVERT[kind](values)
        _check(values, columns[name], kind, may_miss)
    return pd.DataFrame(columns, index=table.index)


def finite(sequences: pd.Series) -> pd.Series:
    """Return which rows hold a sequence of one or more numbers, all of them finite."""
    try:
        lengths = sequences.str.len().to_numpy(np.int64, na_value=0)
        numbers = np.isfinite(np.concatenate([*sequences, [0.0]]))
        starts = np.cumsum(lengths) - lengths
        found = np.logical_and.reduceat(numbers, starts) & (lengths > 0)
    # some row holds something else: look at each
    except (AttributeError, OverflowError, TypeError, ValueError):
        found = np.array([_is_finite(sequence) for sequence in sequences], dtype=bool)
    return pd.Series(found, sequences.index)


def _is_finite(sequence: Any) -> bool:
    try:
        numbers = np.asarray(sequence, dtype=np.float64)
    except (OverflowError, TypeError, ValueError):
        return False
    return numbers.ndim == 1 and len(numbers) > 0 and bool(np.isfinite(numbers).all())


def _check(values: pd.Series, converted: pd.Series, kind: str, may_miss: bool) -> None:
    """Raise an error for values that could not be converted, or that must not be missing."""
    wrong = converted.isna().to_numpy(copy=True)
    if may_miss:
        wrong &= values.notna().to_numpy()
        wrong[wrong] = [str(value).strip() != "" for value in values[wrong]]
    if wrong.any():
        row = int(wrong.argmax())
        value = values.iloc[row]
        none = pd.api.types.is_scalar(value) and pd.isna(value)
        shown = "none" if none else f"'{str(value)[:SHOWN]}'"
        more = f" (and {wrong.sum() - 1:,} more)" if wrong.sum() > 1 else ""
        raise UserError(
            f"column '{values.name}', row {row + 1:,}: expected {EXPECTED[kind]}, not {shown}{more}"
        )


def _numbers(values: pd.Series) -> pd.Series:
    if pd.api.types.is_timedelta64_dtype(values):
        return values.dt.total_seconds()
    if pd.api.types.is_datetime64_any_dtype(values):
        return pd.Series(np.nan, values.index, dtype=np.float64)
    try:
        numeric = pd.to_numeric(values, errors="coerce").to_numpy(np.float64, na_value=np.nan)
    except OverflowError:  # of whole numbers beyond the greatest float
        numeric = pd.to_numeric(values.map(str), errors="coerce").to_numpy(np.float64)
    numbers = pd.Series(np.where(np.isfinite(numeric), numeric, np.nan))
    left = numbers.isna() & values.notna()
    if left.any():
        numbers[left] = _seconds(values[left].map(str).str.strip())
    return numbers


def _seconds(times: pd.Series) -> pd.Series:
    """Convert times of day such as 23:59 and 23:59:59.5. Anything else becomes missing."""
    whole = (times + ":00").where(times.str.count(":") == 1, times)
    whole = whole.where(whole.str.fullmatch(r"\d\d?:\d\d:\d\d(\.\d+)?"))
    return pd.to_timedelta(whole, errors="coerce").dt.total_seconds()


def _booleans(values: pd.Series) -> pd.Series:
    truth = values.map(lambda value: TRUTH.get(str(value).strip().lower(), np.nan))
    return truth.astype(np.float64 if truth.hasnans else bool)


def _dates(values: pd.Series) -> pd.Series:
    if pd.api.types.is_numeric_dtype(values):
        dates = pd.Series(pd.NaT, values.index, dtype="datetime64[us]")
    elif pd.api.types.is_datetime64_any_dtype(values):
        dates = pd.to_datetime(values, utc=True).dt.tz_localize(None)
    else:
        texts = values.map(str).str.strip()
        dates = pd.to_datetime(texts, format="ISO8601", utc=True, errors="coerce")
        dates = dates.dt.tz_localize(None)
    return dates.astype("datetime64[us]")


def _texts(values: pd.Series) -> pd.Series:
    if not isinstance(values.dtype, pd.StringDtype):
        values = values.map(_text, na_action="ignore")
    return values.astype("str")


def _text(value: Any) -> str | float:
    if isinstance(value, bytes | list | tuple | dict | np.ndarray):
        return np.nan
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value)


def _sequences(values: pd.Series) -> pd.Series:
    return values.where(finite(values))


def _bytes(values: pd.Series) -> pd.Series:
    return pd.Series([_decoded(value) for value in values], values.index, dtype=object)


def _decoded(value: Any) -> bytes | float:
    if isinstance(value, str):
        try:  # line breaks are allowed: MIME and MLflow write them
            value = base64.b64decode("".join(value.split()), validate=True)
        except ValueError:
            return np.nan
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value) or np.nan
    return np.nan


CONVERT: dict[str, Callable[[pd.Series], pd.Series]] = {
    "double": _numbers,
    "boolean": _booleans,
    "datetime": _dates,
    "string": _texts,
    "sequence": _sequences,
    "binary": _bytes,
}
