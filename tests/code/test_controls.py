"""Controls: what nothing, the order of rows, or one column tells of the label."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from pipeline.evaluation.controls import (
    KEPT,
    MOST_COLUMNS,
    NOTHING,
    ORDER,
    compare_tests,
    control_rows,
    controls_of,
    fit_controls,
)
from pipeline.evaluation.values import count_words, numbers_of
from pipeline.problems.classification import Classification
from pipeline.sources.rounds import Rounds

KIND = Classification("roc_auc", ("roc_auc",), positive="yes").on({"classes": ["no", "yes"]})


def table(n=300, seed=0, **columns):
    rng = np.random.default_rng(seed)
    ids = [f"row-{i:04d}" for i in range(n)]
    label = np.where(rng.random(n) < 0.4, "yes", "no")
    x = rng.normal(size=n) + (label == "yes")
    inputs = {"x": x, "noise": rng.normal(size=n), **columns}
    return pd.DataFrame({"example_id": ids, **inputs, "label": label, "group": ids})


def rounds_of(examples, folds=3):
    number = np.arange(len(examples)) % (folds + 1)
    parts = {
        str(fold): np.select([number == fold, number == folds], ["test", "validation"], "train")
        for fold in range(folds)
    }
    return Rounds(examples, pd.DataFrame(parts).assign(final="train"))


def names(examples):
    return [control.name for control in controls_of(KIND, examples)]


def test_columns_texts_lengths_and_order_are_controls_where_they_are_some():
    long = ["one two three four five six"] * 300
    assert names(table()) == [NOTHING, ORDER, "x alone", "noise alone"]
    with_text = [NOTHING, ORDER, "length of note", "x alone", "noise alone", "note alone"]
    assert names(table(note=long)) == with_text
    photos = [bytes(size) for size in range(1, 301)]
    assert names(table(photo=photos)) == [
        *[NOTHING, ORDER, "length of photo"],
        *["x alone", "noise alone"],
    ]
    # A single input alone is what the models read.
    assert names(table(note=long).drop(columns=["x", "noise"])) == with_text[:3]


def test_the_order_of_rows_is_none_if_they_were_sorted_by_label_or_have_no_number():
    examples = table()
    by_label = examples.sort_values("label").assign(example_id=examples["example_id"].to_numpy())
    assert ORDER not in names(by_label)
    letters = examples["example_id"].str.translate(str.maketrans("0123456789", "abcdefghij"))
    assert ORDER not in names(examples.assign(example_id=letters))


def test_a_column_that_tells_the_label_scores_and_noise_and_nothing_do_not():
    rounds = rounds_of(table(seed=1, n=2400))
    fitted = fit_controls(KIND, rounds, ["0", "1", "2"], seed=0)
    assert all(len(of_rounds) == 3 for of_rounds in fitted.values())
    for number, one in enumerate(fitted["x alone"]):
        test = rounds.part(str(number), "test")
        assert one.actual.tolist() == (test["label"] == "yes").astype(int).tolist()
        # Nearly as good as the column itself, which a tree can only cut into pieces.
        itself = roc_auc_score(test["label"] == "yes", test["x"])
        assert KIND.deciding.once(one) == pytest.approx(itself, abs=0.04)
    assert KIND.deciding.once(KIND.concatenate(fitted["noise alone"])) == pytest.approx(
        0.5, abs=0.08
    )
    assert {KIND.deciding.once(one) for one in fitted[NOTHING]} == {0.5}


def test_a_test_of_its_own_may_have_the_row_numbers_of_validation():
    series = [[float(row), 1.0] for row in range(300)]
    parts = pd.DataFrame({"0": ["train", "train", "validation"] * 100})
    rounds = Rounds(table(series=series), parts, table(60, 1, series=series[:60]))

    fitted = fit_controls(KIND, rounds, ["0"], seed=0)

    assert "series alone" in fitted
    assert {len(one) for of_rounds in fitted.values() for one in of_rounds} == {60}


def test_of_many_columns_those_that_are_best_on_validation_are_kept():
    rng = np.random.default_rng(2)
    examples = table(seed=2, **{f"noise{i}": rng.normal(size=300) for i in range(20)})
    rounds = rounds_of(examples)
    fitted = fit_controls(KIND, rounds, ["0"], seed=0)
    assert list(fitted)[:2] == [NOTHING, ORDER]
    assert len(fitted) == 2 + KEPT
    assert "x alone" in fitted


def test_very_many_columns_are_not_tried_one_by_one_and_the_one_that_tells_is():
    rng = np.random.default_rng(5)
    noise = pd.DataFrame(rng.normal(size=(300, MOST_COLUMNS + 50))).add_prefix("n")
    examples = table(seed=5).join(noise)
    found = [name for name in names(examples) if name.endswith("alone")]
    assert len(found) == MOST_COLUMNS
    assert found[0] == "x alone"


def test_words_of_a_text_and_identifiers_that_count_are_read():
    rng = np.random.default_rng(3)
    examples = table(seed=3)
    yes = (examples["label"] == "yes").to_numpy()
    filler = [" ".join(rng.choice(["a1", "b2", "c3", "d4"], 8)) for _ in yes]
    texts = [f"{line} {'good' if one else 'bad'}" for line, one in zip(filler, yes, strict=True)]
    codes = np.where(yes, 5000, 1000) + rng.integers(900, size=300)
    examples = examples.assign(note=texts, code=[f"ID{code}" for code in codes])
    fitted = fit_controls(KIND, rounds_of(examples), ["0"], seed=0)
    assert KIND.deciding.once(fitted["note alone"][0]) > 0.99
    assert KIND.deciding.once(fitted["code alone"][0]) > 0.99


def test_the_best_model_is_compared_with_controls_on_the_same_examples():
    rounds = rounds_of(table(seed=4, n=600))
    fitted = fit_controls(KIND, rounds, ["0", "1", "2"], seed=0)
    compared = compare_tests(
        {**fitted, "model": fitted["x alone"]},
        KIND.deciding,
        **{"share": 0.5, "matters": 0.01, "seed": 0, "confidence": 0.95},
    )
    rows = {row["name"]: row for row in control_rows(compared, "roc_auc", "model")}
    assert rows.keys() == fitted.keys()
    assert rows["x alone"]["score"] == compared.scores.loc["model", "roc_auc"]
    assert rows["x alone"]["low"] < rows["x alone"]["score"] < rows["x alone"]["high"]


def test_a_sample_keeps_the_shares_of_classes_and_one_example_of_each_at_least():
    examples = table(1000).assign(label=["rare"] * 3 + ["yes"] * 300 + ["no"] * 697)
    drawn = KIND.sample(examples, 100, seed=0)["label"].value_counts()
    assert drawn["rare"] == 1
    assert drawn["yes"] == pytest.approx(30, abs=1)
    assert drawn.sum() == 100
    assert KIND.sample(examples, 2000, seed=0) is examples


def test_values_become_numbers_by_their_kind():
    known = pd.Series(["b", "d", None])
    asked = numbers_of(pd.Series(["a", "b", "c", "e", None], dtype="str"), known)[:, 0]
    assert asked.tolist()[:4] == [0, 0, 1, 2] and np.isnan(asked[4])
    dates = pd.Series(pd.to_datetime(["1970-01-01", None]))
    assert numbers_of(dates, dates)[0, 0] == 0 and np.isnan(numbers_of(dates, dates)[1, 0])
    sequences = pd.Series([[1.0, 2.0, 6.0], [4.0]])
    assert numbers_of(sequences, sequences).tolist() == [[6, 3], [4, 4]]
    photos = pd.Series([None, b"abc"], dtype=object)
    assert np.isnan(numbers_of(photos, photos)[0, 0]) and numbers_of(photos, photos)[1, 0] == 3
    assert count_words(pd.Series(["one two", None, "one"])).tolist() == [2, 0, 1]
