"""A training loop for PyTorch networks: AdamW, early stopping, checkpoints."""

import copy
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline.models.checkpoint import Checkpoint, Progress
from pipeline.models.fitting import Report

Examples = tuple[Tensor, Tensor]
Batches = Iterator[tuple[Tensor, Tensor]]
Mean = Callable[[Tensor, Tensor], Tensor]


class Loss(NamedTuple):
    """
    What a training minimises.

    Attributes
    ----------
    name : str
        The name that its curves have, as in ``validation/log_loss``.
    mean : callable
        From the outputs of a network and the targets to their mean loss.
    """

    name: str
    mean: Mean


LOG_LOSS = Loss("log_loss", functional.cross_entropy)


def mean_loss(mean: Mean, outputs: Tensor, y: Tensor) -> Tensor:
    """
    Compute the mean loss over examples, and over the members of an ensemble if there are any.

    Parameters
    ----------
    mean : callable
        From outputs and targets to their mean loss.
    outputs : Tensor of shape (n, n_outputs) or (n, n_members, n_outputs)
        Outputs of a network.
    y : Tensor of shape (n,)
        Targets. They are the same for all members.
    """
    if outputs.ndim == 3:
        y = y.repeat_interleave(outputs.shape[1], 0)
        outputs = outputs.flatten(0, 1)
    return mean(outputs, y)


def cosine(done: float) -> float:
    """
    Return the share of the learning rate after a share of the training.

    It falls from 1 to 0 along half a cosine (Loshchilov and Hutter, "SGDR", ICLR 2017).
    """
    return (1 + math.cos(math.pi * done)) / 2


def train(
    module: nn.Module,
    loss: Loss,
    training: Examples,
    validation: Examples | None,
    *,
    lr: float,
    weight_decay: float,
    batch_size: int,
    max_epochs: int,
    patience: int,
    report: Report | None,
    checkpoint: Path | None,
    schedule: Callable[[float], float] | None = None,
    objective: Mean | None = None,
) -> int:
    """
    Train a network in place.

    The examples stay where they are, which may be a memory-mapped file. Batches move to
    the network's device one by one.

    Parameters
    ----------
    module : torch.nn.Module
        The network. It ends with its best weights on validation.
    loss : Loss
        The loss to minimise.
    training, validation : tuple of (inputs, targets)
        Examples to fit on, and for early stopping. Without validation all epochs are run.
    lr, weight_decay : float
        Of AdamW.
    batch_size : int
        Examples per step.
    max_epochs : int
        Maximum number of passes over the training examples.
    patience : int
        Epochs without a lower loss on validation before training stops.
    report : callable, optional
        Called with the epoch and its losses. True ends the training.
    checkpoint : Path, optional
        File that keeps the progress. If it exists, training continues from it.
    schedule : callable, optional
        From the share of `max_epochs` that is done to the share of `lr` that is used.
    objective : callable, optional
        What is minimised, if that is not the mean of `loss`, which is reported all the same.

    Returns
    -------
    int
        Number of epochs, including those of the checkpoint.
    """
    device = next(module.parameters()).device
    optimizer = torch.optim.AdamW(module.parameters(), lr=lr, weight_decay=weight_decay)
    progress = Progress(module, optimizer)
    keep = Checkpoint(checkpoint, progress) if checkpoint is not None else None
    if report is not None:
        for epoch, losses in enumerate(progress.curve, 1):
            report(epoch, losses)
    while len(progress.curve) < max_epochs:
        if validation is not None and len(progress.curve) - progress.best_epoch >= patience:
            break
        if schedule is not None:
            for group in optimizer.param_groups:
                group["lr"] = lr * schedule(len(progress.curve) / max_epochs)
        module.train()
        batch_losses, sizes = [], []
        for X, y in _shuffled(*training, batch_size):
            optimizer.zero_grad()
            outputs, targets = module(X.to(device)), y.to(device)
            batch_loss = mean_loss(loss.mean, outputs, targets)
            minimised = batch_loss if objective is None else mean_loss(objective, outputs, targets)
            minimised.backward()
            optimizer.step()
            batch_losses.append(batch_loss.detach())
            sizes.append(len(y))
        losses = {f"train/{loss.name}": _mean(batch_losses, sizes)}
        if validation is not None:
            losses[f"validation/{loss.name}"] = evaluate(module, loss, validation, batch_size)
        progress.curve.append(losses)
        ended = report is not None and report(len(progress.curve), losses)
        if losses.get(f"validation/{loss.name}", math.inf) < progress.best_loss:
            progress.best_loss = losses[f"validation/{loss.name}"]
            progress.best_epoch = len(progress.curve)
            progress.best_weights = copy.deepcopy(module.state_dict())
        if keep is not None:
            keep.write()
        if ended:
            break
    if progress.best_weights:
        module.load_state_dict(progress.best_weights)
    return len(progress.curve)


def evaluate(module: nn.Module, loss: Loss, examples: Examples, batch_size: int) -> float:
    """Compute a network's mean loss on examples."""
    device = next(module.parameters()).device
    module.eval()
    batches = [part.split(batch_size) for part in examples]
    with torch.inference_mode():
        losses = [
            mean_loss(loss.mean, module(X.to(device)), y.to(device))
            for X, y in zip(*batches, strict=True)
        ]
    return _mean(losses, [len(y) for y in batches[1]])


def _shuffled(X: Tensor, y: Tensor, batch_size: int) -> Batches:
    """
    Yield batches in a new random order, sliced from whole tensors.

    PyTorch's DataLoader fetches and stacks examples one by one, which takes longer than
    a small network's own work. A last batch of one example is added to the one
    before it, because batch normalisation needs two examples.
    """
    batches = list(torch.randperm(len(y)).split(batch_size))
    if 1 == len(batches[-1]) < batch_size and len(batches) > 1:
        batches[-2:] = [torch.cat(batches[-2:])]
    for chosen in batches:
        yield X[chosen], y[chosen]


def _mean(losses: list[Tensor], sizes: list[int]) -> float:
    """Return the mean over batches. All losses leave the device in one transfer."""
    return float(np.average(torch.stack(losses).tolist(), weights=sizes))
