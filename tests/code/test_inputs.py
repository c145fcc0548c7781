"""Served tables: what they may hold, and the messages for what they may not."""

import datetime
import re

import numpy as np
import pandas as pd
import pytest

from pipeline.errors import UserError
from pipeline.features.inputs import conform, finite


def conformed(kind, values, dtype=None, may_miss=False):
    table = pd.DataFrame({"it": pd.Series(values, dtype=dtype)})
    return conform(table, {"it": kind}, may_miss)["it"]


@pytest.mark.parametrize(
    ("values", "dtype", "expected"),
    [
        ([1, 2], "int64", [1.0, 2.0]),
        ([1, 2], "Int64", [1.0, 2.0]),
        ([1, 2], "category", [1.0, 2.0]),
        ([True, False], "bool", [1.0, 0.0]),
        (["1", " 2.5 "], "str", [1.0, 2.5]),
        ([True, "3", 4], "object", [1.0, 3.0, 4.0]),
        ([1e300, -1e300], "float64", [1e300, -1e300]),
        # as pandas.read_csv leaves times of day, and Parquet brings them
        (["00:01", "23:59"], "str", [60.0, 86_340.0]),
        (["00:00:01", "1:00:00.5"], "str", [1.0, 3600.5]),
        ([datetime.time(0, 1), datetime.time(0, 0, 1, 500_000)], "object", [60.0, 1.5]),
        ([pd.Timedelta("1min"), pd.Timedelta("1s")], None, [60.0, 1.0]),
    ],
)
def test_numbers_may_come_in_many_types(values, dtype, expected):
    found = conformed("double", values, dtype)

    assert found.dtype == np.float64
    assert found.tolist() == expected


@pytest.mark.parametrize(
    "values", [[True, False], [1, 0], [1.0, 0.0], ["true", "False "], ["1", "0"], [True, "0"]]
)
def test_truth_values_may_be_1_and_0(values):
    found = conformed("boolean", values)

    assert found.dtype == bool
    assert found.tolist() == [True, False]


DATES = ["2024-02-29 12:30:00", "9999-12-31"]


@pytest.mark.parametrize(
    "values",
    [
        DATES,
        pd.to_datetime(pd.Series(DATES), format="ISO8601"),
        pd.to_datetime(pd.Series(DATES), format="ISO8601", utc=True),
        ["2024-02-29T12:30:00Z", "9999-12-31T02:00+02:00"],
        [pd.Timestamp(DATES[0]), datetime.date(9999, 12, 31)],
    ],
    ids=["text", "dates", "UTC", "another zone", "objects"],
)
def test_dates_may_be_text_and_have_a_time_zone(values):
    found = conformed("datetime", values)

    assert found.dtype == "datetime64[us]"
    assert found.map(str).tolist() == ["2024-02-29 12:30:00", "9999-12-31 00:00:00"]


@pytest.mark.parametrize(
    ("values", "dtype", "expected"),
    [
        (["a", " b"], "str", ["a", " b"]),
        ([7, 12], "int64", ["7", "12"]),
        ([7.0, 0.5], "float64", ["7", "0.5"]),
        (["a", 7, 7.0], "object", ["a", "7", "7"]),
        (["a", "b"], "category", ["a", "b"]),
    ],
)
def test_texts_may_be_numbers(values, dtype, expected):
    found = conformed("string", values, dtype)

    assert found.dtype == "str"
    assert found.tolist() == expected


def test_sequences_may_be_lists_tuples_and_arrays():
    found = conformed("sequence", [[1, 2], (3.0,), np.arange(2)])

    assert [list(one) for one in found] == [[1, 2], [3.0], [0, 1]]


@pytest.mark.parametrize(
    "values",
    [
        [b"\x89PNG\r\n", b"\x00"],
        [bytearray(b"\x89PNG\r\n"), memoryview(b"\x00")],
        # as JSON sends them, and as MLflow encodes them, with line breaks
        ["iVBORw0K", "AA=="],
        ["iVBO\nRw0K\n", "AA==\n"],
    ],
)
def test_bytes_may_be_text_in_base64(values):
    assert conformed("binary", values).tolist() == [b"\x89PNG\r\n", b"\x00"]


@pytest.mark.parametrize("kind", ["double", "boolean", "datetime", "string", "binary"])
@pytest.mark.parametrize("dtype", [object, None, "str"])
def test_values_may_be_missing_where_they_may_be_in_training(kind, dtype):
    found = conformed(kind, [None, np.nan], dtype, may_miss=True)

    assert found.isna().all()


@pytest.mark.parametrize("kind", ["double", "boolean", "datetime", "binary"])
def test_a_blank_text_is_a_missing_value_where_no_text_is_expected(kind):
    assert conformed(kind, ["", "  "], may_miss=True).isna().all()


