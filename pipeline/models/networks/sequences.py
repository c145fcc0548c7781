"""Networks for sequences of readings."""

import torch
from torch import Tensor, nn

from pipeline.models.networks.checks import check_inputs, check_lists, check_shares, check_sizes


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


class SequenceCNN(nn.Module):
    """
    Apply layers of convolutions over time (Wang, Yan and Oates, IJCNN 2017).

    A response depends on no later reading. Those of the last layer are pooled by their mean, and by
    the last one, which tells of the present.

    Parameters
    ----------
    n_channels : int
        Number of sequences side by side.
    n_outputs : int
        Numbers per example. For a classifier they are one logit per class.
    filters : int
        Number of filters per layer.
    widths : list of int
        Width of the filters of each layer, in readings. What a filter lacks in front is the first
        value.
    dropout : float
        Share of the pooled responses dropped in training.
    """

    def __init__(
        self,
        n_channels: int,
        n_outputs: int,
        filters: int = 32,
        widths: tuple[int, ...] = (8, 5, 3),
        dropout: float = 0.3,
    ) -> None:
        super().__init__()
        check_sizes(filters=filters)
        check_lists(widths=widths)
        check_shares(dropout=dropout)
        if not widths:
            raise ValueError("widths is empty: at least one layer is needed")
        inputs = [n_channels] + [filters] * (len(widths) - 1)
        self.layers = nn.Sequential(
            *(
                nn.Sequential(
                    nn.ReplicationPad1d((width - 1, 0)),
                    nn.Conv1d(channels, filters, width),
                    nn.BatchNorm1d(filters),
                    nn.ReLU(),
                )
                for channels, width in zip(inputs, widths, strict=True)
            )
        )
        self.dropout = nn.Dropout(dropout)
        self.decide = nn.Linear(2 * filters, n_outputs)

    @staticmethod
    def dimensions(X: Tensor) -> dict[str, int]:
        """Return the sizes that depend on the training inputs."""
        check_inputs("SequenceCNN", "sequences of readings", X, 3)
        return {"n_channels": X.shape[2]}

    def forward(self, X: Tensor) -> Tensor:
        """Map sequences (batch, time, n_channels) to outputs (batch, n_outputs)."""
        responses = self.layers(X.float().transpose(1, 2))
        pooled = torch.cat([responses.mean(2), responses[:, :, -1]], 1)
        outputs: Tensor = self.decide(self.dropout(pooled))
        return outputs
