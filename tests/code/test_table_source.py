"""Tables of the user's own: what is read of them, and what is refused."""

import csv
import datetime
import gzip
import hashlib
import re
import sys

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_diabetes

from pipeline.errors import UserError
from pipeline.features.inputs import kind_of
from pipeline.problems import problem
from pipeline.sources.examples import check, inputs_of
from pipeline.sources.leaks import leaks
from pipeline.sources.table import read

ROWS = 12


@pytest.fixture
def frame():
    """Return a table with a column of each kind, a tenth missing in three of them."""
    return pd.DataFrame(
        {
            "age": [31, 45, None, 28, 61, 39, 50, 33, 27, 44, 58, 36],
            "children": range(ROWS),
            "member": [True, True, False] * 4,
            "paid": [True, None, False] * 4,
            "since": pd.date_range("2024-01-30", periods=ROWS),
            "at": pd.date_range("2024-01-30 10:30:15", periods=ROWS, freq="36h"),
            "city": ["Köln", "Bonn", None, "Ulm"] * 3,
            "churned": ["yes", "no"] * 6,
        }
    )


@pytest.fixture
def file(frame, tmp_path):
    path = tmp_path / "churn.csv"
    frame.to_csv(path, index=False)
    return path


@pytest.fixture
def write(tmp_path):
    """Return a function that writes a file and gives its path."""

    def written(name, content):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return written


KINDS = {
    "age": "double",
    "children": "double",
    "member": "boolean",
    "paid": "double",  # since a served null would be False
    "since": "datetime",
    "at": "datetime",
    "city": "string",
}


def kinds(examples):
    return {name: kind_of(examples[name]) for name in KINDS}


def test_a_csv_file_gives_typed_columns(file, frame):
    examples = read(file, "churned").examples

    assert kinds(examples) == KINDS
    np.testing.assert_array_equal(examples["age"], frame["age"])
    np.testing.assert_array_equal(examples["paid"], [1, np.nan, 0] * 4)
    assert examples["member"].tolist() == [True, True, False] * 4
    assert examples["since"].tolist() == frame["since"].tolist()
    assert examples["at"].tolist() == frame["at"].tolist()
    assert examples["city"].fillna("-").tolist() == ["Köln", "Bonn", "-", "Ulm"] * 3
    assert examples["label"].tolist() == frame["churned"].tolist()


@pytest.mark.parametrize("suffix", ["parquet", "jsonl", "ndjson", "tsv"])
def test_other_types_of_file_give_what_csv_gives(file, frame, tmp_path, suffix):
    other = tmp_path / f"churn.{suffix}"
    if suffix == "parquet":
        frame.to_parquet(other)
    elif suffix == "tsv":
        frame.to_csv(other, sep="\t", index=False)
    else:
        text = frame.assign(since=frame["since"].astype(str), at=frame["at"].astype(str))
        text.to_json(other, orient="records", lines=True)

    found, expected = (read(path, "churned").examples for path in (other, file))

    pd.testing.assert_frame_equal(found, expected)


@pytest.mark.parametrize("mark", [";", "|"])
def test_the_mark_between_values_is_found_in_the_header(file, frame, tmp_path, mark):
    other = tmp_path / "other.csv"
    frame.to_csv(other, sep=mark, index=False)

    found = read(other, "churned").examples

    pd.testing.assert_frame_equal(found, read(file, "churned").examples)


def test_rows_are_numbered_and_stand_alone(file):
    source = read(file, "churned")

    assert source.examples["example_id"].tolist() == [str(row) for row in range(1, ROWS + 1)]
    assert source.examples["group"].tolist() == source.examples["example_id"].tolist()
    assert source.may_miss
    assert source.test is None
    assert source.warnings == []


def test_what_is_read_fits_the_contract_of_examples(file):
    check(read(file, "churned").examples, may_miss=True)


def test_the_origin_is_the_hash_of_the_file(file):
    expected = hashlib.sha256(file.read_bytes()).hexdigest()

    assert read(file, "churned").origin == [{"path": "churn.csv", "sha256": expected}]


def test_a_group_is_no_input(file, frame):
    examples = read(file, "churned", group="children").examples

    assert "children" not in examples
    # as text, whatever it looks like
    assert examples["group"].tolist() == [str(number) for number in range(ROWS)]


