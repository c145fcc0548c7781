"""What a training needs to go on where it was stopped, as if it had not been."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

# A checkpoint is written when training took this many times as long as writing one does.
SELDOM = 50
PER_EPOCH = ("epoch", "train_loss", "valid_loss")
STOPPING = ("misses_", "dynamic_threshold_", "best_epoch_", "best_model_weights_")


def checkpointing(path: Path, tell: Callable[[Mapping[str, Any]], None]) -> Any:
    """
    Give a skorch callback that writes checkpoints, and starts from the one that is there.

    Parameters
    ----------
    path : Path
        The checkpoint: tensors and plain values, read with ``weights_only``.
    tell : callable
        Called with each epoch that is not run again.
    """
    from skorch.callbacks import Callback

    class Checkpoint(Callback):
        """The last of the callbacks, so that the others have started or have seen the epoch."""

        written = 0.0
        took = 0.0

        def on_train_begin(self, net: Any, **kwargs: Any) -> None:
            if path.is_file():
                state = torch.load(path, weights_only=True, map_location=net.device)
                restore(net, state)
                for row in state["epochs"]:
                    tell(row)

        def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
            start = time.monotonic()
            if start - self.written < SELDOM * self.took:
                return
            aside = path.with_name(f".{path.name}")
            torch.save(state_of(net), aside)
            aside.replace(path)
            self.written = time.monotonic()
            self.took = self.written - start

    return Checkpoint()


def state_of(net: Any) -> dict[str, Any]:
    """Collect what decides how a training goes on: weights, optimiser, stopping, chance."""
    stopping = dict(net.callbacks_).get("stopping")
    return {
        "module": net.module_.state_dict(),
        "optimizer": net.optimizer_.state_dict(),
        "epochs": [{k: float(row[k]) for k in PER_EPOCH if k in row} for row in net.history],
        "stopping": {name: _plain(getattr(stopping, name)) for name in STOPPING if stopping},
        "random": torch.get_rng_state(),
        "random_cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def _plain(value: Any) -> Any:
    """Make a number of numpy's one of Python's, which `weights_only` reads."""
    return value.item() if isinstance(value, np.generic) else value


def restore(net: Any, state: Mapping[str, Any]) -> None:
    """Put back what `state_of` collected."""
    net.module_.load_state_dict(state["module"])
    net.optimizer_.load_state_dict(state["optimizer"])
    for row in state["epochs"]:
        net.history.new_epoch()
        for name, value in row.items():
            net.history.record(name, int(value) if name == "epoch" else value)
    stopping = dict(net.callbacks_).get("stopping")
    for name, value in state["stopping"].items():
        setattr(stopping, name, value)
    torch.set_rng_state(state["random"].cpu())
    if state["random_cuda"]:
        torch.cuda.set_rng_state_all([one.cpu() for one in state["random_cuda"]])
