"""Views of sequences of readings: statistics for classical models, windows for networks."""

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
        From a table of sequences to five statistics of each that is not constant.
    """
    return make_pipeline(SequenceStatistics(window, halflife), Scaler())


class SequenceStatistics(TransformerMixin, BaseEstimator):
    """
    What the last readings of each sequence amount to.

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

    def __init__(self, window: int, halflife: float) -> None:
        self.window = window
        self.halflife = halflife

    def fit(self, X: pd.DataFrame, y: object = None) -> Self:
        """Learn which columns move."""
        if self.halflife <= 0:
            raise ValueError(f"halflife: {self.halflife} is not above 0")
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
        ndarray of shape (n, 5 * len(moving_))
            Of all columns the last reading, then of all the mean, the slope of the line of
            least squares (per reading), the standard deviation, and the
            mean with weights that fall exponentially with age.
        """
        check_is_fitted(self)
        readings = stacked(X, self.moving_, self.window)
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

    def __init__(self, window: int) -> None:
        self.window = window

    def fit(self, X: pd.DataFrame, y: object = None) -> Self:
        """Learn which columns move, and how far."""
        validate_data(self, X, skip_check_array=True)
        self.moving_ = moving(X, self.window)
        readings = stacked(X, self.moving_, self.window)
        self.mean_, self.scale_ = readings.mean((0, 2)), readings.std((0, 2))
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
        ndarray of shape (n, window, len(moving_))
            32-bit floats, the last reading at the end.
        """
        check_is_fitted(self)
        readings = stacked(X, self.moving_, self.window).transpose(0, 2, 1)
        standardised = (readings - self.mean_) / self.scale_
        return standardised.clip(-FARTHEST, FARTHEST).astype(np.float32)


def moving(X: pd.DataFrame, window: int) -> np.ndarray:
    """
    Name the columns whose last readings are not the same in all rows.

    Raises
    ------
    UserError
        When there is none.
    """
    names = [name for name in X if np.ptp(latest(X[name], window)) > 0]
    if not names:
        raise UserError("every input is constant in the training examples: nothing to learn from")
    return np.array(names, dtype=str)


def stacked(X: pd.DataFrame, names: np.ndarray, window: int) -> np.ndarray:
    """Stack the last readings of some columns, of shape (n, len(names), window)."""
    return np.stack([latest(X[name], window) for name in names], axis=1)


def latest(sequences: pd.Series, window: int) -> np.ndarray:
    """
    Line up sequences at their ends.

    A short sequence is filled up in front with its first reading, as if what it
    measures had stood still before. On engines held out of training this warns falsely
    less often than statistics of the few readings there are, which spread widely.

    Parameters
    ----------
    sequences : Series
        A list or array of numbers in each row, one or more; what is beyond the
        range of 32-bit floats counts as its ends.
    window : int
        How many of the last numbers to keep.

    Returns
    -------
    ndarray of shape (n, window)
        The last reading at the end.

    Raises
    ------
    ValueError
        When the window is empty.
    """
    if window < 1:
        raise ValueError(f"window: {window} is not at least 1")
    lengths = sequences.str.len().to_numpy()
    ends = np.cumsum(lengths)[:, np.newaxis]
    places = np.maximum(ends - np.arange(window, 0, -1), ends - lengths[:, np.newaxis])
    numbers = np.concatenate(sequences.to_list(), dtype=np.float64)
    return numbers.clip(-GREATEST, GREATEST)[places]
