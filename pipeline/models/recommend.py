"""Recommend items to users by what they and others liked."""

from abc import ABC, abstractmethod
from typing import Any, Self

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from pipeline.features.history import LIKED, SEEN
from pipeline.problems.ranking import parse_items

# What ties of scores are broken by weighs less than any difference that is learned.
TIE = 1e-6
# Users whose items are scored at once, which bounds the memory.
USERS = 1024


class Recommender(BaseEstimator, ABC):
    """
    A base class that counts what was liked, and shows the best of what a user has not seen.

    Attributes
    ----------
    items_ : ndarray of int, shape (n_items,)
        The items that someone liked, sorted.
    likes_ : ndarray of float, shape (n_items,)
        How many did.
    """

    def count(self, X: Any, y: np.ndarray) -> sparse.csr_matrix:
        """
        Count likes, and return which of `items_` each user liked, at any time.

        Parameters
        ----------
        X : CSR matrix of shape (n_users, greatest item + 1)
            `SEEN` or `LIKED` for the items of each history. Of any other array nothing is read.
        y : array of str, shape (n_users,)
            Items that each user liked afterwards.
        """
        user, item = _listed(y)
        if sparse.issparse(X):
            before = sparse.coo_matrix(X)
            chosen = before.data == LIKED
            user = np.concatenate([user, before.row[chosen]])
            item = np.concatenate([item, before.col[chosen]])
        if not len(item):
            raise ValueError("nobody liked anything")
        self.items_, code = np.unique(item, return_inverse=True)
        shape = len(y), len(self.items_)
        likes = sparse.csr_matrix((np.ones(len(code)), (user, code)), shape=shape)
        likes.data[:] = 1  # what was liked twice is liked
        self.likes_ = np.asarray(likes.sum(0)).ravel()
        return likes

    @abstractmethod
    def scores(self, X: Any) -> np.ndarray:
        """Return the score of each of `items_` for each user."""

    def recommend(self, X: Any, n: int) -> tuple[np.ndarray, np.ndarray]:
        """
        Recommend items.

        Parameters
        ----------
        X : CSR matrix of shape (n_users, n_columns)
            Histories as in `count`, with any number of columns.
        n : int
            Items to recommend.

        Returns
        -------
        items : ndarray of int, shape (n_users, at most n)
            The best first. -1 stands for no item.
        scores : ndarray of float, shape (n_users, at most n)
            Their scores.
        """
        check_is_fitted(self)
        starts = range(0, max(1, X.shape[0]), USERS)
        found = [self._best(X[at : at + USERS], n) for at in starts]
        items, scores = (np.concatenate(parts) for parts in zip(*found, strict=True))
        return items, scores

    def _best(self, X: Any, n: int) -> tuple[np.ndarray, np.ndarray]:
        """Recommend items to as many users as there is memory for."""
        scores = self.scores(X)
        if sparse.issparse(X):
            scores[self.places(X)] = -np.inf
        best = np.argsort(-scores, axis=1, kind="stable")[:, :n]
        found = np.take_along_axis(scores, best, 1)
        return np.where(np.isfinite(found), self.items_[best], -1), found

    def places(self, X: Any, least: int = SEEN) -> tuple[np.ndarray, np.ndarray]:
        """Return the user, and the place in `items_`, of each known item of the histories."""
        history = sparse.coo_matrix(X)
        chosen = history.data >= least
        return self._known(history.row[chosen], history.col[chosen])

    def places_after(self, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the user, and the place in `items_`, of each known item that was liked later."""
        return self._known(*_listed(y))

    def mark_after(self, y: np.ndarray) -> np.ndarray:
        """Mark by True what was liked later, a row per user and a column per known item."""
        marks = np.zeros((len(y), len(self.items_)), bool)
        marks[self.places_after(y)] = True
        return marks

    def _known(self, user: np.ndarray, item: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        place = np.minimum(np.searchsorted(self.items_, item), len(self.items_) - 1)
        known = self.items_[place] == item
        return user[known], place[known]


def strongest(items: np.ndarray, pull: np.ndarray, n: int) -> list[int]:
    """Return at most n items that speak for another one, the strongest pull first."""
    best = np.argsort(-pull, kind="stable")[:n]
    return [int(item) for item in items[best[pull[best] > 0]]]


def _listed(y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the user and the item of each that was liked afterwards."""
    after = [parse_items(label) for label in y]
    user = np.repeat(np.arange(len(y)), [len(items) for items in after])
    return user, np.concatenate([*after, np.empty(0, np.int64)])


class Popularity(Recommender):
    """
    Recommend what most users liked, and nothing that the user has seen.

    Attributes
    ----------
    items_, likes_
        As for `Recommender`.
    """

    def fit(self, X: Any, y: np.ndarray) -> Self:
        """
        Count likes.

        Parameters
        ----------
        X, y
            As for `Recommender.count`.
        """
        self.count(X, y)
        return self

    def scores(self, X: Any) -> np.ndarray:
        """Return the score of each of `items_` for each user."""
        return np.tile(self.likes_, (X.shape[0], 1))


class EASE(Recommender):
    """
    Recommend what is liked together with what the user liked.

    The weights of items on each other are those of a ridge regression of each item on all others,
    in closed form (Steck, "Embarrassingly shallow autoencoders", WWW 2019). For users who liked
    nothing, the most popular items follow.

    Parameters
    ----------
    l2 : float
        Strength of the penalty.
    least : int
        Items that fewer users liked have no weights. They come last, by popularity. Memory grows
        with the square of the number of the others.

    Attributes
    ----------
    places_ : ndarray of int, shape (n_weighted,)
        Places in ``items_`` of the items with weights.
    weights_ : ndarray of float32, shape (n_weighted, n_weighted)
        How much each liked item (row) speaks for each other (column).
    """

    def __init__(self, l2: float = 200.0, least: int = 3) -> None:
        self.l2 = l2
        self.least = least

    def fit(self, X: Any, y: np.ndarray) -> Self:
        """Solve for the weights of items on each other."""
        if self.l2 <= 0:
            raise ValueError(f"l2: {self.l2} is not above 0")
        likes = self.count(X, y)
        self.places_ = np.flatnonzero(self.likes_ >= self.least)
        if not len(self.places_):
            raise ValueError(f"least: no item was liked by {self.least} users")
        likes = likes[:, self.places_]
        gram = (likes.T @ likes).toarray()
        gram[np.diag_indices_from(gram)] += self.l2
        inverse = np.linalg.inv(gram)
        weights = -inverse / np.diag(inverse)
        np.fill_diagonal(weights, 0)
        self.weights_ = weights.astype(np.float32)
        return self

    def scores(self, X: Any) -> np.ndarray:
        """Return the score of each of `items_` for each user."""
        scores = np.tile(TIE * self.likes_ / self.likes_.max(), (X.shape[0], 1))
        scores[:, self.places_] += self._liked(X) @ self.weights_
        return scores

    def reasons(self, X: Any, item: int, n: int) -> list[int]:
        """
        Return the items that speak most for an item.

        Parameters
        ----------
        X : CSR matrix of shape (1, n_columns)
            History of a user.
        item : int
            One of ``items_``.
        n : int
            Items to return at most, the strongest first.
        """
        column = np.flatnonzero(self.items_[self.places_] == item)
        liked = self._liked(X).indices
        if not len(column):
            return []
        return strongest(self.items_[self.places_[liked]], self.weights_[liked, column[0]], n)

    def _liked(self, X: Any) -> sparse.csr_matrix:
        """Return which items with weights each user liked."""
        user, place = self.places(X, LIKED)
        column = np.searchsorted(self.places_, place)
        column = np.minimum(column, len(self.places_) - 1)
        known = self.places_[column] == place
        shape = X.shape[0], len(self.places_)
        ones = np.ones(int(known.sum()), np.float32)
        return sparse.csr_matrix((ones, (user[known], column[known])), shape=shape)
