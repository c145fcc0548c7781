"""Inputs of models: their kinds, and how a served table comes to hold them."""

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
}
SHOWN = 40
TRUTH = {"true": 1.0, "1": 1.0, "1.0": 1.0, "false": 0.0, "0": 0.0, "0.0": 0.0}


def kind_of(values: pd.Series) -> str:
    """
    Tell the kind of an input from what it holds.

    Returns
    -------
    str
        ``double``, ``boolean``, ``datetime``, ``string``, or ``sequence`` for
        a column that holds a sequence of numbers in each row.
    """
    if pd.api.types.is_bool_dtype(values):
        return "boolean"
    if pd.api.types.is_numeric_dtype(values):
        return "double"
    if pd.api.types.is_datetime64_any_dtype(values):
        return "datetime"
    if len(values) and isinstance(values.iloc[0], list | np.ndarray):
        return "sequence"
    return "string"


def conform(table: pd.DataFrame, kinds: Mapping[str, str], may_miss: bool) -> pd.DataFrame:
    """
    Convert a served table to the columns and types of the training examples.

    Parameters
    ----------
    table : DataFrame
        As `pandas.read_csv`, JSON or a user's own code makes it. Columns may be
        in any order, and further columns are ignored.
    kinds : mapping of str to str
        The kind of each input, a key of `EXPECTED`, in the order of training.

        - ``double`` may come as numbers, as text, and as times of day or
          durations, which become seconds.
        - ``boolean`` may come as true and false, or as 1 and 0.
        - ``datetime`` may come as dates or as text in ISO 8601. With a time
          zone it becomes UTC.
        - ``string`` may come as numbers. A whole one is written without a point.
        - ``sequence`` may come as a list, tuple or array in each row.
    may_miss : bool
        Whether a value may be missing; a blank text is missing where no text
        is expected.

    Returns
    -------
    DataFrame
        With the inputs alone, in the order of `kinds`; the rows are those of
        `table`, numbered from 0.

    Raises
    ------
    UserError
        When a column is missing or is there twice. For a value that cannot be
        converted it names column, row (from 1), and what is expected.
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
        if isinstance(values.dtype, pd.CategoricalDtype):
            values = values.astype(object)
        columns[name] = CONVERT[kind](values)
        _check(values, columns[name], kind, may_miss)
    return pd.DataFrame(columns, index=table.index)


def finite(sequences: pd.Series) -> pd.Series:
    """Find the rows that hold a sequence of numbers, one or more, all finite."""
    try:
        lengths = sequences.str.len().to_numpy(np.int64, na_value=0)
        numbers = np.isfinite(np.concatenate([*sequences, [0.0]]))
        starts = np.cumsum(lengths) - lengths
        found = np.logical_and.reduceat(numbers, starts) & (lengths > 0)
    except (AttributeError, TypeError, ValueError):  # some row holds something else: look at each
        found = np.array([_is_finite(sequence) for sequence in sequences], dtype=bool)
    return pd.Series(found, sequences.index)


def _is_finite(sequence: Any) -> bool:
    try:
        numbers = np.asarray(sequence, dtype=np.float64)
    except (TypeError, ValueError):
        return False
    return numbers.ndim == 1 and len(numbers) > 0 and bool(np.isfinite(numbers).all())


def _check(given: pd.Series, converted: pd.Series, kind: str, may_miss: bool) -> None:
    """Refuse values that could not be converted, and missing ones where there must be one."""
    wrong = converted.isna().to_numpy(copy=True)
    if may_miss:
        wrong &= given.notna().to_numpy()
        wrong[wrong] = [str(value).strip() != "" for value in given[wrong]]
    if wrong.any():
        row = int(wrong.argmax())
        value = given.iloc[row]
        none = pd.api.types.is_scalar(value) and pd.isna(value)
        shown = "none" if none else f"'{str(value)[:SHOWN]}'"
        more = f" (and {wrong.sum() - 1:,} more)" if wrong.sum() > 1 else ""
        raise UserError(
            f"column '{given.name}', row {row + 1:,}: expected {EXPECTED[kind]}, not {shown}{more}"
        )


def _numbers(values: pd.Series) -> pd.Series:
    if pd.api.types.is_timedelta64_dtype(values):
        return values.dt.total_seconds()
    if pd.api.types.is_datetime64_any_dtype(values):
        return pd.Series(np.nan, values.index, dtype=np.float64)
    numeric = pd.to_numeric(values, errors="coerce").to_numpy(np.float64, na_value=np.nan)
    numbers = pd.Series(np.where(np.isfinite(numeric), numeric, np.nan))
    left = numbers.isna() & values.notna()
    if left.any():
        numbers[left] = _seconds(values[left].map(str).str.strip())
    return numbers


def _seconds(times: pd.Series) -> pd.Series:
    """Convert times of day such as 23:59 and 23:59:59.5; what is none becomes missing."""
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


CONVERT: dict[str, Callable[[pd.Series], pd.Series]] = {
    "double": _numbers,
    "boolean": _booleans,
    "datetime": _dates,
    "string": _texts,
    "sequence": _sequences,
}
