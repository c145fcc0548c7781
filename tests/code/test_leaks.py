"""Columns that all but tell the label, and columns of common tables that do not."""

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris, load_wine

from pipeline.sources.leaks import leaks

ROWS = 400


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def people(rng):
    """Return passengers with a column that says nothing."""
    label = rng.choice(["died", "survived"], ROWS, p=[0.6, 0.4])
    return pd.DataFrame({"age": rng.normal(30, 10, ROWS), "label": label})


@pytest.mark.parametrize("load", [load_iris, load_wine, load_breast_cancer, load_diabetes])
def test_common_tables_have_no_leak(load):
    frame = load(as_frame=True).frame.rename(columns={"target": "label"})
    of_numbers = load is load_diabetes

    assert leaks(frame.astype({"label": float if of_numbers else str})) == []


def test_what_is_filled_in_for_one_class_alone_is_named(people, rng):
    """As the boat of those who survived the Titanic, known of nearly all of them."""
    survived = (people["label"] == "survived") & (rng.random(ROWS) < 0.98)
    people["boat"] = pd.Series(rng.choice(list("ABCDEFGH"), ROWS)).where(survived)

    (told,) = leaks(people)

    share = survived.sum() / (people["label"] == "survived").sum()
    assert f"column 'boat' is filled in in {share:.1%} of the rows where the label" in told
    assert "'survived', and in 0.0% of the others" in told
    assert "task.source.ignore" in told


@pytest.mark.parametrize("kind", ["number", "category", "date"])
def test_a_column_that_nearly_tells_the_class_is_named_with_its_score(people, rng, kind):
    known = (people["label"] == "survived").to_numpy() ^ (rng.random(ROWS) < 0.005)
    number = known * 10 + rng.random(ROWS)
    people["found"] = {
        "number": number,
        "category": pd.Series(number.round(1).astype(str), dtype="str"),
        "date": pd.Timestamp("2024-01-01") + pd.to_timedelta(number, "D"),
    }[kind]

    (told,) = leaks(people)

    assert "column 'found' all but tells the label: by it alone macro-F1 is 0.9" in told


def test_a_column_of_which_the_target_is_made_is_named(rng):
    price = rng.gamma(2, 100, ROWS)
    frame = pd.DataFrame(
        {"rooms": rng.integers(1, 9, ROWS), "tax": price * 0.19 + 5, "label": price}
    )

    (told,) = leaks(frame)

    assert "column 'tax' all but tells the label: by it alone R² is 0.9" in told


def test_a_column_that_explains_much_is_not_named(rng):
    size = rng.gamma(2, 50, ROWS)
    frame = pd.DataFrame({"size": size, "label": size * 3 + rng.normal(0, 70, ROWS)})

    assert np.corrcoef(frame["size"], frame["label"])[0, 1] > 0.9
    assert leaks(frame) == []


def test_codes_that_differ_in_every_row_tell_nothing(people):
    people["code"] = pd.Series([f"c{number}" for number in range(ROWS)], dtype="str")

    assert leaks(people) == []
