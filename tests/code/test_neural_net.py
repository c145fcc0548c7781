"""Networks as scikit-learn classifiers: what they claim, and that a seed decides all of it."""

import functools
import json
import pickle
import re
import tracemalloc

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from sklearn.base import clone
from sklearn.metrics import log_loss
from sklearn.utils.estimator_checks import parametrize_with_checks

from pipeline.errors import UserError
from pipeline.models.networks.sequences import SequenceCNN, SequenceGRU
from pipeline.models.networks.tables import MLP
from pipeline.models.networks.texts import TextCNN, TextGRU, draw_crops, measure
from pipeline.models.neural_net import NeuralNet, _device

RNG = np.random.default_rng(0)
X = RNG.normal(size=(300, 4)).astype(np.float32)
# A few wrong labels, so that the network overfits soon.
Y = np.array(["essay", "novel", "poetry"])[
    np.digitize(X[:, 0] + RNG.normal(scale=0.7, size=300), [-0.5, 0.5])
]
TRAIN, VALIDATION = (X[:100], Y[:100]), (X[100:200], Y[100:200])
# Texts of 1 to 12 tokens, with padding behind.
IDS = RNG.integers(1, 30, (300, 12)).astype(np.int32)
IDS[np.arange(12) >= RNG.integers(1, 13, (300, 1))] = 0
READINGS = RNG.normal(size=(300, 12, 2)).astype(np.float32)
SMALL_MLP = functools.partial(MLP, hidden=[32], dropout=0.2)
# A crop is shorter than most texts.
SMALL_CNN = functools.partial(TextCNN, embedding=8, filters=4, crop=5)
SMALL_TEXT_GRU = functools.partial(TextGRU, embedding=8, stride=3, filters=4, units=8, crop=5)
SMALL_SEQUENCE_CNN = functools.partial(SequenceCNN, filters=4, widths=[3, 2])
SMALL_GRU = functools.partial(SequenceGRU, stride=3, filters=4, units=8)
EACH_NETWORK = pytest.mark.parametrize(
    ("network", "X"),
    [
        (SMALL_MLP, X),
        (SMALL_CNN, IDS),
        (SMALL_TEXT_GRU, IDS),
        (SMALL_GRU, READINGS),
        (SMALL_SEQUENCE_CNN, READINGS),
    ],
    ids=["mlp", "text_cnn", "text_gru", "gru", "cnn"],
)
EACH_TEXT_NETWORK = pytest.mark.parametrize(
    "network", [SMALL_CNN, SMALL_TEXT_GRU], ids=["cnn", "gru"]
)


def net(**options):
    settings = {
        "network": SMALL_MLP,
        "lr": 0.02,
        "max_epochs": 5,
        "device": "cpu",
        "random_state": 0,
    }
    return NeuralNet(**settings | options)


def weights(model):
    return {name: value.numpy() for name, value in model.module_.state_dict().items()}


@pytest.fixture
def reported():
    """Note what is reported."""
    return []


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Compute in one thread: threads cost more than they bring to networks this small."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@parametrize_with_checks(
    [NeuralNet(SMALL_MLP, max_epochs=12, lr=0.02, device="cpu", random_state=0)],
    expected_failed_checks=lambda estimator: {
        "check_methods_subset_invariance": (
            "matrix products of 32 bits round otherwise in a batch of another size"
        ),
    },
    # It depends on the processor.
    xfail_strict=False,
)
def test_it_is_a_scikit_learn_classifier(estimator, check):
    check(estimator)


def test_the_best_weights_are_restored(reported):
    model = net(max_epochs=200, patience=5).fit(*TRAIN, VALIDATION, lambda *e: reported.append(e))

    losses = [point["validation/log_loss"] for _, point in reported]
    # Otherwise this would not show that anything was restored.
    assert losses[-1] > min(losses)
    found = log_loss(VALIDATION[1], model.predict_proba(VALIDATION[0]))
    assert found == pytest.approx(min(losses), rel=1e-5)


