"""A trained model on disk: one manifest, which says what is there and refuses what is not so."""

import json
import re
import shutil
from importlib.metadata import version

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from pipeline import bundle, predictor, storage
from pipeline.errors import ModelError, UserError
from pipeline.models.neural_net import NeuralNet
from pipeline.models.trees import LightGBM

RNG = np.random.default_rng(0)
PATIENTS = pd.DataFrame(RNG.normal(5, 3, size=(40, 2)), columns=["radius", "texture"])
DIAGNOSES = np.where(PATIENTS["radius"] > 5, "malignant", "benign")
KNOWN = {
    "kind": "classification",
    "task": "tumours",
    "model": "some",
    "family": "classical",
    "view": "engineered",
    "data": {"digest": "0.dir", "origin": []},
    "settings": {"seed": 0},
    "curve": [],
    "inputs": {"radius": "double", "texture": "double"},
    "may_miss": False,
    "forms": {},
    "example": PATIENTS.head(2).to_dict("records"),
    "target": {"classes": ["benign", "malignant"], "columns": []},
    "outputs": {"label": "string"},
    "decision": {},
    "scores": {"accuracy": 0.5},
    "rounds": [],
}


def write(folder, estimator=None, trusted=(), **changes):
    """Write a model as train does."""
    scaler = StandardScaler().fit(PATIENTS)
    X = scaler.transform(PATIENTS).astype(np.float32)
    folder.mkdir()
    storage.dump(scaler, folder.parent / "featurizer.skops")
    fitted = (estimator or LogisticRegression()).fit(X, DIAGNOSES)
    featurizer = folder.parent / "featurizer.skops"
    return bundle.write(folder, KNOWN | changes, fitted, featurizer, list(trusted))


@pytest.fixture
def model(tmp_path):
    write(tmp_path / "model")
    return tmp_path / "model"


def edit(folder, **changes):
    path = folder / bundle.MANIFEST
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize(
    ("estimator", "form", "files", "distributions"),
    [
        (LogisticRegression(), "skops", ["estimator.skops"], set()),
        (
            LightGBM(n_estimators=2, verbose=-1),
            "lightgbm",
            ["booster.txt", "estimator.skops"],
            {"lightgbm"},
        ),
        (
            NeuralNet(max_epochs=1, device="cpu"),
            "network",
            ["network.json", "network.safetensors"],
            {"safetensors", "torch"},
        ),
    ],
    ids=["sklearn", "lightgbm", "network"],
)
def test_the_manifest_names_format_files_and_what_is_really_needed(
    tmp_path, estimator, form, files, distributions
):
    manifest = write(tmp_path / "model", estimator)

    assert bundle.read(tmp_path / "model") == manifest
    assert manifest["format"] == 1
    assert manifest["estimator"]["format"] == form
    assert sorted(manifest["files"]) == sorted([*files, "featurizer.skops"])
    always = {"mlflow", "numpy", "pandas", "scikit-learn", "skops"}
    assert manifest["requirements"] == sorted(
        f"{name}=={version(name)}" for name in always | distributions
    )


@pytest.mark.parametrize("place", ["../other", "rounds/../../other", "/etc", 3, None])
def test_a_round_is_in_no_other_folder(model, place):
    edit(model, rounds=[{"round": "0", "folder": place, "digest": ""}])

    with pytest.raises(UserError, match=r"bundle\.json is damaged \(a round of it is"):
        bundle.read(model)


def test_what_fits_said_about_validation_is_read_again_and_nothing_else(model):
    fits = {("0", 3): RNG.random((5, 2)), ("repeat_1", 0): RNG.random((4, 2, 3))}
    rounds = [{"round": name, "seed": seed} for name, seed in fits]
    hashed = bundle.write_validation(model, fits)
    manifest = {"rounds": rounds, "validation": hashed}

    found = bundle.read_validation(model, manifest)

    assert list(found) == list(fits)
    for fit, outputs in fits.items():
        np.testing.assert_array_equal(found[fit], outputs)
    file = model / "rounds/validation.npz"
    assert bundle.size(model) == sum(f.stat().st_size for f in model.iterdir() if f.is_file())
    file.write_bytes(file.read_bytes() + b" ")
    with pytest.raises(UserError, match=r"validation\.npz is damaged \(it is not the file"):
        bundle.read_validation(model, manifest)
    file.unlink()
    with pytest.raises(UserError, match=r"validation\.npz does not exist"):
        bundle.read_validation(model, manifest)


