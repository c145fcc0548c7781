"""Pairs of the Fake News Challenge: how they are joined, and what train loses to the test."""

import csv
import hashlib
import re

import numpy as np
import pytest

from pipeline.errors import UserError
from pipeline.problems.classification import ClassPredictions
from pipeline.tasks.fake_news.metrics import fnc_score
from pipeline.tasks.fake_news.source import read

COLUMNS = {"stances": ["Headline", "Body ID", "Stance"], "bodies": ["Body ID", "articleBody"]}
FILES = {
    ("train", "stances"): [
        ["Cat eats “dog”", "7", "agree"],
        ["Rain, at last", "7", "unrelated"],
        ["Seen by the test", "8", "discuss"],
        ["Rain, at last", "9", "disagree"],
        ["Cat eats “dog”", "8", "unrelated"],
        ["Seen by the test", "9", "unrelated"],
    ],
    ("train", "bodies"): [
        ["9", "The test has\nthis one."],
        ["7", "A cat ate a dog.\r\n\r\nIt is “well”."],
        ["8", 'A cat ate  a dog. It is "well".'],
    ],
    ("test", "stances"): [
        ["Seen  by the test", "7", "discuss"],
        ["Seen  by the test", "7", "discuss"],
        ["Other", "9", "unrelated"],
    ],
    ("test", "bodies"): [["7", "The test has this one."], ["9", "And this."]],
}


@pytest.fixture
def given():
    """Return the rows of each file, to be changed before they are read."""
    return {name: [list(row) for row in rows] for name, rows in FILES.items()}


@pytest.fixture
def read_given(given, tmp_path, monkeypatch):
    """Write the files to a mirror, and read them from there."""

    monkeypatch.setenv("BAKEOFF_MIRROR", str(tmp_path))

    def reading():
        manifest = []
        for (part, content), rows in given.items():
            path = tmp_path / "example.org" / f"{part}_{content}.csv"
            path.parent.mkdir(exist_ok=True)
            with path.open("w", newline="", encoding="utf-8") as file:
                csv.writer(file).writerows([COLUMNS[content], *rows])
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            manifest.append([part, content, digest, f"https://example.org/{path.name}"])
        with (tmp_path / "manifest.csv").open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([["part", "content", "sha256", "url"], *manifest])
        return read(tmp_path / "manifest.csv")

    return reading


def test_the_test_is_whole_and_in_its_order(read_given):
    assert read_given().test.to_dict("list") == {
        "example_id": ["test-00000", "test-00001", "test-00002"],
        "headline": ["Seen  by the test", "Seen  by the test", "Other"],
        "body": ["The test has this one.", "The test has this one.", "And this."],
        "label": ["discuss", "discuss", "unrelated"],
        "group": ["test-7", "test-7", "test-9"],
        "meta:unit": ["test-headline-0000", "test-headline-0000", "test-headline-0001"],
        "meta:unit_2": ["test-7", "test-7", "test-9"],
    }


def test_train_has_no_headline_and_no_body_of_the_test(read_given):
    source = read_given()

    seven, eight = (body for _, body in FILES["train", "bodies"][1:])
    assert source.examples.to_dict("list") == {
        "example_id": ["train-00000", "train-00001", "train-00004"],
        "headline": ["Cat eats “dog”", "Rain, at last", "Cat eats “dog”"],
        "body": [seven, seven, eight],
        "label": ["agree", "unrelated", "unrelated"],
        # Body 8 is body 7 again, but for its quotes and line ends.
        "group": ["train-7"] * 3,
        "meta:unit": ["train-headline-0000", "train-headline-0001", "train-headline-0000"],
        "meta:unit_2": ["train-7"] * 3,
    }
    assert source.dropped == {"headline is in the test": 2, "body is in the test": 1}


def test_the_origin_is_the_address_and_hash_of_every_file(read_given, tmp_path):
    files = [f"{part}_{content}.csv" for part, content in FILES]

    assert read_given().origin == [
        {
            "url": f"https://example.org/{name}",
            "sha256": hashlib.sha256((tmp_path / "example.org" / name).read_bytes()).hexdigest(),
        }
        for name in files
    ]


@pytest.mark.parametrize(
    ("file", "row", "expected"),
    [
        (
            ("train", "stances"),
            ["Rain", "12", "agree"],
            r"train_stances\.csv, row 7: Body ID '12' is not a body of train_bodies\.csv",
        ),
        (
            ("test", "stances"),
            ["Rain", "7", "Agree"],
            r"test_stances\.csv, row 4: Stance 'Agree' is not one of agree, disagree, discuss, unr",
        ),
        (("test", "bodies"), ["9", "x"], r"test_bodies\.csv: the body id 9 comes twice"),
    ],
    ids=["no body", "unknown stance", "body twice"],
)
def test_a_wrong_row_is_reported_by_file_and_row(given, read_given, file, row, expected):
    given[file].append(row)

    with pytest.raises(UserError, match=expected):
        read_given()


def test_a_missing_column_is_reported_by_file(read_given, monkeypatch):
    monkeypatch.setitem(COLUMNS, "bodies", ["Body ID", "text"])

    with pytest.raises(UserError, match=re.escape("train_bodies.csv lacks the column 'articleB")):
        read_given()


@pytest.mark.parametrize(
    ("answer", "points"),
    [
        # 18,349 * 0.25, and 4,464 + (1,903 + 697) * 0.25, of 11,651.25 points
        ("unrelated", 4587.25),
        ("discuss", 5114.0),
        (None, 11651.25),
    ],
)
def test_a_constant_and_a_perfect_answer_have_the_official_score(answer, points):
    """The official test: 39.37 % for "unrelated", 43.89 % for "discuss"."""
    classes = ("agree", "disagree", "discuss", "unrelated")
    actual = np.repeat(np.arange(4), [1903, 697, 4464, 18349])
    predicted = actual if answer is None else np.full(len(actual), classes.index(answer))
    answers = ClassPredictions(actual, np.eye(4)[predicted], 0, classes=classes)

    found = fnc_score(answers, np.ones((1, len(actual))))

    assert found[0] == pytest.approx(points / 11651.25, abs=1e-12)
