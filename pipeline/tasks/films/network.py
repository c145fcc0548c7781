"""A network that learns a vector for each user and film, and does without for new ones."""

import torch
from torch import Tensor, nn

from pipeline.models.networks.checks import check_inputs, check_lists, check_shares
from pipeline.models.networks.tables import MLP


class Embeddings(nn.Module):
    """
    Read who rates what by learned vectors (neural collaborative filtering, He et al. 2017).

    The vector of a film is its own plus what its genres and numbers tell, so that a film never
    seen has one too. A layered network reads both vectors, their products, and the numbers.

    Parameters
    ----------
    n_users, n_films : int
        Codes, including 0 for all without a code of their own.
    n_inputs : int
        Numbers beside the two codes.
    n_outputs : int
        Numbers per example. For a classifier they are one logit per class.
    embedding : int
        Length of a vector.
    hidden : list of int
        Units of each hidden layer.
    dropout : float
        Share of units dropped in training, after each hidden layer.
    forget : float
        Share of codes that are taken for 0 in training, so that the network learns to do
        without.
    """

    def __init__(
        self,
        n_users: int,
        n_films: int,
        n_inputs: int,
        n_outputs: int,
        embedding: int = 16,
        hidden: tuple[int, ...] = (64, 64),
        dropout: float = 0.2,
        forget: float = 0.2,
    ) -> None:
        super().__init__()
        check_lists(hidden=hidden)
        check_shares(dropout=dropout, forget=forget)
        self.forget = forget
        self.users = nn.Embedding(n_users, embedding, padding_idx=0)
        self.films = nn.Embedding(n_films, embedding, padding_idx=0)
        with torch.no_grad():
            for table in (self.users, self.films):
                table.weight.mul_(0.01)
        self.describe = nn.Linear(n_inputs, embedding)
        self.decide = MLP(3 * embedding + n_inputs, n_outputs, hidden, dropout)

    @staticmethod
    def dimensions(X: Tensor) -> dict[str, int]:
        """Return the sizes that depend on the training inputs."""
        check_inputs("Embeddings", "codes of user and film, and numbers", X, 2)
        n_users, n_films = (int(code) + 1 for code in X[:, :2].amax(0))
        return {"n_users": n_users, "n_films": n_films, "n_inputs": X.shape[1] - 2}

    def forward(self, X: Tensor) -> Tensor:
        """Map codes and numbers (batch, 2 + n_inputs) to outputs (batch, n_outputs)."""
        numbers = X[:, 2:].float()
        user = self._look_up(self.users, X[:, 0])
        film = self._look_up(self.films, X[:, 1]) + self.describe(numbers)
        outputs: Tensor = self.decide(torch.cat([user, film, user * film, numbers], 1))
        return outputs

    def _look_up(self, table: nn.Embedding, codes: Tensor) -> Tensor:
        codes = codes.long()
        codes = torch.where(codes < table.num_embeddings, codes, 0)
        if self.training:
            codes = codes.masked_fill(torch.rand(codes.shape, device=codes.device) < self.forget, 0)
        found: Tensor = table(codes)
        return found
