"""A table of ratings of one's own: what is read of it, how it is divided, what is refused."""

import numpy as np
import pandas as pd
import pytest

from pipeline.errors import UserError
from pipeline.sources.catalogue import Catalogue
from pipeline.sources.ratings import catalogue, histories, in_periods, protocol, read

KEYS = {"user": "who", "item": "film", "time": "at", "rating": "stars", "liked": 4.0}
PARTS = {"reveal": 0.0, "shares": [0.5, 0.8]}
ROWS = [
    # who, film, at, stars: train until 4, validation until 7, test
    ("ann", "Heat, The", 0, 5),
    ("bob", "Alien", 1, 4),
    ("ann", "Alien", 2, 5),
    ("bob", "Big", 3, 5),
    ("ann", "Big", 4, 2),
    ("ann", "Brazil", 5, 4),
    ("bob", "Heat, The", 6, 1),
    ("eve", "Alien", 7, 5),
    ("bob", "Brazil", 8, 5),
    ("eve", "Big", 9, 1),
]


def table(rows=ROWS) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["who", "film", "at", "stars"])


@pytest.fixture
def saved(tmp_path):
    """Return a function that saves rows and gives the path."""

    def save(rows=ROWS, name="plays.csv"):
        path = tmp_path / name
        if path.suffix == ".csv":
            table(rows).to_csv(path, index=False)
        elif path.suffix == ".parquet":
            table(rows).to_parquet(path)
        else:
            table(rows).to_json(path, orient="records", lines=True)
        return path

    return save


@pytest.mark.parametrize("name", ["plays.csv", "plays.parquet", "plays.jsonl"])
def test_users_have_a_history_and_what_they_liked_afterwards_in_each_period(saved, name):
    source = read(saved(name=name), **KEYS, **PARTS)

    assert source.names == ["Alien", "Big", "Brazil", "Heat, The"]
    found = source.examples.set_index("example_id")
    known = {
        row: {key: named(source, found[key][row]) for key in ("seen", "liked")} for row in found.T
    }
    assert known == {
        "ann-train": {"seen": ["Heat, The", "Alien"], "liked": ["Heat, The", "Alien"]},
        "bob-train": {"seen": ["Alien"], "liked": ["Alien"]},
        "ann-validation": {
            "seen": ["Heat, The", "Alien", "Big"],
            "liked": ["Heat, The", "Alien"],
        },
        "bob-test": {"seen": ["Alien", "Big", "Heat, The"], "liked": ["Alien", "Big"]},
        "eve-validation": {"seen": [], "liked": []},
    }
    labels = {row: named(source, label.split()) for row, label in found["label"].items()}
    assert labels == {
        "ann-train": [],
        "bob-train": ["Big"],
        "ann-validation": ["Brazil"],
        "eve-validation": ["Alien"],
        "bob-test": ["Brazil"],
    }


def named(source, items) -> list[str]:
    return [] if np.ndim(items) == 0 else [source.names[int(item)] for item in items]


def test_the_protocol_says_what_the_source_did(saved):
    (frozen,) = read(saved(), **KEYS, **PARTS).notes
    shown = protocol("songs", "chose", 0.25, [0.6, 0.8])

    assert "relevant are items that the user rated 4 or more after it" in frozen
    assert "the history is what the user rated before the test begins. The test" in frozen
    assert "latest 20% of the ratings of all users; models learn from the first 50%" in frozen
    assert "begins, and the first 25% of what the user rated in it." in shown


def test_without_ratings_every_row_is_liked(saved):
    source = read(saved(), **KEYS | {"rating": None, "liked": None}, **PARTS)

    found = source.examples.set_index("example_id")
    assert named(source, found["label"]["bob-validation"].split()) == ["Heat, The"]
    assert "items that the user chose after it" in source.notes[0]


def test_dates_are_times(saved):
    dated = [(who, film, f"2024-03-{at + 1:02d}", stars) for who, film, at, stars in ROWS]

    found = read(saved(dated, "dated.csv"), **KEYS, **PARTS).examples

    pd.testing.assert_frame_equal(found, read(saved(), **KEYS, **PARTS).examples)


def test_whole_numbers_are_items_as_they_are_and_greater_ones_are_named(saved):
    number = {"Alien": 30, "Big": 4, "Brazil": 500, "Heat, The": 7}

    def numbered(factor):
        rows = [(who, number[film] * factor, at, stars) for who, film, at, stars in ROWS]
        return read(saved(rows), **KEYS, **PARTS)

    assert numbered(1).names == []
    assert numbered(1).examples["label"].tolist() == ["", "4", "500", "30", "500"]
    assert numbered(10**9).names == ["30000000000", "4000000000", "500000000000", "7000000000"]
    assert numbered(10**9).examples["label"].tolist() == ["", "1", "2", "0", "2"]


def test_a_history_is_what_came_before_what_is_to_be_ranked():
    ratings = rated(
        (1, 10, 0, True), (1, 11, 1, False), (1, 12, 5, True), (1, 13, 6, False), (1, 14, 7, True)
    )
    ratings = pd.concat([ratings, rated((1, 15, 8, True))], ignore_index=True)
    inside = (ratings["time"] >= 5).to_numpy()

    (row,) = histories(ratings, inside, 0.5).to_dict("records")

    assert row["seen"].tolist() == [10, 11, 12, 13]
    assert row["liked"].tolist() == [10, 12]
    assert row["label"] == "14 15"
    (frozen,) = histories(ratings, inside, 0).to_dict("records")
    assert frozen["seen"].tolist() == [10, 11]
    assert frozen["label"] == "12 14 15"


