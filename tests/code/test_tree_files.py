"""Forests and boosters: files predict as what was written, and hostile ones are refused."""

import subprocess
import sys

import numpy as np
import pytest
from sklearn.ensemble import ExtraTreesClassifier

from pipeline import formats
from pipeline.errors import UserError
from pipeline.models.tree_files import BOOSTER, TREES, check_booster
from pipeline.models.trees import (
    ExtraTrees,
    ExtraTreesRegressor,
    LightGBM,
    LightGBMRegressor,
    RandomForest,
    RandomForestRegressor,
)

RNG = np.random.default_rng(0)
X = RNG.normal(size=(120, 4))
AMOUNT = X[:, 0] + (X[:, 3] > 1) + RNG.normal(size=120) / 10
CLASSES = np.where(AMOUNT > 0.8, "high", np.where(AMOUNT > 0, "middle", "low"))
PAIR = np.where(AMOUNT > 0, "yes", "no")
FORESTS = {
    "forest of three classes": (RandomForest(n_estimators=7, random_state=0), CLASSES),
    "forest of two classes": (RandomForest(n_estimators=7, random_state=0), PAIR),
    "extra trees": (ExtraTrees(n_estimators=7, random_state=0), CLASSES),
    "forest of numbers": (RandomForestRegressor(n_estimators=7, random_state=0), AMOUNT),
    "extra trees of numbers": (ExtraTreesRegressor(n_estimators=7, random_state=0), AMOUNT),
}
LIGHT = {"n_estimators": 9, "min_child_samples": 5, "verbose": -1, "random_state": 0}
BOOSTERS = {
    "booster of three classes": (LightGBM(**LIGHT), CLASSES),
    "booster of two classes": (LightGBM(**LIGHT), PAIR),
    "booster of numbers": (LightGBMRegressor(**LIGHT), AMOUNT),
    "booster of linear trees": (LightGBMRegressor(**LIGHT, linear_tree=True), AMOUNT),
    "booster without a split": (LightGBM(**LIGHT | {"min_child_samples": 500}), CLASSES),
}
ALL = FORESTS | BOOSTERS


def outputs(model, rows=X):
    return model.predict_proba(rows) if hasattr(model, "predict_proba") else model.predict(rows)


@pytest.fixture
def saved(tmp_path):
    """Return a function that fits and writes a model, and returns it with its format."""

    def save(name, folder="model"):
        model, y = ALL[name]
        place = tmp_path / folder
        place.mkdir()
        fitted = model.fit(X, y)
        return fitted, formats.save(fitted, place, []), place

    return save


@pytest.mark.parametrize("name", ALL)
def test_predictions_are_the_same_after_a_round_trip(name, saved):
    model, form, folder = saved(name)

    again = formats.load(form, folder, [])

    assert form == ("forest" if name in FORESTS else "lightgbm")
    assert type(again) is type(model)
    np.testing.assert_array_equal(outputs(again), outputs(model))
    np.testing.assert_array_equal(again.predict(X), model.predict(X))
    assert again.get_params() == model.get_params()


@pytest.mark.parametrize("name", ALL)
def test_the_same_fit_gives_the_same_bytes(name, saved):
    _, form, first = saved(name)
    _, _, second = saved(name, "second")
    again = first.parent / "again"
    again.mkdir()
    formats.save(formats.load(form, first, []), again, [])

    for folder in (second, again):
        assert {file.name: file.read_bytes() for file in folder.iterdir()} == {
            file.name: file.read_bytes() for file in first.iterdir()
        }


def test_a_forest_read_back_is_one_for_scikit_learn(saved):
    model, form, folder = saved("extra trees")
    again = formats.load(form, folder, [])

    np.testing.assert_array_equal(again.apply(X), model.apply(X))
    np.testing.assert_array_equal(again.feature_importances_, model.feature_importances_)
    # and it can be fitted again
    plain = ExtraTreesClassifier(n_estimators=7, random_state=0).fit(X, CLASSES)
    np.testing.assert_array_equal(outputs(again.fit(X, CLASSES)), outputs(plain))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("left_child", 10**6),
        ("left_child", 0),
        ("left_child", -2),
        ("right_child", -1),
        ("right_child", 10**9),
        ("feature", 4),
        ("feature", -5),
    ],
)
def test_a_node_that_leads_elsewhere_is_refused(field, value, saved):
    _, form, folder = saved("forest of three classes")
    arrays = dict(np.load(folder / TREES))
    root = 0 if value != -2 else int(np.flatnonzero(arrays["nodes"]["left_child"] == -1)[0])
    arrays["nodes"][field][root] = value
    np.savez(folder / TREES, **arrays)

    with pytest.raises(UserError, match=r"trees\.npz is damaged.*out of range"):
        formats.load(form, folder, [])


