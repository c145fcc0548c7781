"""Standardisation that gives a finite number for any finite number."""

from typing import Any, Self

import numpy as np
from sklearn.preprocessing import StandardScaler

# The greatest numbers whose squares can be added up.
GREATEST = float(np.finfo(np.float32).max)
# No one of a million million numbers can be so many standard deviations off their mean.
FARTHEST = 1e6


class Scaler(StandardScaler):
    """
    Standardise to 32-bit floats, which of a large table take half of the memory.

    Numbers beyond the range of 32-bit floats count as its ends. What is more than
    a million standard deviations off counts as a million, which no number that was
    seen in training can be. So models get no infinity, however odd what is served.
    """

    def fit(self, X: Any, y: object = None, sample_weight: Any = None) -> Self:
        """Learn mean and standard deviation of each column."""
        fitted: Self = super().fit(X.clip(-GREATEST, GREATEST), y, sample_weight)
        return fitted

    def transform(self, X: Any, copy: bool | None = None) -> np.ndarray:
        """Standardise columns."""
        with np.errstate(over="ignore"):
            numbers = super().transform(X.clip(-GREATEST, GREATEST), copy)
        return np.clip(numbers, -FARTHEST, FARTHEST).astype(np.float32)
