"""From raw input to answer: the path of evaluation and of serving."""

import re

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from pipeline import bundle, predictor, storage
from pipeline.errors import ModelError, UserError
from pipeline.features.inputs import Form
from pipeline.features.text import TokenIds, WordCount
from pipeline.models.baseline import WordCountRule
from pipeline.models.networks.texts import TextCNN
from pipeline.models.neural_net import NeuralNet
from pipeline.predictor import Predictor
from pipeline.problems import problem

RNG = np.random.default_rng(0)
PATIENTS = pd.DataFrame(RNG.normal(5, 3, size=(40, 2)), columns=["radius", "texture"])
DIAGNOSES = np.where(PATIENTS["radius"] > 5, "malignant", "benign")
TEXT = {"text": "string"}
TEXTS = pd.DataFrame({"text": ["the wind", "word " * 200, "word " * 2000]})
KINDS = np.array(["poetry", "essay", "novel"])


def make_predictor(featurizer, estimator, classes, inputs=TEXT):
    kind = problem("classification").on({"classes": classes, "columns": []})
    return Predictor(featurizer, estimator, inputs, False, {}, kind, {})


@pytest.fixture
def patients():
    """Fit a model as train does, on numbers of 32 bits."""
    scaler = StandardScaler().fit(PATIENTS)
    X = scaler.transform(PATIENTS).astype(np.float32)
    model, inputs = LogisticRegression().fit(X, DIAGNOSES), dict.fromkeys(PATIENTS, "double")
    return make_predictor(scaler, model, ["benign", "malignant"], inputs)


@pytest.fixture
def rule():
    counter = WordCount().fit(TEXTS)
    rule = WordCountRule().fit(counter.transform(TEXTS), KINDS)
    return make_predictor(counter, rule, sorted(map(str, KINDS)))


def network():
    ids = TokenIds(max_length=5, min_texts=1).fit(TEXTS)
    model = NeuralNet(TextCNN, max_epochs=2, device="cpu", random_state=0)
    return make_predictor(ids, model.fit(ids.transform(TEXTS), KINDS), sorted(map(str, KINDS)))


def save(made, folder):
    known = {
        "kind": "classification",
        "task": "some",
        "model": "some",
        "family": "classical",
        "view": "raw",
        "data": {},
        "settings": {},
        "curve": [],
        "inputs": made.inputs,
        "may_miss": made.may_miss,
        "forms": {name: form.settings() for name, form in made.forms.items()},
        "example": [],
        "target": made.problem.target,
        "outputs": {},
        "decision": made.decision,
        "scores": {},
        "rounds": [],
    }
    folder.mkdir()
    storage.dump(made.featurizer, folder.with_name("featurizer.skops"))
    bundle.write(folder, known, made.estimator, folder.with_name("featurizer.skops"), [])


def test_inputs_and_classes_are_those_of_training(patients):
    assert patients.inputs == {"radius": "double", "texture": "double"}
    assert patients.problem.classes == ["benign", "malignant"]


def test_probabilities_are_the_models_on_numbers_of_32_bits(patients):
    z = (PATIENTS - PATIENTS.mean()) / PATIENTS.std(ddof=0)

    found = patients.outputs(PATIENTS)

    logit = z.to_numpy() @ patients.estimator.coef_[0] + patients.estimator.intercept_[0]
    np.testing.assert_allclose(found[:, 1], 1 / (1 + np.exp(-logit)), rtol=1e-4)
    np.testing.assert_allclose(found.sum(1), 1)


def test_order_and_number_of_the_columns_do_not_matter(patients):
    other = PATIENTS.assign(name="x")[["name", "texture", "radius"]]

    np.testing.assert_array_equal(patients.outputs(other), patients.outputs(PATIENTS))


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (["radius"], "the input lacks the column ['texture']"),
        ([], "the input lacks the columns ['radius', 'texture']"),
    ],
)
def test_a_missing_column_is_reported_by_name(patients, columns, message):
    with pytest.raises(UserError, match=f"^{re.escape(message)}$"):
        patients.outputs(PATIENTS[columns])


