"""Texts on disk, and text as every text source gives it."""

import hashlib
import re

import pytest

from pipeline.errors import UserError
from pipeline.sources.text import normalise
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
    examples = read(str(folder)).examples.set_index("example_id")

    assert examples[["label", "group"]].to_dict("index") == {
        "poetry/keats/ode.txt": {"label": "poetry", "group": "keats"},
        "poetry/keats/autumn.txt": {"label": "poetry", "group": "keats"},
        "poetry/loose.txt": {"label": "poetry", "group": "poetry/loose.txt"},
        "novel/emma.txt": {"label": "novel", "group": "novel/emma.txt"},
    }


def test_texts_are_normalised(folder):
    flat, laid_out = (
        read(str(folder), keep_layout).examples.set_index("example_id")["text"]
        for keep_layout in (False, True)
    )

    assert flat["poetry/keats/ode.txt"] == "Thou still unravish'd bride of quietness"
    assert laid_out["poetry/keats/ode.txt"] == "Thou still unravish'd bride\n  of quietness"
    assert flat["novel/emma.txt"] == "Emma Woodhouse, handsome, clever, and rich"
    assert laid_out["novel/emma.txt"] == "Emma  Woodhouse, handsome,\nclever, and rich"


def test_a_byte_order_mark_is_no_text(tmp_path):
    write(tmp_path, {"novel/a.txt": b"\xef\xbb\xbfIt was"})

    assert read(str(tmp_path)).examples["text"].tolist() == ["It was"]


def test_other_files_are_no_texts(folder):
    write(folder, {"README.md": "about", "poetry/notes.md": "about", "top.txt": "no class"})

    assert sorted(read(str(folder)).examples["example_id"]) == sorted(TEXTS)


def test_origin_is_the_hash_of_places_and_contents(folder):
    expected = hashlib.sha256()
    for place in sorted(TEXTS):
        expected.update(place.encode() + b"\0" + TEXTS[place].encode() + b"\0")

    assert read(str(folder)).origin == [{"path": folder.as_posix(), "sha256": expected.hexdigest()}]


@pytest.mark.parametrize("change", ["content", "name"])
def test_origin_changes_with_a_texts_content_and_name(folder, change):
    before = read(str(folder)).origin[0]["sha256"]

    if change == "content":
        (folder / "novel" / "emma.txt").write_text("Emma")
    else:
        (folder / "novel" / "emma.txt").rename(folder / "novel" / "emma2.txt")

    assert read(str(folder)).origin[0]["sha256"] != before


def test_a_missing_folder_is_told_by_name(tmp_path):
    with pytest.raises(UserError, match=f"{re.escape(str(tmp_path / 'no'))} is not a folder"):
        read(str(tmp_path / "no"))


def test_a_folder_without_a_text_is_told_by_name(tmp_path):
    (tmp_path / "poetry").mkdir()

    with pytest.raises(UserError, match=f"{re.escape(str(tmp_path))} holds no text"):
        read(str(tmp_path))


def test_a_text_that_is_not_utf_8_is_told_by_file_byte_and_line(tmp_path):
    write(tmp_path, {"poetry/a.txt": "one\nBront\xeb".encode("latin-1")})

    with pytest.raises(UserError) as caught:
        read(str(tmp_path))

    place = tmp_path / "poetry" / "a.txt"
    assert f"{place} is not utf-8: byte 0xeb in line 2" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "flat", "laid_out"),
    [
        ("  a\r\n\r\n  b \n", "a b", "a\n\n  b"),
        ("a\rb", "a b", "a\nb"),
        ("“a” ‘b’ «c» „d‚", '"a" \'b\' "c" "d\'', '"a" \'b\' "c" "d\''),
        ("a\u00a0\tb", "a b", "a\u00a0\tb"),
        (" \n ", "", ""),
    ],
)
def test_normalise_by_hand(text, flat, laid_out):
    assert normalise(text, keep_layout=False) == flat
    assert normalise(text, keep_layout=True) == laid_out


@pytest.mark.parametrize("keep_layout", [False, True])
def test_normalising_twice_changes_nothing_more(keep_layout):
    once = normalise(" “a”\r\n\n  b’s\t\r c ", keep_layout)

    assert normalise(once, keep_layout) == once
