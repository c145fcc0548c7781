"""Permutation importance: what is shuffled, and how much it is found to matter."""

import numpy as np
import pandas as pd
import pytest
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score

from pipeline.evaluation.importance import (
    measure_importance,
    order_columns,
    sample_validation,
    shuffle_columns,
)
from pipeline.problems import problem

SETTINGS = {"metric": "accuracy", "metrics": ["accuracy"]}
KIND = problem("classification", SETTINGS).on({"classes": ["no", "yes"], "columns": []})
MEASURE = {"share": 0.25, "matters": 0.01, "seed": 0, "confidence": 0.95}


def table(rows, seed):
    """Draw a label that `strong` tells, `weak` tells a little, and `noise` does not."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(rows, 3))
    label = X[:, 0] + 0.4 * X[:, 1] + rng.normal(size=rows) / 4 > 0
    examples = pd.DataFrame(X, columns=["strong", "weak", "noise"])
    ids = [str(number) for number in range(rows)]
    return examples.assign(label=np.where(label, "yes", "no"), example_id=ids, group=ids)


TRAIN, VALIDATION = table(400, 1), table(300, 2)
INPUTS = ["strong", "weak", "noise"]
MODEL = LogisticRegression().fit(TRAIN[INPUTS], TRAIN["label"])


def predict(rows):
    outputs = MODEL.predict_proba(rows[INPUTS])
    return KIND.predictions(rows["label"].to_numpy(), outputs, {"group": rows["group"].to_numpy()})


def test_each_block_of_rows_has_one_column_shuffled():
    stacked = shuffle_columns(VALIDATION, seed=0)
    blocks = [stacked[i * 300 : (i + 1) * 300] for i in range(4)]

    pd.testing.assert_frame_equal(blocks[0], VALIDATION)
    for name, block in zip(INPUTS, blocks[1:], strict=True):
        block = block.reset_index(drop=True)
        same = [one for one in VALIDATION if one != name]
        pd.testing.assert_frame_equal(block[same], VALIDATION[same])
        assert not block[name].equals(VALIDATION[name])
        assert sorted(block[name]) == sorted(VALIDATION[name])


def test_texts_dates_and_missing_values_are_shuffled_with_their_types():
    examples = VALIDATION.head(3).assign(
        text=["a", None, "c"], time=pd.to_datetime(["2024-01-01", "2024-01-02", None])
    )
    assert dict(shuffle_columns(examples, 0).dtypes) == dict(examples.dtypes)


def test_a_drop_is_that_of_scikit_learn_within_its_interval():
    found = measure_importance(
        [predict(shuffle_columns(VALIDATION, 0))], INPUTS, KIND.deciding, **MEASURE
    )
    by_name = {row["column"]: row for row in found}
    outside = permutation_importance(
        MODEL, VALIDATION[INPUTS], VALIDATION["label"], n_repeats=50, random_state=0
    ).importances_mean

    assert [row["column"] for row in found] == INPUTS
    for name, drop in zip(INPUTS, outside, strict=True):
        assert by_name[name]["low"] <= drop <= by_name[name]["high"]
    assert by_name["strong"]["low"] > 0.2
    assert by_name["noise"]["low"] <= 0 <= by_name["noise"]["high"]
    # and its value is exact for the permutation at hand
    stacked = shuffle_columns(VALIDATION, 0)
    scores = [
        accuracy_score(stacked["label"][part], MODEL.predict(stacked[INPUTS])[part])
        for part in np.split(np.arange(len(stacked)), 4)
    ]
    assert by_name["strong"]["drop"] == pytest.approx(scores[0] - scores[1], abs=1e-12)


def test_a_column_that_no_prediction_depends_on_drops_by_nothing_for_sure():
    constant = VALIDATION.assign(noise=1.0)
    found = measure_importance(
        [predict(shuffle_columns(constant, 0))], INPUTS, KIND.deciding, **MEASURE
    )
    assert found[-1] == {"column": "noise", "drop": 0, "low": 0, "high": 0}


def test_a_smaller_loss_is_better():
    kind = problem("classification", {"metric": "log_loss", "metrics": ["log_loss"]}).on(
        KIND.target
    )
    found = measure_importance(
        [predict(shuffle_columns(VALIDATION, 0))], INPUTS, kind.deciding, **MEASURE
    )
    assert found[0]["column"] == "strong"
    assert found[0]["low"] > 0


def test_few_examples_give_no_interval():
    few = VALIDATION.head(8)
    found = measure_importance([predict(shuffle_columns(few, 0))], INPUTS, KIND.deciding, **MEASURE)
    assert all(np.isnan(row["low"]) for row in found if row["drop"])


def test_the_more_columns_the_fewer_examples_are_shuffled():
    wide = pd.DataFrame({f"x{number}": np.zeros(600) for number in range(400)})
    wide = wide.assign(label=["no", "yes"] * 300, example_id=list(map(str, range(600))), group="0")
    assert len(sample_validation(KIND, wide, 0)) == 50
    assert (
        len(sample_validation(KIND, wide[["x0", "x1", "label", "example_id", "group"]], 0)) == 500
    )
    assert len(sample_validation(KIND, VALIDATION, 0)) == 300


def test_columns_are_ordered_by_their_mean_over_models():
    def rows(**drops):
        return [{"column": name, "drop": drop} for name, drop in drops.items()]

    assert order_columns({"a": rows(x=0.1, y=0.3), "b": rows(x=0.4, y=0.1)}) == ["x", "y"]
