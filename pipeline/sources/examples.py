"""What every source gives, and what is checked of it."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from pipeline.errors import UserError

META = ["example_id", "label", "group"]


@dataclass
class Source:
    """
    Examples as they were read.

    Attributes
    ----------
    examples : DataFrame
        A row an example: ``example_id``, the inputs, ``label``, ``group``.
    origin : list of dict
        Where each file came from: ``path`` or ``url``, and ``sha256``.
    """

    examples: pd.DataFrame
    origin: list[dict[str, str]]


def inputs_of(examples: pd.DataFrame) -> list[str]:
    """Name the columns that a model may see."""
    return [column for column in examples.columns if column not in META]


def check(examples: pd.DataFrame) -> pd.DataFrame:
    """
    Check examples against the contract with the stages that follow.

    Parameters
    ----------
    examples : DataFrame
        What a source gave.

    Returns
    -------
    DataFrame
        The same examples.

    Raises
    ------
    UserError
        Names the first column, example and rule that failed, and how many more did.
    """
    import pandera.pandas as pa
    from pandera.errors import SchemaErrors

    def column(values: pd.Series) -> pa.Column:
        if pd.api.types.is_numeric_dtype(values):
            return pa.Column(checks=pa.Check(np.isfinite, error="must be a finite number"))
        return pa.Column(str, pa.Check(lambda s: s.str.strip() != "", error="must not be empty"))

    schema = pa.DataFrameSchema(
        {
            "example_id": pa.Column(str, unique=True),
            "label": pa.Column(str, pa.Check.str_length(min_value=1)),
            "group": pa.Column(str, pa.Check.str_length(min_value=1)),
        }
        | {name: column(examples[name]) for name in inputs_of(examples)}
    )
    try:
        return schema.validate(examples, lazy=True)
    except SchemaErrors as error:
        raise UserError(_first_failure(error.failure_cases, examples)) from None


def _first_failure(failures: pd.DataFrame, examples: pd.DataFrame) -> str:
    failure = failures.iloc[0]
    rules = {
        "not_nullable": "must not be missing",
        "field_uniqueness": "must be unique",
        "str_length(1, None)": "must not be empty",
    }
    if failure["check"] == "column_in_dataframe":
        return f"column '{failure['failure_case']}' is missing"
    if str(failure["check"]).startswith("dtype"):
        return f"column '{failure['column']}' must hold text, not {failure['failure_case']}"
    row = failure["index"]
    place = f", example {examples['example_id'].get(row, row)}" if pd.notna(row) else ""
    more = f" (and {len(failures) - 1:,} more)" if len(failures) > 1 else ""
    rule = rules.get(failure["check"], failure["check"])
    return f"column '{failure['column']}'{place}: '{failure['failure_case']}' {rule}{more}"


def drop_duplicates(examples: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, int]]:
    """
    Keep the first of examples whose inputs are exactly the same.

    Parameters
    ----------
    examples : DataFrame
        Checked examples.

    Returns
    -------
    kept : DataFrame
        No two rows with the same inputs. Inputs that occur under two labels
        are contradictions and are dropped altogether.
    dropped : dict
        Reason to number of rows.
    """
    inputs = inputs_of(examples)
    repeated = examples.duplicated(inputs, keep=False)
    labels = examples[repeated].groupby(inputs, sort=False)["label"].transform("nunique")
    contradictory = labels.index[labels > 1]
    kept = examples.drop(contradictory).drop_duplicates(inputs)
    dropped = {
        "exact duplicate": len(examples) - len(contradictory) - len(kept),
        "same inputs, different labels": len(contradictory),
    }
    return kept.reset_index(drop=True), {why: n for why, n in dropped.items() if n}
