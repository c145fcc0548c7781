"""Views of texts, against counts made by hand."""

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.feature_extraction.text import TfidfVectorizer

from pipeline import storage
from pipeline.features.text import (
    StyleMeasures,
    Tfidf,
    TokenIds,
    WordCount,
    engineered,
    token_ids,
)
from pipeline.featurize import unread


def table(*texts):
    return pd.DataFrame({"text": texts})


TRAIN = table("the wind the", "the man.", "a Man!")


def test_style_measures_by_hand():
    text = 'Stop! The man, old as Time, said: "Who?" -- No one.'
    # 10 words of 31 letters, all different, in 3 sentences
    expected = {
        "log_words": np.log(10),
        "word_length": 3.1,
        "sentence_length": 10 / 3,
        "root_type_token_ratio": 10 / np.sqrt(10),
        "commas": 0.2,
        "semicolons_and_colons": 0.1,
        "stops": 0.1,
        "questions": 0.1,
        "exclamations": 0.1,
        "quotes": 0.2,
        "dashes": 0.1,
        "capitals": 0.5,
    }

    found = StyleMeasures().fit_transform(table(text))

    assert dict(zip(StyleMeasures.NAMES, found[0], strict=True)) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("text", "measure", "expected"),
    [
        # It's, three, o'clock: an apostrophe joins
        ("It's three o'clock", "word_length", (4 + 5 + 7) / 3),
        # ... ends one sentence, and the point of a number none
        ("Well... it is 3.14 now", "sentence_length", 6),
        # the, The and THE are one type of 3 tokens
        ("the The THE", "root_type_token_ratio", 1 / np.sqrt(3)),
        # a hyphen within a word is no dash
        ("a well-known man \u2014 old - said", "dashes", 2 / 6),
        # capitals inside of a word do not count
        ("McDonald eats", "capitals", 1 / 2),
    ],
)
def test_a_style_measure_of_a_hard_case(text, measure, expected):
    found = StyleMeasures().fit_transform(table(text))[0, StyleMeasures.NAMES.index(measure)]

    assert found == pytest.approx(expected)


@pytest.mark.parametrize("text", ["...", "", "\u2014"])
def test_style_measures_of_a_text_without_words_are_finite(text):
    assert np.isfinite(StyleMeasures().fit_transform(table(text))).all()


def test_word_count_counts_what_white_space_parts():
    found = WordCount().fit_transform(table("one two-three  four\nfive", "x", ""))

    assert found.tolist() == [[4], [1], [0]]
    assert found.dtype == np.float32


def test_token_ids_by_hand():
    # Of the tokens, `the` and `man` are in two texts each; ties are in the order of the alphabet.
    featurizer = TokenIds(max_length=4, min_texts=2).fit(TRAIN)

    found = featurizer.transform(table("the wind the", "a man! x y", ""))

    assert featurizer.tokens_.tolist() == ["man", "the"]
    assert found.tolist() == [[3, 1, 3, 0], [1, 2, 1, 1], [0, 0, 0, 0]]
    assert found.dtype == np.int32


def test_a_word_with_a_capital_is_the_same_word_after_a_token_that_says_so():
    featurizer = TokenIds(max_length=9, min_texts=1).fit(table("The WIND, McDonald!", "a Élan 3"))

    found = featurizer.transform(table("the The, THE", "élan Élan"))

    capital, comma, the, elan = (
        featurizer.tokens_.tolist().index(token) + 2 for token in ("Aa", ",", "the", "élan")
    )
    assert found[0, :6].tolist() == [the, capital, the, comma, capital, the]
    assert found[1, :3].tolist() == [elan, capital, elan]
    # No text has the token itself: its letters are in lower case.
    assert featurizer.transform(table("Aa"))[0, :3].tolist() == [capital, 1, 0]


def test_the_view_is_as_wide_as_the_longest_training_text_and_no_wider_than_is_said():
    texts = table("one two three", "one", "two " * 8)

    whole, cut = (TokenIds(length, 1).fit(texts) for length in (2500, 4))

    assert (whole.transform(texts).shape, cut.transform(texts).shape) == ((3, 8), (3, 4))
    # of 12 tokens the last 4 of one text are not read
    assert (whole.unread_, cut.unread_) == (0, pytest.approx(4 / 12))
    # A longer text than any in training is cut.
    assert whole.transform(table("one " * 100)).shape == (1, 8)


def test_the_share_that_is_cut_off_is_that_of_the_last_step_and_none_where_none_is_known():
    raw = token_ids(max_length=1, min_texts=1).fit(table("one two three", "one"))

    assert unread(raw) == pytest.approx(2 / 4)
    assert unread(WordCount().fit(TRAIN)) == 0


def test_ids_are_the_same_in_a_fit_and_after_it():
    featurizer = TokenIds(max_length=3, min_texts=1)

    np.testing.assert_array_equal(featurizer.fit_transform(TRAIN), featurizer.transform(TRAIN))


def test_token_ids_put_the_token_of_most_texts_first():
    # `b` is in 3 texts, `a` in 2 though it occurs 4 times
    featurizer = TokenIds(max_length=9, min_texts=1).fit(table("a a a b", "a b", "b c"))

    assert featurizer.tokens_.tolist() == ["b", "a", "c"]