def test_it_stops_when_validation_has_not_been_better_for_patience_epochs(reported):
    model = net(max_epochs=200, patience=5).fit(*TRAIN, VALIDATION, lambda *e: reported.append(e))

    losses = [point["validation/log_loss"] for _, point in reported]
    assert model.n_epochs_ == len(losses) == np.argmin(losses) + 1 + 5


def test_the_smallest_step_forward_is_one(reported):
    # So small a learning rate that no epoch lowers the loss by as much as a part in 10,000.
    model = net(lr=1e-6, max_epochs=8, patience=3, network=functools.partial(MLP, dropout=0.0))
    model.fit(*TRAIN, VALIDATION, lambda *e: reported.append(e))

    losses = [point["validation/log_loss"] for _, point in reported]
    assert losses == sorted(losses, reverse=True)
    assert model.n_epochs_ == 8


def test_without_validation_all_epochs_are_run_and_reported(reported):
    model = net(max_epochs=7, patience=1).fit(*TRAIN, report=lambda *e: reported.append(e))

    assert model.n_epochs_ == 7
    assert [epoch for epoch, _ in reported] == [1, 2, 3, 4, 5, 6, 7]
    assert {frozenset(point) for _, point in reported} == {frozenset({"train/log_loss"})}


@pytest.mark.parametrize("raised", [KeyboardInterrupt, SystemExit, ValueError])
def test_an_interrupted_fit_is_no_fit(raised):
    def interrupt(epoch, losses):
        if epoch == 2:
            raise raised

    with pytest.raises(raised):
        net().fit(*TRAIN, VALIDATION, interrupt)


@EACH_NETWORK
def test_the_same_seed_gives_the_same_bytes(network, X, tmp_path):
    for name in ("first", "second"):
        # Whatever drew from torch's generator before.
        torch.rand(len(name))
        (tmp_path / name).mkdir()
        net(network=network, max_epochs=2).fit(X, Y).save(tmp_path / name)

    first, second = (
        {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()}
        for name in ("first", "second")
    )
    assert first == second
    assert len(first) == 2


def test_another_seed_gives_other_weights():
    one, other = (weights(net(random_state=seed).fit(*TRAIN)) for seed in (0, 1))

    assert all((one[name] != other[name]).any() for name in one)


def test_global_random_states_are_left_alone():
    for_torch, for_numpy = torch.get_rng_state(), np.random.get_state()  # noqa: NPY002

    model = net(network=SMALL_CNN, max_epochs=2).fit(IDS, Y, (IDS, Y))
    model.predict_proba(IDS)

    assert torch.equal(torch.get_rng_state(), for_torch)
    assert np.array_equal(np.random.get_state()[1], for_numpy[1])  # noqa: NPY002


def test_convolutions_are_repeatable_in_a_fit_and_as_before_it_afterwards():
    seen = []

    model = net(max_epochs=2).fit(
        *TRAIN, report=lambda *e: seen.append(torch.backends.cudnn.deterministic)
    )
    model.predict_proba(X)

    assert seen == [True, True]
    assert not torch.backends.cudnn.deterministic


@pytest.mark.parametrize("there", [True, False])
def test_auto_is_the_accelerator_where_there_is_one(there, monkeypatch):
    # "meta" stands for an accelerator: a device without memory, which every machine has.
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: there)
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda: torch.device("meta"))

    assert _device("auto").type == ("meta" if there else "cpu")


@EACH_NETWORK
def test_a_prediction_does_not_depend_on_the_other_examples(network, X):
    model = net(network=network).fit(X, Y)
    # More than the 1,024 that are predicted at once.
    many = np.concatenate([X] * 5)
    order = np.random.default_rng(1).permutation(len(many))

    together = model.predict_proba(many)

    np.testing.assert_allclose(model.predict_proba(many[order]), together[order], rtol=1e-5)
    alone = np.concatenate([model.predict_proba(X[i : i + 1]) for i in range(20)])
    np.testing.assert_allclose(alone, together[:20], rtol=1e-5)


