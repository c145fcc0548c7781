"""Fitted estimators on disk: the same bytes, the same answers, and nothing that is not trusted."""

import copy
import os
import pickle
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import sklearn.utils
import skops.io as skops
from lightgbm import LGBMRegressor
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVC
from sklearn.utils import discovery

from pipeline import storage
from pipeline.errors import UserError
from pipeline.features.text import TokenIds, WordCount, engineered
from pipeline.models.baseline import WordCountRule

TEXTS = pd.DataFrame(
    {
        "text": [
            "O wild West Wind, thou breath of Autumn's being",
            "the wind blew; the man, he said, was old.",
            "I think -- therefore I am! Am I?",
            "the old man said that the wind is old",
            "breath of wind, breath of autumn",
            '"Well," said the man, "am I old?"',
        ]
    }
)
RNG = np.random.default_rng(0)
NUMBERS = RNG.normal(size=(60, 4)).astype(np.float32)
LABELS = np.array(["novel", "poetry", "essay"])[np.digitize(NUMBERS[:, 0], [-0.4, 0.4])]
WORDS = np.array([[10], [500], [5000]], dtype=np.float32)

# For each kind the project writes: how to fit one, and what it answers.
FITS = {
    "logistic_regression": lambda: LogisticRegression().fit(NUMBERS, LABELS),
    "majority_class": lambda: DummyClassifier(strategy="prior").fit(NUMBERS, LABELS),
    "random_forest": lambda: RandomForestClassifier(12, random_state=0).fit(NUMBERS, LABELS),
    "word_count_rule": lambda: WordCountRule().fit(WORDS, np.array(["poetry", "essay", "novel"])),
    "scaler": lambda: StandardScaler().fit(NUMBERS),
    "scaler_of_columns": lambda: StandardScaler().fit(pd.DataFrame(NUMBERS, columns=list("abcd"))),
    "naive_bayes": lambda: GaussianNB().fit(NUMBERS, LABELS),
    "support_vectors": lambda: SVC(kernel="linear").fit(NUMBERS, LABELS),
    "pipeline": lambda: make_pipeline(StandardScaler(), LogisticRegression()).fit(NUMBERS, LABELS),
    "word_count": lambda: WordCount().fit(TEXTS),
    "token_ids": lambda: TokenIds(8, 1).fit(TEXTS),
    "engineered": lambda: engineered(words=20, characters=30, min_texts=1).fit(TEXTS),
}


def answer(fitted):
    """Answer by probabilities, or by numbers where it is a transformer."""
    names = getattr(fitted, "feature_names_in_", [])
    if "text" in names:
        X = TEXTS
    elif len(names):
        X = pd.DataFrame(NUMBERS, columns=names)
    else:
        X = WORDS if isinstance(fitted, WordCountRule) else NUMBERS
    asked = ("predict_proba", "decision_function", "transform")
    given = next(getattr(fitted, name) for name in asked if hasattr(fitted, name))(X)
    return given.toarray() if hasattr(given, "toarray") else given


@pytest.fixture
def scaler_file(tmp_path):
    path = tmp_path / "featurizer.skops"
    storage.dump(FITS["scaler"](), path)
    return path


@pytest.mark.parametrize("kind", FITS)
def test_answers_are_the_same_after_a_round_trip(kind, tmp_path):
    fitted = FITS[kind]()
    storage.dump(fitted, tmp_path / "it.skops")

    again = storage.load(tmp_path / "it.skops")

    assert type(again) is type(fitted)
    np.testing.assert_array_equal(answer(again), answer(fitted))


@pytest.mark.parametrize("kind", FITS)
def test_the_same_fit_gives_the_same_bytes(kind, tmp_path):
    first, second, again = (tmp_path / name for name in ("first", "second", "again"))
    fitted = FITS[kind]()
    storage.dump(fitted, first)
    storage.dump(FITS[kind](), second)
    storage.dump(fitted, again)

    assert first.read_bytes() == second.read_bytes()
    assert first.read_bytes() == again.read_bytes()


def test_bytes_do_not_depend_on_the_hash_seed_of_the_process(tmp_path):
    script = (
        "import sys, pandas as pd; from pathlib import Path\n"
        "from pipeline import storage; from pipeline.features.text import engineered\n"
        "texts = pd.read_parquet(sys.argv[1])\n"
        "storage.dump(engineered(20, 30, 1).fit(texts), Path(sys.argv[2]))"
    )
    TEXTS.to_parquet(tmp_path / "texts")
    storage.dump(FITS["engineered"](), tmp_path / "here")
    subprocess.run(
        [sys.executable, "-c", script, tmp_path / "texts", tmp_path / "there"],
        env=os.environ | {"PYTHONHASHSEED": "1"},
        cwd=Path(storage.__file__).parents[1],
        check=True,
    )

    assert (tmp_path / "here").read_bytes() == (tmp_path / "there").read_bytes()