@pytest.mark.parametrize("name", ["at", "children"])
def test_a_time_is_no_input(file, frame, name):
    examples = read(file, "churned", time=name).examples

    assert name not in examples
    assert examples["time"].tolist() == frame[name].tolist()
    assert examples["group"].tolist() == examples["example_id"].tolist()


def test_ignored_columns_are_left_out(file):
    examples = read(file, "churned", ignore=["age", "city"]).examples

    assert set(KINDS) - set(examples) == {"age", "city"}


def test_a_test_file_gives_the_test_examples(file, frame, tmp_path):
    other = tmp_path / "test.csv"
    # whole numbers where train has fractions, nothing where train has cities
    frame.assign(age=7, city=None).to_csv(other, index=False)

    source = read(file, "churned", test=other)

    assert source.test["example_id"].tolist() == [f"test-{row}" for row in range(1, ROWS + 1)]
    assert source.test["age"].tolist() == [7.0] * ROWS
    assert source.test["city"].isna().all()
    assert kinds(source.test) == kinds(source.examples) == KINDS
    assert [origin["path"] for origin in source.origin] == ["churn.csv", "test.csv"]


def test_booleans_missing_in_one_of_two_files_are_numbers_in_both(file, frame, tmp_path):
    other = tmp_path / "test.csv"
    frame.assign(member=[None, True] * 6).to_csv(other, index=False)

    source = read(file, "churned", test=other)

    assert source.examples["member"].tolist() == [1.0, 1.0, 0.0] * 4
    np.testing.assert_array_equal(source.test["member"], [np.nan, 1.0] * 6)


def test_text_of_a_test_file_is_text_where_it_looks_like_a_number(write):
    train = write("a.csv", "code,label\n" + "A1,x\n007,y\n" * 3)
    test = write("b.csv", "code,label\n" + "007,x\n008,y\n" * 3)

    assert read(train, "label", test=test).test["code"].tolist() == ["007", "008"] * 3


def test_labels_are_as_the_file_has_them(write):
    file = write("a.csv", "a,label\n" + "1.5,007\n2.5, True \n3.5,1.0\n" * 3)

    assert read(file, "label").examples["label"].tolist() == ["007", "True", "1.0"] * 3


@pytest.mark.parametrize(
    ("labels", "expected"),
    [([0, 1], ["0", "1"]), ([0.0, 1.0], ["0", "1"]), ([False, True], ["false", "true"])],
)
def test_labels_of_parquet_are_texts(tmp_path, labels, expected):
    file = tmp_path / "a.parquet"
    pd.DataFrame({"a": [1.5, 2.5], "label": labels}).to_parquet(file)

    assert read(file, "label").examples["label"].tolist() == expected


def test_white_space_around_a_value_does_not_count_and_what_is_blank_is_missing(write):
    file = write("a.csv", "word,number,label\n" + " a b , 1 ,x\n   ,2,y\n,,x\n")

    examples = read(file, "label").examples

    assert examples["word"].fillna("-").tolist() == ["a b", "-", "-"]
    np.testing.assert_array_equal(examples["number"], [1, 2, np.nan])


def test_quoted_values_hold_line_breaks_and_marks(write):
    file = write("a.csv", 'text,label\n"one, two\nthree",x\n"say ""hi""",y\n')

    assert read(file, "label").examples["text"].tolist() == ["one, two\nthree", 'say "hi"']


def test_a_byte_order_mark_is_no_part_of_a_name(write):
    file = write("a.csv", b"\xef\xbb\xbflabel,a\nx,1\ny,2\n")

    assert read(file, "label").examples["a"].tolist() == [1, 2]


def test_a_type_that_shows_only_late_in_a_large_file_is_found(write):
    rows = 2_000_000
    file = write("a.csv", "a,b,label\n" + "1,1,xxxxxxxxxx\n" * rows + "1.5,word,y\n")
    assert file.stat().st_size > 1 << 24

    examples = read(file, "label").examples

    assert examples["a"].iloc[[0, -1]].tolist() == [1, 1.5]
    assert examples["b"].iloc[[0, -1]].tolist() == ["1", "word"]


