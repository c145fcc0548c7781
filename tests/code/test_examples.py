"""The contract of ingested examples, and what is dropped of them."""

import numpy as np
import pandas as pd
import pytest

from pipeline.errors import UserError
from pipeline.features.inputs import kind_of
from pipeline.paths import ROOT
from pipeline.sources.examples import (
    check,
    drop_duplicates,
    drop_test_examples,
    inputs_of,
    meta_of,
    origin_of,
)


@pytest.fixture
def examples():
    return pd.DataFrame(
        {
            "example_id": ["e0", "e1", "e2", "e3"],
            "text": ["a", "b", "c", "d"],
            "size": [1.0, 2.0, 3.0, 4.0],
            "label": ["x", "y", "x", "y"],
            "group": ["g", "g", "h", "h"],
        }
    )


def test_an_origin_is_the_same_in_every_clone(tmp_path):
    inside = ROOT / "data" / "genre"

    assert origin_of(inside, "0af1") == {"path": "data/genre", "sha256": "0af1"}
    assert origin_of(tmp_path / "mine.csv", "0af1") == {"path": "mine.csv", "sha256": "0af1"}


def test_inputs_are_the_columns_that_a_model_may_see(examples):
    assert inputs_of(examples) == ["text", "size"]


def test_sound_examples_pass_as_they_are(examples):
    pd.testing.assert_frame_equal(check(examples.copy()), examples)


@pytest.mark.parametrize("values", [[1, 2, 3, 4], [True, False, True, True]])
def test_whole_numbers_and_truth_values_are_numbers(examples, values):
    check(examples.assign(size=values))


@pytest.mark.parametrize(
    ("column", "values", "parts"),
    [
        ("text", ["a", "", "c", "d"], ["'text'", "example e1", "must not be empty"]),
        ("text", ["a", " \n", "c", "d"], ["'text'", "example e1", "must not be empty"]),
        ("text", ["a", "b", None, "d"], ["'text'", "example e2", "must not be missing"]),
        ("size", [1, np.inf, 3, 4], ["'size'", "example e1", "inf", "must be a finite number"]),
        ("size", [1, 2, 3, np.nan], ["'size'", "example e3", "must not be missing"]),
        ("example_id", ["e0", "e1", "e1", "e3"], ["'example_id'", "'e1'", "must be unique"]),
    ],
)
def test_a_breach_names_column_example_and_rule(examples, column, values, parts):
    with pytest.raises(UserError) as caught:
        check(examples.assign(**{column: values}))

    assert [part for part in parts if part not in str(caught.value)] == []
    # Messages show values as a user writes them, not as np.float64(nan).
    assert "np." not in str(caught.value)


def test_further_breaches_are_counted(examples):
    with pytest.raises(UserError, match=r"'text', example e1: .* \(and 2 more\)"):
        check(examples.assign(text=["a", "", "", ""]))


@pytest.mark.parametrize("column", ["example_id", "group"])
def test_a_missing_column_is_reported_by_name(examples, column):
    with pytest.raises(UserError) as caught:
        check(examples.drop(columns=column))

    assert f"column '{column}'" in str(caught.value)
    assert "None" not in str(caught.value)


@pytest.mark.parametrize(
    ("column", "values"),
    [("example_id", [1, 2, 3, 4]), ("text", ["a", 2, "c", "d"])],
)
def test_a_column_of_another_type_is_reported_in_words(examples, column, values):
    with pytest.raises(UserError) as caught:
        check(examples.assign(**{column: values}))

    assert f"column '{column}'" in str(caught.value)
    assert "must be text" in str(caught.value)


def test_an_empty_group_is_reported_in_words(examples):
    with pytest.raises(UserError) as caught:
        check(examples.assign(group=["x", "", "x", "y"]))

    assert "column 'group', example e1" in str(caught.value)
    assert "must not be empty" in str(caught.value)


def test_nothing_is_dropped_of_different_examples(examples):
    kept, dropped = drop_duplicates(examples)

    pd.testing.assert_frame_equal(kept, examples)
    assert dropped == {}


def test_the_first_of_equal_examples_is_kept(examples):
    examples.loc[2, ["text", "size", "label"]] = examples.loc[0, ["text", "size", "label"]]

    kept, dropped = drop_duplicates(examples)

    assert kept["example_id"].tolist() == ["e0", "e1", "e3"]
    assert kept.index.tolist() == [0, 1, 2]
    assert dropped == {"exact duplicate": 1}


def test_texts_that_differ_in_quotes_and_white_space_alone_are_copies(examples):
    examples["text"] = ["It’s  good", "It's good", "It's\r\ngood\n", "never again"]
    examples["size"], examples["label"] = 1.0, "x"

    kept, dropped = drop_duplicates(examples)

    assert kept["text"].tolist() == ["It’s  good", "never again"]
    assert dropped == {"exact duplicate": 2}


def test_examples_that_differ_in_one_input_are_both_kept(examples):
    examples["text"] = "the same"

    assert len(drop_duplicates(examples)[0]) == 4


def test_a_contradiction_is_dropped_altogether(examples):
    # e0, e1 and e2 are the same; e0 and e2 are labelled x, e1 y.
    examples.loc[:2, ["text", "size"]] = ["a", 1.0]

    kept, dropped = drop_duplicates(examples)

    assert kept["example_id"].tolist() == ["e3"]
    assert dropped == {"same inputs, different labels": 3}


