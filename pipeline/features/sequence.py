"""Featurize sequences of readings: statistics for classical models, windows for networks."""

from typing import Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.utils.validation import check_is_fitted, validate_data

from pipeline.errors import UserError
from pipeline.features.scaler import FARTHEST, GREATEST, Scaler


def engineered(window: int, halflife: float) -> Pipeline:
    """
    Make a featurizer of standardised statistics of the last readings.

    Parameters
    ----------
    window : int
        Number of last readings to use.
    halflife : float
        Number of readings after which the weight in the smoothed value halves.

    Returns
    -------
    Pipeline
        From a table of sequences to five statistics per column that is not constant.
    """
    return make_pipeline(SequenceStatistics(window, halflife), Scaler())


class SequenceStatistics(TransformerMixin, BaseEstimator):
    """
    Compute statistics of the last readings of each sequence.

    Parameters
    ----------
    window : int
        Number of last readings to use.
    halflife : float
        Number of readings after which the weight in the smoothed value halves.

    Attributes
    ----------
    moving_ : ndarray of str
        The columns that are not constant in training. The others are dropped.
    """

    def __init__(self, window: int, halflife: float) -> None:
        self.window = window
        self.halflife = halflife

    def fit(self, X: pd.DataFrame, y: object = None) -> Self:
        """Find the columns that are not constant."""
        if self.halflife <= 0:
            raise ValueError(f"halflife: {self.halflife} is not above 0")
        validate_data(self, X, skip_check_array=True)
        self.moving_ = moving_columns(X, self.window)
        return self

    def transform(self, X: pd.DataFrame) -> np.ndarray:
        """
        Compute the statistics.

        Parameters
        ----------
        X : DataFrame
            Columns of sequences.

        Returns
        -------
        ndarray of shape (n, 5 * len(moving_))
            The last readings of all columns, then their means, slopes of the least-squares
            line (per reading), standard deviations, and means with weights that fall
            exponentially with age.
        """
        check_is_fitted(self)
        readings = stack(X, self.moving_, self.window)
        age = np.arange(self.window)[::-1]
        from_middle = age.mean() - age
        recent = 0.5 ** (age / self.halflife)
        return np.hstack(
            [
                readings[:, :, -1],
                readings.mean(2),
                readings @ from_middle / max((from_middle**2).sum(), 1),
                readings.std(2),
                readings @ recent / recent.sum(),
            ]
        )


class SequenceWindows(TransformerMixin, BaseEstimator):
    """
    Stack the last readings of all sequences side by side, standardised.

    Parameters
    ----------
    window : int
        Number of last readings to use.

    Attributes
    ----------
    moving_ : ndarray of str
        The columns that are not constant in training. The others are dropped.
    mean_, scale_ : ndarray of shape (len(moving_),)
        Means and standard deviations of their readings in training.
    """

    def __init__(self, window: int) -> None:
        self.window = window

    def fit(self, X: pd.DataFrame, y: object = None) -> Self:
        """Find the columns that are not constant, and fit their means and standard deviations."""
        validate_data(self, X, skip_check_array=True)
        self.moving_ = moving_columns(X, self.window)
        readings = stack(X, self.moving_, self.window)
        self.mean_, self.scale_ = readings.mean((0, 2)), readings.std((0, 2))
        return self

    def transform(self, X: pd.DataFrame) -> np.ndarray:
        """
        Stack sequences.

        Parameters
        ----------
        X : DataFrame
            Columns of sequences.

        Returns
        -------
        ndarray of shape (n, window, len(moving_))
            32-bit floats. The last reading is at the end.
        """
        check_is_fitted(self)
        readings = stack(X, self.moving_, self.window).transpose(0, 2, 1)
        standardised = (readings - self.mean_) / self.scale_
        return standardised.clip(-FARTHEST, FARTHEST).astype(np.float32)


def moving_columns(X: pd.DataFrame, window: int) -> np.ndarray:
    """
    Return the columns whose last readings differ.

    Raises
    ------
    UserError
        If there is none.
    """
    names = [name for name in X if np.ptp(last_readings(X[name], window)) > 0]
    if not names:
        raise UserError("every input is constant in the training examples: nothing to learn from")
    return np.array(names, dtype=str)


def stack(X: pd.DataFrame, names: np.ndarray, window: int) -> np.ndarray:
    """Return the last readings of columns, of shape (n, len(names), window)."""
    return np.stack([last_readings(X[name], window) for name in names], axis=1)


def last_readings(sequences: pd.Series, window: int) -> np.ndarray:
    """
    Return the last readings of sequences, aligned at their ends.

    A shorter sequence is padded in front with its first reading. On held-out engines this
    causes fewer false alarms than statistics of few readings, which vary widely.

    Parameters
    ----------
    sequences : Series
        A list or array of one or more numbers per row. Numbers beyond the range of 32-bit
        floats are clipped to it.
    window : int
        Number of last readings to keep.

    Returns
    -------
    ndarray of shape (n, window)
        The last reading is at the end.

    Raises
    ------
    ValueError
        If the window is less than 1.
    """
    if window < 1:
        raise ValueError(f"window: {window} is not at least 1")
    lengths = sequences.str.len().to_numpy()
    ends = np.cumsum(lengths)[:, np.newaxis]
    places = np.maximum(ends - np.arange(window, 0, -1), ends - lengths[:, np.newaxis])
    numbers = np.concatenate(sequences.to_list(), dtype=np.float64)
    return numbers.clip(-GREATEST, GREATEST)[places]
