"""Recommend items by boosted trees that learn to rank what is liked together."""

from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
from lightgbm import LGBMRanker
from scipy import sparse

from pipeline.features.history import LIKED, SEEN
from pipeline.models.fitting import Report
from pipeline.models.recommend import USERS, Recommender, strongest
from pipeline.models.trees import BoostedInRounds

# Items per user that are ranked, and how many users must have liked each of them.
CANDIDATES, LEAST = 300, 3
# Parts of the training users. What the others liked describes the items to each of them.
FOLDS = 5
# Places of a list that the loss looks at.
TOP = 10
# What ties are broken by weighs less than any difference that is learned.
TIE = 1e-9


class Counts(NamedTuple):
    """
    What users liked.

    Attributes
    ----------
    share : ndarray of float32, shape (n_items,)
        Share of the users who liked each item.
    together : ndarray of float32, shape (n_items, n_items)
        Of those who liked an item (row), the share who liked another (column).
    appeal : ndarray of float32, shape (n_items,)
        Of the histories that an item is in, the share in which it is liked.
    """

    share: np.ndarray
    together: np.ndarray
    appeal: np.ndarray


class Candidates(NamedTuple):
    """
    The items that are ranked for each of n users, and what the trees read of them.

    Attributes
    ----------
    places : ndarray of int, shape (n, n_candidates)
        Places in ``items_``, the most often liked with what the user liked first.
    unseen : ndarray of bool, shape (n, n_candidates)
        Which of them the user has not seen.
    features : ndarray of float32, shape (n, n_candidates, n_features)
        What is known of the user, of the item, and of both.
    """

    places: np.ndarray
    unseen: np.ndarray
    features: np.ndarray


