"""A training that was interrupted ends as one that was not."""

from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline.models import checkpoint
from pipeline.models.neural_net import NeuralNet


class Killed(BaseException):
    pass


@pytest.fixture
def examples() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 8)).astype(np.float32)
    return X, (X[:, 0] + X[:, 1] * X[:, 2] > 0).astype(str)


def fitted(examples, report, path: Path | None, **settings) -> NeuralNet:
    X, y = examples
    net = NeuralNet(random_state=0, max_epochs=30, **settings)
    return net.fit(X[:150], y[:150], (X[150:], y[150:]), report, path)


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({"patience": 50}, id="to the last epoch"),
        pytest.param({"patience": 3, "lr": 0.03}, id="stopped early, best weights restored"),
    ],
)
@pytest.mark.parametrize("breaks", [(4,), (2, 5)])
def test_after_breaks_it_has_the_weights_and_the_curve_of_one_without(
    examples, tmp_path, monkeypatch, settings, breaks
):
    monkeypatch.setattr(checkpoint, "SELDOM", 0)
    whole: list = []
    expected = fitted(examples, lambda *point: whole.append(point), None, **settings)
    path = tmp_path / "checkpoint.pt"

    for last in breaks:

        def report(step, losses, last=last):
            if step == last:
                raise Killed

        with pytest.raises(Killed):
            fitted(examples, report, path, **settings)

    curve: list = []
    again = fitted(examples, lambda *point: curve.append(point), path, **settings)
    assert curve == whole
    assert again.n_epochs_ == expected.n_epochs_
    for name, weights in expected.module_.state_dict().items():
        assert torch.equal(again.module_.state_dict()[name], weights), name


def test_a_checkpoint_is_read_without_unpickling(examples, tmp_path):
    path = tmp_path / "checkpoint.pt"
    fitted(examples, lambda *_: None, path, patience=3)
    state = torch.load(path, weights_only=True)
    assert set(state) == {
        "module",
        "optimizer",
        "curve",
        "best_epoch",
        "best_loss",
        "best_weights",
        "random",
        "random_cuda",
    }


def test_a_training_that_was_over_is_not_continued(examples, tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "SELDOM", 0)
    path = tmp_path / "checkpoint.pt"
    settings = {"patience": 3, "lr": 0.03}
    over = fitted(examples, lambda *_: None, path, **settings)
    assert over.n_epochs_ < 30

    again = fitted(examples, lambda *_: None, path, **settings)

    assert again.n_epochs_ == over.n_epochs_
    for name, weights in over.module_.state_dict().items():
        assert torch.equal(again.module_.state_dict()[name], weights), name