@EACH_TEXT_NETWORK
@pytest.mark.parametrize("length", [1, 2, 3, 7, 12])
def test_padding_does_not_change_the_prediction_of_a_text(network, length):
    model = net(network=network).fit(IDS, Y)
    text = np.arange(1, length + 1, dtype=np.int32)[np.newaxis]

    padded = np.concatenate([text, np.zeros((1, 50), dtype=np.int32)], axis=1)

    # Asked of the network, because the classifier holds texts to one length.
    with torch.inference_mode():
        found = [model.module_(torch.from_numpy(ids)).numpy() for ids in (text, padded)]
    np.testing.assert_allclose(found[0], found[1], rtol=1e-4, atol=1e-6)


@EACH_TEXT_NETWORK
def test_an_id_above_those_of_training_is_hidden_from_a_network_for_texts(network):
    model = net(network=network).fit(IDS, Y)
    strange, hidden = IDS[:20].copy(), IDS[:20].copy()
    strange[:, 3], hidden[:, 3] = 1000, 0

    np.testing.assert_allclose(model.predict_proba(strange), model.predict_proba(hidden), rtol=1e-5)


@pytest.mark.parametrize(
    "network",
    [functools.partial(TextCNN, filters=16), functools.partial(TextGRU, stride=2)],
    ids=["cnn", "gru"],
)
def test_a_network_for_texts_learns_a_word(network):
    # A text with one of three tokens is poetry, about a third of them; any other a novel.
    texts = np.random.default_rng(2).integers(1, 30, (300, 4)).astype(np.int32)
    labels = np.where(np.isin(texts, [7, 8, 9]).any(1), "poetry", "novel")
    sure = functools.partial(network, dropout=0.0, token_dropout=0.0)

    model = net(network=sure, max_epochs=25).fit(texts[:200], labels[:200])

    assert (model.predict(texts[200:]) == labels[200:]).mean() > 0.9


@EACH_TEXT_NETWORK
def test_a_prediction_reads_all_of_a_text_that_is_longer_than_a_crop(network):
    model = net(network=network).fit(IDS, Y)
    texts = np.tile(np.arange(1, 13, dtype=np.int32), (12, 1))
    # Each differs from the first in one place.
    texts[np.arange(1, 12), np.arange(1, 12)] = 29

    found = model.predict_proba(texts)

    assert (np.abs(found[1:] - found[0]).max(1) > 1e-6).all()


def test_a_crop_is_any_part_of_a_text_and_all_of_a_short_one():
    ids = torch.tensor([[1, 2, 3, 4, 5, 6], [7, 8, 9, 10, 0, 0], [11, 12, 0, 0, 0, 0]])
    lengths = torch.tensor([6, 4, 2])

    with torch.random.fork_rng():
        drawn = [draw_crops(ids, lengths, 3) for _ in range(200)]

    of_each = [{tuple(crops[text].tolist()) for crops, _ in drawn} for text in range(3)]
    assert of_each == [
        {(1, 2, 3), (2, 3, 4), (3, 4, 5), (4, 5, 6)},
        {(7, 8, 9), (8, 9, 10)},
        {(11, 12, 0)},
    ]
    assert {tuple(found.tolist()) for _, found in drawn} == {(3, 3, 2)}
    assert draw_crops(ids, lengths, 6)[0] is ids


def test_length_and_variety_of_texts_by_hand():
    ids = torch.tensor([[4, 4, 5, 4], [3, 2, 0, 0], [0, 0, 0, 0]])

    expected = [[np.log(4), 2 / np.sqrt(4)], [np.log(2), 2 / np.sqrt(2)], [0, 0]]
    np.testing.assert_allclose(measure(ids), expected, rtol=1e-6)


@pytest.mark.parametrize("length", [1, 2, 10, 11])
def test_the_gru_takes_what_its_first_summary_lacks_for_the_first_reading(length):
    model = net(network=SMALL_GRU).fit(READINGS, Y)
    short = READINGS[:20, -length:]
    lacking = np.repeat(short[:, :1], -length % 3, axis=1)
    whole = np.concatenate([lacking, short], axis=1)

    # Asked of the network, because the classifier holds sequences to one length.
    with torch.inference_mode():
        found = [model.module_(torch.from_numpy(part)).numpy() for part in (short, whole)]
    assert whole.shape[1] % 3 == 0
    np.testing.assert_allclose(found[0], found[1], rtol=1e-5, atol=1e-6)


