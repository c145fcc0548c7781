"""Views of pairs of texts, against values by hand and against one pair at a time."""

import re
import zlib

import numpy as np
import pandas as pd
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer

from pipeline import storage
from pipeline.tasks.fake_news import features
from pipeline.tasks.fake_news.features import (
    PairTokenIds,
    Relations,
    engineered,
    sentences,
    stems,
    token_ids,
)

HEADLINES = [
    "Police deny that a robot ate the mayor",
    "Rain is expected at last",
    "Is the giant crab a hoax?",
    "Robot ate mayor, reports claim",
]
BODIES = [
    "It was a slow week. Nothing came in. Then it rained. Robots ate a mayor, a paper claimed! "
    "Police didn't confirm it. The mayor said he is well.",
    "The crab is fake. An expert called the giant crab a hoax.",
    "Rain",
    "A crab was seen in the harbour. It may be giant, reports say.",
]


def table(*pairs):
    return pd.DataFrame(pairs, columns=["headline", "body"])


EVERY = table(*[(headline, body) for body in BODIES for headline in HEADLINES])


def measured(headline, body, train=EVERY):
    return Relations().fit(train).measures(table((headline, body))).iloc[0]


def test_stems_are_words_without_endings_and_negations():
    found = stems("They didn't claim it; she claims, he CLAIMED: is it a fake?")

    assert " ".join(found) == "they did n't claim it she claim he claim is it a fake ?"


def test_sentences_end_with_a_mark_and_white_space():
    text = 'He paid $3.50. "Why?" she asked! ... Nobody knows'

    assert sentences(text) == ["He paid $3.50.", '"Why?', "she asked!", "Nobody knows"]
    assert sentences("...") == ["..."]


def idf(body_texts, term_pattern):
    """Weigh a term as scikit-learn does: log((1 + n) / (1 + n having it)) + 1."""
    having = sum(bool(re.search(term_pattern, text)) for text in body_texts)
    return np.log((1 + len(body_texts)) / (1 + having)) + 1


def test_shared_words_are_weighed_by_how_rare_they_are():
    train = table(("a", "one two"), ("a", "one three"), ("b", "one two"))
    # Of two distinct bodies, `one` is in both, `two` in one, `four` in none.
    one, two, four = 1, np.log(3 / 2) + 1, np.log(3) + 1

    found = measured("four one two", "zero one. two. zero zero. one two", train)

    whole = one + two + four
    assert found["shared words by 1 in body"] == pytest.approx((one + two) / whole, rel=1e-6)
    # `one two` is in the fourth sentence, which is not of the lead; `four one` was never seen.
    assert found["shared words by 2 in body"] == pytest.approx(two / (two + four), rel=1e-6)
    assert found["shared words by 2 in lead"] == 0
    assert found["shared words by 3 in body"] == 0


def test_cosine_to_the_body_is_that_of_scikit_learn():
    vectorizer = TfidfVectorizer(
        tokenizer=stems, token_pattern=None, lowercase=False, sublinear_tf=True
    ).fit(BODIES)
    # Only words that training knows, for the peer leaves the others out.
    headline, body = "a giant crab ate the mayor, it was claimed", BODIES[0]
    expected = (vectorizer.transform([headline]) @ vectorizer.transform([body]).T).toarray()

    assert measured(headline, body)["cosine to body"] == pytest.approx(expected.item(), rel=1e-5)


def test_places_of_the_closest_sentences():
    body = "Nothing here. The crab is a hoax. Nothing else. Crab, hoax. Crab, hoax."

    found = measured("crab hoax", body)

    # The fourth sentence is the headline, as is the fifth.
    assert found["cosine to closest sentence"] == pytest.approx(1)
    assert found["closest sentence"] == 3
    assert found["closest sentence, relative"] == pytest.approx(3 / 5)
    second = measured("crab hoax", "The crab is a hoax.")["cosine to closest sentence"]
    assert 0.5 < second < 1
    assert found["close sentences"] == 3
    assert found["close sentences, relative"] == pytest.approx(3 / 5)
    assert found["cosine to mean sentence"] == pytest.approx((second + 2) / 5)
    assert found["middle"] == pytest.approx((second * 1 + 3 + 4) / 5 / (second + 2))


