"""Networks for texts as token ids."""

from abc import abstractmethod

import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline.models.networks.checks import (
    check_inputs,
    check_lists,
    check_shares,
    check_sizes,
)


class TextNetwork(nn.Module):
    """
    Read all of a text, however long it is, and how long and varied it is.

    Training reads another part of a long text in each epoch, which is cheaper than all of it, and
    keeps the network from learning texts by heart. Prediction reads all. Texts of like length are
    read together, so that padding costs little. It never changes a prediction.

    A subclass sets ``self.decide``, which maps `n_read` numbers of a text and two more to the
    outputs, and implements `read`.

    Parameters
    ----------
    n_tokens : int
        Number of ids in the vocabulary. Id 0 is padding, which is at the end. Higher ids, which
        training did not have, are hidden as by `token_dropout`.
    n_outputs : int
        Numbers per example. For a classifier they are one logit per class.
    n_read : int
        Numbers that `read` computes per text.
    embedding : int
        Numbers per embedding.
    crop : int
        Most tokens of a text that a step of training reads, from a random place on.
    dropout : float
        Share of the numbers read that are dropped in training.
    token_dropout : float
        Share of tokens hidden in training, so that no single word decides.
    """

    # Texts that are padded to the length of the longest of them.
    TOGETHER = 8

    def __init__(
        self,
        n_tokens: int,
        n_outputs: int,
        n_read: int,
        embedding: int,
        crop: int,
        dropout: float,
        token_dropout: float,
    ) -> None:
        super().__init__()
        check_sizes(embedding=embedding, crop=crop)
        check_shares(dropout=dropout, token_dropout=token_dropout)
        self.crop = crop
        self.token_dropout = token_dropout
        self.embed = nn.Embedding(n_tokens, embedding, padding_idx=0)
        self.standardise = nn.BatchNorm1d(2)
        self.dropout = nn.Dropout(dropout)
        self.decide = nn.Linear(n_read + 2, n_outputs)

    @classmethod
    def dimensions(cls, X: Tensor) -> dict[str, int]:
        """Return the sizes that depend on the training inputs."""
        check_inputs(cls.__name__, "token ids", X, 2, whole=True)
        return {"n_tokens": int(X.max()) + 1}

    @abstractmethod
    def read(self, ids: Tensor) -> Tensor:
        """Map token ids (batch, length) to numbers (batch, n_read) that padding does not change."""

    def forward(self, X: Tensor) -> Tensor:
        """Map token ids (batch, length) to outputs (batch, n_outputs)."""
        lengths = find_lengths(X)
        ids = known_ids(X[:, : int(lengths.max())], self.embed)
        measures = self.standardise(measure(ids))
        if self.training:
            ids, lengths = draw_crops(ids, lengths, self.crop)
            ids = ids.masked_fill(torch.rand(ids.shape, device=X.device) < self.token_dropout, 0)
        longest_first = lengths.argsort(descending=True, stable=True)
        read = [
            self.read(ids[some, : int(lengths[some[0]])])
            for some in longest_first.split(self.TOGETHER)
        ]
        in_order = torch.cat(read)[longest_first.argsort()]
        outputs: Tensor = self.decide(torch.cat([self.dropout(in_order), measures], 1))
        return outputs


