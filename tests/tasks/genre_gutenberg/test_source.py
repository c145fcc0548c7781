"""Passages of books: what is cut away, and what is cut out."""

import csv
import hashlib
import re

import numpy as np
import pytest

from pipeline.errors import UserError
from pipeline.tasks.genre_gutenberg.source import body, cut, read

HEADER = "\ufeffThe Project Gutenberg EBook of Emma, by Jane Austen\n\nRelease Date: 1994\n\n"
LICENCE = "\n\nUpdated editions will replace the previous one.\n"


@pytest.mark.parametrize(
    "start",
    [
        "*** START OF THIS PROJECT GUTENBERG EBOOK EMMA ***",
        "*** START OF THE PROJECT GUTENBERG EBOOK EMMA ***",
        "***START OF THE PROJECT GUTENBERG EBOOK EMMA***",
        "*** START OF THIS PROJECT GUTENBERG EBOOK EMMA, A NOVEL\nIN THREE VOLUMES ***",
    ],
)
@pytest.mark.parametrize(
    "end",
    [
        "*** END OF THIS PROJECT GUTENBERG EBOOK EMMA ***",
        "***END OF THE PROJECT GUTENBERG EBOOK EMMA***",
        "End of the Project Gutenberg EBook of Emma, by Jane Austen\n\n*** END OF THIS PROJECT",
        "End of Project Gutenberg's Emma, by Jane Austen\n\n*** END OF THIS PROJECT",
        "END OF THIS PROJECT GUTENBERG EBOOK EMMA",
    ],
)
def test_body_is_what_lies_between_the_marks(start, end):
    inner = "Emma Woodhouse, handsome,\n\n  * * *\n\nclever, and rich.\nTHE END"

    found = body(f"{HEADER}{start}\n\n{inner}\n\n{end}{LICENCE}")

    assert found.strip() == inner


def test_body_of_a_book_without_marks_is_the_book():
    assert body("Emma Woodhouse, handsome") == "Emma Woodhouse, handsome"


def numbered(words):
    """Write a text whose words are their own places."""
    return " ".join(map(str, range(words)))


def test_passages_have_lengths_in_range_and_are_parts_of_the_text():
    text = numbered(500)

    cuts = cut(text, 300, 20, 60, np.random.default_rng(0))

    assert len(cuts) == 300
    for passage in cuts:
        words = [int(word) for word in passage.split()]
        assert 20 <= len(words) <= 60
        assert words == list(range(words[0], words[0] + len(words)))
        assert words[-1] < 500


def test_both_ends_of_the_range_are_reached():
    cuts = cut(numbered(50), 500, 3, 5, np.random.default_rng(0))

    assert {len(passage.split()) for passage in cuts} == {3, 4, 5}


def test_lengths_are_log_uniform():
    shortest, longest, n = 50, 1500, 4000
    cuts = cut(numbered(2000), n, shortest, longest, np.random.default_rng(0))

    lengths = np.array([len(passage.split()) for passage in cuts])

    shares = np.linspace(0.1, 0.9, 9)
    span = np.log((longest + 1) / shortest)
    expected = np.log(shortest) + shares * span
    # 4 standard errors of a quantile of a uniform distribution, and the rounding down
    slack = 4 * span * np.sqrt(shares * (1 - shares) / n) + 1 / shortest
    assert (np.abs(np.log(np.quantile(lengths, shares)) - expected) < slack).all()


def test_places_are_uniform_and_reach_both_ends_of_the_text():
    cuts = cut(numbered(12), 3000, 10, 10, np.random.default_rng(0))

    starts = np.bincount([int(passage.split()[0]) for passage in cuts], minlength=3)

    assert len(starts) == 3
    # Each of 3 places is drawn Bin(3000, 1/3) times, with a standard deviation of 26.
    assert np.abs(starts - 1000).max() < 4 * 26


def test_a_passage_may_be_the_whole_text():
    assert cut("a b\n c", 2, 3, 3, np.random.default_rng(0)) == ["a b\n c"] * 2


def test_passages_keep_the_layout():
    text = "\n\n".join(f"  line {n}\n\tand more" for n in range(40))

    cuts = cut(text, 50, 5, 20, np.random.default_rng(0))

    assert all(passage in text for passage in cuts)
    assert any("\n\n  line" in passage for passage in cuts)
    assert all(passage == passage.strip() for passage in cuts)


