"""Numbers that describe the values of one input, for controls, slices and tests of drift."""

import numpy as np
import pandas as pd

from pipeline.features.inputs import kind_of


def count_words(texts: pd.Series) -> np.ndarray:
    """Count the words of texts, each distinct text once. A missing text has none."""
    counts = {text: len(text.split()) for text in texts.dropna().unique()}
    return texts.map(counts).fillna(0).to_numpy(int)


def numbers_of(values: pd.Series, known: pd.Series) -> np.ndarray:
    """
    Describe values by numbers, without the target.

    Parameters
    ----------
    values : Series of shape (n,)
        An input.
    known : Series
        Values of the same input by which texts are put in order.

    Returns
    -------
    ndarray of float, shape (n, k)
        The number, boolean or date itself; the place of a text in the alphabetical order of the
        known ones; the last and the mean value of a sequence. Nan where a value is missing.
    """
    kind = kind_of(values)
    if kind == "sequence":
        lengths = values.str.len().to_numpy(int)
        ends = np.cumsum(lengths)
        joined = np.concatenate(values.to_list()).astype(float)
        mean = np.add.reduceat(joined, ends - lengths) / lengths
        return np.column_stack([joined[ends - 1], mean])
    there = values.notna().to_numpy()
    numbers = np.full(len(values), np.nan)
    if kind == "string":
        order = np.unique(known.dropna().to_numpy(str))
        numbers[there] = np.searchsorted(order, values[there].to_numpy(str))
    elif kind == "datetime":
        numbers[there] = values[there].astype("datetime64[us]").astype(np.int64)
    else:
        numbers[there] = values[there].astype(float)
    return numbers[:, None]
