"""Write and read checkpoints, from which training continues as if it had not stopped."""

import math
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

# Between two checkpoints, training takes at least this many times as long as writing one.
SELDOM = 50


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
        The file. It holds tensors and plain values, and is read with ``weights_only``.
    progress : Progress
        The progress to write. If the file exists, the progress and PyTorch's random states
        are set from it.
    """

    PLAIN = ("curve", "best_epoch", "best_loss", "best_weights")

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
        state = {
            "module": self.progress.module.state_dict(),
            "optimizer": self.progress.optimizer.state_dict(),
            **{name: getattr(self.progress, name) for name in self.PLAIN},
            "random": torch.get_rng_state(),
            "random_cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        }
        aside = self.path.with_name(f".{self.path.name}")
        torch.save(state, aside)
        aside.replace(self.path)
        self.written = time.monotonic()
        self.took = self.written - start

    def _read(self) -> None:
        device = next(self.progress.module.parameters()).device
        state = torch.load(self.path, weights_only=True, map_location=device)
        self.progress.module.load_state_dict(state["module"])
        self.progress.optimizer.load_state_dict(state["optimizer"])
        for name in self.PLAIN:
            setattr(self.progress, name, state[name])
        torch.set_rng_state(state["random"].cpu())
        if state["random_cuda"]:
            torch.cuda.set_rng_state_all([one.cpu() for one in state["random_cuda"]])