def test_arrays_that_do_not_fit_together_are_refused(saved):
    _, form, folder = saved("forest of three classes")
    stored = dict(np.load(folder / TREES))
    wrong = [
        {"counts": stored["counts"][:-1]},
        {"counts": stored["counts"] + 1},
        {"values": stored["values"][:-1]},
        {"values": stored["values"][:, :, :2]},
        {"nodes": stored["nodes"][["left_child", "right_child", "feature"]]},
        {"seeds": stored["seeds"][:-1]},
        {"depths": np.array(["x"] * 7)},
    ]
    for change in wrong:
        np.savez(folder / TREES, **stored | change)
        with pytest.raises(UserError, match="damaged"):
            formats.load(form, folder, [])


def test_a_compressed_file_is_refused(saved):
    _, form, folder = saved("forest of numbers")
    np.savez_compressed(folder / TREES, **np.load(folder / TREES))

    with pytest.raises(UserError, match=r"trees\.npz is damaged .a file in it is compressed"):
        formats.load(form, folder, [])


@pytest.mark.parametrize("file", [TREES, "estimator.skops"])
def test_a_missing_or_cut_file_is_named(file, saved):
    _, form, folder = saved("forest of numbers")
    content = (folder / file).read_bytes()
    (folder / file).write_bytes(content[: len(content) // 2])
    with pytest.raises(UserError, match=file):
        formats.load(form, folder, [])
    (folder / file).unlink()
    with pytest.raises(UserError, match=file):
        formats.load(form, folder, [])


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("left_child", "900"),
        ("right_child", "-900"),
        ("left_child", "0"),
        ("split_feature", "4"),
        ("split_feature", "-1"),
        ("left_child", "x"),
        ("num_leaves", "1000000000"),
        ("num_leaves", "0"),
        ("num_leaves", str(2**63)),
        ("num_tree_per_iteration", "2"),
        ("num_class", "50"),
        ("max_feature_idx", "900000"),
    ],
)
def test_a_text_that_leads_elsewhere_is_refused(line, wrong, saved):
    _, form, folder = saved("booster of three classes")
    path = folder / BOOSTER
    head, found, rest = path.read_text().partition(f"\n{line}=")
    end = rest.find("\n")
    values = rest[:end].split()
    path.write_text(f"{head}{found}{' '.join([wrong, *values[1:]])}{rest[end:]}")

    with pytest.raises(UserError, match=r"booster\.txt is damaged"):
        outputs(formats.load(form, folder, []))


def test_splits_by_categories_are_refused(saved):
    _, _, folder = saved("booster of three classes")
    text = (folder / BOOSTER).read_text()
    check_booster(text)
    with pytest.raises(ValueError, match="categories"):
        check_booster(text.replace("num_cat=0", "num_cat=1", 1))


def test_names_of_files_are_neither_written_nor_read(saved):
    _, form, folder = saved("booster of numbers")
    text = (folder / BOOSTER).read_text()
    assert "filename" not in text
    (folder / BOOSTER).write_text(text + "\nparameters:\n[forcedsplits_filename: /etc/passwd]\n")
    with pytest.raises(UserError, match="parts that are not read"):
        formats.load(form, folder, [])


RANDOM_BYTES = """
import sys
from pathlib import Path
import numpy as np
from pipeline import formats
from pipeline.errors import UserError

form, folder, name = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
whole = (folder / name).read_bytes()
rng = np.random.default_rng(0)
refused = 0
for _ in range(40):
    changed = bytearray(whole)
    for place in rng.integers(0, len(whole), 3):
        changed[place] = rng.integers(48, 58) if name.endswith("txt") else rng.integers(256)
    (folder / name).write_bytes(changed)
    try:
        formats.load(form, folder, []).predict(np.zeros((3, 4)))
    except (UserError, ValueError):
        refused += 1
print("refused", refused)
"""


@pytest.mark.parametrize(
    ("name", "file"), [("forest of three classes", TREES), ("booster of three classes", BOOSTER)]
)
def test_changed_bytes_crash_no_process(name, file, saved):
    _, form, folder = saved(name)
    command = [sys.executable, "-c", RANDOM_BYTES, form, str(folder), file]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("refused ")