def test_the_same_training_gives_the_same_bytes_anywhere(tmp_path):
    for place in ("here", "there"):
        (tmp_path / place).mkdir()
        write(tmp_path / place / "model")

    here, there = (tmp_path / place / "model" for place in ("here", "there"))
    assert {p.name: p.read_bytes() for p in here.iterdir()} == {
        p.name: p.read_bytes() for p in there.iterdir()
    }
    assert bundle.digest(here) == bundle.digest(there)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": 2}, "its format is 2, not 1"),
        ({"target": None}, "target is None"),
        ({"kind": "clasification"}, "did you mean 'classification'?"),
        ({"model": 3}, "model is 3"),
        ({"decision": {"positive": 7, "threshold": 0.5}}, "is no class with its threshold"),
        ({"decision": {"positive": "benign", "threshold": "x"}}, "'threshold': 'x'} is no class"),
        ({"decision": {"positive": "benign", "threshold": True}}, "is no class with its"),
    ],
    ids=str,
)
def test_a_wrong_manifest_is_refused(model, changes, message):
    edit(model, **changes)

    with pytest.raises(UserError, match=re.escape(message)) as caught:
        predictor.load(model)

    assert str(model / bundle.MANIFEST) in str(caught.value)


def test_a_list_is_no_manifest(model):
    (model / bundle.MANIFEST).write_text("[]")

    with pytest.raises(UserError, match="is damaged"):
        bundle.read(model)


@pytest.mark.parametrize("name", ["estimator.skops", "featurizer.skops"])
def test_a_file_of_another_model_is_refused(model, tmp_path, name):
    write(tmp_path / "other", LogisticRegression(C=5), family="deep")
    storage.dump(StandardScaler(with_mean=False).fit(PATIENTS), tmp_path / "other/featurizer.skops")
    shutil.copy(tmp_path / "other" / name, model / name)

    with pytest.raises(UserError, match=f"{name} is damaged"):
        predictor.load(model)


def test_a_failed_training_says_why(tmp_path):
    bundle.write_failed(tmp_path, KNOWN, "it diverged")

    assert bundle.read(tmp_path)["family"] == "classical"
    with pytest.raises(ModelError, match="its training failed: it diverged"):
        predictor.load(tmp_path)


def test_an_unknown_format_is_reported(model):
    edit(model, estimator={"format": "skopz"})

    with pytest.raises(UserError, match=r"unknown format 'skopz'.*did you mean 'skops'"):
        predictor.load(model)


THIRD_PARTY = '''
import numpy as np

class Raw:
    """Holds bytes, as boosters do."""

    def __init__(self, content):
        self.content = content

class Classifier:
    """Takes 0, 1, ... as labels, and no names."""

    def fit(self, X, y):
        self.raw = Raw(bytes(range(8)))
        self.classes_ = np.unique(y.astype(int))
        return self

    def predict_proba(self, X):
        p = (X[:, 0] > 0).astype(float)
        return np.column_stack([1 - p, p])
'''


@pytest.fixture
def third_party(tmp_path, monkeypatch):
    """Install a package that the project does not know."""
    (tmp_path / "lib" / "boost_zz").mkdir(parents=True)
    (tmp_path / "lib" / "boost_zz" / "__init__.py").write_text(THIRD_PARTY)
    monkeypatch.syspath_prepend(tmp_path / "lib")
    import boost_zz

    return boost_zz.Classifier().fit(PATIENTS.to_numpy(), np.array([0, 1] * 20))


TYPES = ["boost_zz.Classifier", "boost_zz.Raw"]


