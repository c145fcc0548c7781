"""Views of sequences of readings: statistics for classical models, windows for networks."""

from typing import Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_is_fitted, validate_data

from pipeline.errors import UserError


def engineered(window: int, halflife: float) -> Pipeline:
    """
    Describe sequences by standardised statistics of their last readings.

    Parameters
    ----------
    window : int
        How many of the last readings to look at.
    halflife : float
        Readings after which a weight in the smoothed value has halved.

    Returns
    -------
    Pipeline
        From a table of sequences to ``len(SequenceStatistics.NAMES)`` columns
        for each sequence that is not constant.
    """
    return make_pipeline(SequenceStatistics(window, halflife), StandardScaler())


class SequenceStatistics(TransformerMixin, BaseEstimator):
    """
    Statistics of the last readings of each sequence: see `NAMES`.

    Parameters
    ----------
    window : int
        How many of the last readings to look at.
    halflife : float
        Readings after which a weight in the smoothed value has halved.

    Attributes
    ----------
    moving_ : ndarray of str
        The columns that are not constant in training; the others are left out.
    """

    NAMES = ("last", "mean", "slope", "spread", "smoothed")

    def __init__(self, window: int = 30, halflife: float = 5) -> None:
        self.window = window
        self.halflife = halflife

    def fit(self, X: pd.DataFrame, y: object = None) -> Self:
        """Learn which columns move."""
        validate_data(self, X, skip_check_array=True)
        self.moving_ = moving(X, self.window)
        return self

    def transform(self, X: pd.DataFrame) -> np.ndarray:
        """
        Describe sequences.

        Parameters
        ----------
        X : DataFrame
            Of sequences.

        Returns
        -------
        ndarray of shape (n, len(moving_) * len(NAMES))
            For each column the statistics in the order of `NAMES`. The slope is
            that of the line of least squares, per reading, and the spread the
            standard deviation; both are 0 for a single reading. The smoothed
            value is a mean with weights that fall exponentially with age.
        """
        check_is_fitted(self)
        return np.hstack(
            [self._statistics(latest(X[name], self.window)) for name in self.moving_],
        )

    def _statistics(self, readings: np.ndarray) -> np.ndarray:
        times = np.arange(self.window) + np.where(np.isnan(readings), np.nan, 0)
        from_middle = times - np.nanmean(times, axis=1, keepdims=True)
        squares = np.nansum(from_middle**2, axis=1)
        products = np.nansum(from_middle * readings, axis=1)
        weights = 0.5 ** ((self.window - 1 - times) / self.halflife)
        return np.column_stack(
            [
                readings[:, -1],
                np.nanmean(readings, axis=1),
                np.divide(products, squares, out=np.zeros(len(squares)), where=squares > 0),
                np.nanstd(readings, axis=1),
                np.nansum(weights * readings, axis=1) / np.nansum(weights, axis=1),
            ]
        )


class SequenceWindows(TransformerMixin, BaseEstimator):
    """
    The last readings of all sequences side by side, standardised.

    Parameters
    ----------
    window : int
        How many of the last readings to look at.

    Attributes
    ----------
    moving_ : ndarray of str
        The columns that are not constant in training; the others are left out.
    mean_, scale_ : ndarray of shape (len(moving_),)
        Mean and standard deviation of their readings in training.
    """

    def __init__(self, window: int = 30) -> None:
        self.window = window

    def fit(self, X: pd.DataFrame, y: object = None) -> Self:
        """Learn which columns move, and how far."""
        validate_data(self, X, skip_check_array=True)
        self.moving_ = moving(X, self.window)
        readings = self._readings(X)
        self.mean_ = np.nanmean(readings, axis=(0, 1))
        self.scale_ = np.nanstd(readings, axis=(0, 1))
        return self

    def transform(self, X: pd.DataFrame) -> np.ndarray:
        """
        Stack sequences.

        Parameters
        ----------
        X : DataFrame
            Of sequences.

        Returns
        -------
        ndarray of shape (n, window, len(moving_) + 1)
            32-bit floats, the present last. The last channel tells where there
            are readings: 1, and 0 in front of shorter sequences, where
            the others are 0 as well.
        """
        check_is_fitted(self)
        readings = (self._readings(X) - self.mean_) / self.scale_
        there = ~np.isnan(readings).all(axis=2, keepdims=True)
        return np.concatenate([np.nan_to_num(readings), there], axis=2, dtype=np.float32)

    def _readings(self, X: pd.DataFrame) -> np.ndarray:
        return np.stack([latest(X[name], self.window) for name in self.moving_], axis=2)


def moving(X: pd.DataFrame, window: int) -> np.ndarray:
    """
    Name the columns whose last readings are not all the same.

    Raises
    ------
    UserError
        When there is none.
    """
    ranges = {
        name: np.nanmax(last) - np.nanmin(last) for name in X for last in [latest(X[name], window)]
    }
    names = [name for name, width in ranges.items() if width > 0]
    if not names:
        raise UserError("every input is constant in the training examples: nothing to learn from")
    return np.array(names, dtype=str)


def latest(sequences: "pd.Series[list[float]]", window: int) -> np.ndarray:
    """
    Line up sequences at their ends.

    Parameters
    ----------
    sequences : Series
        A list or array of numbers in each row.
    window : int
        How many of the last numbers to keep.

    Returns
    -------
    ndarray of shape (n, window)
        NaN in front of shorter sequences.

    Raises
    ------
    UserError
        For a row without numbers, or with one among the last that is not finite.
    """
    lengths = sequences.str.len().to_numpy()
    whole = np.concatenate([*sequences], dtype=np.float64)
    from_end = np.repeat(np.cumsum(lengths), lengths) - np.arange(len(whole))
    lined_up = np.full((len(sequences), window), np.nan)
    lined_up[np.arange(window, 0, -1) <= lengths[:, np.newaxis]] = whole[from_end <= window]
    wrong = np.isfinite(lined_up).sum(1) != lengths.clip(1, window)
    if wrong.any():
        raise UserError(
            f"column '{sequences.name}', row {sequences.index[wrong.argmax()]}: "
            "expected a sequence of one or more finite numbers"
        )
    return lined_up
