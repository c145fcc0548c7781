"""The network that compares headline and body."""

import functools

import numpy as np
import pytest
import torch

from pipeline.models.neural_net import NeuralNet
from pipeline.tasks.fake_news.network import PairCNN

# Pairs of texts of 12 tokens at most.
PAIRS = np.random.default_rng(2).integers(1, 30, (300, 2, 12)).astype(np.int32)
PAIRS[::2, 0, 4:] = 0
PAIRS[::3, 1, 9:] = 0
SMALL_PAIR_CNN = functools.partial(PairCNN, embedding=8, filters=4, hidden=8, reach=3, lead=5)
Y = np.resize(["essay", "novel", "poetry"], 300)


def net(**options):
    settings = {"lr": 0.02, "max_epochs": 5, "device": "cpu", "random_state": 0}
    return NeuralNet(**settings | options)


@pytest.mark.parametrize(
    ("settings", "ids", "message"),
    [
        ({}, PAIRS[:, 0], "PairCNN reads token ids of two texts"),
        ({"width": 4}, PAIRS, "width == 4, must be odd"),
        ({"reach": 2}, PAIRS, "reach == 2, must be odd"),
        ({"token_dropout": -0.1}, PAIRS, "token_dropout == -0.1"),
    ],
)
def test_what_the_network_refuses_is_reported(settings, ids, message):
    with pytest.raises((ValueError, TypeError), match=message):
        net(network=functools.partial(PairCNN, **settings)).fit(ids, Y)


def test_padding_does_not_change_the_prediction_of_the_pair_cnn():
    model = net(network=SMALL_PAIR_CNN).fit(PAIRS, Y)
    # Beside a longer pair, short texts are padded more.
    longer = np.concatenate([PAIRS, np.zeros((300, 2, 50), dtype=np.int32)], axis=2)
    longer[0] = 5

    with torch.inference_mode():
        found = [model.module_(torch.from_numpy(ids)).numpy() for ids in (PAIRS, longer)]
    np.testing.assert_allclose(found[0][1:], found[1][1:], rtol=1e-4, atol=1e-6)


def test_the_pair_cnn_tells_shared_words_that_it_never_saw():
    rng = np.random.default_rng(0)

    def pairs(first):
        """Draw texts of 40 tokens; every other pair has four in common."""
        drawn = rng.permuted(np.tile(np.arange(first, first + 40), (300, 1)), axis=1)
        sides = drawn[:, :24].reshape(300, 2, 12).astype(np.int32)
        sides[::2, 1, 3:7] = sides[::2, 0, :4]
        return sides, np.where(np.arange(300) % 2, "unrelated", "related")

    (seen, answers), (unseen, expected) = pairs(1), pairs(41)
    # The highest id, so that there is an embedding for every other.
    seen[1, 0, 0] = 80

    model = net(network=SMALL_PAIR_CNN, max_epochs=15).fit(seen, answers)

    assert (model.predict(unseen) == expected).mean() > 0.9


def test_a_batch_of_one_is_left_over_and_the_pair_cnn_trains():
    model = net(network=SMALL_PAIR_CNN, batch_size=32).fit(PAIRS[:33], Y[:33])

    assert model.n_epochs_ == 5


def test_ids_above_those_of_training_are_predicted_alike():
    model = net(network=SMALL_PAIR_CNN).fit(PAIRS, Y)
    strange = PAIRS[:20].copy()
    strange[..., 1] = PAIRS.max() + 1

    first = model.predict_proba(strange)

    strange[..., 1] = PAIRS.max() + 1000
    np.testing.assert_array_equal(model.predict_proba(strange), first)
    np.testing.assert_allclose(first.sum(1), 1)


def test_an_empty_text_has_a_prediction():
    model = net(network=SMALL_PAIR_CNN).fit(PAIRS, Y)

    given = model.predict_proba(np.zeros_like(PAIRS[:1]))

    assert given.sum() == pytest.approx(1)


def test_the_same_seed_gives_the_same_bytes(tmp_path):
    for name in ("first", "second"):
        # Whatever drew from torch's generator before.
        torch.rand(len(name))
        (tmp_path / name).mkdir()
        net(network=SMALL_PAIR_CNN, max_epochs=2).fit(PAIRS, Y).save(tmp_path / name)

    first, second = (
        {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()}
        for name in ("first", "second")
    )
    assert first == second
    assert len(first) == 2


def test_a_prediction_does_not_depend_on_the_other_examples():
    model = net(network=SMALL_PAIR_CNN).fit(PAIRS, Y)
    # More than the 1,024 that are predicted at once.
    many = np.concatenate([PAIRS] * 5)
    order = np.random.default_rng(1).permutation(len(many))

    together = model.predict_proba(many)

    np.testing.assert_allclose(model.predict_proba(many[order]), together[order], rtol=1e-5)
    alone = np.concatenate([model.predict_proba(PAIRS[i : i + 1]) for i in range(20)])
    np.testing.assert_allclose(alone, together[:20], rtol=1e-5)


def test_a_loaded_network_predicts_the_same(tmp_path):
    model = net(network=SMALL_PAIR_CNN).fit(PAIRS, Y)
    model.save(tmp_path)

    np.testing.assert_array_equal(
        NeuralNet.load(tmp_path).predict_proba(PAIRS), model.predict_proba(PAIRS)
    )