def test_a_text_shorter_than_the_longest_passage_is_refused():
    with pytest.raises(ValueError, match=r"has 9 words, .* \(10\)"):
        cut(numbered(9), 1, 5, 10, np.random.default_rng(0))


BOOKS = {
    "1342": ("novel", "Austen, Jane", "utf-8", "Élise was “proud”.\n" * 20),
    "8209": ("poetry", "Keats, John", "latin-1", "Thé wind\n  blew\n" * 20),
}


@pytest.fixture
def library(tmp_path, monkeypatch):
    """Make a mirror of two books, and return its folder and the rows of its manifest."""
    rows = []
    for number, (label, author, encoding, text) in BOOKS.items():
        content = f"{HEADER[1:]}*** START OF THIS BOOK ***\n{text}\n*** END OF THIS".encode(
            encoding
        )
        place = tmp_path / "mirror" / "example.org" / f"A Book_{number}" / f"{number}.txt"
        place.parent.mkdir(parents=True)
        place.write_bytes(content)
        rows.append(
            {
                "label": label,
                "author": author,
                "gutenberg_id": number,
                "encoding": encoding,
                "sha256": hashlib.sha256(content).hexdigest(),
                "url": f"https://example.org/A%20Book_{number}/{number}.txt",
            }
        )
    monkeypatch.setenv("BAKEOFF_MIRROR", str(tmp_path / "mirror"))
    return tmp_path, rows


def read_library(library, **options):
    folder, rows = library
    manifest = folder / "manifest.csv"
    with manifest.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    options = {"seed": 0, "shortest": 5} | options
    return read(manifest, passages=6, longest=20, **options)


def book(library, number):
    return next((library[0] / "mirror").rglob(f"{number}.txt"))


def test_every_book_gives_its_passages_under_its_label_and_author(library):
    source = read_library(library)

    examples = source.examples
    assert examples["example_id"].tolist() == [f"{b}-{i:03d}" for b in BOOKS for i in range(6)]
    assert examples["label"].tolist() == ["novel"] * 6 + ["poetry"] * 6
    assert examples["group"].tolist() == ["Austen, Jane"] * 6 + ["Keats, John"] * 6
    assert source.origin == [{"url": row["url"], "sha256": row["sha256"]} for row in library[1]]


def test_passages_are_of_the_decoded_body_as_it_is(library):
    texts = read_library(library).examples.set_index("example_id")["text"]

    assert all(text in "Élise was “proud”.\n" * 20 for text in texts[:6])
    assert all(text in "Thé wind\n  blew\n" * 20 for text in texts[6:])
    assert any("\n  blew" in text for text in texts[6:])


def test_the_seed_decides_the_passages(library):
    first, again, other = (read_library(library, seed=seed).examples["text"] for seed in (1, 1, 2))

    assert first.equals(again)
    assert not first.equals(other)


def test_passages_of_a_book_do_not_depend_on_the_other_books(library):
    both = read_library(library).examples
    library[1].pop(0)

    alone = read_library(library).examples

    assert alone["text"].tolist() == both["text"].tolist()[6:]


def test_a_book_with_other_bytes_is_reported_by_file(library):
    book(library, "8209").write_text("something else")

    with pytest.raises(UserError, match=f"{re.escape(str(book(library, '8209')))}: sha256 is"):
        read_library(library)


def test_a_book_in_another_encoding_is_reported_by_file(library):
    library[1][1]["encoding"] = "utf-8"

    with pytest.raises(UserError) as caught:
        read_library(library)

    assert f"{book(library, '8209')} is not utf-8: byte 0xe9 in line" in str(caught.value)


def test_an_encoding_that_does_not_exist_is_reported_by_name(library):
    library[1][1]["encoding"] = "latin-99"

    with pytest.raises(UserError, match="latin-99"):
        read_library(library)


def test_a_book_shorter_than_a_passage_is_reported_by_file(library):
    path = book(library, "8209")
    path.write_bytes(b"too short")
    library[1][1]["sha256"] = hashlib.sha256(b"too short").hexdigest()

    with pytest.raises(UserError, match=f"{re.escape(str(path))}: has 2 words"):
        read_library(library)


@pytest.mark.parametrize("shortest", [0, -1, 21])
def test_a_range_of_lengths_upside_down_is_refused(library, shortest):
    with pytest.raises(UserError, match=rf"shortest \({shortest}\)"):
        read_library(library, shortest=shortest)
