"""Networks for tables."""

from itertools import pairwise

from torch import Tensor, nn

from pipeline.models.networks.checks import check_inputs, check_lists, check_shares


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
