"""Recognise what the columns of a table hold, and how their texts write it."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from pipeline.errors import UserError, nearest
from pipeline.features.inputs import ISO, MISSING, USUAL, Form, column_kind, convert, tidy

# What a column may be taken for by ``task.source.columns``, and its kind as an input.
KINDS = {
    "number": "double",
    "category": "string",
    "text": "string",
    "date": "datetime",
    "boolean": "boolean",
    "ignore": "",
}
# Marks that stand for a missing value in a column of numbers or dates.
MARKS = ["?", "-", "--", "---", ".", "..", "...", "*", "#", "\\N", "none", "missing"]
# A column probably holds numbers or dates if a larger share than MOSTLY of its first LOOKED_AT
# distinct values are such.
LOOKED_AT, MOSTLY = 1000, 0.8
# So many different numbers with a mark before three digits are enough to tell thousands, if there
# are numbers below 1,000 without one.
ENOUGH = 20
# A column has at most so many units, and categories that may be spelt in two ways.
MOST_UNITS, MOST_SPELT = 4, 10_000
# Whole numbers that begin with zeros are codes, such as ZIP codes, if so many rows hold one.
CODE, SEVERAL = r"0[0-9]+", 2
CURRENCY = r"[A-Z]{0,2}[$€£¥₹₩₽₺₫₴₦฿]|CHF|EUR|USD|GBP|Rs\.?"
PARTS = re.compile(
    rf"([+-]?)(?P<before>{CURRENCY})?\s?([+-]?)"
    r"(?P<body>(?:\d(?:[\d.,' ]*\d)?[.,]?|[.,]\d+)(?:[eE][+-]?\d+)?)"
    r"\s?(?P<after>[^\W\d_][^\s\d.,;:()+-]{0,11}|[%‰°$€£¥][^\s\d.,;:()]{0,5})?"
)
SEPARATORS = [(".", ""), (".", ","), (",", ""), (",", "."), (".", "'"), (".", " "), (",", " ")]
ANY_NUMBER = re.compile("|".join(Form(mark, group).number for mark, group in SEPARATORS))
# The time of day after a date, and its format.
TIMES = {
    "": "",
    r"\d\d?:\d\d": "%H:%M",
    r"\d\d?:\d\d:\d\d": "%H:%M:%S",
    r"\d\d?:\d\d:\d\d\.\d+": "%H:%M:%S.%f",
    r"\d\d?:\d\d ?[AaPp][Mm]": "%I:%M %p",
    r"\d\d?:\d\d:\d\d ?[AaPp][Mm]": "%I:%M:%S %p",
}
ISO_DATE = r"\d{4}-\d\d(-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?)?)?"
NUMERIC_DATE = r"\d{1,4}(?P<mark>[-/.])\d{1,2}(?P=mark)\d{1,4}"
NAMED_DATE = r"(?:\d{1,2}[ -])?[A-Za-z]{3,9}\.?[ -](?:\d{1,2},? )?\d{2,4}"
DATE = re.compile(rf"(?P<date>{NUMERIC_DATE}|{NAMED_DATE})(?P<gap>,? |T|$)(?P<time>.*)")
UNDECIDED = (
    "column '{}': in '{}' the mark may stand before a fraction or between thousands: "
    "set task.source.decimal='.' or task.source.decimal=','"
)
MIXED_MARKS = (
    "column '{}' writes numbers in two ways, as '{}' and '{}': write them in one, "
    "or set task.source.decimal"
)
UNITS = "column '{}' writes numbers in several units, as '{}' and '{}': write them in one"
ODD = (
    "column '{}' is not taken for numbers, though most of it is: row {:,} holds '{}'; "
    "to count what is no number as missing, set 'task.source.columns={{{}: number}}'"
)
ODD_DATE = (
    "column '{}' is not taken for dates, though most of it is: row {:,} holds '{}'; "
    "to count what is no date as missing, set 'task.source.columns={{{}: date}}'"
)
MIXED_DATES = "column '{}' writes dates in several formats, as '{}' and '{}': write them in one"
DAY_OR_MONTH = (
    "column '{}': which number of '{}' is the day, month or year cannot be told: "
    "set task.source.date_format, such as {}"
)
# What a column is taken for, as long as it is doubtful whether it holds numbers or dates.
UNTIL_THEN = "; until then "
TAKEN_FOR = {
    "category": "it is taken for a category",
    "text": "it is taken for a text",
    "identifier": "it is left out, since almost every row has another value",
    "constant": "it is left out, since it has one value only",
}
CODES = (
    "column '{}' holds codes that begin with zeros, as '{}': {}; if they are numbers, "
    "set 'task.source.columns={{{}: number}}'"
)
ONE_CODE = (
    "column '{}' is taken for numbers, though row {:,}{} holds '{}': if these are codes, "
    "set 'task.source.columns={{{}: category}}'"
)
SPELT = (
    "column '{}' has '{}' and '{}', which differ only in case or spaces: "
    "they are taken for two{}; if they are one, spell them alike"
)
CLASSES = (
    "'{}' and '{}' of '{}' differ only in case or spaces, and are taken for two classes: "
    "if they are one, spell them alike"
)


class Given(NamedTuple):
    """
    What is known of how texts write values. What is None is found in each column.

    Attributes
    ----------
    decimal, thousands : str, optional
        The mark before the fractions of numbers, and that between their thousands.
    date_format : str, optional
        The format of dates, as for `datetime.datetime.strptime`.
    """

    decimal: str | None = None
    thousands: str | None = None
    date_format: str | None = None

    @property
    def form(self) -> Form:
        """The form of columns that were read as numbers or dates already."""
        return Form(self.decimal or ".", self.thousands or "", date_format=self.date_format or ISO)


NOTHING = Given()


class Column(NamedTuple):
    """
    What a column is taken for.

    Attributes
    ----------
    kind : str
        ``number``, ``category``, ``text``, ``date``, ``boolean``, ``identifier`` (a code that
        differs in almost every row, which no model sees) or ``constant``.
    form : Form
        How its texts write values.
    missing : dict of str to int
        How often each word stands for a missing value.
    doubts : tuple of str
        Messages about what is not certain, each with the key that settles it.
    """

    kind: str
    form: Form = USUAL
    missing: Mapping[str, int] = {}
    doubts: tuple[str, ...] = ()

    @property
    def input_kind(self) -> str:
        """The kind of the input, as `pipeline.features.inputs` names it."""
        return KINDS.get(self.kind, "string")

    def settings(self) -> dict[str, Any]:
        """Return the kind, and what is unusual about the form, as plain values."""
        return {"kind": self.kind} | self.form.settings()


def recognise(
    table: pd.DataFrame,
    columns: Mapping[str, str] | None = None,
    given: Given = NOTHING,
    codes: bool = True,
) -> dict[str, Column]:
    """
    Recognise what each column of a table holds.

    Each column is looked at as a whole. A column of texts is one of numbers if all of its
    texts are numbers in one form, and one of dates if all are dates in one format. Numbers of
    which several begin with zeros, such as ``02139``, are codes: a category.

    Parameters
    ----------
    table : DataFrame
        As it was read, such as by `pandas.read_csv`.
    columns : mapping of str to str, optional
        What columns are to be taken for, whatever they look like: values of `KINDS`.
    given : Given, optional
        What is known of all columns.
    codes : bool, default=True
        Whether there may be codes.

    Returns
    -------
    dict of str to Column
        For each column, without those to be ignored.

    Raises
    ------
    UserError
        If `columns` names a column or kind that there is not, or a column cannot be taken for
        what it says.
    """
    wanted = columns or {}
    for name, kind in wanted.items():
        if name not in table:
            raise UserError(f"task.source.columns: no column '{name}'{nearest(name, table)}")
        if kind not in KINDS:
            raise UserError(f"task.source.columns.{name}: unknown '{kind}'{nearest(kind, KINDS)}")
    return {
        str(name): _recognise(table[name], wanted.get(name), given, codes)
        for name in table
        if wanted.get(name) != "ignore"
    }


def describe(columns: Mapping[str, Mapping[str, Any]]) -> str:
    """
    Describe what columns are taken for as YAML, to be corrected and given again.

    Parameters
    ----------
    columns : mapping of str to mapping
        What `Column.settings` returned for each, as ``columns`` of ``card.json`` has it.

    Returns
    -------
    str
        Lines such as ``price: number  # unit '$'``, as ``task.source.columns`` takes them.
    """
    lines = []
    for name, column in columns.items():
        found = column["kind"]
        kind = {"identifier": "ignore", "constant": "ignore"}.get(found, found)
        about = [found] * (kind != found)
        about += [f"{key} {value!r}" for key, value in column.items() if key != "kind"]
        # JSON is YAML, and quotes what would be read as a number or a truth value.
        plain = name if re.fullmatch(r"[A-Za-z]\w{3,}", name) else json.dumps(name)
        lines.append(f"{plain}: {kind}{'  # ' * bool(about)}{', '.join(about)}")
    return "\n".join(lines)


def spelt_twice(values: pd.Series) -> tuple[str, str] | None:
    """Return two different texts that differ only in case or white space, if there are such."""
    distinct = values.dropna().drop_duplicates()
    folded = distinct.str.casefold().str.split().str.join(" ")
    twice = folded.duplicated()
    if not twice.any():
        return None
    second = int(np.argmax(twice.to_numpy()))
    return str(distinct[folded == folded.iloc[second]].iloc[0]), str(distinct.iloc[second])


def class_doubts(labels: pd.Series, name: str) -> list[str]:
    """Return a message about two classes that differ only in case or white space."""
    pair = spelt_twice(labels)
    return [CLASSES.format(*pair, name)] if pair else []


def _recognise(values: pd.Series, wanted: str | None, given: Given, codes: bool) -> Column:
    if isinstance(values.dtype, pd.CategoricalDtype):
        values = values.astype(values.cat.categories.dtype)
    if not pd.api.types.is_string_dtype(values):
        return _typed(values, wanted, given)
    texts = values.str.strip()
    words = texts[texts.isin(MISSING[1:])].value_counts().to_dict()
    texts = texts.mask(texts.isin(MISSING))
    found = _from_texts(texts, wanted, given, codes)
    counts = texts[texts.isin(found.form.missing)].value_counts().to_dict()
    return found._replace(missing=words | counts)


def _typed(values: pd.Series, wanted: str | None, given: Given) -> Column:
    """Recognise a column whose values are not texts."""
    if wanted in ("category", "text"):
        return Column(wanted)
    if wanted in ("number", "date", "boolean"):
        column = Column(wanted, given.form)
        _check_fit(values, column)
        return column
    kind = column_kind(values)
    if kind == "number" and pd.api.types.is_bool_dtype(values):
        return Column("boolean")
    return Column(kind, given.form._replace(date_format=ISO) if kind == "number" else USUAL)


def _from_texts(texts: pd.Series, wanted: str | None, given: Given, codes: bool) -> Column:
    name, distinct = str(texts.name), texts.dropna().drop_duplicates()
    zeros = _beginning_with_zeros(texts, distinct) if codes else texts.head(0)
    of_codes = len(zeros) >= SEVERAL
    code_form = Form(digits=_digits(distinct)) if of_codes else USUAL
    if wanted in ("category", "text"):
        return Column(wanted, code_form)
    if wanted == "boolean":
        return Column("boolean", _truth(name, distinct))
    of_codes &= wanted is None
    doubts: list[str] = []
    if len(distinct) and wanted != "date" and not of_codes:
        form, doubt = _number_form(distinct, given, forced=wanted == "number")
        if form is not None:
            if wanted is None:
                doubts = [ONE_CODE.format(name, at + 1, "", one, name) for at, one in zeros.items()]
            return Column("number", form, doubts=tuple(doubts))
        doubts += doubt
    if len(distinct) and wanted != "number":
        form, doubt = _date_form(distinct, given, forced=wanted == "date")
        if form is not None:
            return Column("date", form)
        doubts += doubt
    if wanted is not None:
        why = "; ".join(doubts) or f"'{distinct.iloc[0] if len(distinct) else ''}' is none"
        raise UserError(f"task.source.columns.{name}: it cannot be taken for a {wanted}: {why}")
    kind = column_kind(texts)
    if of_codes:
        told = CODES.format(name, zeros.iloc[0], TAKEN_FOR[kind], name)
        return Column(kind, code_form, doubts=(told,))
    doubts = [f"{doubt}{UNTIL_THEN}{TAKEN_FOR[kind]}" for doubt in doubts]
    if kind == "category" and len(distinct) <= MOST_SPELT:
        pair = spelt_twice(distinct)
        doubts += [SPELT.format(name, *pair, "")] if pair else []
    return Column(kind, doubts=tuple(doubts))


def codes_among_numbers(found: Mapping[str, Column], others: pd.DataFrame, file: Path) -> list[str]:
    """
    Return warnings about columns of numbers that hold codes in a file of test examples.

    Parameters
    ----------
    found : mapping of str to Column
        What `recognise` found in the examples to learn from.
    others : DataFrame
        The test examples as they are written.
    file : Path
        Their file.
    """
    warnings = []
    for name, column in found.items():
        texts = others[name]
        if column.kind != "number" or not pd.api.types.is_string_dtype(texts):
            continue
        texts = texts.str.strip()
        zeros = _beginning_with_zeros(texts, texts.dropna().drop_duplicates())
        warnings += [
            ONE_CODE.format(name, row + 1, f" of {file}", code, name)
            for row, code in zeros.head(1).items()
        ]
    return warnings


def _beginning_with_zeros(texts: pd.Series, distinct: pd.Series) -> pd.Series:
    """Return the whole numbers that begin with zeros, of texts that mostly are whole numbers."""
    zeros = distinct[distinct.str.fullmatch(CODE)]
    if zeros.empty or distinct.head(LOOKED_AT).str.fullmatch("[0-9]+").mean() <= MOSTLY:
        return texts.head(0)
    return texts[texts.isin(zeros)]


def _digits(distinct: pd.Series) -> int:
    """Return how many digits all codes have, or 0 if that differs."""
    lengths = distinct[distinct.str.fullmatch("[0-9]+")].str.len().unique()
    return int(lengths[0]) if len(lengths) == 1 else 0


def _check_fit(values: pd.Series, column: Column) -> None:
    failed = convert(values, column.input_kind, column.form, True).isna() & values.notna()
    if failed.any():
        first = convert(values[failed].head(1), "string", USUAL, False).iloc[0]
        remedy = "; set task.source.date_format, such as %Y%m%d" * (column.kind == "date")
        raise UserError(
            f"task.source.columns.{values.name}: it cannot be taken for a {column.kind}: row "
            f"{int(np.argmax(failed.to_numpy())) + 1:,} holds '{first}'{remedy}"
        )


def _truth(name: str, distinct: pd.Series) -> Form:
    """Return the form of a column of two words, of which one means true."""
    folded = sorted({one.lower() for one in distinct})
    for pair in (("true", "false"), ("yes", "no"), ("y", "n"), ("t", "f"), ("on", "off")):
        if set(folded) <= {*pair, "1", "0"}:
            return Form(true=pair[0], false=pair[1])
    raise UserError(
        f"task.source.columns.{name}: it cannot be taken for a boolean: it holds "
        f"'{distinct.iloc[0]}', but true and false, yes and no, or 1 and 0 are expected"
    )


def _number_form(
    distinct: pd.Series, given: Given, forced: bool = False
) -> tuple[Form | None, list[str]]:
    """Return the form of numbers that are all of some texts, or what is doubtful about them."""
    name, marks = distinct.name, distinct.isin(MARKS)
    first = distinct[~marks].head(LOOKED_AT)
    if first.empty or _parts(first)["body"].notna().mean() <= (0 if forced else MOSTLY):
        return None, []
    texts = distinct[~marks]
    parts = _parts(texts)
    odd = parts["body"].isna()
    if odd.any() and not forced:
        return None, [ODD.format(name, odd.index[odd][0] + 1, texts[odd].iloc[0], name)]
    parts, texts = parts[~odd], texts[~odd]
    missing = tuple(sorted({*distinct[marks], *distinct[~marks][odd]}))
    units = parts["before"] + parts["after"]
    used = units[parts["body"].str.contains("[1-9]") | (units != "")].drop_duplicates()
    if len(used) > 1:
        told = "" in set(used) and not used.str.contains(r"[%‰$€£¥]").any()
        if told or len(used) > MOST_UNITS or len(units) < 2 * len(used):
            return None, []
        return None, [UNITS.format(name, *texts[used.index[:2]])]
    unit = used.iloc[0] if len(used) else ""
    separators, doubt = _separators(parts["body"], texts, given, unit)
    if separators is None:
        return None, doubt
    decimal, thousands = separators
    return Form(decimal=decimal, thousands=thousands, unit=unit, missing=missing), []


def _parts(texts: pd.Series) -> pd.DataFrame:
    """Split numbers into the unit ``before`` or ``after``, and the ``body`` with its marks."""
    found = [PARTS.fullmatch(tidy(text)) for text in texts]
    rows = [
        (one["before"] or "", one["body"], one["after"] or "")
        if one and ANY_NUMBER.fullmatch(one["body"])
        else ("", None, "")
        for one in found
    ]
    return pd.DataFrame(rows, index=texts.index, columns=["before", "body", "after"])


def _separators(
    bodies: pd.Series, texts: pd.Series, given: Given, unit: str
) -> tuple[tuple[str, str] | None, list[str]]:
    """Return the decimal mark and that between thousands, if they can be told."""
    name = bodies.name if bodies.name != "body" else texts.name
    known = given.decimal is not None
    readings: dict[tuple[str, ...], tuple[str, str]] = {}
    for decimal, thousands in SEPARATORS:
        wanted = decimal == (given.decimal or decimal)
        if not wanted or thousands not in ("", given.thousands or thousands):
            continue
        form = Form(decimal=decimal, thousands=thousands)
        if bodies.str.fullmatch(form.number).all():
            plain = bodies.str.replace(thousands, "", regex=False) if thousands else bodies
            reading = tuple(plain.str.replace(decimal, ".", regex=False))
            readings.setdefault(reading, (decimal, thousands))
    if len(readings) == 1:
        return next(iter(readings.values())), []
    marked = bodies.str.contains(r"[.,]")
    if not readings:
        one = texts[bodies.str.contains(",") & ~bodies.str.contains(r",.*\.")]
        other = texts.drop(one.index)
        other = other[bodies[other.index].str.contains(r"\.")]
        pair = [part.iloc[0] for part in (one, other) if len(part)]
        return None, [MIXED_MARKS.format(name, *pair)] if len(pair) == 2 else []
    if known:
        return next(iter(readings.values())), []
    # In one reading each mark stands between thousands, in another before a fraction.
    bare = bodies[~marked].str.replace(r"\D", "", regex=True)
    if (bare.str.len() > 3).any():
        return next(pair for pair in readings.values() if not pair[1]), []
    is_money = re.fullmatch(CURRENCY, unit)  # which has no three digits after the point
    if is_money or (len(bare) and marked.sum() >= ENOUGH):
        return next(pair for pair in readings.values() if pair[1]), []
    return None, [UNDECIDED.format(name, texts[marked].iloc[0])]


def _date_form(
    distinct: pd.Series, given: Given, forced: bool = False
) -> tuple[Form | None, list[str]]:
    """Return the form of dates that are all of some texts, or what is doubtful about them."""
    marks = distinct.isin(MARKS)
    texts, missing = distinct[~marks], tuple(sorted(set(distinct[marks])))
    if texts.empty:
        return None, []
    if given.date_format is not None:
        found = _checked(texts, [given.date_format], missing, forced)
        if found[0] is not None:
            return found
    least = 0 if forced else MOSTLY
    if texts.head(LOOKED_AT).str.fullmatch(ISO_DATE).mean() > least:
        return _checked(texts, [ISO], missing, forced)
    matches = [DATE.fullmatch(text) for text in texts.head(LOOKED_AT)]
    if np.mean([one is not None for one in matches]) <= least:
        return None, []
    dates = [one for one in matches if one]
    # Numbers may be written in several ways, which then is told.
    ways = {re.sub(r"\d+", "0", one.string): one for one in reversed(dates) if one["mark"]}
    formats = dict.fromkeys(f for one in (dates[0], *ways.values()) for f in _formats(one))
    return _checked(texts, list(formats), missing, forced) if formats else (None, [])


def _formats(found: re.Match[str]) -> list[str]:
    """Return the formats that a date may have."""
    clock = next((f for form, f in TIMES.items() if re.fullmatch(form, found["time"])), None)
    if clock is None:
        return []
    return [f"{day}{found['gap'] if clock else ''}{clock}" for day in _day_formats(found)]


def _day_formats(found: re.Match[str]) -> list[str]:
    """Return the formats that a date may have, without its time."""
    day, mark = found["date"], found["mark"]
    if mark:
        year, last = len(day.split(mark)[0]), len(day.split(mark)[2])
        if year > 2:
            orders = ["Ymd"]
        else:
            orders = ["dmY", "mdY"] if last > 2 else ["dmy", "mdy"]
            orders += ["ymd"] * (last == 2 and mark == "-")
        if mark == ".":  # which stands between day, month and year only in this order
            orders = [order for order in orders if not order.startswith("m")]
        return [mark.join(f"%{part}" for part in order) for order in orders]
    formats = []
    for form in ("d b Y", "d b y", "b d Y", "b Y", "b y"):
        for month in (form, form.replace("b", "B")):
            pattern = re.sub(r"(\w)", r"%\1", month)
            pattern = pattern.replace("%d %Y", "%d, %Y") if "," in day else pattern
            formats.append(pattern.replace(" ", "-") if "-" in day else pattern)
    return formats


def _read(texts: pd.Series, date_format: str) -> pd.Series:
    return convert(texts, "datetime", Form(date_format=date_format), True)


def _checked(
    texts: pd.Series, formats: list[str], missing: tuple[str, ...], forced: bool
) -> tuple[Form | None, list[str]]:
    """Return the form of the one format that all texts have, or what is doubtful."""
    first = texts.head(LOOKED_AT)
    shares = {one: _read(first, one).notna().mean() for one in formats}
    likely = [one for one, share in shares.items() if share > (0 if forced else MOSTLY)]
    read = {one: _read(texts, one) for one in likely}
    fitting = [one for one in likely if read[one].notna().all()]
    # Two formats may read the same dates, such as %b and %B the month May.
    different = [one for one in fitting if not read[one].equals(read[fitting[0]])]
    if fitting and not different:
        return Form(date_format=fitting[0], missing=missing), []
    if different:
        choices = " or ".join([fitting[0], *different])
        return None, [DAY_OR_MONTH.format(texts.name, texts.iloc[0], choices)]
    if not likely:
        any_date = pd.DataFrame({one: _read(first, one).notna() for one in formats})
        if any_date.any(axis=1).mean() <= MOSTLY:
            return None, []
        one = any_date[any_date.mean().idxmax()].to_numpy()
        return None, [MIXED_DATES.format(texts.name, first[one].iloc[0], first[~one].iloc[0])]
    odd = texts[read[likely[0]].isna().to_numpy()]
    if forced:
        return Form(date_format=likely[0], missing=tuple(sorted({*missing, *odd}))), []
    return None, [ODD_DATE.format(texts.name, odd.index[0] + 1, odd.iloc[0], texts.name)]
