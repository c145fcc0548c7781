"""Texts on disk, read as they are."""

import hashlib
import re

import pandas as pd
import pytest

from pipeline.errors import UserError
from pipeline.sources.examples import inputs_of
from pipeline.sources.text_folder import read


def write(folder, texts):
    for place, content in texts.items():
        path = folder / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())


TEXTS = {
    "poetry/keats/ode.txt": "Thou still unravish’d bride\n  of quietness\n",
    "poetry/keats/autumn.txt": "Season of mists",
    "poetry/loose.txt": "A loose poem",
    "novel/emma.txt": "Emma  Woodhouse, handsome,\r\nclever, and rich",
}


@pytest.fixture
def folder(tmp_path):
    write(tmp_path, TEXTS)
    return tmp_path


def test_folders_are_labels_and_sub_folders_are_groups(folder):
    examples = read(folder).examples.set_index("example_id")

    assert examples[["label", "group"]].to_dict("index") == {
        "poetry/keats/ode.txt": {"label": "poetry", "group": "keats"},
        "poetry/keats/autumn.txt": {"label": "poetry", "group": "keats"},
        "poetry/loose.txt": {"label": "poetry", "group": "poetry/loose.txt"},
        "novel/emma.txt": {"label": "novel", "group": "novel/emma.txt"},
    }


def test_what_is_no_text_is_warned_of_and_suffixes_may_be_in_capitals(folder):
    write(folder, {"essay/LAMB.TXT": "On the custom of Chambers", "essay/notes.md": "not a text"})

    source = read(folder)

    assert "essay/LAMB.TXT" in set(source.examples["example_id"])
    (warning,) = source.warnings
    assert warning.startswith("files that are not .txt were not read: 1, such as ")
    assert warning.endswith("such as essay/notes.md")


def test_texts_are_what_a_user_would_send(folder):
    texts = read(folder).examples.set_index("example_id")["text"]

    assert texts.to_dict() == TEXTS


def test_a_byte_order_mark_is_no_text(tmp_path):
    write(tmp_path, {"novel/a.txt": b"\xef\xbb\xbfIt was"})

    assert read(tmp_path).examples["text"].tolist() == ["It was"]


def test_other_files_are_no_texts(folder):
    write(folder, {"README.md": "about", "poetry/notes.md": "about", "top.txt": "no class"})

    assert sorted(read(folder).examples["example_id"]) == sorted(TEXTS)


def test_what_is_hidden_is_no_text(folder):
    hidden = [".git/poetry/a.txt", "poetry/.cache/b.txt", "poetry/.c.txt", "novel/x/.d/e.txt"]
    write(folder, dict.fromkeys(hidden, "not for reading"))

    assert sorted(read(folder).examples["example_id"]) == sorted(TEXTS)


def test_a_folder_below_a_hidden_one_is_read(tmp_path):
    write(tmp_path / ".data", TEXTS)

    assert len(read(tmp_path / ".data").examples) == len(TEXTS)


def test_origin_is_the_hash_of_places_and_contents(folder):
    expected = hashlib.sha256()
    for place in sorted(TEXTS):
        expected.update(place.encode() + b"\0" + TEXTS[place].encode() + b"\0")

    assert read(folder).origin == [{"path": folder.name, "sha256": expected.hexdigest()}]


@pytest.mark.parametrize("change", ["content", "name"])
def test_origin_changes_with_a_texts_content_and_name(folder, change):
    before = read(folder).origin[0]["sha256"]

    if change == "content":
        (folder / "novel" / "emma.txt").write_text("Emma")
    else:
        (folder / "novel" / "emma.txt").rename(folder / "novel" / "emma2.txt")

    assert read(folder).origin[0]["sha256"] != before


def test_a_missing_folder_is_reported_by_name(tmp_path):
    with pytest.raises(UserError, match=f"{re.escape(str(tmp_path / 'no'))} is not a folder"):
        read(tmp_path / "no")


def test_a_folder_without_a_text_is_reported_by_name(tmp_path):
    (tmp_path / "poetry").mkdir()

    with pytest.raises(UserError, match=f"{re.escape(str(tmp_path))} holds no text"):
        read(tmp_path)