def test_other_types_of_parquet_are_put_in_plain_form(tmp_path):
    file = tmp_path / "a.parquet"
    pd.DataFrame(
        {
            "category": pd.Categorical(["a", "b"]),
            "zone": pd.to_datetime(["2024-01-01 12:00+02:00"] * 2),
            "day": [datetime.date(2024, 1, 1)] * 2,
            "clock": [datetime.time(0, 1, 30), None],
            "lasted": [datetime.timedelta(minutes=2, milliseconds=500)] * 2,
            "small": np.array([1, 2], dtype=np.int8),
            "label": ["x", "y"],
        }
    ).to_parquet(file)

    examples = read(file, "label").examples

    assert examples["category"].tolist() == ["a", "b"]
    assert kind_of(examples["category"]) == "string"
    assert examples["zone"].tolist() == [pd.Timestamp("2024-01-01 10:00")] * 2
    assert examples["day"].tolist() == [pd.Timestamp("2024-01-01")] * 2
    np.testing.assert_array_equal(examples["clock"], [90, np.nan])
    assert examples["lasted"].tolist() == [120.5] * 2
    assert examples["small"].dtype == np.float64


def test_names_that_mean_something_here_are_reported_and_changed(write):
    header = "label,time,group,example_id,churned"
    file = write("a.csv", f"{header}\n1,2,a,x,yes\n3,4,b,y,no\n5,6,a,z,no\n")

    source = read(file, "churned", time="time")

    assert source.examples["label"].tolist() == ["yes", "no", "no"]
    assert source.examples["time"].tolist() == [2, 4, 6]
    assert source.examples["label_"].tolist() == [1, 3, 5]
    assert source.examples["group_"].tolist() == ["a", "b", "a"]
    assert source.examples["example_id_"].tolist() == ["x", "y", "z"]
    assert [warning.split(" has")[0] for warning in source.warnings] == [
        "'example_id'",
        "'label'",
        "'group'",
    ]


def test_a_column_without_a_name_is_called_by_its_place(write):
    file = write("a.csv", ",label\n0.5,x\n1.5,y\n")

    assert read(file, "label").examples["column 1"].tolist() == [0.5, 1.5]


@pytest.mark.parametrize(
    ("values", "leaking"),
    [
        (["yes", "no", "no", "yes"], True),
        ([1, 0, 0, 1], True),
        ([1, None, None, 1], True),
        ([True, False, False, True], True),
        # in one row it does not fit, or tells more
        ([1, 0, 0, 0], False),
        ([1, 0, 2, 1], False),
        ([5, 5, 5, 5], False),
    ],
)
def test_an_input_that_stands_for_the_label_is_found(values, leaking):
    examples = pd.DataFrame({"a": values, "label": ["no", "yes", "yes", "no"]})

    told = leaks(examples)
    assert ["column 'a' determines the label" in one for one in told] == [True] * leaking


