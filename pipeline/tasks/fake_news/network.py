"""Define a network that compares a headline with the body of an article."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline.models.networks.checks import check_inputs, check_shares, check_sizes
from pipeline.models.networks.texts import known_ids


class PairCNN(nn.Module):
    """
    Compare a headline with a body by shared words, and by convolutions of both.

    Five numbers measure how much the two share, with a learned weight per word that acts as
    an inverse document frequency. The last layers read these numbers together with the pooled
    responses of convolutions. Those of the body are also pooled where shared words are dense.

    Parameters
    ----------
    n_tokens : int
        Number of ids in the vocabulary of both sides, most frequent first. Id 0 is padding.
        Higher ids, which training did not have, get the weight of the rarest word, and
        their embeddings are hidden as by `token_dropout`.
    n_outputs : int
        Numbers per example. For a classifier they are one logit per class.
    embedding : int
        Numbers per embedding.
    filters : int
        Number of filters.
    width : int
        Width of a filter in tokens. Odd.
    reach : int
        Width in tokens of the window for the density of shared words. Odd.
    lead : int
        Number of first tokens of a body that are also compared separately, because they
        summarise it.
    hidden : int
        Units of the layer before the last.
    dropout : float
        Share of pooled responses dropped in training.
    token_dropout : float
        Share of embeddings hidden in training. Shared words stay visible.
    """

    OVERLAPS = 5

    def __init__(
        self,
        n_tokens: int,
        n_outputs: int,
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
        sizes = {"embedding": embedding, "filters": filters, "lead": lead, "hidden": hidden}
        check_sizes(width=width, reach=reach, **sizes)
        check_shares(dropout=dropout, token_dropout=token_dropout)
        for name, size in {"width": width, "reach": reach}.items():
            if size % 2 == 0:
                raise ValueError(f"{name} == {size}, must be odd.")
        self.reach = reach
        self.lead = lead
        self.token_dropout = token_dropout
        self.embed = nn.Embedding(n_tokens, embedding, padding_idx=0)
        # By Zipf's law, the logarithm of the rank approximates the inverse document frequency.
        ranks = torch.arange(1.0, n_tokens + 1).unsqueeze(1)
        self.weigh = nn.Embedding.from_pretrained(ranks.log(), freeze=False)
        self.convolve = nn.Conv1d(embedding + 1, filters, width, padding=width // 2)
        self.dropout = nn.Dropout(dropout)
        self.standardise = nn.BatchNorm1d(self.OVERLAPS)
        self.decide = nn.Sequential(
            nn.Linear(3 * filters + self.OVERLAPS, hidden),
            nn.ReLU(),
            nn.Linear(hidden, n_outputs),
        )

    @staticmethod
    def dimensions(X: Tensor) -> dict[str, int]:
        """Return the sizes that depend on the training inputs."""
        check_inputs("PairCNN", "token ids of two texts", X, 3, whole=True)
        return {"n_tokens": int(X.max()) + 1}

    def forward(self, X: Tensor) -> Tensor:
        """Map token ids (batch, 2, length) of both sides to outputs (batch, n_outputs)."""
        headline, body = (_trim(side) for side in X.unbind(1))
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
        outputs: Tensor = self.decide(torch.cat(read, 1))
        return outputs

    def _weights(self, ids: Tensor) -> Tensor:
        rarest = self.weigh.num_embeddings - 1
        return functional.softplus(self.weigh(ids.clamp(max=rarest)).squeeze(2)) * (ids != 0)

    def _responses(self, ids: Tensor, shared: Tensor) -> Tensor:
        seen = (ids != 0).unsqueeze(1)
        ids = known_ids(ids, self.embed)
        if self.training:
            ids = ids.masked_fill(torch.rand(ids.shape, device=ids.device) < self.token_dropout, 0)
        read = torch.cat([self.embed(ids), shared.unsqueeze(2)], 2)
        return torch.relu(self.convolve(read.transpose(1, 2))) * seen


def _trim(ids: Tensor) -> Tensor:
    """Drop the columns that are padding in every text, except the first column."""
    return ids[:, : max(1, int((ids != 0).sum(1).max()))]


def _mean(values: Tensor, weights: Tensor) -> Tensor:
    """Return the weighted mean over the last axis, or 0 if all weights are 0."""
    return (values * weights).sum(-1) / weights.sum(-1).clamp(min=1e-6)
