"""What ingest says of the examples that it wrote."""

import pandas as pd

from pipeline.ingest import card, clean
from pipeline.problems import problem
from pipeline.sources.examples import Source
from pipeline.sources.split import split


def test_a_class_that_cleaning_removes_is_not_in_the_card():
    sound = pd.DataFrame({"text": [f"text {i}" for i in range(40)], "label": ["a", "b"] * 20})
    # Each text of class c is there as a text of class a too.
    odd = pd.DataFrame({"text": ["one", "one", "two", "two"], "label": ["a", "c"] * 2})
    examples = pd.concat([sound, odd], ignore_index=True)
    examples["example_id"] = examples["group"] = [f"e{row}" for row in range(len(examples))]
    source = Source(examples, [])

    kind = problem("classification")
    kept, _, _, dropped = clean(source, kind)
    found = card(source, kind, split(kept, 0.2, 0.2, 0, kind), dropped)

    assert found["target"]["classes"] == ["a", "b"]
    assert found["dropped"] == {"same inputs, different labels": 4}
