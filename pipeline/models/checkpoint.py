"""Write and read checkpoints, from which training continues as if it had not stopped."""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pipeline.files import damaged
from pipeline.models import tensors

# Between two checkpoints, training takes at least this many times as long as writing one.
SELDOM = 50
# What the optimiser knows of a parameter is in a part of this name and its number.
STATE = "optimizer"


@dataclass
class Progress:
    """
    The progress of a training.

    Attributes
    ----------
    module : torch.nn.Module
        The network.
    optimizer : torch.optim.Optimizer
        Its optimiser.
    curve : list of dict
        The losses of each epoch.
    best_epoch : int
        The epoch of the lowest loss on validation, or 0 if there is none yet.
    best_loss : float
        That loss.
    best_weights : dict
        The weights after that epoch.
    """

    module: torch.nn.Module
    optimizer: torch.optim.Optimizer
    curve: list[dict[str, float]] = field(default_factory=list)
    best_epoch: int = 0
    best_loss: float = math.inf
    best_weights: dict[str, Any] = field(default_factory=dict)


class Checkpoint:
    """
    A file with the progress of a training, written from time to time.

    Parameters
    ----------
    path : Path
        The file, ``.safetensors``.
    progress : Progress
        The progress to write. If the file exists, the progress and PyTorch's random states
        are set from it.

    Raises
    ------
    UserError
        If the file is damaged, or holds the progress of another network.
    """

    PLAIN = ("curve", "best_epoch", "best_loss")

    def __init__(self, path: Path, progress: Progress) -> None:
        self.path = path
        self.progress = progress
        self.written = self.took = 0.0
        if path.is_file():
            self._read()

    def write(self) -> None:
        """Write the progress, unless that takes too long compared with the training since then."""
        start = time.monotonic()
        if start - self.written < SELDOM * self.took:
            return
        optimizer = self.progress.optimizer.state_dict()
        cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
        parts: dict[str, dict[str, Tensor]] = {
            "module": self.progress.module.state_dict(),
            "best": self.progress.best_weights,
            "random": {"cpu": torch.get_rng_state()},
            "random_cuda": {str(number): state for number, state in enumerate(cuda)},
            **{f"{STATE}{number}": state for number, state in optimizer["state"].items()},
        }
        plain = {name: getattr(self.progress, name) for name in self.PLAIN}
        aside = self.path.with_name(f".{self.path.name}")
        tensors.write(
            aside,
            {f"{part}/{name}": value for part in parts for name, value in parts[part].items()},
            plain | {"param_groups": optimizer["param_groups"]},
        )
        aside.replace(self.path)
        self.written = time.monotonic()
        self.took = self.written - start

    def _read(self) -> None:
        flat, plain = tensors.read(self.path)
        parts: dict[str, dict[str, Tensor]] = {}
        for key, value in flat.items():
            part, _, name = key.partition("/")
            parts.setdefault(part, {})[name] = value
        module, best = self.progress.module, parts.get("best", {})
        try:
            for weights in [parts["module"], *([best] if best else [])]:
                tensors.check_weights(module, weights)
            state = {int(p.removeprefix(STATE)): parts[p] for p in parts if p.startswith(STATE)}
            check_state(state, list(module.parameters()))
            module.load_state_dict(parts["module"])
            self.progress.optimizer.load_state_dict(
                {"state": state, "param_groups": plain["param_groups"]}
            )
            for name in self.PLAIN:
                setattr(self.progress, name, plain[name])
            torch.set_rng_state(parts["random"]["cpu"])
            cuda = parts.get("random_cuda", {})
            if cuda:
                torch.cuda.set_rng_state_all([cuda[str(number)] for number in range(len(cuda))])
        except (IndexError, KeyError, RuntimeError, TypeError, ValueError) as error:
            raise damaged(self.path, error) from None
        device = next(module.parameters()).device
        self.progress.best_weights = {name: value.to(device) for name, value in best.items()}


def check_state(state: Mapping[int, Mapping[str, Tensor]], parameters: Sequence[Tensor]) -> None:
    """
    Check that what an optimiser knows of parameters has their shapes.

    Raises
    ------
    ValueError
        If it has not.
    """
    for number, values in state.items():
        for name, value in values.items():
            if value.shape not in ((), parameters[number].shape):
                raise ValueError(f"{name} of parameter {number} has another shape")
