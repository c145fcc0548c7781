"""What ingest promises of the books, against their manifest."""

import json
import urllib.parse

import pandas as pd
import pytest

GENRES = ["essay", "novel", "poetry"]


@pytest.fixture(scope="module")
def manifest(clone) -> pd.DataFrame:
    return pd.read_csv(clone.root / "data/genre_gutenberg/manifest.csv", dtype=str)


def test_the_manifest_names_72_books_of_72_authors(manifest):
    assert manifest["label"].value_counts().to_dict() == dict.fromkeys(GENRES, 24)
    for column in ("author", "gutenberg_id", "sha256", "url"):
        assert manifest[column].is_unique, column


def test_the_manifest_pins_every_book_to_its_bytes_and_a_commit(manifest):
    assert manifest["sha256"].str.fullmatch(r"[0-9a-f]{64}").all()
    pinned = r"https://raw\.githubusercontent\.com/GITenberg/[^/]+/[0-9a-f]{40}/[\w.-]+\.txt"
    assert manifest["url"].str.fullmatch(pinned).all()
    names = manifest["url"].map(lambda url: urllib.parse.urlsplit(url).path.split("/")[2])
    assert (names.str.rsplit("_", n=1).str[-1] == manifest["gutenberg_id"]).all()


@pytest.fixture(scope="module")
def passages(gutenberg) -> dict[str, pd.DataFrame]:
    return gutenberg.parts("genre_gutenberg")


def test_every_book_gives_40_passages_of_50_to_1500_words(passages, manifest):
    whole = pd.concat(passages.values())
    book = whole["example_id"].str.split("-").str[0]
    assert book.value_counts().to_dict() == dict.fromkeys(manifest["gutenberg_id"], 40)
    words = whole["text"].str.split().str.len()
    assert words.between(50, 1500).all()
    # log-uniform: half of them are below the geometric mean
    assert words.median() == pytest.approx((50 * 1500) ** 0.5, rel=0.1)


def test_no_author_of_a_book_is_in_two_splits(passages):
    authors = [set(part["group"]) for part in passages.values()]
    assert sum(map(len, authors)) == len(set.union(*authors)) == 72


def test_a_passage_is_of_the_book_and_of_nothing_around_it(passages):
    text = pd.concat(passages.values())["text"]
    around = r"(?i)project gutenberg|gutenberg[- ]tm|\*\*\* ?(?:start|end) of"
    assert text[text.str.contains(around)].tolist() == []
    assert not text.str.contains(r"^\s|\s$").any()


def test_the_card_names_the_address_and_the_hash_of_every_book(gutenberg, manifest, passages):
    card = gutenberg.root / "data/ingested/genre_gutenberg/card.json"
    origin = json.loads(card.read_text("utf-8"))["origin"]
    assert origin == manifest[["url", "sha256"]].to_dict("records")


def test_labels_of_the_passages_are_those_of_the_manifest(passages, manifest):
    whole = pd.concat(passages.values())
    expected = manifest.set_index("author")["label"]
    assert (whole["group"].map(expected) == whole["label"]).all()
