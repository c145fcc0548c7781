"""Numbers that describe the values of one input, for controls, slices and tests of drift."""

import numpy as np
import pandas as pd

from pipeline.features.inputs import kind_of

# What a file of PNG begins with.
PNG = b"\x89PNG\r\n\x1a\n"


def count_words(texts: pd.Series) -> np.ndarray:
    """Count the words of texts, each distinct text once. A missing text has none."""
    counts = {text: len(text.split()) for text in texts.dropna().unique()}
    return texts.map(counts).fillna(0).to_numpy(int)


def holds_images(values: pd.Series) -> bool:
    """Return whether an input holds images, which ingest stores as PNG."""
    first = values.first_valid_index()
    return kind_of(values) == "binary" and values[first].startswith(PNG)


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
        known ones; the number of bytes; the last and the mean value of a sequence. Nan where a
        value is missing.
    """
    kind = kind_of(values)
    present = values.notna().to_numpy()
    numbers = np.full((len(values), 2 if kind == "sequence" else 1), np.nan)
    there = values[present]
    if there.empty:
        return numbers
    if kind == "sequence":
        lengths = there.map(len).to_numpy(int)
        ends = np.cumsum(lengths)
        joined = np.concatenate(there.to_list()).astype(float)
        mean = np.add.reduceat(joined, ends - lengths) / lengths
        numbers[present] = np.column_stack([joined[ends - 1], mean])
    elif kind == "binary":
        numbers[present, 0] = there.map(len)
    elif kind == "string":
        order = np.unique(known.dropna().to_numpy(str))
        numbers[present, 0] = np.searchsorted(order, there.to_numpy(str))
    elif kind == "datetime":
        numbers[present, 0] = there.astype("datetime64[us]").astype(np.int64)
    else:
        numbers[present, 0] = there.astype(float)
    return numbers
