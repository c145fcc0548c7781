"""A training that was interrupted ends as one that was not."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from pipeline.errors import UserError
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
    path = tmp_path / "checkpoint.safetensors"

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


def test_a_checkpoint_is_of_tensors_and_json_alone(examples, tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    net = fitted(examples, lambda *_: None, path, patience=3)
    tensors = load_file(path)
    with safe_open(path, framework="pt") as file:
        values = json.loads(file.metadata()["values"])
    assert {name.partition("/")[0] for name in tensors} >= {"module", "best", "random"}
    assert {"curve", "best_epoch", "best_loss", "param_groups"} == set(values)
    assert len(values["curve"]) <= net.n_epochs_
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.safetensors"]


@pytest.mark.parametrize(
    "change",
    [
        lambda tensors, values: ({}, values),
        lambda tensors, values: (tensors, {}),
        lambda tensors, values: (tensors, values | {"param_groups": []}),
        lambda tensors, values: ({k: v for k, v in tensors.items() if k != "random/cpu"}, values),
        lambda tensors, values: (
            tensors | {"module/layers.0.weight": torch.zeros(1, 2)},
            values,
        ),
        lambda tensors, values: (tensors | {"optimizer0/exp_avg": torch.zeros(3)}, values),
        lambda tensors, values: (tensors | {"optimizer99/exp_avg": torch.zeros(3)}, values),
        lambda tensors, values: (tensors | {"random/cpu": torch.zeros(3)}, values),
    ],
    ids=["tensors", "values", "groups", "random", "shape", "moments", "parameter", "state"],
)
def test_a_checkpoint_that_does_not_fit_is_reported_by_name(examples, tmp_path, change):
    path = tmp_path / "checkpoint.safetensors"
    fitted(examples, lambda *_: None, path, patience=3)
    with safe_open(path, framework="pt") as file:
        values = json.loads(file.metadata()["values"])
    tensors, values = change(load_file(path), values)
    save_file(tensors, path, {"values": json.dumps(values)})

    with pytest.raises(UserError, match=f"{re.escape(str(path))} is damaged"):
        fitted(examples, lambda *_: None, path, patience=3)


@pytest.mark.parametrize("keep", [0, 7, 500, -9])
def test_a_cut_checkpoint_is_reported_by_name(examples, tmp_path, keep):
    path = tmp_path / "checkpoint.safetensors"
    fitted(examples, lambda *_: None, path, patience=3)
    path.write_bytes(path.read_bytes()[:keep])

    with pytest.raises(UserError, match=f"{re.escape(str(path))} is damaged"):
        fitted(examples, lambda *_: None, path, patience=3)


def test_a_training_that_was_over_is_not_continued(examples, tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "SELDOM", 0)
    path = tmp_path / "checkpoint.safetensors"
    settings = {"patience": 3, "lr": 0.03}
    over = fitted(examples, lambda *_: None, path, **settings)
    assert over.n_epochs_ < 30

    again = fitted(examples, lambda *_: None, path, **settings)

    assert again.n_epochs_ == over.n_epochs_
    for name, weights in over.module_.state_dict().items():
        assert torch.equal(again.module_.state_dict()[name], weights), name
