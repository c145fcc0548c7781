"""A network that reads a headline against the body of an article."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline.models.networks import check_inputs, check_shares, check_sizes, known_ids


class PairCNN(nn.Module):
    """
    A headline read against a body: what both name, and how the body speaks near it.

    How much the two share is told to the deciding layers in five numbers; words are
    weighed, as by an inverse document frequency that is learned. Beside them stand the
    responses of convolutions, those of the body also pooled where shared words are dense.

    Parameters
    ----------
    n_tokens : int
        Ids of the vocabulary of both sides, the most frequent first; id 0 is padding. A
        higher id is a word that training did not have: it has the weight of the rarest one,
        and its embedding is hidden, as `token_dropout` hides embeddings.
    n_outputs : int
        Numbers per example; of a classifier one logit per class.
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
        # The logarithm of a word's rank is near its inverse document frequency (Zipf's law).
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
        """Read the sizes that depend on the data from training inputs."""
        check_inputs("PairCNN", "token ids of two texts", X, 3, whole=True)
        return {"n_tokens": int(X.max()) + 1}

    def forward(self, X: Tensor) -> Tensor:
        """Map token ids (batch, 2, length) of both sides to outputs (batch, n_outputs)."""
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


def _trimmed(ids: Tensor) -> Tensor:
    """Cut the columns that are padding in every text, but for the first."""
    return ids[:, : max(1, int((ids != 0).sum(1).max()))]


def _mean(values: Tensor, weights: Tensor) -> Tensor:
    """Average over the last axis; 0 where nothing has a weight."""
    return (values * weights).sum(-1) / weights.sum(-1).clamp(min=1e-6)
