"""
Compare the training time of NeuralNet with that of a bare PyTorch loop.

Run: python benchmarks/neural_net.py

Both train the same network from the same initial weights on the same batches in the same order,
with AdamW and cross entropy, and predict validation after each epoch. Their losses on validation
are compared, to check that they do the same work. NeuralNet does not stop early here. It keeps a
copy of its best weights, as always; the bare loop does not.

Repetitions alternate between the two, and a ratio is that of two successive repetitions. There is
a ratio of wall-clock time and one of processor time, which other work on the machine disturbs
less. One thread is used: two threads that wait for each other on a busy machine measure that
machine.
"""

import time
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from report import machine, spread, table
from sklearn.utils import check_random_state
from torch import Tensor, nn

from pipeline.models.networks.tables import MLP
from pipeline.models.networks.texts import TextCNN
from pipeline.models.neural_net import NeuralNet

SEED, LR, WEIGHT_DECAY = 0, 0.002, 0.01

Examples = tuple[np.ndarray, np.ndarray]


def main() -> None:
    """Time both kinds of data and print a table."""
    print(machine())
    print("Training, seconds: median (min..max) of alternating repetitions")
    torch.set_num_threads(1)
    rng = np.random.default_rng(SEED)
    mlp, text_cnn = partial(MLP, dropout=0.3), TextCNN
    rows = [
        row("MLP, 20,000 x 64, batch 128, 10 epochs", 7, mlp, *vectors(rng), 128, 10),
        row("TextCNN, 1,600 x 400, batch 32, 3 epochs", 3, text_cnn, *texts(rng), 32, 3),
    ]
    columns = ["network", "repetitions", "NeuralNet", "bare loop"]
    print(table([*columns, "ratio", "ratio of CPU", "same losses"], rows))


def vectors(rng: np.random.Generator) -> tuple[Examples, Examples]:
    """Draw rows of numbers in three classes: 20,000 for training, 5,000 for validation."""
    X = rng.normal(size=(25_000, 64)).astype(np.float32)
    y = (X @ rng.normal(size=(64, 3))).argmax(1)
    return (X[:20_000], y[:20_000]), (X[20_000:], y[20_000:])


def texts(rng: np.random.Generator) -> tuple[Examples, Examples]:
    """Draw rows of token ids in three classes: 1,600 for training, 400 for validation."""
    y = rng.integers(3, size=2_000)
    X = rng.integers(1, 5_000, size=(2_000, 400)).astype(np.int32)
    X[:, :40] = 1 + y[:, np.newaxis]
    return (X[:1_600], y[:1_600]), (X[1_600:], y[1_600:])


def row(
    title: str,
    repetitions: int,
    network: Callable[..., nn.Module],
    train: Examples,
    validation: Examples,
    batch_size: int,
    epochs: int,
) -> list[str]:
    """Time both on the same work, in alternation, and return a row of the table."""
    work = (network, train, validation, batch_size)
    same = np.allclose(project(*work, 1), peer(*work, 1), rtol=1e-4)  # warms up, too
    ours, bare = [], []
    for _ in range(repetitions):
        ours.append(seconds(project, *work, epochs))
        bare.append(seconds(peer, *work, epochs))
    # Columns: wall-clock time, processor time.
    ratios = np.array(ours) / np.array(bare)
    return [
        title,
        str(repetitions),
        spread([clock for clock, _ in ours]),
        spread([clock for clock, _ in bare]),
        spread(ratios[:, 0]),
        spread(ratios[:, 1]),
        "yes" if same else "NO",
    ]


def seconds(fit: Callable[..., list[float]], *work: object) -> tuple[float, float]:
    """Return the wall-clock time and the processor time of a training."""
    clock, cpu = time.perf_counter(), time.process_time()
    fit(*work)
    return time.perf_counter() - clock, time.process_time() - cpu


def project(
    network: Callable[..., nn.Module],
    train: Examples,
    validation: Examples,
    batch_size: int,
    epochs: int,
) -> list[float]:
    """Train with NeuralNet and return the losses on validation."""
    losses: list[float] = []
    NeuralNet(
        network,
        lr=LR,
        weight_decay=WEIGHT_DECAY,
        batch_size=batch_size,
        max_epochs=epochs,
        patience=epochs + 1,
        device="cpu",
        random_state=SEED,
    ).fit(*train, validation, lambda _, row: losses.append(row["validation/log_loss"]))
    return losses


def peer(
    network: Callable[..., nn.Module],
    train: Examples,
    validation: Examples,
    batch_size: int,
    epochs: int,
) -> list[float]:
    """Train with a loop written by hand and return the losses on validation."""
    X, y = map(torch.from_numpy, train)
    X_validation, y_validation = map(torch.from_numpy, validation)
    torch.manual_seed(int(check_random_state(SEED).randint(2**31)))
    kind = network.func if isinstance(network, partial) else network
    module = network(n_outputs=int(y.max()) + 1, **kind.dimensions(X))
    optimizer = torch.optim.AdamW(module.parameters(), lr=LR, weight_decay=WEIGHT_DECAY)
    criterion = nn.CrossEntropyLoss()

    def mean(losses: list[float], batches: list[Tensor] | tuple[Tensor, ...]) -> float:
        return float(np.average(losses, weights=[len(batch) for batch in batches]))

    curve = []
    for _ in range(epochs):
        module.train()
        order = torch.randperm(len(X)).split(batch_size)
        losses = []
        for batch in order:
            optimizer.zero_grad()
            loss = criterion(module(X[batch]), y[batch])
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        mean(losses, order)  # the loss on train, as a loop would print it
        module.eval()
        held_out = X_validation.split(batch_size)
        with torch.no_grad():
            pairs = zip(held_out, y_validation.split(batch_size), strict=True)
            losses = [criterion(module(some), labels).item() for some, labels in pairs]
        curve.append(mean(losses, held_out))
    return curve


if __name__ == "__main__":
    main()
