"""The training loop: its batches, its losses, and what it does to memory and signals."""

import functools
import warnings

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from pipeline.models.networks.tables import MLP
from pipeline.models.neural_net import NeuralNet
from pipeline.models.training import LOG_LOSS, Loss, _shuffled, mean_loss, train

SETTINGS = {
    "lr": 0.02,
    "weight_decay": 0.01,
    "batch_size": 8,
    "max_epochs": 4,
    "patience": 2,
    "report": None,
    "checkpoint": None,
}


@pytest.fixture
def examples():
    """Make 50 examples of two classes."""
    X = torch.from_numpy(np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32))
    return X, (X[:, 0] > 0).long()


@pytest.fixture(autouse=True)
def seeded():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


@pytest.mark.parametrize("batch_size", [1, 2, 3, 5, 9, 10, 64])
def test_an_epoch_holds_every_example_once(batch_size):
    labels = torch.arange(10)

    epoch = list(_shuffled(labels.unsqueeze(1), labels, batch_size))

    assert sorted(torch.cat([y for _, y in epoch]).tolist()) == list(range(10))
    # An example and its label stay together.
    assert all(torch.equal(X.squeeze(1), y) for X, y in epoch)


@pytest.mark.parametrize(
    ("batch_size", "sizes"),
    [(4, [4, 4, 2]), (3, [3, 3, 4]), (9, [10]), (5, [5, 5]), (1, [1] * 10), (64, [10])],
)
def test_a_last_batch_of_one_joins_the_one_before_it(batch_size, sizes):
    labels = torch.arange(10)

    assert [len(y) for _, y in _shuffled(labels, labels, batch_size)] == sizes


def test_each_epoch_has_an_order_of_its_own():
    labels = torch.arange(10)

    first, second = (torch.cat([y for _, y in _shuffled(labels, labels, 4)]) for _ in range(2))

    assert not torch.equal(first, second)


def test_batch_normalisation_trains_where_one_example_is_left_over(examples):
    module = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))

    assert train(module, LOG_LOSS, tuple(part[:17] for part in examples), None, **SETTINGS) == 4


def test_losses_are_means_over_examples_not_over_batches(examples):
    # The rate is so small that the weights stay what they are.
    module, curve = nn.Linear(3, 2), []
    settings = SETTINGS | {"lr": 1e-12, "max_epochs": 1}

    train(
        module,
        LOG_LOSS,
        examples,
        tuple(part[:13] for part in examples),
        **settings | {"report": lambda *point: curve.append(point)},
    )

    expected = [
        functional.cross_entropy(module(examples[0][:n]), examples[1][:n]).item() for n in (50, 13)
    ]
    (point,) = curve
    assert point == (
        1,
        {
            "train/log_loss": pytest.approx(expected[0], rel=1e-5),
            "validation/log_loss": pytest.approx(expected[1], rel=1e-5),
        },
    )


def test_another_loss_is_one_object_and_has_its_own_name(examples):
    X = examples[0]
    y = X @ torch.tensor([[1.0], [-2.0], [0.5]])
    module, curve = nn.Linear(3, 1), []
    settings = SETTINGS | {"max_epochs": 300, "patience": 300, "weight_decay": 0.0}

    train(
        module,
        Loss("squared_error", functional.mse_loss),
        (X, y),
        (X, y),
        **settings | {"report": lambda _, losses: curve.append(losses)},
    )

    assert set(curve[-1]) == {"train/squared_error", "validation/squared_error"}
    assert module.weight.tolist() == [pytest.approx([1.0, -2.0, 0.5], abs=0.01)]


def test_a_loss_that_is_never_a_number_ends_the_training_after_patience(examples):
    module = nn.Linear(3, 2)
    nan = Loss("nan", lambda outputs, _: outputs.sum() * float("nan"))

    epochs = train(module, nan, examples, examples, **SETTINGS | {"max_epochs": 50})

    assert epochs == 2


def test_ctrl_c_within_a_batch_ends_the_training_at_once(examples):
    seen = []

    def interrupt(outputs, targets):
        seen.append(len(targets))
        if len(seen) == 3:
            raise KeyboardInterrupt
        return functional.cross_entropy(outputs, targets)

    with pytest.raises(KeyboardInterrupt):
        train(nn.Linear(3, 2), Loss("any", interrupt), examples, examples, **SETTINGS)
    assert len(seen) == 3


def test_a_memory_mapped_array_trains_as_one_in_memory_and_is_read_in_batches(tmp_path):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 4)).astype(np.float32)
    y = np.where(X[:, 0] > 0, "a", "b")
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    largest = []

    class Watching(MLP):
        def forward(self, X):
            largest.append(len(X))
            return super().forward(X)

    found = []
    for given in (X, mapped):
        net = NeuralNet(Watching, max_epochs=2, batch_size=32, device="cpu", random_state=0)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            net.fit(given[:200], y[:200], (given[200:], y[200:]))
            assert max(largest) == 32
            found.append(net.predict_proba(given))
        largest.clear()
    np.testing.assert_array_equal(*found)


def test_only_batches_are_on_the_device_of_the_network(examples):
    # "meta" stands for an accelerator: a device without memory, which every machine has.
    placed = []

    class Watching(nn.Linear):
        def forward(self, X):
            placed.append((X.device.type, len(X)))
            return super().forward(X)

    class StopError(Exception):
        pass

    def stop(outputs, targets):
        placed.append((targets.device.type, len(targets)))
        raise StopError

    with pytest.raises(StopError):
        train(Watching(3, 2, device="meta"), Loss("any", stop), examples, None, **SETTINGS)
    assert placed == [("meta", 8), ("meta", 8)]


def test_networks_are_trained_in_the_order_that_a_seed_decides(examples):
    X, y = examples
    network = functools.partial(MLP, hidden=[4], dropout=0.0)
    model = NeuralNet(network, max_epochs=2, batch_size=16, device="cpu", random_state=3)

    model.fit(X.numpy(), y.numpy())

    # The loop as one writes it by hand.
    torch.manual_seed(int(np.random.RandomState(3).randint(2**31)))
    module = network(n_inputs=3, n_outputs=2)
    optimizer = torch.optim.AdamW(module.parameters(), lr=1e-3, weight_decay=1e-2)
    for _ in range(2):
        for chosen in torch.randperm(50).split(16):
            optimizer.zero_grad()
            functional.cross_entropy(module(X[chosen]), y[chosen]).backward()
            optimizer.step()
    for name, value in module.state_dict().items():
        assert torch.equal(model.module_.state_dict()[name], value), name


def test_the_loss_of_an_ensemble_is_the_mean_of_the_losses_of_its_members():
    outputs, y = torch.randn(7, 3, 2), torch.tensor([0, 1, 1, 0, 1, 0, 0])

    each = [functional.cross_entropy(outputs[:, member], y) for member in range(3)]

    assert mean_loss(LOG_LOSS.mean, outputs, y).item() == pytest.approx(np.mean(each), rel=1e-5)
