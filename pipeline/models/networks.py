"""Define network architectures, each with the sizes that it reads from the data."""

from collections.abc import Sequence
from itertools import pairwise
from numbers import Integral, Real
from typing import Any

import torch
from sklearn.utils import check_scalar
from torch import Tensor, nn


class MLP(nn.Module):
    """
    Apply layers of ReLU units to a flat vector.

    Parameters
    ----------
    n_inputs : int
        Columns of the input.
    n_outputs : int
        Numbers per example. For a classifier they are one logit per class.
    hidden : list of int
        Units of each hidden layer.
    dropout : float
        Share of units dropped in training, after each hidden layer.
    """

    def __init__(
        self,
        n_inputs: int,
        n_outputs: int,
        hidden: tuple[int, ...] = (64, 64),
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        check_lists(hidden=hidden)
        check_shares(dropout=dropout)
        widths = [n_inputs, *hidden]
        layers: list[nn.Module] = []
        for width, following in pairwise(widths):
            layers += [nn.Linear(width, following), nn.ReLU(), nn.Dropout(dropout)]
        self.layers = nn.Sequential(*layers, nn.Linear(widths[-1], n_outputs))

    @staticmethod
    def dimensions(X: Tensor) -> dict[str, int]:
        """Return the sizes that depend on the training inputs."""
        check_inputs("MLP", "columns of numbers", X, 2)
        return {"n_inputs": X.shape[1]}

    def forward(self, X: Tensor) -> Tensor:
        """Map (batch, n_inputs) to outputs (batch, n_outputs)."""
        outputs: Tensor = self.layers(X.float())
        return outputs


class TextCNN(nn.Module):
    """
    Apply convolutions to word embeddings, pooled over the text (Kim, EMNLP 2014).

    Each filter is pooled by its maximum and its mean, so that the network sees whether a
    pattern occurs and how often.

    Parameters
    ----------
    n_tokens : int
        Number of ids in the vocabulary. Id 0 is padding. Higher ids, which training did
        not have, are hidden as by `token_dropout`.
    n_outputs : int
        Numbers per example. For a classifier they are one logit per class.
    embedding : int
        Numbers per embedding.
    filters : int
        Number of filters per width.
    widths : list of int
        Widths of the filters, in tokens.
    dropout : float
        Share of pooled responses dropped in training.
    token_dropout : float
        Share of tokens hidden in training, so that no single word decides.
    """

    def __init__(
        self,
        n_tokens: int,
        n_outputs: int,
        embedding: int = 64,
        filters: int = 64,
        widths: tuple[int, ...] = (1, 2, 3),
        dropout: float = 0.5,
        token_dropout: float = 0.2,
    ) -> None:
        super().__init__()
        check_sizes(embedding=embedding, filters=filters)
        check_lists(widths=widths)
        check_shares(dropout=dropout, token_dropout=token_dropout)
        if not widths:
            raise ValueError("widths is empty: at least one width of filters is needed")
        self.token_dropout = token_dropout
        self.embed = nn.Embedding(n_tokens, embedding, padding_idx=0)
        self.convolve = nn.ModuleList(
            nn.Conv1d(embedding, filters, width, padding=width // 2) for width in widths
        )
        self.dropout = nn.Dropout(dropout)
        self.decide = nn.Linear(2 * filters * len(widths), n_outputs)

    @staticmethod
    def dimensions(X: Tensor) -> dict[str, int]:
        """Return the sizes that depend on the training inputs."""
        check_inputs("TextCNN", "token ids", X, 2, whole=True)
        return {"n_tokens": int(X.max()) + 1}

    def forward(self, X: Tensor) -> Tensor:
        """Map token ids (batch, length) to outputs (batch, n_outputs)."""
        X = known_ids(X, self.embed)
        if self.training and self.token_dropout:
            X = X.masked_fill(torch.rand(X.shape, device=X.device) < self.token_dropout, 0)
        embedded = self.embed(X).transpose(1, 2)
        seen = (X != 0).unsqueeze(1)
        count = seen.sum(2).clamp(min=1)
        pooled = []
        for convolution in self.convolve:
            response = torch.relu(convolution(embedded)[:, :, : X.shape[1]]) * seen
            pooled += [response.amax(2), response.sum(2) / count]
        outputs: Tensor = self.decide(self.dropout(torch.cat(pooled, 1)))
        return outputs


class SequenceGRU(nn.Module):
    """
    Apply a gated recurrent unit (Cho et al., EMNLP 2014) to summaries of a few readings.

    A strided convolution computes the summaries. They are less noisy than single readings,
    and divide the number of recurrent steps by the stride.

    Parameters
    ----------
    n_channels : int
        Number of sequences side by side.
    n_outputs : int
        Numbers per example. For a classifier they are one logit per class.
    stride : int
        Readings per summary. The first summary is padded with the first reading.
    filters : int
        Numbers per summary.
    units : int
        Size of the recurrent state. The last state is classified.
    dropout : float
        Share of the last state dropped in training.
    """

    def __init__(
        self,
        n_channels: int,
        n_outputs: int,
        stride: int = 5,
        filters: int = 32,
        units: int = 64,
        dropout: float = 0.3,
    ) -> None:
        super().__init__()
        check_sizes(stride=stride, filters=filters, units=units)
        check_shares(dropout=dropout)
        self.stride = stride
        self.summarise = nn.Conv1d(n_channels, filters, stride, stride)
        self.recur = nn.GRU(filters, units, batch_first=True)
        self.dropout = nn.Dropout(dropout)
        self.decide = nn.Linear(units, n_outputs)

    @staticmethod
    def dimensions(X: Tensor) -> dict[str, int]:
        """Return the sizes that depend on the training inputs."""
        check_inputs("SequenceGRU", "sequences of readings", X, 3)
        return {"n_channels": X.shape[2]}

    def forward(self, X: Tensor) -> Tensor:
        """Map sequences (batch, time, n_channels) to outputs (batch, n_outputs)."""
        lacking = -X.shape[1] % self.stride
        filled = nn.functional.pad(X.float().transpose(1, 2), (lacking, 0), mode="replicate")
        summaries = torch.relu(self.summarise(filled)).transpose(1, 2)
        states, _ = self.recur(summaries)
        outputs: Tensor = self.decide(self.dropout(states[:, -1]))
        return outputs


def known_ids(ids: Tensor, embed: nn.Embedding) -> Tensor:
    """Replace ids without an embedding by the id of padding."""
    return ids.masked_fill(ids >= embed.num_embeddings, 0)


def check_sizes(**sizes: int) -> None:
    """Raise an error for a size that is not a whole number of at least 1."""
    for name, size in sizes.items():
        check_scalar(size, name, Integral, min_val=1)


def check_lists(**lists: Any) -> None:
    """Raise an error for anything but a list of sizes."""
    for name, sizes in lists.items():
        if isinstance(sizes, str) or not isinstance(sizes, Sequence):
            raise TypeError(f"{name} must be a list of whole numbers, not {sizes!r}.")
        for size in sizes:
            check_sizes(**{f"each of {name}": size})


def check_shares(**shares: float) -> None:
    """Raise an error for a share that is not in [0, 1)."""
    for name, share in shares.items():
        check_scalar(share, name, Real, min_val=0, max_val=1, include_boundaries="left")


def check_inputs(network: str, reads: str, X: Tensor, n_axes: int, whole: bool = False) -> None:
    """Raise an error for inputs with another number of axes, or for floats instead of ids."""
    if X.ndim != n_axes or (whole and X.is_floating_point()):
        raise ValueError(
            f"{network} reads {reads}, {'whole ' * whole}numbers in an array of {n_axes} axes; "
            f"this view has {X.ndim} axes of {str(X.dtype).removeprefix('torch.')}"
        )
