"""Wrap networks that read histories as estimators that recommend."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from scipy import sparse
from sklearn.utils.validation import validate_data
from torch import Tensor
from torch.nn import functional

from pipeline.features.history import LIKED, SEEN
from pipeline.models.fitting import Report
from pipeline.models.network_estimator import DTYPES
from pipeline.models.neural_net import Target, TorchNetwork
from pipeline.models.recommend import Recommender, strongest
from pipeline.models.training import Loss


class NeuralNetRecommender(Recommender, TorchNetwork):
    """
    A network that recommends items, which learns the multinomial likelihood of what is liked.

    Training users show all that they liked, at any time; the network hides some of it. On
    validation it reads histories, and training stops on how likely it finds what was liked
    afterwards.

    Parameters
    ----------
    **others
        As for `TorchNetwork`. The network reads marks of items, of which it gives as many scores.

    Attributes
    ----------
    items_, likes_
        As for `Recommender`.
    module_, n_epochs_
        As for `TorchNetwork`.
    """

    def fit(
        self,
        X: Any,
        y: np.ndarray,
        validation: tuple[Any, np.ndarray] | None = None,
        report: Report | None = None,
        checkpoint: Path | None = None,
    ) -> Self:
        """
        Train the network.

        Parameters
        ----------
        X, y
            Histories and what was liked afterwards, as for `Recommender`.
        validation, report, checkpoint
            As for `TorchNetwork.fit`.
        """
        self.count(X, y)
        return super().fit(X, y, validation, report, checkpoint)

    def fit_target(self, X: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, Target]:
        """Return the marks of all that users liked, and that as what is to be told."""
        X = validate_data(self, X, dtype=DTYPES)
        after = self.encode(y)
        X[after.numpy() > 0] = LIKED
        liked = torch.from_numpy((X == LIKED).astype(np.uint8))
        return X, Target(liked, self.encode, Loss("ranking_loss", mean_of_items), sum_of_items)

    def encode(self, y: np.ndarray) -> Tensor:
        """Mark what was liked afterwards by 1, a row per user and a column per item."""
        return torch.from_numpy(self.mark_after(y).astype(np.uint8))

    def count_outputs(self) -> int:
        """Return the number of items."""
        return len(self.items_)

    def scores(self, X: Any) -> np.ndarray:
        """Return the score of each of `items_` for each user."""
        scores: np.ndarray = self.outputs(X).numpy()
        return scores

    def reasons(self, X: Any, item: int, n: int) -> list[int]:
        """
        Return the liked items without which the score of an item would fall most.

        Parameters
        ----------
        X, item, n
            As for `pipeline.models.recommend.EASE.reasons`.
        """
        column = np.flatnonzero(self.items_ == item)
        liked = np.flatnonzero(X.data == LIKED)
        if not len(column) or not len(liked):
            return []
        without = sparse.vstack([X] * len(liked), format="csr")
        without.data.reshape(len(liked), -1)[np.arange(len(liked)), liked] = SEEN
        fall = (self.scores(X) - self.scores(without))[:, column[0]]
        return strongest(X.indices[liked], fall, n)

    def _preprocess(self, X: Any) -> np.ndarray:
        """Return the marks of a history as an array with a column per item."""
        marks = np.zeros((X.shape[0], len(self.items_)), np.uint8)
        for mark in (SEEN, LIKED):
            marks[self.places(X, mark)] = mark
        return marks

    def describe_fit(self) -> dict[str, Any]:
        """Return what was fitted beside the weights, as plain values."""
        counted = {"items": self.items_.tolist(), "likes": self.likes_.tolist()}
        return counted | super().describe_fit()

    def restore_fit(self, described: Mapping[str, Any]) -> None:
        """Restore what `describe_fit` returned."""
        super().restore_fit(described)
        self.items_, self.likes_ = (np.array(described[name]) for name in ("items", "likes"))


def sum_of_items(scores: Tensor, liked: Tensor) -> Tensor:
    """Average over users the negative log likelihood of all that each likes."""
    return _unlikely(scores, liked).sum(1).mean()


def mean_of_items(scores: Tensor, liked: Tensor) -> Tensor:
    """Average over users the negative log likelihood per item that each likes."""
    return (_unlikely(scores, liked).sum(1) / liked.sum(1).clamp(min=1)).mean()


def _unlikely(scores: Tensor, liked: Tensor) -> Tensor:
    """Return the negative log likelihood of each item that is liked, and 0 for the others."""
    # What was seen is not shown again, and so tells nothing.
    wanted = (liked > 0) & (scores > torch.finfo(scores.dtype).min)
    return torch.where(wanted, -functional.log_softmax(scores, 1), 0)
