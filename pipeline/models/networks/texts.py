"""Networks for texts as token ids."""

import torch
from torch import Tensor, nn

from pipeline.models.networks.checks import (
    check_inputs,
    check_lists,
    check_shares,
    check_sizes,
)


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


def known_ids(ids: Tensor, embed: nn.Embedding) -> Tensor:
    """Replace ids without an embedding by the id of padding."""
    return ids.masked_fill(ids >= embed.num_embeddings, 0)
