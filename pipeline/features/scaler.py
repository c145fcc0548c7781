"""Standardise numbers so that every finite number stays finite."""

from typing import Any, Self

import numpy as np
from sklearn.preprocessing import RobustScaler, StandardScaler

# Squares of larger numbers may overflow when they are summed.
GREATEST = float(np.finfo(np.float32).max)
# Among 1e12 numbers none can be this many standard deviations from their mean.
FARTHEST = 1e6


class Scaler(StandardScaler):
    """
    Standardise to 32-bit floats, which take half of the memory.

    Numbers beyond the range of 32-bit floats are clipped to it. Results are clipped to a
    million standard deviations, which no number in training exceeds. Thus models never get
    an infinite number, whatever is served.
    """

    def fit(self, X: Any, y: object = None, sample_weight: Any = None) -> Self:
        """Fit the mean and the standard deviation of each column."""
        fitted: Self = super().fit(X.clip(-GREATEST, GREATEST), y, sample_weight)
        return fitted

    def transform(self, X: Any, copy: bool | None = None) -> np.ndarray:
        """Standardise columns."""
        with np.errstate(over="ignore"):
            numbers = super().transform(X.clip(-GREATEST, GREATEST), copy)
        return np.clip(numbers, -FARTHEST, FARTHEST).astype(np.float32)


class SmoothScaler(RobustScaler):
    """
    Scale by median and quartiles, then pull in outliers smoothly (Holzmüller et al. 2024).

    A number ``x`` becomes ``x / sqrt(1 + (x / LIMIT)²)``, which lies within `LIMIT`.
    """

    LIMIT = 3

    def transform(self, X: Any) -> np.ndarray:
        """Scale columns."""
        scaled = super().transform(X)
        return (scaled / np.sqrt(1 + (scaled / self.LIMIT) ** 2)).astype(np.float32)