def test_the_gru_answers_by_the_last_reading_too():
    # The last of 11 readings is in the last summary, not cut off as what is left over.
    model = net(network=SMALL_GRU).fit(READINGS[:, :11], Y)
    other = READINGS[:, :11].copy()
    other[:, -1] += 3

    changed = np.abs(model.predict_proba(other) - model.predict_proba(READINGS[:, :11]))

    # Where all filters are off before and after, nothing changes.
    assert (changed.max(1) > 0).mean() > 0.9


@pytest.mark.parametrize(
    "network",
    [
        functools.partial(SequenceGRU, stride=3, dropout=0.0),
        functools.partial(SequenceCNN, dropout=0.0),
    ],
    ids=["gru", "cnn"],
)
def test_a_network_for_sequences_learns_a_trend(network):
    rising = np.random.default_rng(0).integers(0, 2, 300)
    trend = np.linspace(0, 3, 12) * rising[:, np.newaxis]
    sequences = READINGS.copy()
    sequences[:, :, 0] += trend - trend.mean(1, keepdims=True)
    labels = np.where(rising, "fails", "runs")

    model = net(network=network, max_epochs=15)
    model.fit(sequences[:200], labels[:200])

    assert (model.predict(sequences[200:]) == labels[200:]).mean() > 0.75


def test_a_response_of_the_cnn_depends_on_no_later_reading():
    module = net(network=SMALL_SEQUENCE_CNN).fit(READINGS, Y).module_
    other = READINGS.copy()
    other[:, 8:] += 1

    with torch.inference_mode():
        found = [
            module.layers(torch.from_numpy(part).transpose(1, 2)).numpy()
            for part in (READINGS, other)
        ]

    assert found[0].shape == (300, 4, 12)
    np.testing.assert_array_equal(found[0][:, :, :8], found[1][:, :, :8])
    assert (found[0][:, :, 8:] != found[1][:, :, 8:]).any()


def test_the_cnn_takes_what_a_filter_lacks_in_front_for_the_first_reading():
    model = net(network=functools.partial(SequenceCNN, filters=4, widths=[3])).fit(READINGS, Y)
    constant = torch.from_numpy(np.repeat(READINGS[:20, :1], 12, axis=1))

    with torch.inference_mode():
        responses = model.module_.layers(constant.transpose(1, 2)).numpy()

    # A constant sequence has the same response everywhere, from its first reading on.
    np.testing.assert_allclose(responses, responses[:, :, -1:].repeat(12, 2), rtol=1e-5, atol=1e-6)


def test_labels_are_predicted_in_their_order():
    model = net(max_epochs=40).fit(*TRAIN)

    assert model.classes_.tolist() == ["essay", "novel", "poetry"]
    given = model.predict_proba(VALIDATION[0])
    assert (model.predict(VALIDATION[0]) == model.classes_[given.argmax(1)]).all()
    assert (model.predict(VALIDATION[0]) == VALIDATION[1]).mean() > 0.5


def test_clone_keeps_the_network_and_its_parameters():
    again = clone(net(lr=0.5))

    assert again.get_params()["lr"] == 0.5
    assert again.network.keywords == {"hidden": [32], "dropout": 0.2}


@pytest.fixture
def saved(tmp_path):
    """Save a fitted network, and give it with its folder."""
    model = net().fit(*TRAIN)
    model.save(tmp_path)
    return model, tmp_path


@pytest.mark.parametrize("network", [MLP, SMALL_MLP], ids=["class", "partial"])
def test_a_loaded_network_predicts_the_same(network, tmp_path):
    model = net(network=network).fit(*TRAIN)
    model.save(tmp_path)

    again = NeuralNet.load(tmp_path)

    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))
    assert again.predict(X).tolist() == model.predict(X).tolist()
    assert again.classes_.tolist() == model.classes_.tolist()
    assert again.n_epochs_ == model.n_epochs_
    assert {k: v for k, v in again.get_params().items() if k != "network"} == {
        k: v for k, v in model.get_params().items() if k != "network"
    }