@pytest.mark.parametrize(
    ("min_texts", "known"),
    [(1, {"!", ".", "Aa", "a", "man", "the", "wind"}), (2, {"man", "the"})],
)
def test_min_texts_decides_which_tokens_are_known(min_texts, known):
    assert set(TokenIds(9, min_texts).fit(TRAIN).tokens_) == known


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"max_length": 0}, "max_length == 0, must be >= 1"),
        ({"min_texts": 0}, "min_texts == 0, must be >= 1"),
        ({"min_texts": 9}, "no token is in 9 texts: lower min_texts"),
    ],
)
def test_token_ids_that_would_tell_nothing_are_refused(settings, reason):
    with pytest.raises(ValueError, match=reason):
        TokenIds(**settings).fit(TRAIN)


def test_tfidf_is_scikit_learns():
    options = {"ngram_range": (1, 2), "sublinear_tf": True, "max_features": 5}

    found = Tfidf(**options).fit_transform(TRAIN["text"])

    expected = TfidfVectorizer(**options).fit_transform(TRAIN["text"])
    np.testing.assert_array_equal(found.toarray(), expected.toarray())


def test_tfidf_gives_the_same_numbers_after_storage(tmp_path):
    fitted = Tfidf(analyzer="char_wb", ngram_range=(2, 3)).fit(TRAIN["text"])
    storage.dump(fitted, tmp_path / "it.skops")

    again = storage.load(tmp_path / "it.skops")

    unseen = ["the old man", "wind"]
    np.testing.assert_array_equal(
        again.transform(unseen).toarray(), fitted.transform(unseen).toarray()
    )
    assert again.vocabulary_ == fitted.vocabulary_
    assert again.get_feature_names_out().tolist() == fitted.get_feature_names_out().tolist()


def test_storing_tfidf_leaves_it_as_it_is(tmp_path):
    fitted = Tfidf().fit(TRAIN["text"])
    vocabulary = dict(fitted.vocabulary_)

    storage.dump(fitted, tmp_path / "it.skops")

    assert fitted.vocabulary_ == vocabulary


def test_tfidf_that_is_not_fitted_survives_storage(tmp_path):
    storage.dump(Tfidf(max_features=7), tmp_path / "it.skops")

    assert storage.load(tmp_path / "it.skops").get_params()["max_features"] == 7


def test_engineered_is_sparse_and_keeps_to_its_columns():
    texts = table("the wind blew", "an old man said: no", "the man; the sea!")

    found = engineered(words=5, characters=7, min_texts=1).fit_transform(texts)

    assert sparse.issparse(found)
    assert found.shape == (3, 5 + 7 + len(StyleMeasures.NAMES))


def test_engineered_names_each_of_its_columns():
    fitted = engineered(words=5, characters=7, min_texts=1).fit(TRAIN)

    assert len(fitted.get_feature_names_out()) == fitted.transform(TRAIN).shape[1]


def test_engineered_leaves_rare_terms_out():
    # `the` is the only word in two texts, `th`, `he` and the like its runs
    fitted = engineered(words=99, characters=99, min_texts=2).fit(table("the wind", "the man"))

    assert fitted[-1].named_transformers_["words"].get_feature_names_out().tolist() == ["the"]


def test_engineered_tells_capitals_and_marks_apart():
    fitted = engineered(words=99, characters=99, min_texts=1).fit(table("the sea, And the Sea."))
    terms = {
        name: set(fitted[-1].named_transformers_[name].get_feature_names_out())
        for name in ("words", "characters")
    }

    assert {"sea", "Sea", ",", ".", ", And", "Sea ."} <= terms["words"]
    # a line that begins after a comma, though white space was collapsed
    assert {", A", "a, A"} <= terms["characters"]


VIEWS = [engineered(9, 9, 1), token_ids(20, 1), WordCount()]


@pytest.mark.parametrize("view", VIEWS, ids=["engineered", "raw", "length"])
def test_a_text_as_it_was_typed_has_the_numbers_of_a_plain_one(view):
    plain = ["'A man' -- \"old\" -", "the wind; the man."]
    typed = ["\n‘A  man’ --\r\n“old” - ", "\tthe wind;\n  the man.\n"]
    view.fit(table(*plain))

    found, expected = view.transform(table(*typed)), view.transform(table(*plain))

    dense = np.asarray if isinstance(found, np.ndarray) else sparse.csr_matrix.toarray
    np.testing.assert_array_equal(dense(found), dense(expected))


def test_layout_counts_where_it_is_kept():
    texts = table("one two", "one\n two")

    flat, kept = (token_ids(9, 1, keep_layout).fit(texts)[0] for keep_layout in (False, True))

    assert flat.transform(texts)["text"].tolist() == ["one two", "one two"]
    assert kept.transform(texts)["text"].tolist() == ["one two", "one\n two"]


def test_the_style_of_a_text_does_not_depend_on_the_texts_beside_it():
    texts = pd.DataFrame({"text": ["FORTHWITH, adv. A word. IT IS!", "It — was?", "no"]})
    measures = StyleMeasures().fit(texts)

    together = measures.transform(texts)
    alone = np.vstack([measures.transform(texts.iloc[[row]]) for row in range(len(texts))])

    np.testing.assert_array_equal(alone, together)
    # FORTHWITH, A, IT and IS, of six words.
    assert together[0, StyleMeasures.NAMES.index("capitals")] == pytest.approx(4 / 6)
