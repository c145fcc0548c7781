"""Find the kinds of inputs, and convert a served table to them."""

import base64
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

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
# A column of strings of several words holds texts, not categories, if it has more distinct ones
# than this, or if more than half are distinct.
MOST_CATEGORIES = 1000
# A column of other strings is an identifier if more than this share of its rows differ.
ALMOST = 0.9
LETTERS, CODE = r"[^\W\d_]{2,}", r"[!-~]+"
TRUTH = {"true": 1.0, "1": 1.0, "1.0": 1.0, "false": 0.0, "0": 0.0, "0.0": 0.0}
# What counts as missing wherever values may be: the words of pandas.read_csv.
MISSING = (
    *("", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN"),
    *("<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null"),
)
ISO = "ISO8601"


class Form(NamedTuple):
    """
    How the texts of a column write its values.

    Attributes
    ----------
    decimal : str
        The mark before the fraction of a number.
    thousands : str
        The mark between groups of three digits, or nothing.
    unit : str
        What stands before or after each number, such as ``$`` or ``kg``, or nothing.
    date_format : str
        The format of dates, as for `datetime.datetime.strptime`, or `ISO`.
    true, false : str
        The words for true and false.
    missing : sequence of str
        Further words that stand for a missing value.
    digits : int, optional
        How many digits the codes of a column have in which some begin with zeros, or 0 if that
        differs.
    """

    decimal: str = "."
    thousands: str = ""
    unit: str = ""
    date_format: str = ISO
    true: str = "true"
    false: str = "false"
    missing: tuple[str, ...] = ()
    digits: int | None = None

    def settings(self) -> dict[str, Any]:
        """Return what differs from the usual form, as plain values."""
        usual = Form._field_defaults
        return {
            key: list(value) if key == "missing" else value
            for key, value in self._asdict().items()
            if value != usual[key]
        }

    @property
    def number(self) -> str:
        """A regular expression for numbers without their unit."""
        decimal = re.escape(self.decimal)
        whole = r"\d+"
        if self.thousands:
            mark = re.escape(self.thousands)
            # Groups of two digits are as in India: 1,23,456.
            whole = rf"(?:[1-9]\d{{0,2}}(?:{mark}\d{{2,3}})*{mark}\d{{3}}|\d+)"
        return rf"[+-]?(?:{whole}(?:{decimal}\d*)?|{decimal}\d+)(?:[eE][+-]?\d+)?"


USUAL = Form()


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


def column_kind(values: pd.Series) -> str:
    """
    Return the kind of a column for a model.

    Parameters
    ----------
    values : Series
        Values of the training examples. Some may be missing.

    Returns
    -------
    str
        ``number``, ``date`` or ``category``. Or ``text``: strings of several words that are
        rarely repeated. Or ``identifier``: a different code, such as ``7590-VHVEG``, in almost
        every row. Or ``constant``: one value only.
    """
    kind = kind_of(values)
    if kind in ("sequence", "binary"):
        raise UserError(f"column '{values.name}' holds no plain values: it needs another view")
    distinct = values.nunique()
    if distinct + values.hasnans <= 1:
        return "constant"
    if kind == "datetime":
        return "date"
    if kind != "string":
        return "number"
    # A code has no space; a slug, an e-mail or a UUID is one of several words too.
    words = values.str.count(LETTERS).mask(values.str.fullmatch(CODE).fillna(False), 1)
    if words.mean() >= 2 and distinct > min(values.count() / 2, MOST_CATEGORIES):
        return "text"
    return "identifier" if distinct > ALMOST * len(values) else "category"


def conform(
    table: pd.DataFrame,
    kinds: Mapping[str, str],
    may_miss: bool,
    forms: Mapping[str, Form] | None = None,
) -> pd.DataFrame:
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
        - ``string`` accepts numbers. Whole numbers are written without a point. Codes get
          again the zeros that they begin with, if all have the same number of digits;
          otherwise a number is refused.
        - ``sequence`` accepts one list, tuple or array per row.
        - ``binary`` accepts bytes, and text that encodes them in base64, as JSON needs it.
    may_miss : bool
        Whether values may be missing. A blank text counts as missing unless a text is
        expected. A text in `MISSING` counts as missing.
    forms : mapping of str to Form, optional
        How texts write the values of inputs, where that is not the usual form.

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
        form = (forms or {}).get(name, USUAL)
        columns[name] = convert(values, kind, form, may_miss)
        _check(values, columns[name], kind, form, may_miss)
    return pd.DataFrame(columns, index=table.index)


def convert(values: pd.Series, kind: str, form: Form, may_miss: bool) -> pd.Series:
    """
    Convert values to a kind. What cannot be converted becomes missing.

    Parameters
    ----------
    values : Series
        Of any type.
    kind : str
        A key of `EXPECTED`.
    form : Form
        How texts write values.
    may_miss : bool
        Whether a text may stand for a missing value.
    """
    if may_miss and not pd.api.types.is_numeric_dtype(values):
        values = values.mask(_is_missing(values, form).to_numpy())
    return CONVERT[kind](values, form)


def _is_missing(values: pd.Series, form: Form) -> pd.Series:
    """Return which values are words for a missing value."""
    words = {*MISSING[1:], *form.missing}
    if isinstance(values.dtype, pd.StringDtype):
        return values.str.strip().isin(words)
    return pd.Series([isinstance(v, str) and v.strip() in words for v in values], values.index)


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


def _check(values: pd.Series, converted: pd.Series, kind: str, form: Form, may_miss: bool) -> None:
    """Raise an error for values that could not be converted, or that must not be missing."""
    wrong = converted.isna().to_numpy(copy=True)
    if may_miss:
        wrong &= (values.notna() & ~_is_missing(values, form)).to_numpy()
        wrong[wrong] = [str(value).strip() != "" for value in values[wrong]]
    if wrong.any():
        row = int(wrong.argmax())
        value = values.iloc[row]
        none = pd.api.types.is_scalar(value) and pd.isna(value)
        shown = "none" if none else f"'{str(value)[:SHOWN]}'"
        more = f" (and {wrong.sum() - 1:,} more)" if wrong.sum() > 1 else ""
        raise UserError(
            f"column '{values.name}', row {row + 1:,}: expected {expected(kind, form)}, "
            f"not {shown}{more}"
        )


def expected(kind: str, form: Form) -> str:
    """Describe what values of a kind look like."""
    if kind == "double" and (form.decimal, form.thousands) != (USUAL.decimal, USUAL.thousands):
        return f"{EXPECTED[kind]}, as 1{form.thousands}234{form.decimal}5"
    if kind == "datetime" and form.date_format != ISO:
        return f"a date as {form.date_format}, or as in ISO 8601"
    if form.true != USUAL.true:
        return f"{form.true} or {form.false}"
    if form.digits == 0:
        return "a text, since codes that begin with zeros are no numbers"
    return EXPECTED[kind]


def _numbers(values: pd.Series, form: Form) -> pd.Series:
    if form.true != USUAL.true:  # of booleans, of which some were missing in training
        return _booleans(values, form).astype(np.float64)
    if pd.api.types.is_timedelta64_dtype(values):
        return values.dt.total_seconds()
    if pd.api.types.is_datetime64_any_dtype(values):
        return pd.Series(np.nan, values.index, dtype=np.float64)
    plain = values
    if not pd.api.types.is_numeric_dtype(values):
        texts = values.where([isinstance(value, str) for value in values])
        codes, distinct = pd.factorize(texts)
        written = np.array([*_plain(distinct, form), None], dtype=object)
        plain = values.astype(object).where(codes < 0, written[codes])
    try:
        numeric = pd.to_numeric(plain, errors="coerce").to_numpy(np.float64, na_value=np.nan)
    except OverflowError:  # of whole numbers beyond the greatest float
        numeric = pd.to_numeric(plain.map(str), errors="coerce").to_numpy(np.float64)
    numbers = pd.Series(np.where(np.isfinite(numeric), numeric, np.nan), values.index)
    left = numbers.isna() & values.notna()
    if left.any():
        numbers[left] = _seconds(values[left].map(str).str.strip())
    return numbers


def _plain(texts: Iterable[str], form: Form) -> list[str | None]:
    """Write numbers in the usual form. What is none becomes None."""
    number = re.compile(form.number)
    found: list[str | None] = []
    for one in texts:
        text = tidy(one)
        if form.unit:
            text = tidy(text.replace(form.unit, "", 1))
        plain = text.replace(form.thousands, "").replace(form.decimal, ".")
        found.append(plain if number.fullmatch(text) else None)
    return found


def tidy(number: str) -> str:
    """Strip a number that is a text, and write its signs and spaces in the usual way."""
    text = number.strip()
    if not text.isascii():
        text = re.sub(r"[\u00a0\u2007\u2009\u202f]", " ", text).replace("\u2212", "-")
    if text.startswith("(") and text.endswith(")"):  # as accountants write what is owed
        text = f"-{text[1:-1]}"
    return text


def _seconds(times: pd.Series) -> pd.Series:
    """Convert times of day such as 23:59 and 23:59:59.5. Anything else becomes missing."""
    whole = (times + ":00").where(times.str.count(":") == 1, times)
    whole = whole.where(whole.str.fullmatch(r"\d\d?:\d\d:\d\d(\.\d+)?"))
    return pd.to_timedelta(whole, errors="coerce").dt.total_seconds()


def _booleans(values: pd.Series, form: Form) -> pd.Series:
    words = TRUTH | {form.true.lower(): 1.0, form.false.lower(): 0.0}
    truth = values.map(lambda value: words.get(str(value).strip().lower(), np.nan))
    return truth.astype(np.float64 if truth.hasnans else bool)


def _dates(values: pd.Series, form: Form) -> pd.Series:
    if pd.api.types.is_numeric_dtype(values) and form.date_format == ISO:
        dates = pd.Series(pd.NaT, values.index, dtype="datetime64[us]")
    elif pd.api.types.is_datetime64_any_dtype(values):
        dates = pd.to_datetime(values, utc=True).dt.tz_localize(None)
    else:
        texts = values.map(_text, na_action="ignore").astype("str").str.strip()
        dates = pd.to_datetime(texts, format=form.date_format, utc=True, errors="coerce")
        left = dates.isna() & texts.notna()
        if form.date_format != ISO and left.any():
            dates[left] = pd.to_datetime(texts[left], format=ISO, utc=True, errors="coerce")
        dates = dates.dt.tz_localize(None)
    return dates.astype("datetime64[us]")


def _texts(values: pd.Series, form: Form) -> pd.Series:
    if not isinstance(values.dtype, pd.StringDtype):
        if form.digits == 0:  # which zeros a number has lost cannot be told
            values = values.where([isinstance(value, str) for value in values])
        values = values.map(_text, na_action="ignore")
    texts = values.astype("str")
    if form.digits:
        lost = texts.str.fullmatch("[0-9]+", na=False)
        texts = texts.mask(lost, texts.str.zfill(form.digits))
    return texts


def _text(value: Any) -> str | float:
    if isinstance(value, bytes | list | tuple | dict | np.ndarray):
        return np.nan
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value)


def _sequences(values: pd.Series, _: Form) -> pd.Series:
    return values.where(finite(values))


def _bytes(values: pd.Series, _: Form) -> pd.Series:
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


CONVERT: dict[str, Callable[[pd.Series, Form], pd.Series]] = {
    "double": _numbers,
    "boolean": _booleans,
    "datetime": _dates,
    "string": _texts,
    "sequence": _sequences,
    "binary": _bytes,
}