@EACH_NETWORK
def test_a_loaded_network_of_each_kind_predicts_the_same(network, X, tmp_path):
    model = net(network=network).fit(X, Y)
    model.save(tmp_path)

    np.testing.assert_array_equal(NeuralNet.load(tmp_path).predict_proba(X), model.predict_proba(X))


def test_a_loaded_network_saves_the_same_weights_again(saved, tmp_path_factory):
    folder = tmp_path_factory.mktemp("again")

    NeuralNet.load(saved[1]).save(folder)

    again = NeuralNet.load(folder)
    np.testing.assert_array_equal(again.predict_proba(X), saved[0].predict_proba(X))


@pytest.mark.parametrize("name", ["network.safetensors", "network.json"])
def test_a_missing_file_is_reported_by_name(saved, name):
    path = saved[1] / name
    path.unlink()

    with pytest.raises(UserError, match=f"{re.escape(str(path))} does not exist"):
        NeuralNet.load(saved[1])


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: b"no weights at all",
        lambda content: content[:100],
        lambda content: content[:-50],
        lambda content: content + b"more",
        lambda content: (2**62).to_bytes(8, "little") + content[8:],
        lambda content: content.replace(b'"shape":[32,4]', b'"shape":[32,9]'),
        lambda content: pickle.dumps({"layers.0.weight": [1.0]}),
    ],
    ids=["empty", "text", "start", "cut", "longer", "huge header", "huge tensor", "pickle"],
)
def test_damaged_weights_are_reported_by_name(saved, damage):
    path = saved[1] / "network.safetensors"
    path.write_bytes(damage(path.read_bytes()))

    with pytest.raises(UserError, match=f"{re.escape(str(path))} is damaged"):
        NeuralNet.load(saved[1])


@pytest.mark.parametrize(
    "content", ["{", "{}", "[]", '{"network": {"class": "Nothing"}, "parameters": {}}']
)
def test_a_damaged_recipe_is_reported_by_name(saved, content):
    path = saved[1] / "network.json"
    path.write_text(content)

    with pytest.raises(UserError, match=f"{re.escape(str(path))} is damaged"):
        NeuralNet.load(saved[1])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda weights: {"other": torch.zeros(1)}, "is missing"),
        (lambda weights: weights | {"other": torch.zeros(1)}, "other is unknown"),
        (
            lambda weights: {name: value[..., :1].clone() for name, value in weights.items()},
            r"is \(32, 1\) float32, not \(32, 4\) float32",
        ),
        (
            lambda weights: {name: value.double() for name, value in weights.items()},
            r"is \(32, 4\) float64, not \(32, 4\) float32",
        ),
    ],
    ids=["names", "one more", "shapes", "types"],
)
def test_weights_of_another_network_are_reported(saved, change, reason):
    path = saved[1] / "network.safetensors"
    save_file(change(load_file(path)), path, {"values": "{}"})

    with pytest.raises(UserError, match=f"{re.escape(str(path))} is damaged .*{reason}"):
        NeuralNet.load(saved[1])


def test_a_file_of_another_program_is_refused(saved):
    path = saved[1] / "network.safetensors"
    save_file(load_file(path), path)

    with pytest.raises(UserError, match="it is not of this project"):
        NeuralNet.load(saved[1])


def test_a_pickle_in_the_place_of_the_weights_is_refused_and_not_run(saved):
    class Trap:
        def __reduce__(self):
            return (saved[1] / "sprung").mkdir, ()

    torch.save({"layers.0.weight": Trap()}, saved[1] / "network.safetensors")

    with pytest.raises(UserError, match="is damaged"):
        NeuralNet.load(saved[1])

    assert not (saved[1] / "sprung").exists()


def test_the_same_weights_are_the_same_bytes(saved, tmp_path):
    NeuralNet.load(saved[1]).save(tmp_path)

    name = "network.safetensors"
    assert (tmp_path / name).read_bytes() == (saved[1] / name).read_bytes()