def test_cues_by_hand():
    body = (
        "Zebras sleep. A paper claimed that it may be so. Zebras eat. "
        "Police denied the crab, and it is not a hoax."
    )

    found = measured("Is the crab a hoax?", body)

    # 22 words: claimed, may; denied, not; hoax.
    counts = {"hedging": 2, "denying": 2, "debunking": 1}
    for stance in features.CUES:
        n = counts.get(stance, 0)
        assert found[f"{stance} words of body"] == pytest.approx(n / 22), stance
        assert found[f"{stance} words of lead"] == (2 if stance == "hedging" else 0)
        assert found[f"{stance} words of closest"] == (0 if stance == "hedging" else n)
    assert found["debunking words of headline"] == 1
    assert found["doubting words of headline"] == 1
    # The last sentence speaks of the headline most, the second a little (it has an "a" too).
    assert found["denying words of close"] > 1.9
    assert found["not close"] == pytest.approx(found["denying words of close"] / 2)
    assert 0 < found["hedging words of close"] < 0.1


def test_a_pair_measures_the_same_alone_and_among_others():
    relations = Relations().fit(EVERY)

    together = relations.transform(EVERY)

    alone = [relations.transform(EVERY.iloc[[row]])[0] for row in range(len(EVERY))]
    np.testing.assert_allclose(together, alone, rtol=1e-5, atol=1e-6)
    assert together.dtype == np.float32


def test_rows_copied_some_at_a_time_are_all_copied(monkeypatch):
    relations = Relations().fit(EVERY)
    expected = relations.transform(EVERY)

    monkeypatch.setattr(features, "ROWS_AT_ONCE", 3)

    np.testing.assert_array_equal(relations.transform(EVERY), expected)


@pytest.mark.parametrize("view", [Relations, PairTokenIds], ids=["engineered", "raw"])
def test_each_distinct_text_is_read_as_often_in_one_pair_as_in_many(view, monkeypatch):
    """In 16 pairs of 4 headlines and 4 bodies no text is read more often than in 4 pairs."""
    read = []

    def counting(text):
        read.append(text)
        return stems(text)

    monkeypatch.setattr(features, "stems", counting)

    def reads(pairs):
        read.clear()
        view().fit(pairs).transform(pairs)
        return sorted(read)

    once = reads(table(*zip(HEADLINES, BODIES, strict=True)))
    assert len(once) >= 2 * 8
    assert reads(EVERY) == once


@pytest.mark.parametrize("text", ["", "...", "?!", "x"])
def test_measures_of_texts_without_words_are_finite(text):
    relations = Relations().fit(EVERY)

    for pair in [(text, text), (HEADLINES[0], text), (text, BODIES[0])]:
        assert np.isfinite(relations.transform(table(pair))).all()


def test_the_headline_of_its_own_body_is_the_most_similar():
    measures = Relations().fit(EVERY).measures(EVERY)

    for name in ("shared words by 1 in body", "cosine to body"):
        by_body = measures[name].to_numpy().reshape(len(BODIES), len(HEADLINES))
        assert by_body.argmax(1).tolist() == [3, 2, 1, 2], name


def test_token_ids_by_hand():
    train = table(("crab seen", "a crab is a crab"), ("crab seen", "a robot"))
    # Of three distinct texts, `crab` is in two, as is `a`; the rest are hashed in 5 buckets.
    featurizer = PairTokenIds(max_length=4, min_texts=2, buckets=5).fit(train)

    found = featurizer.transform(table(("Robot crabs", "the crab is a robot")))

    def bucket(stem):
        return 3 + zlib.crc32(stem.encode()) % 5

    assert featurizer.stems_.tolist() == ["a", "crab"]
    assert found.tolist() == [[[bucket("robot"), 2, 0, 0], [bucket("the"), 2, bucket("is"), 1]]]
    assert found.dtype == np.int32


@pytest.mark.parametrize(
    "view",
    [engineered(), PairTokenIds(max_length=9, min_texts=1)],
    ids=["engineered", "raw"],
)
def test_a_stored_view_is_the_same(view, tmp_path):
    view.fit(EVERY)

    storage.dump(view, tmp_path / "view.skops")
    loaded = storage.load(tmp_path / "view.skops")

    np.testing.assert_array_equal(loaded.transform(EVERY), view.transform(EVERY))
    assert loaded.feature_names_in_.tolist() == ["headline", "body"]


@pytest.mark.parametrize("view", [engineered(), token_ids(9, 1, 5)], ids=["engineered", "raw"])
def test_a_pair_as_it_was_typed_has_the_numbers_of_a_plain_one(view):
    typed = table(("\n‘Rain’  is\r\nexpected", " It  was “a slow”\tweek. It’s\n raining. "))
    plain = table(("'Rain' is expected", 'It was "a slow" week. It\'s raining.'))
    view.fit(EVERY)

    np.testing.assert_array_equal(view.transform(typed), view.transform(plain))
