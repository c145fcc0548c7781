"""Define networks for tables."""

import math
import warnings

import tabm
import torch
from rtdl_num_embeddings import PiecewiseLinearEmbeddings
from torch import Tensor, nn

from pipeline.models.networks.checks import check_inputs, check_shares, check_sizes


class TabM(nn.Module):
    """
    Apply an ensemble of perceptrons that share most weights (Gorishniy et al., ICLR 2025).

    Each column is embedded by a piecewise linear function first (Gorishniy et al., NeurIPS 2022).

    Parameters
    ----------
    bins : list of list of float
        The ends of the pieces of each column.
    n_outputs : int
        Numbers per example. For a classifier they are one logit per class.
    members : int
        Number of perceptrons.
    units : int
        Units of each layer.
    layers : int
        Number of layers.
    embedding : int
        Numbers per column.
    dropout : float
        Share of units dropped in training, after each layer.
    """

    # Pieces of a column, between quantiles of at most so many examples.
    PIECES = 16
    MOST_EXAMPLES = 100_000

    def __init__(
        self,
        bins: list[list[float]],
        n_outputs: int,
        members: int = 16,
        units: int = 128,
        layers: int = 2,
        embedding: int = 8,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        check_sizes(members=members, units=units, layers=layers, embedding=embedding)
        check_shares(dropout=dropout)
        ends = [torch.tensor(column) for column in bins]
        with warnings.catch_warnings():
            # A column with few values has few pieces, and may have one.
            warnings.filterwarnings("ignore", "The .* feature has just two bin edges")
            embeddings = PiecewiseLinearEmbeddings(ends, embedding, activation=False, version="B")
        self.ensemble = tabm.TabM.make(
            n_num_features=len(bins),
            d_out=n_outputs,
            num_embeddings=embeddings,
            k=members,
            d_block=units,
            n_blocks=layers,
            dropout=dropout,
        )

    @classmethod
    def dimensions(cls, X: Tensor) -> dict[str, list[list[float]]]:
        """Return the quantiles of each column of the training inputs."""
        check_inputs("TabM", "columns of numbers", X, 2)
        some = X[:: -(-len(X) // cls.MOST_EXAMPLES)].float()
        shares = torch.linspace(0, 1, cls.PIECES + 1)
        columns = torch.quantile(some, shares, dim=0).T
        # A column with one value only gets a piece too.
        ends = (torch.unique(column) for column in columns)
        return {"bins": [(e if len(e) > 1 else torch.cat([e, e + 1])).tolist() for e in ends]}

    def forward(self, X: Tensor) -> Tensor:
        """
        Map (batch, n_columns) to outputs (batch, n_outputs).

        In training, outputs have the shape (batch, members, n_outputs). Otherwise they are the
        mean over members: of a single output the mean itself, of several the logarithm of the mean
        of the probabilities.
        """
        outputs: Tensor = self.ensemble(X.float())
        if self.training:
            return outputs
        if outputs.shape[2] == 1:
            return outputs.mean(1)
        return outputs.log_softmax(2).logsumexp(1) - math.log(outputs.shape[1])
