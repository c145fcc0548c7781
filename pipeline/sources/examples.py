"""Define what every source returns, and check it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipeline.errors import UserError
from pipeline.features.inputs import SHOWN, finite, kind_of
from pipeline.features.normaliser import normalise_each
from pipeline.paths import ROOT

# Columns that no model may see. The last one is optional.
META = ["example_id", "label", "group", "time"]
# Further columns for metrics have names with this prefix. `unit` is what the bootstrap draws if
# that is not the group, `unit_2` what it draws as well. `stratum` is what a random split keeps
# the shares of.
META_PREFIX = "meta:"
CONTRADICTION = "same inputs, different labels"

# A condition in words, and a function that returns which values of a column meet it.
Rule = tuple[str, Callable[[pd.Series], Any]]


@dataclass
class Source:
    """
    Examples as a source reads them.

    Attributes
    ----------
    examples : DataFrame
        A row per example: ``example_id``, the inputs, ``label``, ``group``. If there is a
        column ``time``, the split is by time. Examples of one ``group`` stay in one part
        of the split. The bootstrap draws groups too, or ``meta:unit`` if that column is
        there, and of examples that belong to two things at once also ``meta:unit_2``.
        Further columns ``meta:<name>`` reach the metrics as ``<name>``. An input holds
        numbers, booleans, dates, texts, bytes, or one sequence of numbers per row.
    origin : list of dict
        The origin of each file: ``path`` as `origin_of` returns it, or ``url``, and
        ``sha256``.
    test : DataFrame, optional
        The test examples, if the data comes with its own. `examples` are then split into
        train and validation only.
    slices : dict of str to DataFrame
        Further sets of test examples, each scored by itself.
    dropped : dict of str to int
        Rows that the source left out, by reason.
    joined : dict of str to int
        Examples that the source put into one group with others, by reason.
    may_miss : bool
        Whether inputs may lack values.
    may_repeat : bool
        Whether examples with the same inputs are separate cases, not copies.
    advice : dict of str to str
        What to do about each class. It is part of the target, and told beside a prediction.
    names : list of str
        The names of what a target counts from 0, such as items. It is part of the target.
    notes : list of str
        Sentences that belong to every score of these examples, such as how they were made.
    warnings : list of str
        Messages for the user, such as an input that equals the label one to one.
    label : str, default="label"
        What the user calls the target, for messages.
    columns : dict of str to dict
        What inputs are taken for, if that was recognised: ``kind``, and what is unusual about
        the form of their texts, as `pipeline.features.inputs.Form` has it.
    """

    examples: pd.DataFrame
    origin: list[dict[str, str]]
    test: pd.DataFrame | None = None
    slices: dict[str, pd.DataFrame] = field(default_factory=dict)
    dropped: dict[str, int] = field(default_factory=dict)
    joined: dict[str, int] = field(default_factory=dict)
    may_miss: bool = False
    may_repeat: bool = False
    advice: dict[str, str] = field(default_factory=dict)
    names: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    label: str = "label"
    columns: dict[str, dict[str, Any]] = field(default_factory=dict)


def origin_of(path: Path, sha256: str) -> dict[str, str]:
    """
    Return the origin of a file or folder, the same on every machine and in every clone.

    Returns
    -------
    dict
        ``path`` relative to the project's root, or only the name if it is outside, and
        ``sha256``.
    """
    place = path.resolve()
    within = place.is_relative_to(ROOT)
    return {"path": place.relative_to(ROOT).as_posix() if within else path.name, "sha256": sha256}


def inputs_of(examples: pd.DataFrame) -> list[str]:
    """Return the names of the columns that a model may see."""
    return [c for c in examples.columns if c not in META and not c.startswith(META_PREFIX)]


def meta_of(examples: pd.DataFrame) -> dict[str, np.ndarray]:
    """
    Return the columns of examples that metrics and the bootstrap read.

    Returns
    -------
    dict of str to ndarray
        ``group``, and each column ``meta:<name>`` as ``<name>``.
    """
    names = [c for c in examples.columns if c.startswith(META_PREFIX)]
    own = {name.removeprefix(META_PREFIX): examples[name].to_numpy() for name in names}
    return {"group": examples["group"].to_numpy()} | own


def check(examples: pd.DataFrame, may_miss: bool = False) -> pd.DataFrame:
    """
    Check examples against the contract with the later stages.

    Parameters
    ----------
    examples : DataFrame
        As a source returns them.
    may_miss : bool, default=False
        Whether inputs may lack values.

    Returns
    -------
    DataFrame
        The same examples.

    Raises
    ------
    UserError
        With the first column, example and rule that failed, and how many more failed.
    """
    rows = examples.reset_index(drop=True)
    rules = {"example_id": [THERE, *TEXT, UNIQUE], "group": [THERE, *TEXT]}
    for name in rules:
        if name not in rows:
            raise UserError(f"column '{name}' is missing")
    for name in inputs_of(rows):
        rules[name] = [*([] if may_miss else [THERE]), *RULES[kind_of(rows[name])]]
    breaches = [
        (name, *breach) for name, ones in rules.items() for breach in _breaches(rows[name], ones)
    ]
    if breaches:
        name, rule, broken = breaches[0]
        value = str(rows[name][broken[0]])[:SHOWN]
        more = sum(len(broken) for _, _, broken in breaches) - 1
        raise UserError(
            f"column '{name}', example {rows['example_id'][broken[0]]}: "
            f"'{value}' {rule}{f' (and {more:,} more)' if more else ''}"
        )
    return examples


def _breaches(values: pd.Series, rules: list[Rule]) -> Iterator[tuple[str, pd.Index]]:
    """Yield each broken rule and the rows that break it. A row is reported for one rule only."""
    for rule, holds in rules:
        held = np.asarray(holds(values), dtype=bool)
        if not held.all():
            yield rule, values.index[~held]
        # A missing value breaks no other rule.
        values = values[held & values.notna().to_numpy()]


def _is_text(values: pd.Series) -> Any:
    if isinstance(values.dtype, pd.StringDtype):
        return np.ones(len(values), dtype=bool)
    return [isinstance(value, str) or pd.isna(value) for value in values]


def _is_filled(values: pd.Series) -> Any:
    return [value.strip() != "" for value in values]


def _is_bytes(values: pd.Series) -> Any:
    return [isinstance(value, bytes) or pd.isna(value) for value in values]


THERE: Rule = ("must not be missing", pd.Series.notna)
UNIQUE: Rule = ("must be unique", lambda values: ~values.duplicated())
TEXT: list[Rule] = [("must be text", _is_text), ("must not be empty", _is_filled)]
RULES: dict[str, list[Rule]] = {
    "double": [("must be a finite number", lambda values: np.isfinite(values) | values.isna())],
    "boolean": [],
    "datetime": [],
    "string": TEXT,
    "sequence": [
        ("must be a sequence of finite numbers", lambda values: finite(values) | values.isna())
    ],
    "binary": [("must be bytes", _is_bytes), ("must not be empty", lambda values: values != b"")],
}


def drop_duplicates(examples: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, int]]:
    """
    Keep the first of examples with the same inputs, with texts compared after normalising.

    Parameters
    ----------
    examples : DataFrame
        Checked examples.

    Returns
    -------
    kept : DataFrame
        No two rows with the same inputs. Examples with the same inputs and different
        labels contradict each other, and all of them are dropped.
    dropped : dict
        Number of rows by reason.
    """
    repeated = comparable(examples)
    repeated = repeated[repeated.duplicated(keep=False)]
    same = repeated.groupby(list(repeated), sort=False, dropna=False)
    labels = examples["label"].loc[repeated.index].groupby(same.ngroup()).transform("nunique")
    contradictory = labels.index[labels > 1]
    again = repeated.index[repeated.duplicated()]
    kept = examples.drop(contradictory.union(again))
    dropped = {
        "exact duplicate": len(examples) - len(contradictory) - len(kept),
        CONTRADICTION: len(contradictory),
    }
    return kept.reset_index(drop=True), {why: n for why, n in dropped.items() if n}


def drop_test_examples(
    examples: pd.DataFrame, test: pd.DataFrame
) -> tuple[pd.DataFrame, dict[str, int]]:
    """
    Drop the examples that are also among the test examples.

    Parameters
    ----------
    examples : DataFrame
        Examples to fit on and to validate on.
    test : DataFrame
        Test examples with the same inputs.

    Returns
    -------
    kept : DataFrame
        Examples whose inputs are not those of a test example.
    dropped : dict
        Number of rows by reason.

    Raises
    ------
    UserError
        If the two do not have the same inputs, or share a group.
    """
    differing = set(inputs_of(examples)) ^ set(inputs_of(test))
    if differing:
        raise UserError(
            f"column '{min(differing)}' is in only one of the examples and the test examples"
        )
    shared = set(examples["group"]) & set(test["group"])
    if shared:
        raise UserError(
            f"group '{min(shared)}' is in the examples and in the test examples"
            f"{f' (and {len(shared) - 1:,} more)' if len(shared) > 1 else ''}: "
            "a test on what was seen in training is worth nothing"
        )
    both = pd.concat([comparable(test), comparable(examples)])
    tested = both.duplicated().to_numpy()[len(test) :]
    kept = examples[~tested].reset_index(drop=True)
    return kept, {"also among the test examples": int(tested.sum())} if tested.any() else {}


def comparable(examples: pd.DataFrame) -> pd.DataFrame:
    """Return inputs that can be compared by row: sequences as bytes, texts normalised."""
    convert = {
        "sequence": lambda values: [np.asarray(one, float).tobytes() for one in values],
        "string": normalise_each,
    }
    inputs = examples[inputs_of(examples)]
    kinds = {name: kind_of(inputs[name]) for name in inputs}
    return inputs.assign(
        **{n: convert[kind](inputs[n]) for n, kind in kinds.items() if kind in convert}
    )
