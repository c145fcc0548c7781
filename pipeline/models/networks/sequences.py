"""Networks for sequences of readings."""

import torch
from torch import Tensor, nn

from pipeline.models.networks.checks import check_inputs, check_shares, check_sizes


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
