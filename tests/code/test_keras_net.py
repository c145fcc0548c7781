"""KerasNet: estimators of scikit-learn that are trained, saved and loaded by Keras."""

import json
import random
import sys
import textwrap
import zipfile
from functools import partial

import numpy as np
import pytest
import torch
from sklearn.datasets import make_classification
from sklearn.metrics import log_loss, mean_squared_error, r2_score

from pipeline.errors import UserError

pytest.importorskip("keras", reason="needs pip install -e '.[keras]'")
from pipeline.models.keras_net import KerasNet, KerasNetRegressor
from pipeline.models.keras_networks import dense, image_cnn, sequence_gru, text_cnn

pytestmark = [
    pytest.mark.extra("keras"),
    # Keras 3.15 with NumPy 2
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword"),
]

X, CODES = make_classification(240, 8, n_informative=5, class_sep=2, random_state=3)
X = X.astype(np.float32)
Y = np.array(["no", "yes"])[CODES]
RNG = np.random.default_rng(0)
# A text is "yes" if it holds the word 7.
IDS = RNG.integers(8, 40, (240, 12)).astype(np.int32)
IDS[CODES == 1, 3] = 7
# A sequence is "yes" if it rises.
RISING = np.where(CODES, 1, -1)[:, None, None] * np.linspace(0, 1, 12)[None, :, None]
SEQUENCES = (RISING + RNG.normal(0, 0.1, (240, 12, 2))).astype(np.float32)


# An image is "yes" if it is brighter on the left.
BRIGHTER = np.where(CODES[:, None], [160, 90], [90, 160]).repeat(8, axis=1)[:, None, :, None]
IMAGES = RNG.integers(-60, 60, (240, 12, 16, 3)) + BRIGHTER
IMAGES = IMAGES.astype(np.uint8)
SMALL = partial(dense, units=[16])
# Numbers far from 0, and of a scale of their own.
NUMBERS = 1000 + 40 * X[:, 0] - 20 * X[:, 1] ** 2


def net(build=SMALL, **parameters):
    return KerasNet(build, **{"max_epochs": 15, "random_state": 0, **parameters})


def regressor(build=SMALL, **parameters):
    return KerasNetRegressor(build, **{"max_epochs": 15, "random_state": 0, **parameters})


@pytest.mark.parametrize(
    ("build", "inputs"),
    [
        (SMALL, X),
        (partial(text_cnn, embedding=8, filters=8, lr=0.02), IDS),
        (partial(sequence_gru, stride=3, filters=8, units=8, lr=0.02), SEQUENCES),
        (partial(image_cnn, filters=[8, 8], dropout=0, lr=0.01), IMAGES),
    ],
    ids=["table", "texts", "sequences", "images"],
)
def test_each_architecture_learns_and_is_the_same_when_loaded(build, inputs, tmp_path):
    model = net(build).fit(inputs[:160], Y[:160])

    found = model.predict_proba(inputs[160:])

    assert (model.predict(inputs[160:]) == Y[160:]).mean() > 0.85
    np.testing.assert_allclose(found.sum(1), 1, atol=1e-6)
    model.save(tmp_path)
    again = KerasNet.load(tmp_path)
    assert again.classes_.tolist() == ["no", "yes"]
    np.testing.assert_array_equal(again.predict_proba(inputs[160:]), found)


def test_the_same_seed_gives_the_same_bytes_and_leaves_other_random_numbers_alone(tmp_path):
    random.seed(5), torch.manual_seed(5)
    before = random.getstate(), torch.get_rng_state()

    for name in ("one", "other", "third"):
        (tmp_path / name).mkdir()
        seed = 1 if name == "third" else 0
        net(max_epochs=2, random_state=seed).fit(X, Y).save(tmp_path / name)

    one, other, third = (
        {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()}
        for name in ("one", "other", "third")
    )
    assert one == other
    assert one["model.keras"] != third["model.keras"]
    assert random.getstate() == before[0]
    assert torch.equal(torch.get_rng_state(), before[1])