def test_a_type_of_another_package_needs_consent_in_a_line_that_is_reported(third_party, tmp_path):
    line = f"trusted: [{', '.join(TYPES)}]"

    with pytest.raises(UserError, match=re.escape(line)) as caught:
        storage.dump(third_party, tmp_path / "estimator.skops")

    assert "boost_zz.Raw" in str(caught.value)


def test_with_consent_it_is_written_byte_for_byte_and_read(third_party, tmp_path):
    once, again = tmp_path / "once.skops", tmp_path / "again.skops"
    storage.dump(third_party, once, TYPES)
    storage.dump(third_party, again, TYPES)

    assert once.read_bytes() == again.read_bytes()
    found = storage.load(once, TYPES)
    assert found.raw.content == bytes(range(8))


def test_a_manifest_is_no_consent(third_party, tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    storage.dump(StandardScaler().fit(PATIENTS), tmp_path / "featurizer.skops")
    bundle.write(folder, KNOWN, third_party, tmp_path / "featurizer.skops", TYPES)

    assert (
        predictor.load(folder, TYPES)
        .predict(PATIENTS)["label"]
        .isin(KNOWN["target"]["classes"])
        .all()
    )
    with pytest.raises(UserError, match=r"not trusted: boost_zz\.Classifier"):
        predictor.load(folder)


@pytest.fixture
def ensemble(tmp_path):
    """Two models that read the same features, and one that averages them."""
    members = {}
    for name, c in (("weak", 0.001), ("strong", 100.0)):
        write(tmp_path / name, LogisticRegression(C=c), model=name)
        members[name] = tmp_path / name
    (tmp_path / "strong/rounds/0/0").mkdir(parents=True)
    folder = tmp_path / "ensemble"
    folder.mkdir()
    bundle.write_ensemble(folder, KNOWN, members, {"weak": 0.25, "strong": 0.75})
    return folder


def test_an_ensemble_predicts_the_weighted_mean_of_its_members(ensemble, tmp_path):
    found = predictor.load(ensemble)

    weak, strong = (predictor.load(tmp_path / name) for name in ("weak", "strong"))
    expected = 0.25 * weak.outputs(PATIENTS) + 0.75 * strong.outputs(PATIENTS)
    np.testing.assert_allclose(found.outputs(PATIENTS), expected, rtol=1e-6)
    labels = np.where(expected[:, 1] > 0.5, "malignant", "benign")
    assert found.predict(PATIENTS)["label"].tolist() == labels.tolist()
    assert found.members[0].featurizer is found.members[1].featurizer
    assert not (ensemble / "members/strong/rounds").exists()
    assert bundle.size(ensemble) > bundle.size(tmp_path / "weak") + bundle.size(tmp_path / "strong")


@pytest.mark.parametrize("name", ["estimator.skops", "bundle.json"])
def test_a_member_that_was_replaced_is_refused(ensemble, tmp_path, name):
    write(tmp_path / "other", LogisticRegression(C=5), model="strong")
    shutil.copy(tmp_path / "other" / name, ensemble / "members/strong" / name)

    with pytest.raises(UserError, match=f"members/strong/{name} is damaged"):
        predictor.load(ensemble)


def test_consent_is_needed_for_a_member_too(third_party, tmp_path):
    storage.dump(StandardScaler().fit(PATIENTS), tmp_path / "featurizer.skops")
    for name in ("member", "ensemble"):
        (tmp_path / name).mkdir()
    place, featurizer = tmp_path / "member", tmp_path / "featurizer.skops"
    bundle.write(place, KNOWN | {"model": "member"}, third_party, featurizer, TYPES)
    manifest = bundle.write_ensemble(
        tmp_path / "ensemble", KNOWN, {"member": place}, {"member": 1.0}
    )

    assert manifest["estimator"]["trusted"] == TYPES
    assert len(predictor.load(tmp_path / "ensemble", TYPES).outputs(PATIENTS)) == 40
    with pytest.raises(UserError, match=r"not trusted: boost_zz\.Classifier"):
        predictor.load(tmp_path / "ensemble")