@pytest.mark.parametrize(
    ("kind", "values", "wrong", "expected"),
    [
        ("double", ["1", "abc", "x"], "'abc'", "a finite number"),
        ("double", [1.0, np.inf, 2.0], "'inf'", "a finite number"),
        ("double", ["1", "1e400", "2"], "'1e400'", "a finite number"),
        ("double", ["1", "31:12:2024:1", "2"], "'31:12:2024:1'", "a finite number"),
        ("double", [[1.0], [1.0], [2.0]], "'[1.0]'", "a finite number"),
        ("boolean", [True, 2, False], "'2'", "true or false"),
        ("boolean", ["true", "yes", "false"], "'yes'", "true or false"),
        ("datetime", ["2024-01-01", "31/12/2024", None], "'31/12/2024'", "a date"),
        ("datetime", [1, 20240101, 3], "'1'", "a date"),
        ("string", ["a", ["b"], "c"], "'['b']'", "a text"),
        ("sequence", [[1.0], [], [2.0]], "'[]'", "one or more finite numbers"),
        ("sequence", [[1.0], [np.nan], [2.0]], "'[nan]'", "one or more finite numbers"),
        ("sequence", [[1.0], ["a"], [2.0]], "'['a']'", "one or more finite numbers"),
        ("sequence", [[1.0], "1 2", [2.0]], "'1 2'", "one or more finite numbers"),
        ("sequence", [[1.0], 5, [2.0]], "'5'", "one or more finite numbers"),
        ("sequence", [[1.0], [[1.0]], [2.0]], "'[[1.0]]'", "one or more finite numbers"),
        ("binary", [b"a", b"", b"c"], "'b'''", "one or more bytes, or text that encodes"),
        ("binary", ["AA==", "photo.png", "AA=="], "'photo.png'", "one or more bytes"),
        ("binary", [b"a", 7, b"c"], "'7'", "one or more bytes"),
    ],
)
@pytest.mark.parametrize("may_miss", [False, True])
def test_what_cannot_be_converted_is_reported_by_column_and_row(
    kind, values, wrong, expected, may_miss
):
    with pytest.raises(UserError) as caught:
        conformed(kind, values, may_miss=may_miss)

    row = 1 if wrong in ("'1'", "'[1.0]'") else 2
    assert str(caught.value).startswith(f"column 'it', row {row}: expected {expected}")
    assert f", not {wrong}" in str(caught.value)


@pytest.mark.parametrize("kind", ["double", "boolean", "datetime", "string", "sequence", "binary"])
def test_a_missing_value_is_reported_where_none_may_be(kind):
    with pytest.raises(UserError, match=r"^column 'it', row 1: expected .*, not none"):
        conformed(kind, [None], object)


def test_further_wrong_values_are_counted():
    with pytest.raises(UserError, match=r"row 2: .*, not 'a' \(and 2 more\)$"):
        conformed("double", ["1", "a", "b", "c"])


def test_columns_come_in_the_order_of_training_and_no_other():
    table = pd.DataFrame({"more": ["x"], "b": [2], "a": [1]}, index=[7])

    found = conform(table, {"a": "double", "b": "string"}, may_miss=False)

    expected = pd.DataFrame({"a": [1.0], "b": ["2"]})
    pd.testing.assert_frame_equal(found, expected)


def test_rows_of_a_table_that_was_put_together_keep_their_places():
    part = pd.DataFrame({"a": ["1", ""]})

    found = conform(pd.concat([part, part]), {"a": "double"}, may_miss=True)

    np.testing.assert_array_equal(found["a"], [1, np.nan, 1, np.nan])


def test_a_table_without_rows_has_the_types_of_training():
    kinds = {"n": "double", "t": "datetime", "s": "string", "q": "sequence", "b": "binary"}

    found = conform(pd.DataFrame(columns=list(kinds)), kinds, may_miss=False)

    assert found.shape == (0, 5)
    assert found.dtypes.map(str).to_dict() == {
        "n": "float64",
        "t": "datetime64[us]",
        "s": "str",
        "q": "object",
        "b": "object",
    }


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (["a"], "the input lacks the column ['b']"),
        ([], "the input lacks the columns ['a', 'b']"),
        (["a", "b", "b"], "the input has two columns 'b': rename one"),
    ],
)
def test_columns_that_are_missing_or_there_twice_are_reported_by_name(columns, message):
    table = pd.DataFrame([[1] * len(columns)], columns=columns)

    with pytest.raises(UserError, match=f"^{re.escape(message)}$"):
        conform(table, {"a": "double", "b": "double"}, may_miss=True)


def test_finite_finds_sequences_of_finite_numbers():
    rows = pd.Series([[1, 2], [], [np.nan], np.array([0.5]), [np.inf, 1]])

    assert finite(rows).tolist() == [True, False, False, True, False]


@pytest.mark.parametrize(("kind", "value"), [("double", 10**400), ("sequence", [10**400])])
def test_a_whole_number_beyond_the_greatest_float_is_refused(kind, value):
    table = pd.DataFrame({"x": pd.Series([value], dtype=object)})
    with pytest.raises(UserError, match="column 'x', row 1: expected "):
        conform(table, {"x": kind}, may_miss=False)
