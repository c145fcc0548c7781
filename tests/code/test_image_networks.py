"""The network of images: what it sees, how it changes photos, and that bytes stay bytes."""

import functools

import numpy as np
import pytest
import torch

from pipeline.models.networks.images import ImageResNet, augment
from pipeline.models.neural_net import NeuralNet

RNG = np.random.default_rng(0)
X = RNG.integers(0, 256, (60, 16, 16, 3)).astype(np.uint8)
Y = np.where(np.arange(60) % 2, "bright", "dark")
X[Y == "dark"] //= 2
SMALL = functools.partial(ImageResNet, widths=[8, 8])


def net(**options):
    settings = {"max_epochs": 6, "lr": 0.01, "device": "cpu", "random_state": 0}
    return NeuralNet(SMALL, **settings | options)


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def test_it_learns_from_bytes_and_predicts_alike_alone_and_together(monkeypatch):
    model = net(max_epochs=12).fit(X, Y, (X, Y))

    together = model.predict_proba(X)
    monkeypatch.setattr("pipeline.models.neural_net.MOST_NUMBERS", 1000)
    alone = model.predict_proba(X)

    assert (model.predict(X) == Y).mean() > 0.8
    np.testing.assert_allclose(alone, together, rtol=1e-4)


def test_no_copy_of_all_pixels_is_made_as_floats(tmp_path, monkeypatch):
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="c")
    seen = []
    forward = ImageResNet.forward
    monkeypatch.setattr(
        ImageResNet, "forward", lambda self, X: (seen.append(X.dtype), forward(self, X))[1]
    )

    net(max_epochs=1).fit(mapped, Y)

    assert set(seen) == {torch.uint8}


def test_a_seed_decides_the_changes_of_photos_too(tmp_path):
    one, other = (net(max_epochs=2).fit(X, Y).predict_proba(X) for _ in range(2))
    third = net(max_epochs=2, random_state=1).fit(X, Y).predict_proba(X)

    np.testing.assert_array_equal(one, other)
    assert np.abs(one - third).max() > 1e-3


def test_it_is_saved_and_loaded(tmp_path):
    model = net(max_epochs=1).fit(X, Y)
    model.save(tmp_path)

    np.testing.assert_array_equal(NeuralNet.load(tmp_path).predict_proba(X), model.predict_proba(X))


def test_floats_are_refused():
    with pytest.raises(ValueError, match="ImageResNet reads images, whole numbers"):
        net().fit(X.astype(np.float32), Y)


IMAGES = torch.from_numpy(X).permute(0, 3, 1, 2).float() / 128 - 1


def test_without_any_change_images_stay_as_they_are():
    torch.testing.assert_close(augment(IMAGES, False, False, 0.0, 0.0), IMAGES)


def test_mirrored_images_are_mirrored_left_and_right_only():
    torch.manual_seed(0)

    changed = augment(IMAGES, True, False, 0.0, 0.0)

    mirrored = [torch.equal(one, image.flip(2)) for one, image in zip(changed, IMAGES, strict=True)]
    same = [torch.equal(one, image) for one, image in zip(changed, IMAGES, strict=True)]
    assert all(m or s for m, s in zip(mirrored, same, strict=True))
    assert 15 < sum(mirrored) < 45


def test_turned_images_are_one_of_eight():
    torch.manual_seed(1)

    changed = augment(IMAGES, True, True, 0.0, 0.0)

    for one, image in zip(changed, IMAGES, strict=True):
        turned = [image.rot90(quarter, (1, 2)) for quarter in range(4)]
        assert any(torch.equal(one, each) or torch.equal(one, each.flip(1)) for each in turned)


def test_shifts_and_brightness_stay_within_their_share():
    torch.manual_seed(2)
    edge = torch.zeros(40, 1, 20, 20)
    edge[..., 10:] = 1

    starts = augment(edge, False, False, 0.2, 0.0)[:, 0, 10].argmax(1)
    changed = augment(torch.full((40, 1, 4, 4), 0.5), False, False, 0.0, 0.2)[:, 0, 0, 0]

    assert starts.min() >= 6
    assert starts.max() <= 14
    assert starts.unique().numel() > 3
    assert changed.min() >= 0.5 * 0.8 - 0.2
    assert changed.max() <= 0.5 * 1.2 + 0.2
