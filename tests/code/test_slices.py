"""Scores by slice, and the examples that no model gets right."""

from functools import partial

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score, roc_auc_score

from pipeline.errors import UserError
from pipeline.evaluation.board import plain
from pipeline.evaluation.controls import compare_tests
from pipeline.evaluation.slices import MOST_HARD, check_slices, find_hard, score_slices
from pipeline.problems.classification import Classification

KIND = Classification("roc_auc", ("roc_auc",), positive="yes").on({"classes": ["no", "yes"]})
COMPARE = partial(compare_tests, share=0.25, matters=0.01, seed=0, confidence=0.95)


def example_table(n=400, seed=0):
    rng = np.random.default_rng(seed)
    ids = [f"e{i}" for i in range(n)]
    return pd.DataFrame(
        {
            "example_id": ids,
            "age": rng.integers(20, 80, n).astype(float),
            "sex": rng.choice(["male", "female"], n),
            "text": [" ".join(["word"] * size) for size in rng.integers(5, 500, n)],
            "label": rng.choice(["no", "yes"], n),
            "group": ids,
            "meta:site": rng.choice(["A", "B"], n),
        }
    )


def predict(examples, seed=0, noise=1.0):
    rng = np.random.default_rng(seed)
    z = 2.0 * (examples["label"] == "yes") - 1 + noise * rng.normal(size=len(examples))
    p = 1 / (1 + np.exp(-z.to_numpy()))
    meta = {"group": examples["group"].to_numpy()}
    return KIND.predictions(examples["label"].to_numpy(), np.column_stack([1 - p, p]), meta)


def score(examples, columns, **models):
    tests = {name: [one] for name, one in models.items()}
    return score_slices(KIND, tests, [examples], columns, COMPARE)


def test_scores_of_slices_are_those_of_their_examples_alone():
    examples = example_table()
    predictions = predict(examples)
    found = score(examples, ["sex", "age", "site"], model=predictions)
    by = {one["name"]: one for one in found}
    assert list(by) == ["sex", "age", "site", "length of text", "label"]
    assert [row["value"] for row in by["sex"]["rows"]] == ["female", "male"]
    assert [one["metric"] for one in found] == ["roc_auc"] * 4 + ["accuracy"]
    p, yes = predictions.probabilities[:, 1], (examples["label"] == "yes").to_numpy()
    for row in by["sex"]["rows"]:
        mask = (examples["sex"] == row["value"]).to_numpy()
        of_model = row["scores"]["model"]
        assert row["examples"] == mask.sum()
        assert of_model["score"] == pytest.approx(roc_auc_score(yes[mask], p[mask]))
        assert of_model["low"] < of_model["score"] < of_model["high"]
    for row in by["label"]["rows"]:
        mask = (examples["label"] == row["value"]).to_numpy()
        right = accuracy_score(yes[mask], p[mask] > 0.5)
        assert row["scores"]["model"]["score"] == pytest.approx(right)


def test_of_several_rounds_scores_are_averaged_where_each_has_every_class():
    rounds = [example_table(200, seed) for seed in range(3)]
    for number, one in enumerate(rounds):
        one[["example_id", "group"]] = one[["example_id", "group"]] + f"-{number}"
    tests = [predict(one, seed, noise=1 + seed) for seed, one in enumerate(rounds)]

    def score_men():
        found = score_slices(KIND, {"m": tests}, rounds, ["sex"], COMPARE)[0]
        return found["metric"], found["rows"][1]["scores"]["m"]["score"]

    masks = [(one["sex"] == "male").to_numpy() for one in rounds]
    scores = [
        roc_auc_score(test.actual[mask], test.probabilities[mask, 1])
        for mask, test in zip(masks, tests, strict=True)
    ]
    assert score_men() == ("roc_auc", pytest.approx(np.mean(scores)))
    # One round without a man of one class: all men are scored together.
    rounds[2].loc[(rounds[2]["sex"] == "male") & (rounds[2]["label"] == "no"), "sex"] = "female"
    masks = [(one["sex"] == "male").to_numpy() for one in rounds]
    right = [(test.predicted == test.actual)[mask] for mask, test in zip(masks, tests, strict=True)]
    assert score_men() == ("accuracy", pytest.approx(np.concatenate(right).mean()))


