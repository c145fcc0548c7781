"""Networks: a state dict, read with ``weights_only``, and the recipe of the network."""

from pathlib import Path
from typing import Any

from pipeline.models.neural_net import NeuralNet


def save(estimator: NeuralNet, folder: Path, trusted: list[str]) -> None:  # noqa: ARG001
    """Write the weights and the recipe. No type is named in them."""
    estimator.save(folder)


def load(folder: Path, trusted: list[str]) -> Any:  # noqa: ARG001
    """Read a network."""
    return NeuralNet.load(folder)
