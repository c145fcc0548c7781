"""Texts with straight quotes and plain white space, against texts written by hand."""

import pandas as pd
import pytest

from pipeline import storage
from pipeline.features.normaliser import Normaliser, normalise, normalise_each


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


def test_missing_texts_stay_missing_and_rows_keep_their_places():
    texts = pd.Series([" a ", None, "“b”", " a "], index=[7, 3, 9, 1])

    found = normalise_each(texts)

    assert found.index.tolist() == [7, 3, 9, 1]
    assert found.isna().tolist() == [False, True, False, False]
    assert found.dropna().tolist() == ["a", '"b"', "a"]


@pytest.mark.parametrize(("keep_layout", "text"), [(False, "a b"), (True, "a\n b")])
def test_every_column_is_normalised_by_the_stored_step_too(tmp_path, keep_layout, text):
    table = pd.DataFrame({"headline": ["a\r\n b"], "body": ["’"]}, index=[4])
    storage.dump(Normaliser(keep_layout).fit(table), tmp_path / "it.skops")

    found = storage.load(tmp_path / "it.skops").transform(table)

    expected = pd.DataFrame({"headline": [text], "body": ["'"]}, index=[4])
    pd.testing.assert_frame_equal(found, expected)


def test_an_empty_table_stays_one_of_texts():
    found = Normaliser().fit_transform(pd.DataFrame({"text": []}, dtype="str"))

    assert found.shape == (0, 1)
    assert found["text"].dtype == "str"