class LightGBMRecommender(BoostedInRounds, Recommender, LGBMRanker):
    """
    LightGBM for lists: it ranks for each user what is liked together with what the user liked.

    The trees learn by LambdaRank (Burges, "From RankNet to LambdaRank to LambdaMART: An Overview",
    2010). They read how many users liked an item, how alike it is to what the user liked, and to
    what the user has seen and did not like, and how much that is. A training user is shown what
    others liked, once beside the own history and once as if there were none.

    The parameters are LightGBM's, as for `BoostedInRounds`.

    Attributes
    ----------
    items_, likes_
        As for `Recommender`, of the items that at least `LEAST` users liked.
    share_, together_, appeal_
        What all training users liked, as in `Counts`.
    """

    LOSSES: ClassVar[Mapping[str, str]] = {f"ndcg@{TOP}": "ranking_loss"}

    def fit(
        self,
        X: Any,
        y: np.ndarray,
        validation: tuple[Any, np.ndarray] | None = None,
        report: Report | None = None,
    ) -> Self:
        """
        Count what is liked together, and fit the trees.

        Parameters
        ----------
        X, y
            Histories and what was liked afterwards, as for `Recommender.count`.
        validation, report
            As for `BoostedInRounds.fit`. The loss is what NDCG lacks of 1.

        Raises
        ------
        ValueError
            If LightGBM rejects a parameter, no item was liked by `LEAST` users, or nobody in
            validation liked afterwards what is ranked.
        """
        likes = self.count(X, y)
        often = self.likes_ >= LEAST
        if not often.any():
            raise ValueError(f"no item was liked by {LEAST} users")
        self.items_, self.likes_, likes = self.items_[often], self.likes_[often], likes[:, often]
        counts = self._count(X, likes)
        self.share_, self.together_, self.appeal_ = counts
        *train, group = self._train_rows(X, y, likes)
        if validation is None:
            return self.boost(train, None, report, group=group)
        *held_out, of_user = self._rows(validation[0], self.mark_after(validation[1]), counts)
        if not len(of_user):
            raise ValueError("nobody in validation liked afterwards what is ranked")
        return self.boost(
            train, held_out, report, group=group, eval_group=[group, of_user], eval_at=[TOP]
        )

    def loss(self, score: float) -> float:
        """Return what NDCG lacks of 1."""
        return 1 - score

    def scores(self, X: Any) -> np.ndarray:
        """Return the score of each of `items_` for each user: the lowest for no candidate."""
        found = self._find(X, Counts(self.share_, self.together_, self.appeal_))
        scores = np.full((X.shape[0], len(self.items_)), -np.inf)
        rows = found.features.reshape(-1, found.features.shape[2])
        # LightGBM does not take no rows.
        ranked = self.predict(rows) if len(rows) else np.empty(0)
        # Of equal ones the first candidate is the first.
        ranked = ranked.reshape(found.places.shape) - TIE * np.arange(found.places.shape[1])
        np.put_along_axis(scores, found.places, ranked, 1)
        return scores

    def reasons(self, X: Any, item: int, n: int) -> list[int]:
        """
        Return the liked items that an item is most alike to.

        Parameters
        ----------
        X, item, n
            As for `pipeline.models.recommend.EASE.reasons`.
        """
        column = np.flatnonzero(self.items_ == item)
        _, liked = self.places(X, LIKED)
        if not len(column):
            return []
        alike = self.together_[liked, column[0]] * np.sqrt(self.share_[liked])
        return strongest(self.items_[liked], alike, n)

    def _count(self, X: Any, likes: sparse.csr_matrix) -> Counts:
        """Count what users liked, at any time and in their histories."""
        both = (likes.T @ likes).toarray().astype(np.float32)
        each = np.diag(both)
        seen, liked = (
            np.bincount(self.places(X, mark)[1], minlength=len(self.items_))
            for mark in (SEEN, LIKED)
        )
        # As if each were in one history more, and liked there as often as items are.
        often = liked.sum() / max(seen.sum(), 1)
        return Counts(
            each / np.float32(max(likes.shape[0], 1)),
            both / np.maximum(each, 1)[:, np.newaxis],
            ((liked + often) / (seen + 1)).astype(np.float32),
        )

    def _train_rows(
        self, X: Any, y: np.ndarray, likes: sparse.csr_matrix
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """
        Describe candidates of training users by what others liked.

        If the own likes were counted, an item that is liked would be known by its count.
        """
        fold, shown = np.arange(len(y)) % FOLDS, []
        for part in np.unique(fold):
            own = fold == part
            others = self._count(X[~own], likes[~own])
            nothing = sparse.csr_matrix((own.sum(), 1))
            shown.append(self._rows(X[own], self.mark_after(y[own]), others))
            shown.append(self._rows(nothing, likes[own].toarray() > 0, others))
        rows, liked, group = (np.concatenate(parts) for parts in zip(*shown, strict=True))
        return rows, liked, group

    def _rows(
        self, X: Any, after: np.ndarray, counts: Counts
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """
        Describe the candidates of the users who liked some of them afterwards.

        Parameters
        ----------
        X : CSR matrix of shape (n_users, n_columns)
            Histories.
        after : ndarray of bool, shape (n_users, n_items)
            What each user liked afterwards.
        counts : Counts
            What users liked.

        Returns
        -------
        rows : ndarray of float32, shape (n_rows, n_features)
            The candidates of one user after those of another.
        liked : ndarray of bool, shape (n_rows,)
            Whether the user liked the item afterwards.
        group : ndarray of int, shape (n_kept_users,)
            Number of rows of each user.
        """
        rows, gains, group = [], [], []
        for at in range(0, max(1, len(after)), USERS):
            found = self._find(X[at : at + USERS], counts)
            liked = np.take_along_axis(after[at : at + USERS], found.places, 1) & found.unseen
            kept = found.unseen & liked.any(1, keepdims=True)
            rows.append(found.features[kept])
            gains.append(liked[kept])
            group.append(kept.sum(1)[kept.any(1)])
        return np.concatenate(rows), np.concatenate(gains), np.concatenate(group)

    def _find(self, X: Any, counts: Counts) -> Candidates:
        """Find and describe the candidates of users."""
        seen, liked = np.zeros((2, X.shape[0], len(self.items_)), np.float32)
        seen[self.places(X, SEEN)] = 1
        liked[self.places(X, LIKED)] = 1
        # Alike are two items by the cosine of who liked the one and who liked the other.
        root = np.sqrt(np.maximum(counts.share, np.finfo(np.float32).tiny))
        often, alike, unlike = (
            sparse.csr_matrix(marks) @ counts.together
            for marks in (liked, liked * root, (seen - liked) * root)
        )
        number = liked.sum(1, keepdims=True)
        of_both = [often, alike / root, alike / root / np.maximum(number, 1), unlike / root]
        # To who liked nothing what is popular is shown.
        order = often + TIE * counts.share - np.where(seen, np.inf, 0)
        places = np.argsort(-order, axis=1, kind="stable")[:, :CANDIDATES]
        features = [
            counts.share[places],
            counts.appeal[places],
            *(np.take_along_axis(one, places, 1) for one in of_both),
            *(np.repeat(one, places.shape[1], 1) for one in (number, seen.sum(1, keepdims=True))),
        ]
        unseen = ~np.take_along_axis(seen, places, 1).astype(bool)
        return Candidates(places, unseen, np.stack(features, 2).astype(np.float32))