def test_the_curve_is_the_log_loss_and_training_stops_at_the_best_epoch():
    curve = []
    noise = RNG.choice(["no", "yes"], 80)

    model = net(max_epochs=60, patience=3).fit(
        X[:160], Y[:160], (X[160:], noise), lambda step, losses: curve.append((step, losses))
    )

    losses = [of["validation/log_loss"] for _, of in curve]
    assert [step for step, _ in curve] == list(range(1, len(curve) + 1))
    assert model.n_epochs_ == len(curve) == int(np.argmin(losses)) + 1 + 3
    # The weights are those of the best epoch.
    found = log_loss(noise, model.predict_proba(X[160:]), labels=["no", "yes"])
    assert found == pytest.approx(min(losses), rel=1e-5)


@pytest.mark.parametrize(
    ("build", "inputs"), [(dense, IMAGES), (text_cnn, X), (sequence_gru, X), (image_cnn, IDS)]
)
def test_an_architecture_for_another_view_says_what_it_reads(build, inputs):
    with pytest.raises(ValueError, match=rf"{build.__name__} reads .* this view has . axes of"):
        net(build).fit(inputs, Y)


def test_ids_that_training_did_not_have_are_padding(tmp_path):
    model = net(partial(text_cnn, embedding=8, filters=8), max_epochs=1).fit(IDS, Y)
    strange, padded = IDS[:4].copy(), IDS[:4].copy()
    strange[:, 0], padded[:, 0] = 5000, 0

    np.testing.assert_array_equal(model.predict_proba(strange), model.predict_proba(padded))


def test_a_layer_of_ones_own_is_loaded_only_if_it_is_trusted(tmp_path, monkeypatch):
    code = """
        import keras

        @keras.saving.register_keras_serializable("elsewhere")
        class Twice(keras.layers.Layer):
            def call(self, inputs):
                return 2 * inputs

        def build(X, n_outputs):
            inputs = keras.Input(X.shape[1:])
            outputs = keras.layers.Dense(n_outputs, activation="softmax")(Twice()(inputs))
            model = keras.Model(inputs, outputs)
            model.compile("sgd", "sparse_categorical_crossentropy")
            return model
    """
    (tmp_path / "elsewhere_layers.py").write_text(textwrap.dedent(code))
    monkeypatch.syspath_prepend(tmp_path)
    import elsewhere_layers
    import keras

    model = net(elsewhere_layers.build, max_epochs=1).fit(X, Y)
    expected = model.predict_proba(X)
    with pytest.raises(UserError, match=r"says so: trusted: \[elsewhere_layers\.Twice\]"):
        model.save(tmp_path)
    model.save(tmp_path, ["elsewhere_layers.Twice"])
    # A process that has not imported the layer.
    keras.saving.get_custom_objects().clear()
    del sys.modules["elsewhere_layers"]

    with pytest.raises(UserError, match=r"model\.keras holds layers that are not trusted: Twice"):
        KerasNet.load(tmp_path)
    again = KerasNet.load(tmp_path, ["elsewhere_layers.Twice"])
    np.testing.assert_array_equal(again.predict_proba(X), expected)


def test_code_in_a_file_is_refused(tmp_path):
    import keras

    def build(X, n_outputs):
        inputs = keras.Input(X.shape[1:])
        twice = keras.layers.Lambda(lambda values: 2 * values)(inputs)
        model = keras.Model(inputs, keras.layers.Dense(n_outputs, activation="softmax")(twice))
        model.compile("sgd", "sparse_categorical_crossentropy")
        return model

    net(build, max_epochs=1).fit(X, Y).save(tmp_path)

    with pytest.raises(UserError, match=r"model\.keras is damaged"):
        KerasNet.load(tmp_path)


