"""Featurize what users have seen and liked: a row per user, a column per item."""

from typing import Self

import numpy as np
import pandas as pd
from scipy import sparse
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

# Values of a history: seen, or seen and liked.
SEEN, LIKED = 1, 2
INPUTS = {"seen": SEEN, "liked": LIKED}


class Histories(TransformerMixin, BaseEstimator):
    """
    Mark in a sparse matrix the items that each user has seen, and those that were liked.

    Attributes
    ----------
    n_columns_ : int
        One more than the greatest item of training. Greater ones are left out.
    """

    def fit(self, X: pd.DataFrame, y: pd.Series | None = None) -> Self:
        """
        Find the greatest item.

        Parameters
        ----------
        X : DataFrame
            ``seen`` and ``liked``: a sequence of items per user, missing where there is none.
        y : Series of str, optional
            Items that each user liked afterwards.
        """
        validate_data(self, X, skip_check_array=True)
        seen = [np.asarray(one) for name in INPUTS for one in X[name].dropna()]
        after = [] if y is None else [np.array(label.split(), dtype=np.int64) for label in y]
        self.n_columns_ = int(np.concatenate([*seen, *after, [0]]).max()) + 1
        return self

    def transform(self, X: pd.DataFrame) -> sparse.csr_matrix:
        """
        Mark items.

        Returns
        -------
        CSR matrix of float32, shape (n_users, n_columns_)
            `SEEN` or `LIKED`. A liked item is taken for seen.
        """
        check_is_fitted(self)
        users: list[np.ndarray] = []
        items: list[np.ndarray] = []
        values: list[np.ndarray] = []
        for name, mark in INPUTS.items():
            of_user = [() if np.ndim(one) == 0 else one for one in X[name]]
            users.append(np.repeat(np.arange(len(X)), [len(one) for one in of_user]))
            items.append(np.concatenate([*of_user, np.empty(0)]))
            values.append(np.full(len(items[-1]), mark, np.float32))
        user, item, value = np.concatenate(users), np.concatenate(items), np.concatenate(values)
        known = (item >= 0) & (item < self.n_columns_) & (item == np.floor(item))
        user, item, value = user[known], item[known].astype(np.int64), value[known]
        # Of an item that is there twice the greatest value counts.
        order = np.lexsort((-value, item, user))
        user, item, value = user[order], item[order], value[order]
        first = np.ones(len(user), bool)
        first[1:] = (np.diff(user) != 0) | (np.diff(item) != 0)
        shape = len(X), self.n_columns_
        return sparse.csr_matrix((value[first], (user[first], item[first])), shape=shape)