def test_another_fit_gives_other_bytes(tmp_path):
    for place, trees in (("first", 12), ("second", 13)):
        storage.dump(
            RandomForestClassifier(trees, random_state=0).fit(NUMBERS, LABELS), tmp_path / place
        )

    assert (tmp_path / "first").read_bytes() != (tmp_path / "second").read_bytes()


STRANGE = pytest.mark.parametrize(
    ("strange", "name"),
    [
        (LGBMRegressor(), "lightgbm.sklearn.LGBMRegressor"),
        ({"call": os.system}, "posix.system"),
        # Trusted itself, but not what it calls.
        (FunctionTransformer(os.system), "posix.system"),
    ],
    ids=["estimator", "function", "function in an estimator"],
)


@STRANGE
def test_a_type_that_is_not_trusted_is_refused_by_name(strange, name, tmp_path):
    path = tmp_path / "estimator.skops"
    skops.dump(strange, path)

    with pytest.raises(UserError) as caught:
        storage.load(path)

    assert str(path) in str(caught.value)
    assert name in str(caught.value)


@STRANGE
def test_what_could_not_be_loaded_is_not_written(strange, name, tmp_path):
    with pytest.raises(UserError, match=re.escape(name)):
        storage.dump(strange, tmp_path / "estimator.skops")

    assert list(tmp_path.iterdir()) == []


def test_a_type_of_scikit_learn_that_does_not_exist_is_reported_by_name(scaler_file):
    # As in a file of another version of scikit-learn.
    with zipfile.ZipFile(scaler_file) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(scaler_file, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content.replace(b"preprocessing._data", b"preprocessing._gone"))

    with pytest.raises(UserError) as caught:
        storage.load(scaler_file)

    assert str(scaler_file) in str(caught.value)


def test_a_missing_file_is_reported_by_name(tmp_path):
    path = tmp_path / "estimator.skops"

    with pytest.raises(UserError, match="does not exist") as caught:
        storage.load(path)

    assert str(path) in str(caught.value)


@pytest.mark.parametrize("kept", [0, 10, 0.5, -1])
def test_a_truncated_file_is_reported_by_name(scaler_file, kept):
    content = scaler_file.read_bytes()
    scaler_file.write_bytes(content[: int(kept * len(content)) if kept == 0.5 else kept])

    with pytest.raises(UserError, match="is damaged") as caught:
        storage.load(scaler_file)

    assert str(scaler_file) in str(caught.value)


def test_a_changed_byte_is_reported_or_harmless(scaler_file):
    content = scaler_file.read_bytes()
    refused = 0
    for place in range(0, len(content), 13):
        scaler_file.write_bytes(
            content[:place] + bytes([content[place] ^ 0x55]) + content[place + 1 :]
        )
        try:
            found = storage.load(scaler_file)
        except UserError:
            refused += 1
        else:
            # Such as a byte of a time stamp.
            np.testing.assert_array_equal(answer(found), answer(FITS["scaler"]()))

    assert refused > 0


def rewritten(path, change, compression=zipfile.ZIP_STORED):
    """Write an archive again with its parts changed."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: change(archive.read(name)) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, part in parts.items():
            archive.writestr(name, part)


def test_a_compressed_archive_is_refused(scaler_file):
    rewritten(scaler_file, bytes, zipfile.ZIP_DEFLATED)

    with pytest.raises(UserError, match=r"is damaged .a file in it is compressed"):
        storage.load(scaler_file)


def test_an_archive_whose_files_overlap_is_refused(scaler_file):
    with zipfile.ZipFile(scaler_file, "a") as archive:
        first = max(archive.infolist(), key=lambda part: part.file_size)
        for number in range(1000):
            twin = copy.copy(first)
            twin.filename = f"twin{number}"
            archive.filelist.append(twin)
        archive._didModify = True

    with pytest.raises(UserError, match=r"is damaged .the files in it overlap"):
        storage.load(scaler_file)


def test_an_array_that_claims_to_be_huge_is_refused(scaler_file):
    def claim(part):
        start = part.index(b"(") if part.startswith(b"\x93NUMPY") else None
        huge = b"(1099511627776,)"
        return part if start is None else part.replace(part[start : start + 16], huge, 1)

    rewritten(scaler_file, claim)

    with pytest.raises(UserError, match="is damaged"):
        storage.load(scaler_file)


def test_a_pickle_is_refused_and_not_run(tmp_path):
    class Trap:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "sprung"),)

    path = tmp_path / "estimator.skops"
    path.write_bytes(pickle.dumps(Trap()))

    with pytest.raises(UserError, match="is damaged"):
        storage.load(path)

    assert not (tmp_path / "sprung").exists()


def test_scikit_learns_list_of_estimators_is_itself_again_once_skops_is_imported():
    assert sklearn.utils.all_estimators is discovery.all_estimators
    assert storage.skops is sys.modules["skops.io"]