@pytest.mark.parametrize("damage", ["cut", "weights", "recipe"])
def test_a_damaged_file_is_named(tmp_path, damage):
    net(max_epochs=1).fit(X, Y).save(tmp_path)
    file = tmp_path / "model.keras"
    content = file.read_bytes()
    if damage == "cut":
        file.write_bytes(content[: len(content) // 2])
    elif damage == "weights":
        with zipfile.ZipFile(file) as archive:
            parts = {name: archive.read(name) for name in archive.namelist()}
        with zipfile.ZipFile(file, "w") as archive:
            for name, part in parts.items():
                archive.writestr(name, part[:200] if name == "model.weights.h5" else part)
    else:
        (tmp_path / "keras.json").write_text(json.dumps({"classes": ["no", "yes"]}))

    with pytest.raises(UserError, match="is damaged"):
        KerasNet.load(tmp_path)


def test_a_model_without_probabilities_is_told():
    def logits(X, n_outputs):
        import keras

        inputs = keras.Input(X.shape[1:])
        model = keras.Model(inputs, keras.layers.Dense(n_outputs)(inputs))
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile("sgd", loss)
        return model

    with pytest.raises(ValueError, match="y_prob"):
        net(logits, max_epochs=1).fit(X, Y, (X, Y))


@pytest.mark.parametrize(
    ("build", "inputs"),
    [
        (partial(dense, units=[32], dropout=0, lr=0.02), X),
        (partial(text_cnn, embedding=8, filters=8, lr=0.02), IDS),
        (partial(sequence_gru, stride=3, filters=8, units=8, lr=0.02), SEQUENCES),
        (partial(image_cnn, filters=[8, 8], dropout=0, lr=0.01), IMAGES),
    ],
    ids=["table", "texts", "sequences", "images"],
)
def test_each_architecture_learns_numbers_and_is_the_same_when_loaded(build, inputs, tmp_path):
    # Tables tell of numbers, other inputs of two levels.
    numbers = NUMBERS if inputs is X else 1000 + 50.0 * CODES
    model = regressor(build, max_epochs=40).fit(inputs[:160], numbers[:160])

    found = model.predict(inputs[160:])

    assert found.shape == (80,)
    assert r2_score(numbers[160:], found) > 0.6
    model.save(tmp_path)
    again = KerasNetRegressor.load(tmp_path)
    assert isinstance(again, KerasNetRegressor)
    np.testing.assert_array_equal(again.predict(inputs[160:]), found)


def test_the_unit_of_numbers_does_not_matter():
    one = regressor().fit(X, NUMBERS)
    other = regressor().fit(X, NUMBERS * 1e6 - 7e9)

    np.testing.assert_allclose(other.predict(X), one.predict(X) * 1e6 - 7e9, rtol=1e-3)


@pytest.mark.parametrize("objective", ["squared_error", "huber"])
def test_the_curve_is_the_squared_error_whatever_is_minimised(objective):
    curve = []
    noise = RNG.normal(1000, 40, 80)

    model = regressor(max_epochs=60, patience=3, objective=objective).fit(
        X[:160], NUMBERS[:160], (X[160:], noise), lambda step, losses: curve.append(losses)
    )

    losses = [of["validation/squared_error"] for of in curve]
    assert set(curve[0]) == {"train/squared_error", "validation/squared_error"}
    assert model.n_epochs_ == len(curve) == int(np.argmin(losses)) + 1 + 3
    found = mean_squared_error(noise, model.predict(X[160:]))
    assert found == pytest.approx(min(losses), rel=1e-4)
    # In the unit of the target: at first about its variance.
    assert 0.3 < curve[0]["train/squared_error"] / NUMBERS[:160].var() < 3


def test_huber_heeds_outliers_less_than_the_squared_error():
    """Without inputs that tell anything, the best number is the mean, or nearer to the median."""
    nothing = np.zeros((300, 1), np.float32)
    numbers = np.where(np.arange(300) % 10 == 0, 100.0, 0.0)
    build = partial(dense, units=[], dropout=0, lr=0.05)
    settings = {"max_epochs": 60, "batch_size": 300}

    squared = regressor(build, **settings).fit(nothing, numbers).predict(nothing)[0]
    huber = regressor(build, **settings, objective="huber").fit(nothing, numbers)

    assert squared == pytest.approx(10, abs=0.5)
    # With a share p of outliers beyond one standard deviation s it is p / (1 - p) of s.
    assert huber.predict(nothing)[0] == pytest.approx(1 / 9 * numbers.std(), abs=0.5)


def test_an_objective_that_is_none_is_named():
    with pytest.raises(ValueError, match=r"objective is unknown: 'hubber'.*huber"):
        regressor(objective="hubber").fit(X, NUMBERS)
