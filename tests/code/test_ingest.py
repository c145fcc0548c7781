"""What ingest checks, leaves out and writes on the card."""

import pandas as pd
import pytest

from pipeline.errors import UserError
from pipeline.ingest import card, clean, describe_dropped
from pipeline.problems import problem
from pipeline.sources.examples import Source
from pipeline.sources.split import split

KIND = problem("classification")


def examples(labels, texts=None):
    ids = [f"e{i}" for i in range(len(labels))]
    return pd.DataFrame({"example_id": ids, "text": texts or ids, "label": labels, "group": ids})


def test_a_class_that_cleaning_removes_is_not_on_the_card():
    # The one example of c contradicts one of a: both go.
    labels = ["a", "b"] * 20 + ["c"]
    source = Source(examples(labels, [f"t{i}" for i in range(40)] + ["t0"]), [])

    kept, _, _, dropped = clean(source, KIND)
    written = card(source, KIND, split(kept, 0.2, 0.2, 0, KIND), dropped)

    assert written["target"] == {"classes": ["a", "b"], "columns": []}


def test_the_card_names_the_columns_that_are_for_metrics():
    source = Source(examples(["a", "b"] * 20).assign(**{"meta:price": 1.0, "meta:unit": "u"}), [])

    kept, _, _, dropped = clean(source, KIND)
    written = card(source, KIND, split(kept, 0.2, 0.2, 0, KIND), dropped)

    assert written["inputs"] == ["text"]
    assert written["target"]["columns"] == ["price"]
    assert written["splits"]["test"] == {
        "examples": 8,
        "groups": 8,
        "classes": {"a": 4, "b": 4},
    }


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
    assert describe_dropped({"exact duplicate": 1200, "empty": 1}) == (
        "; 1,200 dropped (exact duplicate); 1 dropped (empty)"
    )