class TextCNN(TextNetwork):
    """
    Apply convolutions to word embeddings, pooled over the text (Kim, EMNLP 2014).

    Each filter is pooled by its maximum and its mean, so that the network sees whether a
    pattern occurs and how often.

    Parameters
    ----------
    n_tokens, n_outputs, embedding, crop, dropout, token_dropout
        As for `TextNetwork`.
    filters : int
        Number of filters per width.
    widths : list of int
        Widths of the filters, in tokens.
    """

    def __init__(
        self,
        n_tokens: int,
        n_outputs: int,
        embedding: int = 32,
        filters: int = 48,
        widths: tuple[int, ...] = (1, 2, 3),
        crop: int = 100,
        dropout: float = 0.5,
        token_dropout: float = 0.2,
    ) -> None:
        check_sizes(filters=filters)
        check_lists(widths=widths)
        if not widths:
            raise ValueError("widths is empty: at least one width of filters is needed")
        n_read = 2 * filters * len(widths)
        super().__init__(n_tokens, n_outputs, n_read, embedding, crop, dropout, token_dropout)
        self.convolve = nn.ModuleList(
            nn.Conv1d(embedding, filters, width, padding=width // 2) for width in widths
        )

    def read(self, ids: Tensor) -> Tensor:
        """Pool the responses of the filters."""
        embedded = self.embed(ids).transpose(1, 2)
        seen = (ids != 0).unsqueeze(1)
        count = seen.sum(2).clamp(min=1)
        pooled = []
        for convolution in self.convolve:
            response = torch.relu(convolution(embedded)[:, :, : ids.shape[1]]) * seen
            pooled += [response.amax(2), response.sum(2) / count]
        return torch.cat(pooled, 1)


class TextGRU(TextNetwork):
    """
    Apply a gated recurrent unit to summaries of a few tokens, pooled by attention.

    A summary is the mean of the responses of filters in so many tokens, which divides the number
    of recurrent steps. The states are averaged with weights that are learned (Yang et al.,
    "Hierarchical Attention Networks for Document Classification", NAACL 2016), and equal ones.

    Parameters
    ----------
    n_tokens, n_outputs, embedding, crop, dropout, token_dropout
        As for `TextNetwork`.
    stride : int
        Tokens per summary.
    filters : int
        Number of filters.
    width : int
        Width of a filter in tokens. Odd.
    units : int
        Size of the recurrent state.
    """

    def __init__(
        self,
        n_tokens: int,
        n_outputs: int,
        embedding: int = 32,
        stride: int = 10,
        filters: int = 64,
        width: int = 3,
        units: int = 32,
        crop: int = 100,
        dropout: float = 0.5,
        token_dropout: float = 0.2,
    ) -> None:
        check_sizes(stride=stride, filters=filters, width=width, units=units)
        if width % 2 == 0:
            raise ValueError(f"width == {width}, must be odd.")
        super().__init__(n_tokens, n_outputs, 2 * units, embedding, crop, dropout, token_dropout)
        self.stride = stride
        self.convolve = nn.Conv1d(embedding, filters, width, padding=width // 2)
        self.recur = nn.GRU(filters, units, batch_first=True)
        self.attend = nn.Linear(units, 1)

    def read(self, ids: Tensor) -> Tensor:
        """Pool the states. Padding, which is at the end, changes none before it."""
        ids = functional.pad(ids, (0, -ids.shape[1] % self.stride))
        responses = torch.relu(self.convolve(self.embed(ids).transpose(1, 2)))
        responses = responses * (ids != 0).unsqueeze(1)
        states, _ = self.recur(functional.avg_pool1d(responses, self.stride).transpose(1, 2))
        seen = (ids != 0).unflatten(1, (-1, self.stride)).any(2).unsqueeze(2)
        weights = self.attend(states).masked_fill(~seen, -1e9).softmax(1)
        mean = (states * seen).sum(1) / seen.sum(1).clamp(min=1)
        return torch.cat([(states * weights).sum(1), mean], 1)


def find_lengths(ids: Tensor) -> Tensor:
    """Return up to where each text reaches, at least 1."""
    places = torch.arange(1, ids.shape[1] + 1, device=ids.device)
    return (places * (ids != 0)).amax(1).clamp(min=1)


def measure(ids: Tensor) -> Tensor:
    """
    Measure the length of texts and how varied their words are.

    Returns
    -------
    Tensor of shape (n_texts, 2)
        Logarithm of the number of tokens, and Guiraud's type/token ratio: types over the square
        root of tokens. Both are 0 for a text without tokens.
    """
    count = (ids != 0).sum(1).clamp(min=1).float()
    ordered = ids.sort(1).values
    first = functional.pad(ordered[:, 1:] != ordered[:, :-1], (1, 0), value=True)
    types = (first & (ordered != 0)).sum(1)
    return torch.stack([count.log(), types / count.sqrt()], 1)


def draw_crops(ids: Tensor, lengths: Tensor, most: int) -> tuple[Tensor, Tensor]:
    """Return at most so many tokens of each text, from a random place on, and their numbers."""
    if ids.shape[1] <= most:
        return ids, lengths
    chance = torch.rand(len(ids), device=ids.device)
    starts = (chance * ((lengths - most).clamp(min=0) + 1)).long()
    places = starts.unsqueeze(1) + torch.arange(most, device=ids.device)
    return ids.gather(1, places), lengths.clamp(max=most)


def known_ids(ids: Tensor, embed: nn.Embedding) -> Tensor:
    """Replace ids without an embedding by the id of padding."""
    return ids.masked_fill(ids >= embed.num_embeddings, 0)
