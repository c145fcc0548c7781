"""Copies between train and test: exact ones, and texts that were edited."""

import numpy as np
import pandas as pd
import pytest

from pipeline.evaluation.overlap import SHINGLE, find_copies, most_similar, sketch

WORDS = np.array([f"w{i}" for i in range(3000)])


def text(rng, words=120):
    return " ".join(rng.choice(WORDS, words))


def edit(text, rng, share):
    words = np.array(text.split())
    changed = rng.random(len(words)) < share
    return " ".join(np.where(changed, rng.choice(WORDS, len(words)), words))


def jaccard(one, other):
    """The share of common shingles, by sets."""
    sets = [
        {tuple(words[i : i + SHINGLE]) for i in range(len(words) - SHINGLE + 1)}
        for words in (one.split(), other.split())
    ]
    return len(sets[0] & sets[1]) / len(sets[0] | sets[1])


def examples(texts, **columns):
    ids = [f"e{i}" for i in range(len(texts))]
    table = pd.DataFrame({"example_id": ids, "text": texts, "group": ids, **columns})
    return table.assign(label="a") if "label" not in columns else table


def split(n, test):
    return [(np.arange(n - test), np.arange(n - test, n))]


def test_sketches_estimate_the_share_of_common_shingles():
    rng = np.random.default_rng(0)
    for share in (0.02, 0.05, 0.1, 0.2):
        whole = text(rng, 600)
        edited = edit(whole, rng, share)
        one, other = sketch([whole, edited])
        assert (one == other).mean() == pytest.approx(jaccard(whole, edited), abs=0.12)


def test_case_punctuation_and_order_of_texts_do_not_matter_and_short_texts_do():
    one, other = sketch(["The cat, it sat.", "the CAT it sat"])
    assert (one == other).all()
    alone = sketch(["the cat it sat"])[0]
    assert (alone == one).all()
    short, none = sketch(["yes", ""])
    empty = np.iinfo(np.uint64).max
    assert ((short != empty).sum(), (none != empty).sum()) == (1, 0)


def test_an_edited_text_is_found_and_its_original_named():
    rng = np.random.default_rng(1)
    texts = [text(rng) for _ in range(300)]
    texts += [text(rng) for _ in range(50)] + [edit(texts[7], rng, 0.05)]
    found = find_copies(examples(texts), split(351, 51))
    assert [copies.what for copies in found] == ["text"]
    assert found[0].pairs.to_dict("records") == [{"test": "e350", "train": "e7"}]


def test_nearly_all_texts_that_share_most_shingles_are_found():
    rng = np.random.default_rng(2)
    originals = [text(rng) for _ in range(200)]
    edited = [edit(one, rng, 0.05) for one in originals]
    alike = [jaccard(*pair) for pair in zip(originals, edited, strict=True)]
    match = most_similar(sketch(originals + edited), np.arange(200, 400), np.arange(200))
    clear = np.array(alike) > 0.6
    assert clear.sum() > 100
    assert (match[clear] == np.arange(200)[clear]).mean() > 0.97


@pytest.mark.parametrize("seed", range(5))
def test_texts_of_one_language_that_are_no_copies_are_not_reported(seed):
    rng = np.random.default_rng(seed)
    # Zipf's law: a few words make up most of every text
    words = [" ".join(WORDS[(rng.zipf(1.3, 150) - 1) % 3000]) for _ in range(400)]
    assert find_copies(examples(words), split(400, 100)) == []


def test_a_copied_row_of_numbers_is_found_and_rows_that_are_alike_by_chance_are_not():
    rng = np.random.default_rng(3)
    table = pd.DataFrame({"x": rng.normal(size=100), "y": rng.normal(size=100)})
    table.loc[95, ["x", "y"]] = table.loc[3, ["x", "y"]]
    ids = [f"e{i}" for i in range(100)]
    table = table.assign(example_id=ids, group=ids, label=rng.choice(["a", "b"], 100))
    table.loc[95, "label"] = table.loc[3, "label"]
    (found,) = find_copies(table, split(100, 20))
    assert (found.what, found.pairs.to_dict("records")) == ("", [{"test": "e95", "train": "e3"}])
    coarse = table.assign(x=rng.integers(3, size=100), y=rng.integers(3, size=100))
    assert find_copies(coarse, split(100, 20)) == []


def test_a_column_of_long_names_of_categories_is_none_of_texts_that_could_be_copied():
    rng = np.random.default_rng(4)
    names = [text(rng, 8) for _ in range(10)]
    table = examples(list(rng.choice(names, 200)), x=rng.normal(size=200))
    assert find_copies(table, split(200, 50)) == []


def test_copies_are_looked_for_within_each_round():
    rng = np.random.default_rng(5)
    texts = [text(rng) for _ in range(20)]
    texts[19] = texts[0]
    together = [(np.arange(1, 19), np.array([0, 19]))]
    assert find_copies(examples(texts), together) == []
    apart = [*together, (np.arange(10), np.arange(10, 20))]
    (of_texts, equal) = find_copies(examples(texts), apart)
    assert of_texts.pairs.to_dict("records") == [{"test": "e19", "train": "e0"}]
    assert equal.pairs.equals(of_texts.pairs)
