"""Network architectures; each says what it needs to know of the data."""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional


class MLP(nn.Module):
    """
    Layers of ReLU units on a flat vector.

    Parameters
    ----------
    n_inputs : int
        Columns of the input.
    n_classes : int
        Outputs, one logit a class.
    hidden : list of int
        Units of each hidden layer.
    dropout : float
        Share of units dropped in training, after each hidden layer.
    """

    def __init__(
        self,
        n_inputs: int,
        n_classes: int,
        hidden: tuple[int, ...] = (64, 64),
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        widths = [n_inputs, *hidden]
        layers: list[nn.Module] = []
        for width, following in pairwise(widths):
            layers += [nn.Linear(width, following), nn.ReLU(), nn.Dropout(dropout)]
        self.layers = nn.Sequential(*layers, nn.Linear(widths[-1], n_classes))

    @staticmethod
    def dimensions(X: Tensor) -> dict[str, int]:
        """Read the sizes that depend on the data from training inputs."""
        return {"n_inputs": X.shape[1]}

    def forward(self, X: Tensor) -> Tensor:
        """Map (batch, n_inputs) to logits (batch, n_classes)."""
        logits: Tensor = self.layers(X.float())
        return logits


class TextCNN(nn.Module):
    """
    Convolutions over word embeddings, pooled over the text (Kim, EMNLP 2014).

    Beside the strongest response of each filter it pools the mean one, so that
    how often a thing occurs counts as well as whether it does.

    Parameters
    ----------
    n_tokens : int
        Ids of the vocabulary; id 0 is padding.
    n_classes : int
        Outputs, one logit a class.
    embedding : int
        Numbers an embedding.
    filters : int
        Filters of each width.
    widths : list of int
        Widths of the filters, in tokens.
    dropout : float
        Share of pooled responses dropped in training.
    token_dropout : float
        Share of tokens hidden in training, so that it leans on no single word.
    """

    def __init__(
        self,
        n_tokens: int,
        n_classes: int,
        embedding: int = 64,
        filters: int = 64,
        widths: tuple[int, ...] = (1, 2, 3),
        dropout: float = 0.5,
        token_dropout: float = 0.2,
    ) -> None:
        super().__init__()
        self.token_dropout = token_dropout
        self.embed = nn.Embedding(n_tokens, embedding, padding_idx=0)
        self.convolve = nn.ModuleList(
            nn.Conv1d(embedding, filters, width, padding=width // 2) for width in widths
        )
        self.dropout = nn.Dropout(dropout)
        self.decide = nn.Linear(2 * filters * len(widths), n_classes)

    @staticmethod
    def dimensions(X: Tensor) -> dict[str, int]:
        """Read the sizes that depend on the data from training inputs."""
        return {"n_tokens": int(X.max()) + 1}

    def forward(self, X: Tensor) -> Tensor:
        """Map token ids (batch, length) to logits (batch, n_classes)."""
        if self.training and self.token_dropout:
            X = X.masked_fill(torch.rand(X.shape, device=X.device) < self.token_dropout, 0)
        embedded = self.embed(X).transpose(1, 2)
        seen = (X != 0).unsqueeze(1)
        count = seen.sum(2).clamp(min=1)
        pooled = []
        for convolution in self.convolve:
            response = torch.relu(convolution(embedded)[:, :, : X.shape[1]]) * seen
            pooled += [response.amax(2), response.sum(2) / count]
        logits: Tensor = self.decide(self.dropout(torch.cat(pooled, 1)))
        return logits


class SequenceGRU(nn.Module):
    """
    A gated recurrent unit (Cho et al., EMNLP 2014) over summaries of a few readings each.

    A strided convolution makes the summaries: they are less noisy than single
    readings, and as many times fewer steps to take.

    Parameters
    ----------
    n_channels : int
        Sequences side by side.
    n_classes : int
        Outputs, one logit a class.
    stride : int
        Readings a summary. What the first one lacks is filled up with the first reading.
    filters : int
        Numbers a summary.
    units : int
        Size of the recurrent state, the last of which decides.
    dropout : float
        Share of that state dropped in training.
    """

    def __init__(
        self,
        n_channels: int,
        n_classes: int,
        stride: int = 5,
        filters: int = 32,
        units: int = 64,
        dropout: float = 0.3,
    ) -> None:
        super().__init__()
        self.stride = stride
        self.summarise = nn.Conv1d(n_channels, filters, stride, stride)
        self.recur = nn.GRU(filters, units, batch_first=True)
        self.dropout = nn.Dropout(dropout)
        self.decide = nn.Linear(units, n_classes)

    @staticmethod
    def dimensions(X: Tensor) -> dict[str, int]:
        """Read the sizes that depend on the data from training inputs."""
        return {"n_channels": X.shape[2]}

    def forward(self, X: Tensor) -> Tensor:
        """Map sequences (batch, time, n_channels) to logits (batch, n_classes)."""
        lacking = -X.shape[1] % self.stride
        filled = nn.functional.pad(X.float().transpose(1, 2), (lacking, 0), mode="replicate")
        summaries = torch.relu(self.summarise(filled)).transpose(1, 2)
        states, _ = self.recur(summaries)
        logits: Tensor = self.decide(self.dropout(states[:, -1]))
        return logits


class PairCNN(nn.Module):
    """
    A headline read against a body: what both name, and how the body speaks near it.

    How much the two share is told to the deciding layers in five numbers; words are
    weighed, as by an inverse document frequency that is learned. Beside them stand the
    responses of convolutions, those of the body also pooled where shared words are dense.

    Parameters
    ----------
    n_tokens : int
        Ids of the vocabulary of both sides, the most frequent first; id 0 is padding.
    n_classes : int
        Outputs, one logit a class.
    embedding : int
        Numbers an embedding.
    filters : int
        Filters.
    width : int
        Tokens that a filter sees; odd.
    reach : int
        Tokens around a place of the body that make it dense in shared words; odd.
    lead : int
        Tokens that a body begins with, told apart because they sum it up.
    hidden : int
        Units of the layer before the last.
    dropout : float
        Share of pooled responses dropped in training.
    token_dropout : float
        Share of embeddings hidden in training; which words are shared is not.
    """

    OVERLAPS = 5

    def __init__(
        self,
        n_tokens: int,
        n_classes: int,
        embedding: int = 32,
        filters: int = 64,
        width: int = 3,
        reach: int = 31,
        lead: int = 60,
        hidden: int = 64,
        dropout: float = 0.5,
        token_dropout: float = 0.3,
    ) -> None:
        super().__init__()
        self.reach = reach
        self.lead = lead
        self.token_dropout = token_dropout
        self.embed = nn.Embedding(n_tokens, embedding, padding_idx=0)
        # The logarithm of a word's rank is near its inverse document frequency (Zipf's law).
        ranks = torch.arange(1.0, n_tokens + 1).unsqueeze(1)
        self.weigh = nn.Embedding.from_pretrained(ranks.log(), freeze=False)
        self.convolve = nn.Conv1d(embedding + 1, filters, width, padding=width // 2)
        self.dropout = nn.Dropout(dropout)
        self.standardise = nn.BatchNorm1d(self.OVERLAPS)
        self.decide = nn.Sequential(
            nn.Linear(3 * filters + self.OVERLAPS, hidden),
            nn.ReLU(),
            nn.Linear(hidden, n_classes),
        )

    @staticmethod
    def dimensions(X: Tensor) -> dict[str, int]:
        """Read the sizes that depend on the data from training inputs."""
        return {"n_tokens": int(X.max()) + 1}

    def forward(self, X: Tensor) -> Tensor:
        """Map token ids (batch, 2, length) of headlines and bodies to logits (batch, n_classes)."""
        headline, body = (_trimmed(side) for side in X.unbind(1))
        same = (headline[:, :, None] == body[:, None, :]) & (headline != 0)[:, :, None]
        in_body, in_headline = same.any(2), same.any(1)
        weights = self._weights(headline)
        density = functional.avg_pool1d(
            self._weights(body) * in_headline, self.reach, 1, self.reach // 2
        ) * (body != 0)
        overlaps = [
            _mean(in_body, weights),
            _mean(same[:, :, : self.lead].any(2), weights),
            # runs of two shared words
            _mean((same[:, :-1, :-1] & same[:, 1:, 1:]).any(2), weights[:, 1:]),
            density.amax(1),
            _mean(density, (body != 0).float()),
        ]
        of_headline = self._responses(headline, in_body)
        of_body = self._responses(body, in_headline)
        pooled = [of_headline.amax(2), of_body.amax(2), _mean(of_body, density.unsqueeze(1))]
        read = [self.dropout(torch.cat(pooled, 1)), self.standardise(torch.stack(overlaps, 1))]
        logits: Tensor = self.decide(torch.cat(read, 1))
        return logits

    def _weights(self, ids: Tensor) -> Tensor:
        return functional.softplus(self.weigh(ids).squeeze(2)) * (ids != 0)

    def _responses(self, ids: Tensor, shared: Tensor) -> Tensor:
        seen = (ids != 0).unsqueeze(1)
        if self.training:
            ids = ids.masked_fill(torch.rand(ids.shape, device=ids.device) < self.token_dropout, 0)
        read = torch.cat([self.embed(ids), shared.unsqueeze(2)], 2)
        return torch.relu(self.convolve(read.transpose(1, 2))) * seen


def _trimmed(ids: Tensor) -> Tensor:
    """Cut the columns that are padding in every text, but for the first."""
    return ids[:, : max(1, int((ids != 0).sum(1).max()))]


def _mean(values: Tensor, weights: Tensor) -> Tensor:
    """Average over the last axis; 0 where nothing has a weight."""
    return (values * weights).sum(-1) / weights.sum(-1).clamp(min=1e-6)
