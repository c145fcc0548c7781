"""What ingest checks, leaves out and writes on the card."""

import numpy as np
import pandas as pd
import pytest

from pipeline.config.schema import Split
from pipeline.errors import UserError
from pipeline.ingest import (
    card,
    clean,
    describe_classes,
    describe_counts,
    find_leaks,
    rare_classes,
    without,
)
from pipeline.problems import problem
from pipeline.sources.examples import Source
from pipeline.sources.split import make_plan, split

KIND = problem("classification")


def written(source, slices=None, **settings):
    """Clean, split and describe the examples of a source."""
    kept, test, _, dropped = clean(source, KIND)
    plan = make_plan(Split(seed=0, **settings), kept, test is not None)
    return card(source, KIND, plan, split(kept, plan, KIND, test), slices or {}, dropped)


def examples(labels, texts=None):
    ids = [f"e{i}" for i in range(len(labels))]
    return pd.DataFrame({"example_id": ids, "text": texts or ids, "label": labels, "group": ids})


def test_a_class_that_cleaning_removes_is_not_on_the_card():
    # The one example of c contradicts one of a: both go.
    labels = ["a", "b"] * 20 + ["c"]
    source = Source(examples(labels, [f"t{i}" for i in range(40)] + ["t0"]), [])

    assert written(source)["target"] == {"classes": ["a", "b"], "columns": []}
    assert written(source)["dropped"] == {"same inputs, different labels": 2}


def test_the_card_names_the_columns_that_are_for_metrics():
    source = Source(examples(["a", "b"] * 20).assign(**{"meta:price": 1.0, "meta:unit": "u"}), [])

    found = written(source)

    assert found["inputs"] == ["text"]
    assert found["target"]["columns"] == ["price"]
    assert found["rounds"]["0"]["test"] == {
        "examples": 8,
        "groups": 8,
        "classes": {"a": 4, "b": 4},
    }


def test_the_card_describes_every_round():
    source = Source(examples(["a", "b"] * 20), [])

    found = written(source, folds=5, repeats=2)

    assert found["split"] == {"folds": 5, "repeats": 2}
    assert list(found["rounds"]) == [*map(str, range(10)), "final"]
    assert list(found["rounds"]["final"]) == ["train", "validation"]
    assert found["rounds"]["7"]["test"]["examples"] == 8


@pytest.mark.parametrize("part", ["examples", "test", "slice"])
def test_the_target_of_every_part_is_checked(part):
    sound, broken = examples(["a", "b"]), examples(["a", None])
    parts = dict.fromkeys(["examples", "test", "slice"], sound) | {part: broken}
    source = Source(parts["examples"], [], test=parts["test"], slices={"s": parts["slice"]})

    with pytest.raises(UserError, match="'label', example e1: is missing"):
        clean(source, KIND)


def test_a_missing_label_column_is_reported_by_name():
    source = Source(examples(["a"]).drop(columns="label"), [])

    with pytest.raises(UserError, match="column 'label' is missing"):
        clean(source, KIND)


def test_what_was_left_out_is_reported_with_its_reason():
    assert describe_counts({"exact duplicate": 1200, "empty": 1}, "dropped") == (
        "; 1,200 dropped (exact duplicate); 1 dropped (empty)"
    )


def settled(how, source, **settings):
    """Clean, settle rare classes and split; return the examples with what was told and counted."""
    kept, test, slices, _ = clean(source, KIND)
    plan = make_plan(Split(seed=0, **settings), kept, test is not None)
    rare = rare_classes(how, kept, plan, KIND, test)
    kept, test, _, counts = without(rare, how, kept, test, slices)
    rounds = split(kept, plan, KIND, test)
    return rounds, describe_classes(rare, how, rounds, KIND), counts


@pytest.mark.parametrize("settings", [{}, {"folds": 3}])
def test_a_column_that_tells_the_label_is_found_by_train_alone(settings):
    """Of the latest quarter of the rows, which are held out, the column tells nothing."""
    rng = np.random.default_rng(0)
    labels, time = rng.choice(["a", "b"], 400), np.arange(400.0)
    column = np.where(time < 300, labels == "a", rng.random(400) < 0.5)
    found = examples(labels).drop(columns="text").assign(told=column, time=time)
    plan = make_plan(Split(seed=0, test=0.25, **settings), found, False)
    source = Source(found, [], columns={"told": {"kind": "boolean"}})

    (told,) = find_leaks(source, split(found, plan, KIND))

    assert "column 'told' determines the label" in told
    assert "task.source.ignore" in told


LABELS = ["a"] * 40 + ["b"] * 40 + ["c"] * 4 + ["d"] * 3


def test_rare_classes_are_an_error_that_names_the_key():
    with pytest.raises(
        UserError, match=r"label 'd' has 3 .* set task\.rare=drop or task\.rare=merge"
    ) as caught:
        settled("error", Source(examples(LABELS), []))

    assert "group" not in str(caught.value)


def test_rare_classes_are_dropped_and_counted():
    rounds, said, counts = settled("drop", Source(examples(LABELS), []))

    assert sorted({*rounds.examples["label"], *rounds.test["label"]}) == ["a", "b"]
    assert counts == {"too rare a class": 7}
    assert said == ["rows of classes that are rare are left out: 'c', 'd'"]


def test_rare_classes_are_merged_into_one():
    rounds, said, counts = settled("merge", Source(examples(LABELS), []))

    everything = pd.concat([rounds.examples, rounds.test])["label"]
    assert everything.value_counts().to_dict() == {"a": 40, "b": 40, "other": 7}
    assert (said, counts) == (["rare classes are merged into 'other': 'c', 'd'"], {})


def test_rare_classes_are_left_out_of_a_test_of_its_own_too():
    test = examples(["a", "b", "c"], ["t0", "t1", "t2"]).assign(group=["x", "y", "z"])

    rounds, _, counts = settled("drop", Source(examples(LABELS), [], test=test))

    assert rounds.test["label"].tolist() == ["a", "b"]
    assert counts == {"too rare a class": 8}


def in_time(labels):
    return Source(examples(labels).assign(time=range(len(labels))), [])


def test_a_class_that_comes_up_too_late_to_be_learned_is_left_out_and_told():
    rounds, said, counts = settled("error", in_time(["a", "b"] * 50 + ["c"] * 5))

    assert counts == {"too late a class": 5}
    assert said == [
        "rows of classes that are not among the earlier rows of each round are left out: 'c'"
    ]
    assert set(rounds.test["label"]) == {"a", "b"}


def test_a_class_that_later_rows_lack_is_kept_and_told():
    rounds, said, counts = settled("error", in_time(["c"] * 5 + ["a", "b"] * 50))

    assert counts == {}
    assert "c" in set(rounds.part("0", "train")["label"])
    assert said == [
        "the latest rows have no 'c': it is not in the validation and test, "
        "where its F1 counts as 0"
    ]


def test_an_unknown_way_with_rare_classes_is_reported():
    with pytest.raises(UserError, match=r"task\.rare: unknown 'dropp'; did you mean 'drop'"):
        settled("dropp", Source(examples(LABELS), []))
