"""What ingest promises of the Fake News Challenge, against its files and published counts."""

import csv
import json
from collections import Counter

import pandas as pd
import pytest

FNC = "raw.githubusercontent.com/FakeNewsChallenge/fnc-1/29d473af2d15278f0464d5e41e4cbe7eb58231f2"


@pytest.fixture(scope="module")
def parts(fake_news) -> dict[str, pd.DataFrame]:
    return fake_news.parts("fake_news")


@pytest.fixture(scope="module")
def card(fake_news) -> dict:
    path = fake_news.root / "data/ingested/fake_news/card.json"
    return json.loads(path.read_text(encoding="utf-8"))


def joined(mirror, part: str) -> list[tuple[str, str, str]]:
    """Read headline, body and stance of each pair of the files, without pandas."""
    tables = []
    for content in ("stances", "bodies"):
        with (mirror / FNC / f"{part}_{content}.csv").open(encoding="utf-8", newline="") as file:
            tables.append(list(csv.DictReader(file)))
    stances, bodies = tables
    text = {row["Body ID"]: row["articleBody"] for row in bodies}
    return [(row["Headline"], text[row["Body ID"]], row["Stance"]) for row in stances]


def rows(part: pd.DataFrame) -> list[tuple[str, str, str]]:
    return list(part[["headline", "body", "label"]].itertuples(index=False, name=None))


def test_the_test_is_the_challenges_own_and_whole(parts, mirror):
    assert rows(parts["test"]) == joined(mirror, "competition_test")
    # As published.
    counts = {"unrelated": 18_349, "discuss": 4_464, "agree": 1_903, "disagree": 697}
    assert parts["test"]["label"].value_counts().to_dict() == counts


def test_train_and_validation_are_of_the_training_files(parts, mirror):
    known = Counter(joined(mirror, "train"))
    kept = Counter(rows(pd.concat([parts["train"], parts["validation"]])))

    assert sum(known.values()) == 49_972
    assert kept <= known
    assert max(kept.values()) == 1


def test_what_was_dropped_is_counted_by_reason(parts, card):
    kept = len(parts["train"]) + len(parts["validation"])
    assert set(card["dropped"]) == {
        "headline is in the test",
        "body is in the test",
        "exact duplicate",
        "same inputs, different labels",
    }
    assert kept + sum(card["dropped"].values()) == 49_972


def test_no_headline_and_no_body_of_the_test_is_in_train_or_validation(parts):
    seen = pd.concat([parts["train"], parts["validation"]])
    for side in ("headline", "body"):
        known, new = (part[side].str.split().str.join(" ") for part in (seen, parts["test"]))
        assert not known.isin(new).any()


def test_no_body_is_in_two_splits(parts):
    for column in ("body", "group"):
        found = [set(part[column]) for part in parts.values()]
        assert sum(map(len, found)) == len(set.union(*found)), column


def test_a_fifth_of_the_pairs_is_for_validation_and_classes_are_alike(parts):
    train, validation = (parts[name]["label"] for name in ("train", "validation"))
    assert len(validation) / (len(train) + len(validation)) == pytest.approx(0.2, abs=0.01)
    shares = validation.value_counts(normalize=True) - train.value_counts(normalize=True)
    assert shares.abs().max() < 0.01


def test_the_manifest_pins_every_file_to_its_bytes_and_a_commit(clone):
    manifest = pd.read_csv(clone.root / "data/fake_news/manifest.csv", dtype=str)
    assert manifest["sha256"].str.fullmatch(r"[0-9a-f]{64}").all()
    assert manifest["url"].str.fullmatch(rf"https://{FNC}/\w+\.csv").all()
    assert (manifest["part"] + " " + manifest["content"]).is_unique


def test_the_origin_names_every_file_of_the_manifest(clone, card):
    manifest = pd.read_csv(clone.root / "data/fake_news/manifest.csv", dtype=str)
    assert card["origin"] == manifest[["url", "sha256"]].to_dict("records")