@pytest.mark.parametrize("served", [PATIENTS.round(), PATIENTS.round().astype(str)])
def test_numbers_are_answered_whatever_type_they_come_in(patients, served):
    whole = served.astype(float).astype(int) if served["radius"].dtype == float else served

    expected = patients.outputs(PATIENTS.round())

    np.testing.assert_array_equal(patients.outputs(whole), expected)


def test_a_table_without_rows_has_an_empty_answer(patients):
    found = patients.predict(PATIENTS.head(0))

    assert found.shape == (0, 3)
    assert list(found) == ["label", "probability_benign", "probability_malignant"]


def test_an_answer_is_a_label_and_a_probability_a_class(rule):
    found = rule.predict(TEXTS)

    assert found.to_dict("list") == {
        "label": ["poetry", "essay", "novel"],
        "probability_essay": [0, 1, 0],
        "probability_novel": [0, 0, 1],
        "probability_poetry": [1, 0, 0],
    }


def test_the_label_is_the_most_probable_class(patients):
    found = patients.predict(PATIENTS)

    likelier = found["probability_malignant"] > found["probability_benign"]
    assert found["label"].tolist() == np.where(likelier, "malignant", "benign").tolist()
    assert (found["label"] == DIAGNOSES).mean() > 0.8


@pytest.mark.parametrize("threshold", [0.2, 0.9])
def test_the_label_is_the_positive_class_from_its_threshold_on(patients, tmp_path, threshold):
    decision = {"positive": "malignant", "threshold": threshold}
    save(patients._replace(decision=decision), tmp_path / "it")

    found = predictor.load(tmp_path / "it").predict(PATIENTS)

    alarm = found["probability_malignant"] >= threshold
    assert 0 < alarm.sum() < len(alarm)
    assert found["label"].tolist() == np.where(alarm, "malignant", "benign").tolist()


def test_what_is_no_probability_is_refused_and_not_answered(patients):
    patients.estimator.coef_[0, 0] = np.nan

    with pytest.raises(ModelError, match="are not finite"):
        patients.predict(PATIENTS)


def test_one_row_is_answered_as_among_others(patients):
    one = patients.predict(PATIENTS.iloc[[7]])

    assert one.iloc[0].tolist() == pytest.approx(patients.predict(PATIENTS).iloc[7].tolist())


def test_a_saved_classifier_is_loaded_with_its_featurizer(patients, tmp_path):
    save(patients, tmp_path / "it")

    found = predictor.load(tmp_path / "it")

    assert {path.name for path in (tmp_path / "it").iterdir()} == {
        "estimator.skops",
        "featurizer.skops",
        "bundle.json",
    }
    pd.testing.assert_frame_equal(found.predict(PATIENTS), patients.predict(PATIENTS))


def test_a_saved_network_is_loaded_with_its_featurizer(tmp_path):
    made = network()
    save(made, tmp_path / "it")

    found = predictor.load(tmp_path / "it")

    assert {path.name for path in (tmp_path / "it").iterdir()} == {
        "network.json",
        "network.safetensors",
        "featurizer.skops",
        "bundle.json",
    }
    pd.testing.assert_frame_equal(found.predict(TEXTS), made.predict(TEXTS))


@pytest.mark.parametrize("name", ["estimator.skops", "featurizer.skops", "bundle.json"])
def test_a_missing_file_is_reported_by_name(rule, tmp_path, name):
    save(rule, tmp_path / "it")
    (tmp_path / "it" / name).unlink()

    with pytest.raises(UserError, match=f"{re.escape(str(tmp_path / 'it' / name))} does not exist"):
        predictor.load(tmp_path / "it")


def test_texts_are_read_in_the_form_that_they_had_in_training(patients, tmp_path):
    form = Form(decimal=",", thousands=".", unit="mm", missing=("?",))
    save(patients._replace(forms={"radius": form}), tmp_path / "it")
    texts = [f"{radius:.6f} mm".replace(".", ",") for radius in PATIENTS["radius"]]

    found = predictor.load(tmp_path / "it").outputs(PATIENTS.assign(radius=texts))

    np.testing.assert_allclose(found, patients.outputs(PATIENTS.round({"radius": 6})), rtol=1e-5)
