"""What ingest checks, leaves out and writes on the card."""

import pandas as pd
import pytest

from pipeline.config.schema import Split
from pipeline.errors import UserError
from pipeline.ingest import card, clean, describe_counts
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
