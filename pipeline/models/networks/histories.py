"""Networks that read what a user has seen and liked."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline.features.history import LIKED, SEEN
from pipeline.models.networks.checks import check_inputs, check_shares, check_sizes


class Autoencoder(nn.Module):
    """
    Tell from some of what a user liked all that the user likes.

    A layer of units reads what is liked, and another scores each item: the denoising autoencoder
    of Liang et al., "Variational Autoencoders for Collaborative Filtering", WWW 2018. What was
    seen has the lowest score there is, but in training.

    Parameters
    ----------
    n_items : int
        Number of items.
    n_outputs : int
        The same.
    units : int
        Units of the layer between.
    dropout : float
        Share of the liked items that are hidden in training.
    forget : float
        Share of the users whose liked items are all hidden in training, so that the network
        learns what to show to who is new.
    """

    def __init__(
        self,
        n_items: int,
        n_outputs: int,
        units: int = 64,
        dropout: float = 0.5,
        forget: float = 0.3,
    ) -> None:
        super().__init__()
        check_sizes(units=units)
        check_shares(dropout=dropout, forget=forget)
        self.forget = forget
        self.hide = nn.Dropout(dropout)
        self.encode = nn.Linear(n_items, units)
        self.decode = nn.Linear(units, n_outputs)
        with torch.no_grad():
            for layer in (self.encode, self.decode):
                nn.init.xavier_normal_(layer.weight)
                nn.init.zeros_(layer.bias)

    @staticmethod
    def dimensions(X: Tensor) -> dict[str, int]:
        """Return the sizes that depend on the training inputs."""
        check_inputs("Autoencoder", "histories", X, 2, whole=True)
        return {"n_items": X.shape[1]}

    def forward(self, X: Tensor) -> Tensor:
        """Map marks of items (batch, n_items), `SEEN` or `LIKED`, to scores of the items."""
        liked = self.hide(functional.normalize((X >= LIKED).float()))
        if self.training:
            known = torch.rand(len(X), 1, device=X.device) >= self.forget
            liked = liked * known
        scores: Tensor = self.decode(torch.tanh(self.encode(liked)))
        if self.training:
            return scores
        return scores.masked_fill(X >= SEEN, torch.finfo(scores.dtype).min)