def test_numbers_and_lengths_are_cut_into_quarters_that_their_names_tell():
    examples = example_table()
    found = score(examples, ["age"], m=predict(examples))
    for one, values, unit in (
        (found[0], examples["age"], ""),
        (found[1], examples["text"].str.split().str.len(), " words"),
    ):
        assert sum(row["examples"] for row in one["rows"]) == 400
        for row in one["rows"]:
            low, high = map(float, row["value"].removesuffix(unit).split("–"))
            assert ((values >= low) & (values <= high)).sum() == row["examples"]
            assert 80 <= row["examples"] <= 120


def test_a_slice_that_lacks_a_class_is_scored_by_the_mean_over_examples():
    examples = example_table()
    examples.loc[examples["sex"] == "male", "label"] = "no"
    found = score(examples, ["sex"], m=predict(examples))
    assert found[0]["metric"] == "accuracy"


def test_rare_and_missing_values_are_slices_of_their_own():
    examples = example_table()
    places = [f"p{i % 20:02d}" for i in range(398)]
    examples["place"] = pd.Series([*places, None, None], dtype="str")
    found = score(examples, ["place"], m=predict(examples))[0]
    values = [row["value"] for row in found["rows"]]
    assert values[-2:] == ["others", "missing"]
    assert len(values) == 14
    assert sum(row["examples"] for row in found["rows"]) == 400


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (["sexx"], "task.slice_by: there is no column 'sexx'; did you mean 'sex'?"),
        (["label"], "task.slice_by: there is no column 'label'; known: age, group, path, sex"),
        (["path"], "task.slice_by: 'path' is of kind sequence: name a column of single values"),
    ],
)
def test_a_column_that_cannot_be_sliced_by_is_named(columns, message):
    examples = example_table().assign(path=[[1.0, 2.0]] * 400)
    with pytest.raises(UserError) as error:
        check_slices(examples, columns)
    assert str(error.value).startswith(message)


def test_hard_examples_are_those_that_all_models_get_wrong_the_worst_first():
    examples = example_table()
    models = {"a": predict(examples, 1), "b": predict(examples, 2)}
    predicted = {
        name: np.where(one.probabilities[:, 1] > 0.5, "yes", "no") for name, one in models.items()
    }
    found = find_hard(KIND, models, predicted, examples)
    wrong = [(predicted[name] != examples["label"]).to_numpy() for name in models]
    true = [
        np.where(examples["label"] == "yes", one.probabilities[:, 1], one.probabilities[:, 0])
        for one in models.values()
    ]
    expected = examples.assign(p=(true[0] + true[1]) / 2)[wrong[0] & wrong[1]].sort_values("p")
    assert [one["example_id"] for one in found] == expected["example_id"].head(MOST_HARD).tolist()
    assert found[0]["actual"] not in found[0]["predicted"].values()
    assert plain(found) == found


def test_inputs_of_hard_examples_are_shortened():
    examples = example_table(1).assign(
        text=["x" * 500],
        path=[np.array([1.0, 7.5, 3.0])],
        age=[np.nan],
        day=pd.Timestamp(2024, 5, 1),
        photo=[bytes(1200)],
    )
    wrong = np.where(examples[["label"]] == "yes", [[0.9, 0.1]], [[0.1, 0.9]])
    predictions = KIND.predictions(examples["label"].to_numpy(), wrong, {"group": np.array(["g"])})
    (found,) = find_hard(KIND, {"m": predictions}, {"m": np.array(["?"])}, examples)
    assert found["inputs"]["text"] == "x" * 200 + "…"
    assert found["inputs"]["path"] == "3 numbers from 1 to 7.5, the last 3"
    assert found["inputs"]["photo"] == "1,200 bytes"
    assert found["inputs"]["age"] is None
    assert found["inputs"]["day"] == "2024-05-01T00:00:00"
    assert find_hard(KIND, {}, {}, examples) == []
