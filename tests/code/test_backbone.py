"""A pretrained network: its weights are those of a file, and what is wrong with them is said."""

import functools
import re
import sys
import types

import numpy as np
import pytest
import torch
from torch import nn

from pipeline.errors import ModelError
from pipeline.models.networks.backbone import Backbone
from pipeline.models.neural_net import NeuralNet

RNG = np.random.default_rng(0)
X = RNG.integers(0, 256, (24, 8, 8, 3)).astype(np.uint8)
Y = np.array(["a", "b"] * 12)


class Small(nn.Module):
    """Stand in for a network of timm without its last layer."""

    def __init__(self):
        super().__init__()
        # What is pooled, which may be more than num_features.
        self.head_hidden_size = 4
        self.default_cfg = {"mean": (0.5, 0.4, 0.3), "std": (0.2, 0.2, 0.2)}
        self.convolve = nn.Conv2d(3, 4, 3)
        self.normalise = nn.BatchNorm2d(4)

    def forward(self, images):
        return self.normalise(self.convolve(images)).mean((2, 3))


@pytest.fixture(autouse=True)
def timm(monkeypatch):
    def create_model(name, pretrained, num_classes):
        assert (pretrained, num_classes) == (False, 0)
        if name != "small":
            raise RuntimeError(f"Unknown model ({name})")
        return Small()

    module = types.ModuleType("timm")
    module.create_model = create_model
    monkeypatch.setitem(sys.modules, "timm", module)


@pytest.fixture
def weights(tmp_path):
    """Write pretrained weights, with those of a last layer that is not used."""
    torch.manual_seed(0)
    state = Small().state_dict() | {"classifier.weight": torch.zeros(1000, 4)}
    torch.save(state, tmp_path / "small.pth")
    return tmp_path / "small.pth"


def net(weights, **options):
    settings = {"name": "small", "weights": str(weights)} | options
    network = functools.partial(Backbone, **settings)
    return NeuralNet(network, max_epochs=2, lr=0.01, device="cpu", random_state=0)


def test_a_frozen_backbone_keeps_its_weights_and_statistics(weights):
    model = net(weights).fit(X, Y)

    found = model.module_.backbone.state_dict()
    for key, value in torch.load(weights, weights_only=True).items():
        if key != "classifier.weight":
            torch.testing.assert_close(found[key], value, rtol=0, atol=0)


def test_fine_tuning_begins_with_the_weights_and_changes_them(weights):
    model = net(weights, frozen=False).fit(X, Y)

    before = torch.load(weights, weights_only=True)["convolve.weight"]
    change = (model.module_.backbone.convolve.weight - before).abs()
    assert 0 < change.max() < 0.1


def test_colours_are_standardised_as_the_backbone_wants(weights):
    model = net(weights).fit(X, Y)
    flat = np.full((1, 8, 8, 3), 255, dtype=np.uint8)

    with torch.inference_mode():
        backbone = model.module_.backbone
        pooled = backbone(
            (torch.ones(1, 3, 8, 8) - torch.tensor([0.5, 0.4, 0.3]).view(3, 1, 1)) / 0.2
        )
        expected = torch.softmax(model.module_.decide(pooled), 1)

    np.testing.assert_allclose(model.predict_proba(flat), expected, rtol=1e-5)


def test_a_trained_model_is_loaded_without_the_pretrained_weights(weights, tmp_path):
    model = net(weights).fit(X, Y)
    (tmp_path / "saved").mkdir()
    model.save(tmp_path / "saved")
    weights.unlink()

    loaded = NeuralNet.load(tmp_path / "saved")

    np.testing.assert_array_equal(loaded.predict_proba(X), model.predict_proba(X))


def test_missing_weights_are_not_downloaded(tmp_path):
    said = r"model\.network\.weights: .*none\.pth does not exist: put the weights of small there"
    with pytest.raises(ModelError, match=said):
        net(tmp_path / "none.pth").fit(X, Y)


def test_weights_of_another_architecture_are_refused(tmp_path):
    torch.save(nn.Conv2d(3, 4, 5).state_dict(), tmp_path / "other.pth")
    said = "holds weights of another architecture than small: 7 of 7 do not fit, such as convolve"
    with pytest.raises(ModelError, match=said):
        net(tmp_path / "other.pth").fit(X, Y)


@pytest.mark.parametrize("name", ["weights.pth", "weights.safetensors"])
def test_a_damaged_file_is_named(tmp_path, name):
    (tmp_path / name).write_bytes(b"no weights")

    with pytest.raises(ModelError, match=rf"{re.escape(name)} cannot be read"):
        net(tmp_path / name).fit(X, Y)


def test_an_unknown_architecture_is_named(weights):
    with pytest.raises(ModelError, match="timm has no 'smal'"):
        net(weights, name="smal").fit(X, Y)


def test_without_timm_it_is_said_how_to_install_it(weights, monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)

    with pytest.raises(ModelError, match=r"timm is not installed: pip install -e '\.\[timm\]'"):
        net(weights).fit(X, Y)