def test_an_index_of_the_rows_is_warned_of(tmp_path):
    """As pandas writes it unless one leaves it out, here shuffled."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"x": rng.random(60), "y": ["a"] * 30 + ["b"] * 30})
    shuffled = frame.sample(frac=1, random_state=0)
    shuffled.to_csv(tmp_path / "a.csv")
    shuffled.to_parquet(tmp_path / "a.parquet")
    shuffled.to_csv(tmp_path / "b.csv", index=False)

    (csv,) = read(tmp_path / "a.csv", "y").warnings
    (parquet,) = read(tmp_path / "a.parquet", "y").warnings

    assert "column 'column 1' numbers the rows" in csv
    assert "column '__index_level_0__' numbers the rows" in parquet
    assert read(tmp_path / "b.csv", "y").warnings == []


@pytest.mark.parametrize("first", [0, 1])
def test_an_index_of_the_rows_in_their_order_is_left_out(tmp_path, first):
    rows = pd.DataFrame({"n": np.arange(60) + first, "x": [5, 7, 9] * 20, "y": ["a", "b"] * 30})
    rows.to_csv(tmp_path / "a.csv", index=False)
    rows.assign(n=3).to_csv(tmp_path / "test.csv", index=False)

    source = read(tmp_path / "a.csv", "y", test=tmp_path / "test.csv")

    assert inputs_of(source.examples) == inputs_of(source.test) == ["x"]
    assert "column 'n' numbers the rows from first to last, and is left out" in source.warnings


@pytest.mark.parametrize(
    "values", [np.arange(60) + 1965, np.arange(60) * 2, np.sqrt(np.arange(60)), [*range(59), 57]]
)
def test_a_column_that_the_rows_are_sorted_by_is_kept(tmp_path, values):
    rows = pd.DataFrame({"n": values, "y": ["a", "b"] * 30})
    rows.to_csv(tmp_path / "a.csv", index=False)

    source = read(tmp_path / "a.csv", "y")

    assert inputs_of(source.examples) == ["n"]
    assert source.warnings == []


def test_codes_that_count_from_another_number_are_warned_of(tmp_path):
    rows = pd.DataFrame({"n": np.arange(60) + 1001, "x": [5, 7, 9] * 20, "y": ["a", "b"] * 30})
    rows.to_csv(tmp_path / "a.csv", index=False)

    source = read(tmp_path / "a.csv", "y")

    assert inputs_of(source.examples) == ["n", "x"]
    assert source.warnings == [
        "column 'n' numbers the rows without a gap, as codes do: unless it is a quantity, "
        "add it to task.source.ignore"
    ]


def test_a_table_of_row_numbers_alone_is_refused(tmp_path):
    pd.DataFrame({"y": ["a", "b"] * 30}).to_csv(tmp_path / "a.csv")

    with pytest.raises(UserError, match=r"a\.csv: no column is left to learn from"):
        read(tmp_path / "a.csv", "y")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["1.5", "7", "unknown", "-2e3", ".5", "6"], "row 3 holds 'unknown'"),
        (["1", "2", "x", "y", "z"], None),
        (["3rd Street", "4th Street", "5", "6", "7"], None),
        (["1.5", "7", "", "-2", "3"], None),
    ],
)
def test_numbers_that_are_not_taken_for_such_are_warned_of(tmp_path, values, expected):
    path = tmp_path / "a.csv"
    rows = [f'"{value}";{"ab"[number % 2]}' for number, value in enumerate(values * 4)]
    path.write_text("\n".join(["x;y", *rows]))

    warnings = [warning for warning in read(path, "y").warnings if "'x' is not taken" in warning]

    assert len(warnings) == (expected is not None)
    assert expected is None or expected in warnings[0]
    assert expected is None or "'task.source.columns={x: number}'" in warnings[0]


def test_nanoseconds_are_cut_off(tmp_path):
    at = pd.to_datetime(["2024-01-01T00:00:00.123456789", "2024-01-02T00:00:00"], format="ISO8601")
    pd.DataFrame({"at": at, "y": ["a", "b"]}).to_parquet(tmp_path / "a.parquet")

    found = read(tmp_path / "a.parquet", "y").examples["at"]

    assert found[0] == pd.Timestamp("2024-01-01T00:00:00.123456")


@pytest.mark.parametrize(
    ("labels", "kept"),
    [
        # 4 rows alike in threes: of one label they are copies, of two they are cases
        ("xxx yyy xxx yyy", False),
        ("xyx yyx xyx yyy", True),
        # 2 of 30 rows alike contradict one another
        (" ".join(["xy", *["xx", "yy"] * 14]), False),
    ],
)
def test_rows_alike_are_kept_where_their_labels_differ(write, labels, kept):
    rows = [f"{n},{mark}\n" for n, marks in enumerate(labels.split()) for mark in marks]

    source = read(write("a.csv", "number,label\n" + "".join(rows)), "label")

    assert source.may_repeat == kept
    assert [w for w in source.warnings if "the same inputs as another" in w] == source.warnings
    assert len(source.warnings) == kept


GOOD = "a,b,label\n" + "1.5,u,yes\n2.5,v,no\n" * 6


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (GOOD.replace("label", "lable"), ["task.source.label", "'label'", "mean 'lable'"]),
        (GOOD.replace("a,b", "a,a"), ["2 columns are called 'a'"]),
        (GOOD.replace("a,b", "time,time_"), ["'time' and 'time_'", "rename one"]),
        (GOOD + "1.5,u\n", ["Row #14", "Expected 3 columns, got 2", "row 1 is the header"]),
        (GOOD + "1.5,u,no,more\n", ["Row #14", "Expected 3 columns, got 4"]),
        (GOOD.encode() + b"1.5,caf\xe9,no\n", ["not utf-8: byte 0xe9 in line 14", "UTF-8"]),
        (GOOD.encode("utf-16"), ["not utf-8", "line 1"]),
        (b"a,caf\xe9,label\n1,2,x\n", ["not utf-8: byte 0xe9 in line 1"]),
        ("", ["Empty"]),
        ("a,b,label\n", ["no rows"]),
        (GOOD + "1.5,u,\n3.5,v, \n", ["label 'label'", "missing in 2 of 14 rows (13, 14, not"]),
        ("a,label\n" + "1.5,\n" * 9, ["label 'label'", "9 of 9 rows (1, 2, 3, 4, 5, …"]),
    ],
)
def test_a_bad_csv_file_is_reported_by_name_and_place(write, content, expected):
    file = write("bad.csv", content)

    with pytest.raises(UserError) as caught:
        read(file, "label")

    message = str(caught.value)
    assert message.startswith(str(file))
    assert [part for part in expected if part not in message] == []
    assert "\n" not in message


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("bad.xls", b"PK", ["unknown type of file '.xls'", ".csv", ".parquet"]),
        ("bad.csv", gzip.compress(GOOD.encode(), mtime=0), ["another type", "name it .csv.gz"]),
        ("bad.csv", b"PK\3\4", ["another type", "name it .xlsx"]),
        ("bad.csv.gz", gzip.compress(GOOD.encode(), mtime=0)[:-9], ["is damaged"]),
        ("bad.json", b'{"a": 1}', ["expected a list of records"]),
        ("bad.json", b'{"a": 1}\n{"a": 2}\n', ["name it .jsonl"]),
        ("bad.parquet", b"PAR1 no more", ["Parquet"]),
        (
            "bad.jsonl",
            b'{"a": 1, "label": "x"}\n{"a": "t", "label": "y"}\n',
            ["bad.jsonl, line 2: ", "(/a) changed"],
        ),
        ("bad.jsonl", b'{"a": {"b": 1}, "label": "x"}\n', ["column 'a'", "struct", "ignore"]),
        ("bad.jsonl", b"no json", ["line 1", "JSON"]),
        ("bad.zip.gz", b"", ["unknown type of file '.gz'"]),
    ],
)
def test_a_bad_file_of_another_type_is_reported_by_name(write, name, content, expected):
    file = write(name, content)

    with pytest.raises(UserError) as caught:
        read(file, "label")

    assert [part for part in [str(file), *expected] if part not in str(caught.value)] == []


def test_a_file_that_is_not_there_is_reported_by_name(tmp_path):
    with pytest.raises(UserError, match=r"no\.csv is not a file"):
        read(tmp_path / "no.csv", "label")


def checked(file, label):
    """Return the target of a table as ingest takes it for classes."""
    source = read(file, label)
    target = source.examples["label"].rename(source.label)
    return problem("classification").check_target(target)


def test_a_quantity_is_reported_to_be_regression(tmp_path):
    """The target of the bundled diabetes data: 214 different whole numbers in 442 rows."""
    file = tmp_path / "diabetes.csv"
    load_diabetes(as_frame=True).frame.to_csv(file, index=False)

    with pytest.raises(
        UserError, match=r"column 'target' holds 214 different numbers.* task=table_regression"
    ):
        checked(file, "target")


def test_fractions_that_often_come_again_are_reported_to_be_regression(write):
    prices = "".join(f"u,{number / 4}\n" for number in range(21))

    with pytest.raises(UserError, match="21 different numbers"):
        checked(write("a.csv", "a,label\n" + prices * 100), "label")


@pytest.mark.parametrize("kind", ["whole numbers", "words"])
def test_many_classes_that_come_again_are_classes(write, kind):
    names = [str(n) if kind == "whole numbers" else f"w{n}" for n in range(40)]
    rows = "".join(f"{n / 8},{name}\n" for name in names for n in range(5))

    target = checked(write("a.csv", f"a,label\n{rows}"), "label")

    assert sorted(target.unique()) == sorted(names)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"b": None}, ["test.csv", "column 'b'", "missing", "ignore"]),
        ({"c": "more"}, ["train.csv", "column 'c'", "missing"]),
        ({"a": "word"}, ["test.csv", "column 'a', row 1", "a finite number, not 'word'"]),
        ({"label": None}, ["test.csv", "task.source.label"]),
    ],
)
def test_a_test_file_that_does_not_fit_is_reported(write, tmp_path, change, expected):
    train = write("train.csv", GOOD)
    frame = pd.read_csv(train)
    for name, value in change.items():
        frame = frame.drop(columns=name) if value is None else frame.assign(**{name: value})
    frame.to_csv(tmp_path / "test.csv", index=False)

    with pytest.raises(UserError) as caught:
        read(train, "label", test=tmp_path / "test.csv")

    assert [part for part in expected if part not in str(caught.value)] == []


def test_a_missing_label_of_a_test_file_is_reported_by_its_own_row(write):
    train, test = write("train.csv", GOOD), write("test.csv", GOOD + "1.5,u,\n")

    with pytest.raises(
        UserError, match=r"test\.csv: label 'label' is missing in 1 of 13 rows \(13,"
    ):
        read(train, "label", test=test)


def test_columns_without_a_value_are_left_out(write):
    rows = "".join(f"{number * number},,NA,{'xy'[number % 2]},\n" for number in range(9))
    file = write("a.csv", "size,empty,group,label,\n" + rows)

    source = read(file, "label")

    assert inputs_of(source.examples) == ["size"]
    assert list(source.columns) == ["size"]
    for name in ("empty", "group_", "column 5"):
        assert f"column '{name}' has no value in any row, and is left out" in source.warnings


@pytest.mark.parametrize(
    ("word", "told"),
    [("NA", "drop; 'NA' counts as missing: rename what is called so"), ("", "drop")],
)
def test_a_class_with_the_name_of_a_missing_value_is_told_of(write, word, told):
    file = write("a.csv", "x,continent\n1.5,EU\n2.5," + word + "\n")

    with pytest.raises(
        UserError, match=r"is missing in 1 of 2 rows \(2, .*unlabelled=" + told + "$"
    ):
        read(file, "continent")


def test_group_and_time_are_not_both_taken(file):
    with pytest.raises(UserError, match=r"task\.source\.group and task\.source\.time"):
        read(file, "churned", group="city", time="at")


@pytest.mark.parametrize("name", ["city", "member"])
def test_a_time_that_is_none_is_reported_with_a_value(file, name, frame):
    with pytest.raises(UserError) as caught:
        read(file, "churned", time=name)

    assert f"column '{name}'" in str(caught.value)
    assert str(frame[name].dropna().iloc[0]) in str(caught.value).replace("true", "True")


@pytest.mark.parametrize(("role", "name"), [("group", "city"), ("time", "age")])
def test_a_group_or_time_that_is_missing_is_reported_by_row(file, role, name):
    with pytest.raises(UserError, match=rf"{role} '{name}' is missing in \d of 12 rows \(3"):
        read(file, "churned", **{role: name})


@pytest.mark.parametrize("role", ["label", "group", "time"])
def test_a_column_with_a_role_is_not_ignored(file, role):
    roles = {"label": "churned"} | {role: "children"}

    with pytest.raises(UserError, match=f"task.source.{role}: column 'children' is also in"):
        read(file, **roles, ignore=["age", "children"])


@pytest.mark.parametrize("role", ["group", "time", "ignore"])
def test_an_unknown_column_is_reported_with_the_nearest(file, role):
    with pytest.raises(UserError) as caught:
        read(file, "churned", **{role: ["agee"] if role == "ignore" else "agee"})

    assert f"task.source.{role}: no column 'agee'; did you mean 'age'?" in str(caught.value)


OTHER_FILES = {
    "a.csv.gz": lambda frame, path: frame.to_csv(path, index=False),
    "a.jsonl.gz": lambda frame, path: frame.to_json(path, orient="records", lines=True),
    "a.json": lambda frame, path: frame.to_json(path, orient="records"),
    "a.json.gz": lambda frame, path: frame.to_json(path, orient="records"),
    "a.xlsx": lambda frame, path: frame.to_excel(path, index=False),
}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.extra("excel")] * name.endswith("xlsx"))
        for name in OTHER_FILES
    ],
)
def test_files_that_are_compressed_or_of_other_programs_give_what_csv_gives(
    file, frame, tmp_path, name
):
    text = frame.assign(since=frame["since"].astype(str), at=frame["at"].astype(str))
    OTHER_FILES[name](text, tmp_path / name)

    found, expected = (read(path, "churned").examples for path in (tmp_path / name, file))

    pd.testing.assert_frame_equal(found, expected)


@pytest.fixture
def coded():
    """Return a table with codes that begin with zeros, and numbers that do not."""
    zips = ["02139", "10001", "00501", "94107"] * 5
    count = range(len(zips))
    return pd.DataFrame(
        {
            "zip": zips,
            "count": [f"{n}" if n % 3 else "" for n in count],
            "share": [f"{n / 30 - 0.3:.2f}" for n in count],
            "at": [f"00:{n:02d}" for n in count],
            "day": [f"{n + 1:02d}/02/2024" for n in count],
            "label": ["x", "y"] * 10,
        }
    )


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("a.csv", {}),
        ("a.tsv", {"sep": "\t"}),
        ("a.csv", {"sep": ";", "quoting": csv.QUOTE_ALL, "lineterminator": "\r\n"}),
        ("a.csv", {"encoding": "utf-16"}),
        ("a.csv.gz", {}),
    ],
)
@pytest.mark.parametrize("first", ["zip", "count"])
def test_numbers_that_begin_with_zeros_stay_as_they_are_written(
    coded, tmp_path, name, written, first
):
    ordered = coded[[first, *(one for one in coded if one != first)]]
    ordered.to_csv(tmp_path / name, index=False, **written)

    source = read(tmp_path / name, "label", encoding=written.get("encoding", "utf-8"))

    assert source.examples["zip"].tolist() == coded["zip"].tolist()
    assert source.columns["zip"] == {"kind": "category", "digits": 5}
    others = {"count": "double", "share": "double", "at": "double", "day": "datetime"}
    assert {other: kind_of(source.examples[other]) for other in others} == others
    (told,) = [one for one in source.warnings if "zeros" in one]
    assert "column 'zip' holds codes that begin with zeros, as '02139'" in told


@pytest.mark.parametrize("suffix", ["parquet", "json", "jsonl"])
def test_codes_that_are_texts_already_are_codes_too(coded, tmp_path, suffix):
    if suffix == "parquet":
        coded.to_parquet(tmp_path / "a.parquet")
    else:
        coded.to_json(tmp_path / f"a.{suffix}", orient="records", lines=suffix == "jsonl")

    source = read(tmp_path / f"a.{suffix}", "label")

    assert source.examples["zip"].tolist() == coded["zip"].tolist()
    assert source.columns["zip"] == {"kind": "category", "digits": 5}


def test_codes_are_found_where_zeros_come_late_in_a_large_file(write, monkeypatch):
    monkeypatch.setattr("pipeline.sources.table.CHUNK", 7)
    rows = "".join(f"{10000 + n % 50},{'xy'[n % 2]}\n" for n in range(300))

    source = read(write("a.csv", f"zip,label\n{rows}02139,x\n02140,y\n"), "label")

    assert source.examples["zip"].tolist()[-3:] == ["10049", "02139", "02140"]


def test_a_time_or_a_number_to_predict_is_a_number_though_it_begins_with_zeros(write):
    rows = "".join(f"{n:03d},{n % 7},0{n}\n" for n in range(30))
    file = write("a.csv", f"at,n,y\n{rows}")

    examples = read(file, "y", time="at", target="number").examples

    assert examples["time"].tolist() == list(range(30))
    assert examples["label"].tolist() == list(range(30))


def test_codes_of_a_test_file_are_read_as_those_to_learn_from(coded, tmp_path):
    coded.to_csv(tmp_path / "a.csv", index=False)
    numbers = coded.assign(zip=coded["zip"].astype(int))
    numbers.to_parquet(tmp_path / "b.parquet")

    found = read(tmp_path / "a.csv", "label", test=tmp_path / "b.parquet")

    assert found.test["zip"].tolist() == coded["zip"].tolist()


def test_codes_that_only_a_test_file_holds_are_told(coded, tmp_path):
    learned = coded.assign(zip=coded["zip"].replace("0", "1", regex=True))
    learned.to_csv(tmp_path / "a.csv", index=False)
    coded.to_csv(tmp_path / "b.csv", index=False)

    found = read(tmp_path / "a.csv", "label", test=tmp_path / "b.csv")

    assert found.test["zip"].tolist()[:3] == [2139, 10001, 501]
    (told,) = [one for one in found.warnings if "codes" in one]
    assert told == (
        f"column 'zip' is taken for numbers, though row 1 of {tmp_path / 'b.csv'} holds '02139': "
        "if these are codes, set 'task.source.columns={zip: category}'"
    )


def test_a_workbook_needs_an_extra(write, monkeypatch):
    monkeypatch.setitem(sys.modules, "openpyxl", None)

    with pytest.raises(UserError, match=r"a\.xlsx: .* pip install -e '\.\[excel\]'"):
        read(write("a.xlsx", b"PK"), "label")


@pytest.mark.parametrize("encoding", ["cp1252", "utf-16"])
def test_another_encoding_is_read_by_key(write, encoding):
    file = write("a.csv", ("größe,label\n" + "groß,x\nklein,y\n" * 3).encode(encoding))

    examples = read(file, "label", encoding=encoding).examples

    assert examples["größe"].tolist() == ["groß", "klein"] * 3


def test_marks_are_read_by_key(write):
    file = write("a.csv", "a:b:label\n" + "1,5:1.234:x\n2,5:2.345:y\n" * 3)

    examples = read(file, "label", sep=":", decimal=",").examples

    assert examples["a"].tolist() == [1.5, 2.5] * 3
    assert examples["b"].tolist() == [1234, 2345] * 3


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({"decimal": ";"}, "task.source.decimal: ';' is not one of the marks"),
        ({"decimal": ",", "thousands": ","}, "are both ','"),
        ({"date_format": "dd/mm"}, "task.source.date_format: 'dd/mm' is no format"),
        ({"date_format": "%d/%Q"}, "task.source.date_format: '%d/%Q' is no format"),
        ({"sep": "::"}, "task.source.sep: '::' is not one character"),
        ({"encoding": "utf-9"}, "task.source.encoding: unknown 'utf-9'"),
        ({"encoding": "ascii"}, "not ascii: byte 0xc3 in line 2"),
        ({"unlabelled": "dropp"}, "task.source.unlabelled: unknown 'dropp'; did you mean 'drop'"),
        ({"columns": {"label": "number"}}, "column 'label' is task.source.label, no input"),
        ({"columns": {"aa": "number"}}, "task.source.columns: no column 'aa'"),
    ],
)
def test_a_key_that_cannot_be_is_reported(write, keys, expected):
    with pytest.raises(UserError, match=re.escape(expected)):
        read(write("a.csv", "a,label\n" + "ü,x\nb,y\n" * 3), "label", **keys)


def test_rows_without_a_label_are_left_out_by_key_and_keep_their_numbers(write):
    file = write("a.csv", "a,label\n1,x\n2,\n3,y\n4,NA\n5,x\n")

    source = read(file, "label", unlabelled="drop")

    assert source.examples["example_id"].tolist() == ["1", "3", "5"]
    assert source.dropped == {"no label": 2}


@pytest.mark.parametrize(
    ("header", "asked"),
    [
        ("5.1,3.5,1.4,setosa", True),
        ("a,b,c,setosa", False),
        # as pandas names columns that have no names
        ("0,1,2,setosa", False),
        ("1990,b,c,setosa", False),
    ],
)
def test_a_header_that_looks_like_values_is_asked_about(write, header, asked):
    rows = "".join(f"{n / 7},{n % 5},{n * n},{'xy'[n % 2]}\n" for n in range(1, 30))
    file = write("a.csv", f"{header}\n{rows}")

    found = [one for one in read(file, "setosa").warnings if "first row" in one]

    assert len(found) == asked
    if asked:
        with pytest.raises(UserError, match=r"no column 'label'.* first row looks like values"):
            read(file, "label")


@pytest.mark.parametrize(
    ("order", "keys", "warned"),
    [(1, {}, True), (-1, {}, True), (0, {}, False), (1, {"time": "day"}, False)],
)
def test_rows_in_the_order_of_time_are_told(tmp_path, order, keys, warned):
    days = pd.Series(pd.date_range("2024-01-01", periods=40)).dt.strftime("%d.%m.%Y")
    days = days.sample(frac=1, random_state=0) if order == 0 else days[::order]
    rows = pd.DataFrame({"x": [3, 1, 2, 5] * 10, "day": days.to_numpy(), "y": ["a", "b"] * 20})
    rows.to_csv(tmp_path / "a.csv", index=False)

    found = read(tmp_path / "a.csv", "y", **keys).warnings

    told = [one for one in found if "in the order of 'day'" in one]
    assert ["set task.source.time=day" in one for one in told] == [True] * warned


def test_classes_that_differ_only_in_case_are_told(write):
    (told,) = read(write("a.csv", "a,label\n" + "1,yes\n2,No\n3,Yes\n4,No\n" * 2), "label").warnings

    assert told.startswith("'yes' and 'Yes' of 'label' differ only in case or spaces")


@pytest.mark.parametrize("mark", ["\x1e", "\x85", "\u2028"])
def test_a_name_may_hold_what_only_unicode_takes_for_the_end_of_a_line(tmp_path, mark):
    path = tmp_path / "mine.csv"
    rows = "".join(f"{number / 7};x{number % 2}\n" for number in range(ROWS))
    path.write_text(f"a{mark}b;label\n{rows}", encoding="utf-8")

    assert inputs_of(read(path, "label").examples) == [f"a{mark}b"]