def test_duplicates_and_contradictions_are_counted_apart():
    examples = pd.DataFrame(
        {
            "example_id": [f"e{i}" for i in range(6)],
            "text": ["twice", "odd", "twice", "odd", "once", "twice"],
            "label": ["x", "x", "x", "y", "y", "x"],
            "group": list("abcdef"),
        }
    )

    kept, dropped = drop_duplicates(examples)

    assert kept["example_id"].tolist() == ["e0", "e4"]
    assert dropped == {"exact duplicate": 2, "same inputs, different labels": 2}


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([1, 2], "double"),
        ([0.5, None], "double"),
        ([True, False], "boolean"),
        (["a", None], "string"),
        ([None, None], "string"),
        (pd.to_datetime(["2020-01-01", None]), "datetime"),
        ([[1.0, 2.0], [3.0]], "sequence"),
        ([np.arange(2), np.arange(3)], "sequence"),
        ([b"\x89PNG", b""], "binary"),
        ([None, b"\x89PNG"], "binary"),
    ],
)
def test_the_kind_of_an_input_is_reported_from_its_values(values, kind):
    assert kind_of(pd.Series(values)) == kind


def test_what_is_known_of_an_example_is_no_input(examples):
    known = examples.assign(time=1, **{"meta:unit": "u", "meta:price": 3})

    assert inputs_of(known) == ["text", "size"]


def test_what_is_known_reaches_the_metrics_under_its_own_name(examples):
    found = meta_of(examples.assign(**{"meta:unit": list("pqrs"), "meta:price": [1, 2, 3, 4]}))

    assert {name: values.tolist() for name, values in found.items()} == {
        "group": ["g", "g", "h", "h"],
        "unit": ["p", "q", "r", "s"],
        "price": [1, 2, 3, 4],
    }


def test_sequences_of_any_length_pass(examples):
    check(examples.assign(size=[[1.0], [1.0, 2.0], np.zeros(5), [3, 4]]))


@pytest.mark.parametrize("wrong", [[], [1.0, np.nan], [np.inf]])
def test_a_sequence_must_hold_finite_numbers(examples, wrong):
    sequences = [[1.0, 2.0], [0.5], wrong, [3.0]]

    with pytest.raises(UserError, match=r"'size', example e2: .* must be a sequence of finite"):
        check(examples.assign(size=sequences))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (b"", "e2: 'b''' must not be empty"),
        ("a.png", "e2: 'a.png' must be bytes"),
        (None, "e2: 'None' must not be missing"),
    ],
)
def test_an_input_of_bytes_holds_one_or_more_bytes(examples, wrong, message):
    with pytest.raises(UserError, match=message):
        check(examples.assign(size=[b"a", b"\x00", wrong, b"\xff"]))


def test_examples_with_the_same_bytes_are_duplicates():
    images = pd.DataFrame(
        {
            "image": [b"\x00\xff", b"\x00", b"\x00\xff", b"a", b"a"],
            "label": ["x", "x", "x", "x", "y"],
        }
    )

    kept, dropped = drop_duplicates(images)

    assert kept["image"].tolist() == [b"\x00\xff", b"\x00"]
    assert dropped == {"exact duplicate": 1, "same inputs, different labels": 2}


def test_a_long_value_is_shortened_in_a_message(examples):
    with pytest.raises(UserError) as caught:
        check(examples.assign(text=["a", b"x" * 1000, "c", "d"]))
    assert len(str(caught.value)) < 100


def test_a_value_may_be_missing_where_the_source_says_so(examples):
    lacking = examples.assign(text=["a", None, "c", "d"], size=[1.0, np.nan, 3.0, 4.0])

    pd.testing.assert_frame_equal(check(lacking.copy(), may_miss=True), lacking)


def test_infinite_numbers_are_refused_where_values_may_be_missing(examples):
    with pytest.raises(UserError, match="must be a finite number"):
        check(examples.assign(size=[1.0, np.inf, np.nan, 4.0]), may_miss=True)


def test_repeated_sequences_and_missing_values_are_duplicates():
    repeated = pd.DataFrame(
        {
            "readings": [[1.0, 2.0], np.array([1.0, 2.0]), [1.0], [1.0, 2.0]],
            "size": [np.nan, np.nan, np.nan, 5.0],
            "label": ["x", "x", "x", "y"],
        }
    )

    kept, dropped = drop_duplicates(repeated)

    assert kept["size"].isna().tolist() == [True, True, False]
    assert [len(sequence) for sequence in kept["readings"]] == [2, 1, 2]
    assert dropped == {"exact duplicate": 1}


def test_examples_among_the_test_examples_are_left_out(examples):
    test = examples.iloc[[1]].assign(example_id="t", group="other", label="x")

    kept, dropped = drop_test_examples(examples, test)

    assert kept["example_id"].tolist() == ["e0", "e2", "e3"]
    assert dropped == {"also among the test examples": 1}


def test_a_group_may_not_be_among_the_test_examples(examples):
    test = examples.assign(text=["p", "q", "r", "s"])

    with pytest.raises(UserError, match=r"group 'g' .* \(and 1 more\)"):
        drop_test_examples(examples, test)


def test_test_examples_have_the_same_inputs(examples):
    with pytest.raises(UserError, match="column 'size' is in only one of"):
        drop_test_examples(examples, examples.drop(columns="size"))
