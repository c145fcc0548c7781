"""What ingest promises of the data that everything else is built on."""

import json
import re
from itertools import combinations

import pandas as pd
import pytest
import yaml

GENRES = ["essay", "novel", "poetry"]


def card(project, task: str) -> dict:
    path = project.root / "data" / "ingested" / task / "card.json"
    return json.loads(path.read_text(encoding="utf-8"))


ROUNDS = ["0", "1", "2", "3", "4", "final"]


@pytest.mark.parametrize("name", ROUNDS)
@pytest.mark.parametrize("task", ["breast_cancer", "genre"])
def test_no_group_and_no_example_is_in_two_parts_of_a_round(repro, task, name):
    for one, other in combinations(repro.parts(task, name).values(), 2):
        assert set(one["group"]).isdisjoint(other["group"])
        assert set(one["example_id"]).isdisjoint(other["example_id"])


@pytest.mark.parametrize("task", ["breast_cancer", "genre"])
def test_every_example_is_tested_in_one_round(repro, task):
    tested = [example for name in ROUNDS for example in repro.parts(task, name)["test"].example_id]
    assert sorted(tested) == sorted(pd.concat(repro.parts(task).values())["example_id"])


@pytest.mark.parametrize("task", ["breast_cancer", "genre"])
def test_no_two_examples_are_alike(repro, task):
    whole = pd.concat(repro.parts(task).values())
    inputs = whole.drop(columns=["example_id", "label", "group", "meta:stratum"])
    assert not inputs.duplicated().any()
    assert whole["example_id"].is_unique


@pytest.mark.parametrize("task", ["breast_cancer", "genre"])
def test_the_card_counts_what_is_in_the_files(repro, task):
    for name, part in repro.parts(task).items():
        assert card(repro, task)["rounds"]["0"][name] == {
            "examples": len(part),
            "groups": part["group"].nunique(),
            "classes": part["label"].value_counts().to_dict(),
        }


def test_breast_cancer_is_the_published_data(repro):
    """Street, Wolberg, Mangasarian 1993: 569 patients, 212 malignant, 357 benign."""
    whole = pd.concat(repro.parts("breast_cancer").values())
    assert whole["label"].value_counts().to_dict() == {"benign": 357, "malignant": 212}
    assert whole["group"].nunique() == 569
    assert len(card(repro, "breast_cancer")["inputs"]) == 30
    # Patient 842302, the first of the published file.
    first = whole.set_index("example_id").loc["patient-000"]
    assert (first["label"], first["mean radius"], first["mean area"]) == ("malignant", 17.99, 1001)


def test_the_splits_have_the_shares_that_the_task_asks_for(repro):
    sizes = {name: len(part) for name, part in repro.parts("breast_cancer").items()}
    assert sizes == {"train": 364, "validation": 91, "test": 114}
    sizes = {name: len(part) for name, part in repro.parts("genre").items()}
    assert sizes == {"train": 72, "validation": 24, "test": 24}


@pytest.fixture(scope="module")
def corpus(clone) -> pd.DataFrame:
    """Return the starter corpus as it lies in data/genre."""
    rows = [
        (*path.relative_to(clone.root / "data/genre").parts, path.read_bytes().decode("utf-8"))
        for path in sorted(clone.root.glob("data/genre/*/*/*.txt"))
    ]
    texts = pd.DataFrame(rows, columns=["label", "group", "file", "text"])
    texts["words"] = texts["text"].str.split().str.len()
    return texts


def test_the_starter_corpus_has_enough_texts_of_every_genre(corpus, clone):
    assert len(corpus) == len(list(clone.root.glob("data/genre/**/*.txt")))
    counts = corpus["label"].value_counts()
    assert sorted(counts.index) == GENRES
    assert counts.min() >= 30


def test_every_hand_of_the_starter_corpus_wrote_two_texts_of_one_genre(corpus):
    hands = corpus.groupby("group")
    assert (hands.size() == 2).all()
    assert hands["label"].agg(set).map(len).eq(1).all()


def test_lengths_of_the_starter_corpus_cross_the_borders_of_the_rule(corpus):
    words = corpus.groupby("label")["words"]
    for genre, low, high in (("poetry", 15, 400), ("essay", 60, 1200), ("novel", 40, 1500)):
        assert low <= words.min()[genre] < words.max()[genre] <= high
    assert words.max()["poetry"] > 100
    assert words.min()["essay"] < 100 and words.max()["essay"] > 1000
    assert words.min()["novel"] < 100


def test_counting_words_is_right_for_fewer_than_60_percent_of_the_starter_corpus(corpus):
    def rule(words: int) -> str:
        return "poetry" if words < 100 else "novel" if words > 1000 else "essay"

    assert (corpus["words"].map(rule) == corpus["label"]).mean() < 0.6


def test_no_two_texts_of_the_starter_corpus_share_a_passage(corpus):
    """No run of 12 words, in lower case and without marks, is in texts of two hands."""
    seen: dict[tuple[str, ...], str] = {}
    for row in corpus.itertuples():
        words = re.findall(r"\w+", row.text.lower())
        for start in range(len(words) - 11):
            assert seen.setdefault(tuple(words[start : start + 12]), row.group) == row.group


def test_ingest_keeps_every_text_of_the_starter_corpus(repro, corpus):
    whole = pd.concat(repro.parts("genre").values()).set_index("example_id")["text"]
    expected = {f"{row.label}/{row.group}/{row.file}": row.text for row in corpus.itertuples()}
    assert whole.to_dict() == expected


def test_the_tasks_of_params_have_a_file_each(clone):
    asked = yaml.safe_load((clone.root / "params.yaml").read_text(encoding="utf-8"))
    for group in ("task", "model"):
        for name in asked[f"{group}s"]:
            assert (clone.root / "conf" / group / f"{name}.yaml").is_file()
