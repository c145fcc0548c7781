"""Inputs of models: their kinds, and served tables that are given the types of these."""

import numpy as np
import pandas as pd


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