def rated(*rows) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["user", "item", "time", "liked"])


def test_ratings_of_one_time_are_on_one_side():
    ratings = rated((1, 10, 1, True), (1, 11, 2, True), (1, 12, 2, True), (1, 13, 2, True))

    (row,) = histories(ratings, np.full(4, True), 0.5).to_dict("records")

    assert row["label"] == ""
    assert row["liked"].tolist() == [10, 11, 12, 13]


def test_who_is_new_has_no_history():
    (row,) = histories(rated((1, 10, 1, True)), np.array([True]), 0).to_dict("records")

    assert np.ndim(row["seen"]) == 0
    assert pd.isna(row["seen"])
    assert row["label"] == "10"


def test_what_is_chosen_again_is_listed_once_and_not_to_be_ranked():
    again = rated((1, 10, 0, True), (1, 10, 1, True), (1, 10, 5, True), (1, 11, 6, True))
    again = pd.concat([again, rated((1, 11, 7, True))], ignore_index=True)

    (row,) = histories(again, (again["time"] >= 5).to_numpy(), 0).to_dict("records")

    assert row["seen"].tolist() == [10]
    assert row["label"] == "11"


def test_a_catalogue_is_what_everyone_has_seen_by_now(saved):
    known = catalogue(saved(), **KEYS)

    names = [known.names[int(item)] for item in known.histories["liked"]["bob"]]
    assert names == ["Alien", "Big", "Brazil"]
    assert known.histories["seen"].map(len).to_dict() == {"ann": 4, "bob": 4, "eve": 2}


def test_a_catalogue_is_numbered_as_the_model_is():
    histories = pd.DataFrame(
        {"seen": [np.array([0.0, 1.0, 2.0])], "liked": [None]}, index=["ann"], dtype=object
    )
    now = Catalogue(histories, {0: "Aliens", 1: "Big", 2: "Heat"}, "songs")

    moved = now.numbered(["Big", "Gone", "Heat"])

    assert moved.histories["seen"]["ann"].tolist() == [-1, 0, 2]
    assert pd.isna(moved.histories["liked"]["ann"])
    assert moved.names == {0: "Big", 1: "Gone", 2: "Heat"}


def changed(row, column, value) -> list[tuple]:
    rows = [list(one) for one in ROWS]
    rows[row - 1][column] = value
    return [tuple(one) for one in rows]


@pytest.mark.parametrize(
    ("rows", "keys", "said"),
    [
        (ROWS, {"time": "when"}, "plays.csv: task.source.time: no column 'when'; known: "),
        (ROWS, {"time": None}, "task.source.time is not set: name the column of "),
        (ROWS, {"item": "who"}, "task.source.user: column 'who' has another role too"),
        (
            ROWS,
            {"rating": None},
            "task.source.liked: 4.0 is a rating, but task.source.rating names",
        ),
        (
            ROWS,
            {"liked": 5.5},
            "no rating is 5.5 or more, the greatest is 5: lower task.source.lik",
        ),
        (
            ROWS,
            {"scale": [2, 5]},
            "column 'stars', row 7: '1.0' is off task.source.scale, 2 to 5 (",
        ),
        (
            ROWS,
            {"scale": [5, 1]},
            "task.source.scale: [5, 1] is not the lowest and the highest rat",
        ),
        (ROWS, {"shares": [0.8, 0.5]}, "shares: [0.8, 0.5] are not two rising shares between"),
        (ROWS, {"reveal": 1}, "task.source.reveal: 1 is not at least 0 and below 1"),
        ([*ROWS, ROWS[2]], {}, "column 'film', row 11: 'Alien' is there before, of the same user"),
        (changed(3, 3, "five"), {}, "column 'stars', row 3: 'five' is no number"),
        (changed(3, 3, None), {}, "rating 'stars' is missing in 1 of 10 rows (3, not counting a"),
        (changed(3, 0, ""), {}, "user 'who' is missing in 1 of 10 rows (3, not counting a header)"),
        (changed(3, 2, "soon"), {}, "column 'at' holds neither times such as 2024-12-31 or"),
        (changed(3, 2, np.inf), {}, "column 'at', row 3: expected a finite number, not 'inf'"),
        (
            [row for row in ROWS if row[0] == "ann"],
            {},
            "names one user, 'ann': what to show is lea",
        ),
        ([(*row[:2], 7, row[3]) for row in ROWS], {}, "nobody liked anything that is to be ranked"),
    ],
)
def test_what_cannot_be_used_is_said_in_a_line(saved, rows, keys, said):
    with pytest.raises(UserError) as caught:
        read(saved(rows), **KEYS | PARTS | keys)

    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_users_who_liked_nothing_are_learned_from_and_not_scored(saved):
    rows = [*ROWS, ("sam", "Big", 0, 1), ("sam", "Alien", 9.5, 1)]

    found = in_periods(
        table(rows)
        .rename(columns={"who": "user", "film": "item", "at": "time"})
        .assign(item=lambda one: pd.factorize(one["item"])[0], liked=lambda one: one["stars"] >= 4)
        .sort_values("time", ignore_index=True),
        **PARTS,
    )

    of_sam = found[found["group"] == "sam"]
    assert of_sam["example_id"].tolist() == ["sam-train"]
    assert of_sam["label"].tolist() == [""]