class Tied(MLP):
    """A network with one matrix under two names, the second turned."""

    def __init__(self, **given):
        super().__init__(**given)
        self.register_buffer("again", next(self.parameters()).detach().T)


class Remembering(MLP):
    def get_extra_state(self):
        return {"a": "text"}


def test_weights_that_share_memory_are_saved(tmp_path):
    model = net(network=Tied).fit(X, Y)
    trusted = [f"{__name__}.Tied"]

    model.save(tmp_path, trusted)

    kept = load_file(tmp_path / "network.safetensors")
    first = next(model.module_.parameters()).detach()
    assert torch.equal(kept["again"], first.T)


def test_a_network_that_learns_other_than_tensors_cannot_be_saved(tmp_path):
    model = net(network=Remembering).fit(X, Y)

    with pytest.raises(UserError, match=r"network\.safetensors cannot hold all that was learned"):
        model.save(tmp_path, [f"{__name__}.Remembering"])


@pytest.mark.parametrize(
    "place",
    [
        "os.system",
        "models.trees.LightGBM",
        "models.networks.checks.check_lists",
        "models.nothing.MLP",
    ],
)
def test_a_recipe_names_nothing_but_networks_of_the_project(tmp_path, place):
    net().fit(X, Y).save(tmp_path)
    recipe = json.loads((tmp_path / "network.json").read_text())
    recipe["network"]["class"] = place
    (tmp_path / "network.json").write_text(json.dumps(recipe))

    with pytest.raises(UserError, match=r"network\.json is damaged"):
        NeuralNet.load(tmp_path)


def test_a_network_from_elsewhere_is_saved_and_loaded_only_if_it_is_trusted(tmp_path, monkeypatch):
    code = "from pipeline.models.networks.tables import MLP\n\nclass Own(MLP):\n    pass\n"
    (tmp_path / "elsewhere_networks.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    import elsewhere_networks

    name = "elsewhere_networks.Own"
    model = NeuralNet(elsewhere_networks.Own, max_epochs=1).fit(X, Y)

    with pytest.raises(UserError, match=rf"not trusted: {name}; .* trusted: \[{name}\]"):
        model.save(tmp_path)
    model.save(tmp_path, [name])
    with pytest.raises(UserError, match=rf"'{name}' is not among the project's networks, nor tr"):
        NeuralNet.load(tmp_path)
    again = NeuralNet.load(tmp_path, [name])
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))


def test_ids_above_those_of_training_are_predicted_alike():
    model = net(network=SMALL_CNN).fit(IDS, Y)
    strange = IDS[:20].copy()
    strange[..., 1] = IDS.max() + 1

    first = model.predict_proba(strange)

    strange[..., 1] = IDS.max() + 1000
    np.testing.assert_array_equal(model.predict_proba(strange), first)
    np.testing.assert_allclose(first.sum(1), 1)


def test_an_empty_text_has_a_prediction():
    model = net(network=SMALL_CNN).fit(IDS, Y)

    given = model.predict_proba(np.zeros_like(IDS[:1]))

    assert given.sum() == pytest.approx(1)


def test_a_file_that_is_mapped_is_read_batch_by_batch(tmp_path):
    """Neither checks nor training nor prediction copy it: images may be larger than memory."""
    np.save(tmp_path / "X.npy", np.ones((4000, 2000), dtype=np.float32))
    X = np.load(tmp_path / "X.npy", mmap_mode="c")
    y = np.resize(["novel", "poetry"], 4000)
    read = []

    class Watched(MLP):
        @staticmethod
        def dimensions(X):
            read.append(X.numpy())
            return MLP.dimensions(X)

    model = net(network=functools.partial(Watched, hidden=[4]), max_epochs=1)
    model.fit(X[:64], y[:64])  # the first fit imports more of torch
    tracemalloc.start()
    model.fit(X, y, validation=(X, y))
    model.predict_proba(X)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert np.shares_memory(read[1], X)
    assert most < X.nbytes / 10