def test_a_text_that_is_not_utf_8_is_reported_by_file_byte_and_line(tmp_path):
    write(tmp_path, {"poetry/a.txt": "one\nBront\xeb".encode("latin-1")})

    with pytest.raises(UserError) as caught:
        read(tmp_path)

    place = tmp_path / "poetry" / "a.txt"
    assert f"{place} is not utf-8: byte 0xeb in line 2" in str(caught.value)


REVIEWS = pd.DataFrame(
    {
        "review": ["  It’s\n\n good ", "“bad”", "never again"],
        "stars": [5, 1, 1],
        "author": [7, 8, 8],
        "empty": [None] * 3,
    }
)


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_a_table_of_texts_is_read(tmp_path, suffix):
    file = tmp_path / f"reviews.{suffix}"
    {
        "csv": lambda: REVIEWS.to_csv(file, index=False),
        "jsonl": lambda: REVIEWS.to_json(file, orient="records", lines=True),
        "parquet": lambda: REVIEWS.to_parquet(file),
    }[suffix]()

    source = read(file, text="review", label="stars", group="author")

    assert source.examples[["example_id", "text", "label", "group"]].to_dict("list") == {
        "example_id": ["1", "2", "3"],
        "text": ["It’s\n\n good", "“bad”", "never again"],
        "label": ["5", "1", "1"],
        "group": ["7", "8", "8"],
    }
    assert inputs_of(source.examples) == ["text"]
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    assert source.origin == [{"path": file.name, "sha256": digest}]
    assert not source.may_miss


def test_rows_of_a_table_without_a_group_stand_alone(tmp_path):
    REVIEWS.to_csv(tmp_path / "a.csv", index=False)

    examples = read(tmp_path / "a.csv", text="review", label="stars").examples

    assert examples["group"].tolist() == examples["example_id"].tolist()


def test_texts_that_are_numbers_are_texts(tmp_path):
    write(tmp_path, {"a.csv": "text,label\n007,x\n1.50,y\n"})

    assert read(tmp_path / "a.csv").examples["text"].tolist() == ["007", "1.50"]


@pytest.mark.parametrize(
    ("content", "columns", "expected"),
    [
        ("text,class\na,x\n", {}, "task.source.label: no column 'label'"),
        ("texts,label\na,x\n", {}, "task.source.text: no column 'text'; did you mean 'texts'?"),
        ("text,label\na,x\n", {"group": "by"}, "task.source.group: no column 'by'"),
        ("text,label\na,x\n ,y\n", {}, "text 'text' is missing in 1 of 2 rows (2"),
        ("text,label\na,x\nb,\n", {}, "label 'label' is missing in 1 of 2 rows (2"),
    ],
)
def test_a_table_of_texts_that_cannot_be_used_is_reported(tmp_path, content, columns, expected):
    write(tmp_path, {"a.csv": content})

    with pytest.raises(UserError) as caught:
        read(tmp_path / "a.csv", **columns)

    assert f"{tmp_path / 'a.csv'}: {expected}" in str(caught.value)


def test_rows_of_a_table_without_a_label_are_left_out_by_key(tmp_path):
    write(tmp_path, {"a.csv": "text,label\na,x\nb,\nc,NA\nd,y\n"})

    source = read(tmp_path / "a.csv", unlabelled="drop")

    assert source.examples["example_id"].tolist() == ["1", "4"]
    assert source.dropped == {"no label": 2}


def test_texts_in_another_encoding_are_read_by_key(tmp_path):
    write(tmp_path, {"poetry/a.txt": "Bront\xeb".encode("cp1252")})

    assert read(tmp_path, encoding="cp1252").examples["text"].tolist() == ["Bront\xeb"]


def test_what_is_no_example_is_counted_and_told(folder):
    (folder / "drama").mkdir()
    write(folder, {"README.md": "about", "top.txt": "no class", "Novel/b.txt": "It was"})

    assert read(folder).warnings == [
        "folders of classes without a file were left out: 1, such as drama",
        "files beside the folders of classes were not read: 1, such as top.txt",
        "'Novel' and 'novel' of 'class' differ only in case or spaces, and are taken for two "
        "classes: if they are one, spell them alike",
    ]
