"""Columns of tables: what they are taken for, and that served texts are read alike."""

import datetime
import io
import uuid

import numpy as np
import pandas as pd
import pytest
import yaml

from pipeline.errors import UserError
from pipeline.features.inputs import Form, conform, kind_of
from pipeline.sources.columns import Given, describe, recognise
from pipeline.sources.recognise import recognise as recognise_file
from pipeline.sources.table import read


def column(texts, wanted=None, **given):
    table = pd.DataFrame({"it": pd.Series(texts, dtype="str")})
    return recognise(table, {"it": wanted} if wanted else {}, Given(**given))["it"]


NUMBERS = {
    "blanks": (["1.5", " ", "20"], [1.5, None, 20]),
    "currency": (["$1.50", "-$2", "$1,234.00", "($3.10)"], [1.5, -2, 1234, -3.1]),
    "currency without cents": (["$148,900", "$95,000", "$1,204,500"], [148900, 95000, 1204500]),
    "currency of thousands alone": (["148.900 €", "95.000 €"], [148900, 95000]),
    "currency after": (["1.234,50 €", "7,25 €", "12 €"], [1234.5, 7.25, 12]),
    "code of a currency": (["EUR 5", "EUR 7.50"], [5, 7.5]),
    "percent": (["45%", "3.5 %", "0"], [45, 3.5, 0]),
    "unit": (["3 kg", "4.5kg", "0.5 kg"], [3, 4.5, 0.5]),
    "thousands": (["1,234.5", "2", "12,345,678"], [1234.5, 2, 12345678]),
    "German": (["1.234,5", "2", "12.345.678"], [1234.5, 2, 12345678]),
    "Swiss": (["1'234.50", "7", "22'333"], [1234.5, 7, 22333]),
    "spaces": (["1 234,5", "12", "1\u202f000"], [1234.5, 12, 1000]),
    "Indian": (["1,23,456.5", "12,345"], [123456.5, 12345]),
    "decimal commas": (["1,5", "2,25", "3,456"], [1.5, 2.25, 3.456]),
    "a comma after 0": (["0,234", "3,456"], [0.234, 3.456]),
    "a comma among large numbers": (["1,234", "5000"], [1.234, 5000]),
    "minus signs": (["\u22125", "+3"], [-5, 3]),
    "marks for missing": (["1", "?", "3", "-", "4.5"], [1, None, 3, None, 4.5]),
}


@pytest.mark.parametrize("name", NUMBERS)
def test_numbers_are_recognised_and_served_as_written(name):
    texts, expected = NUMBERS[name]

    found = column(texts * 5)

    assert found.kind == "number"
    assert found.doubts == ()
    served = pd.DataFrame({"it": texts})
    answer = conform(served, {"it": "double"}, True, {"it": found.form})["it"]
    np.testing.assert_array_equal(answer, np.array(expected, float))


WITH_ZEROS = {
    "zip": (["02139", "10001", "00501"] * 5, "category", 5),
    "of several lengths": (["007", "0042", "12"] * 5, "category", 0),
    "among other words": (["007", "042", "12", "13", "14", "none"] * 5, "category", 0),
    "another in every row": ([f"{number:03d}" for number in range(60)], "identifier", 3),
}


@pytest.mark.parametrize("name", WITH_ZEROS)
def test_numbers_that_begin_with_zeros_are_codes_and_told(name):
    texts, kind, digits = WITH_ZEROS[name]

    found = column(texts)

    assert (found.kind, found.form.digits) == (kind, digits)
    (told,) = found.doubts
    first = next(text for text in texts if text.startswith("0"))
    assert f"codes that begin with zeros, as '{first}'" in told
    assert "'task.source.columns={it: number}'" in told
    assert ("left out" in told) is (kind == "identifier")
    assert column(texts, "number").kind == "number"
    assert column(texts, "category").form.digits == digits
    assert column(texts, "category").doubts == ()


@pytest.mark.parametrize(
    "texts",
    [
        ["0", "10", "200"],
        ["0.5", "-0.3", "0"],
        ["00.5", "07.25"],
        ["0,5", "10,25"],
        ["-07", "-12"],
        ["0e5", "1e3"],
    ],
)
def test_numbers_with_one_zero_or_a_fraction_are_no_codes(texts):
    found = column(texts * 5)

    assert (found.kind, found.doubts) == ("number", ())


@pytest.mark.parametrize("texts", [["01/02/2024", "13/02/2024"], ["2024-01-02", "2024-03-04"]])
def test_dates_with_zeros_are_dates(texts):
    assert column(texts * 5).kind == "date"


def test_one_number_that_begins_with_a_zero_is_asked_about():
    found = column(["7", "12", "013", "14", "15", "16"])

    assert found.kind == "number"
    (told,) = found.doubts
    assert "row 3 holds '013'" in told
    assert "'task.source.columns={it: category}'" in told


def test_a_given_format_of_dates_comes_before_codes():
    found = column(["01022024", "05122023"] * 5, date_format="%d%m%Y")

    assert (found.kind, found.doubts) == ("date", ())


@pytest.mark.parametrize("sent", ["02139", "2139", 2139, 2139.0, np.int64(2139)])
def test_a_code_that_has_lost_its_zeros_gets_them_again(sent):
    form = column(["02139", "10001"] * 5).form
    served = pd.DataFrame({"it": pd.Series([sent, None], dtype=object)})

    found = conform(served, {"it": "string"}, True, {"it": form})["it"]

    assert found.fillna("").tolist() == ["02139", ""]


def test_a_number_for_codes_of_several_lengths_is_refused_with_a_reason():
    form = column(["007", "0042", "12"] * 5).form
    served = pd.DataFrame({"it": [7]})

    with pytest.raises(UserError, match=r"'it', row 1: expected a text, since codes .* not '7'"):
        conform(served, {"it": "string"}, True, {"it": form})
    answer = conform(served.astype(str), {"it": "string"}, True, {"it": form})
    assert answer["it"].tolist() == ["7"]


def test_thousands_are_told_from_fractions_by_many_numbers():
    numbers = [*range(100, 1000, 100), *range(1111, 90_000, 3333)]

    found = column([f"{number:,}" for number in numbers])

    assert found.form == Form(thousands=",")


DATES = {
    "year first": (["2012/01/01", "2012/02/13"], ["2012-01-01", "2012-02-13"]),
    "points": (["03.04.2012", "31.12.2012"], ["2012-04-03", "2012-12-31"]),
    "points only in doubt": (["03.04.2012", "1.2.2012"], ["2012-04-03", "2012-02-01"]),
    "American": (["12/31/2024", "1/2/2024"], ["2024-12-31", "2024-01-02"]),
    "British": (["31/12/2024", "1/2/2024"], ["2024-12-31", "2024-02-01"]),
    "two digits": (["31/12/24", "01/02/24"], ["2024-12-31", "2024-02-01"]),
    "a name": (["Dec 31, 2024", "May 1, 2023"], ["2024-12-31", "2023-05-01"]),
    "a long name": (["31 December 2024", "1 May 2023"], ["2024-12-31", "2023-05-01"]),
    "a short name": (["31-Dec-2024", "1-May-2023"], ["2024-12-31", "2023-05-01"]),
    "months": (["Dec-2015", "May-2014"], ["2015-12-01", "2014-05-01"]),
    "half minutes": (
        ["13.02.2015 17:51:00", "13.02.2015 17:51:30"],
        ["2015-02-13 17:51", "2015-02-13 17:51:30"],
    ),
    "with and without seconds": (
        ["2015-02-04 17:51", "2015-02-04 17:51:30"],
        ["2015-02-04 17:51", "2015-02-04 17:51:30"],
    ),
    "half days": (
        ["12/31/2024 11:59 PM", "1/2/2024 12:30 AM"],
        ["2024-12-31 23:59", "2024-01-02 00:30"],
    ),
    "marks for missing": (["31.12.2012", "-"], ["2012-12-31", None]),
}


@pytest.mark.parametrize("name", DATES)
def test_dates_are_recognised_and_served_as_written(name):
    texts, expected = DATES[name]

    found = column(texts * 5)

    assert found.kind == "date"
    assert found.doubts == ()
    served = pd.DataFrame({"it": texts})
    answer = conform(served, {"it": "datetime"}, True, {"it": found.form})["it"]
    assert answer.tolist() == pd.to_datetime(pd.Series(expected), format="ISO8601").tolist()


CODES = {
    "UUIDs": [str(uuid.UUID(int=number * 7**40)) for number in range(40)],
    "e-mails": [f"joe.doe{number}@mail.example.com" for number in range(40)],
    "customers of Telco": [f"{7590 + number}-VHVEG" for number in range(40)],
    "addresses on the web": [f"https://example.com/a/{number}" for number in range(40)],
    "codes with a space": [f"Nr {number}" for number in range(40)],
    "almost every row": [f"C{min(number, 38)}" for number in range(40)],
}


@pytest.mark.parametrize("name", CODES)
def test_codes_that_differ_in_almost_every_row_are_identifiers(name):
    assert column(CODES[name]).kind == "identifier"


@pytest.mark.parametrize(
    ("texts", "kind"),
    [
        (["the-dark-knight", "new-york-city", "a-b-c"] * 9, "category"),
        ([f"the-{number}-film" for number in range(30)] * 2, "category"),
        (["3rd", "4th", "1st", "2nd"] * 5, "category"),
        (["A1", "B2", "A2"] * 5, "category"),
        (["18-24", "25-34", "35+"] * 5, "category"),
        (["1.2.3", "1.10.0", "2.0.1"] * 5, "category"),
        (["12A", "13", "14"] * 5, "category"),
        ([f"{number} Main Street in town" for number in range(30)], "text"),
        (["这是一个，好的文本。", "另一个，不错的文本。"] * 2 + ["文本，很好是。"], "text"),
        (["5 kg"] * 9, "constant"),
    ],
)
def test_what_is_neither_number_nor_date_is_left_as_it_is(texts, kind):
    found = column(texts)

    assert found.doubts == ()
    assert found.kind == ("number" if kind == "constant" else kind)


@pytest.mark.parametrize(
    ("texts", "named"),
    [
        (["1,234", "2,345", "3,456"], ["'1,234'", "task.source.decimal='.'", "category"]),
        (["1.234,5", "1,234.5"], ["in two ways", "'1.234,5' and '1,234.5'"]),
        (["3 kg", "500 g", "2 kg", "200 g"], ["several units", "'3 kg' and '500 g'"]),
        (["45%", "0.45", "5%", "0.3"], ["several units", "'45%' and '0.45'"]),
        (["01/02/2024", "03/04/2024"], ["task.source.date_format", "%d/%m/%Y or %m/%d/%Y"]),
        (["31/12/2024", "12/31/2024"], ["several formats", "'31/12/2024' and '12/31/2024'"]),
        (["01.03.2024", "03/31/2024"], ["several formats", "'01.03.2024' and '03/31/2024'"]),
        (["1.12.2024"] * 1 + ["2.12.2024", "3.12.2024", "4.12.2024", "5.12.2024", "soon"],
         ["row 6 holds 'soon'", "task.source.columns={it: date}"]),
        (["Yes", "no", "yes", "no"], ["'Yes' and 'yes'", "only in case"]),
        (["New  York", "New York", "Bonn", "Bonn"], ["'New  York' and 'New York'"]),
    ],
)  # fmt: skip
def test_what_is_doubtful_is_told_with_what_settles_it(texts, named):
    found = column(texts * 4 if "soon" not in texts else texts)

    (doubt,) = found.doubts
    assert [part for part in ["column 'it'", *named] if part not in doubt] == []


@pytest.mark.parametrize(
    ("texts", "given", "expected"),
    [
        (["1,234", "2,345"], {"decimal": ","}, [1.234, 2.345]),
        (["1,234", "2,345"], {"decimal": "."}, [1234, 2345]),
        (["1,234", "2,345"], {"decimal": ".", "thousands": ","}, [1234, 2345]),
        (["1.234 €", "2.345 €"], {"decimal": ",", "thousands": "."}, [1234, 2345]),
    ],
)
def test_a_given_mark_decides(texts, given, expected):
    found = column(texts * 5, **given)

    served = conform(pd.DataFrame({"it": texts}), {"it": "double"}, True, {"it": found.form})
    assert served["it"].tolist() == expected


def test_a_given_format_of_dates_decides():
    found = column(["01/02/2024", "03/04/2024"], date_format="%m/%d/%Y")

    assert (found.kind, found.form.date_format) == ("date", "%m/%d/%Y")


@pytest.mark.parametrize(
    ("texts", "wanted", "kind", "expected"),
    [
        (["1.5", "T", "2", "unknown"], "number", "double", [1.5, np.nan, 2, np.nan]),
        (["Yes", "no"], "boolean", "boolean", [True, False]),
        (["1.2.2024", "soon"], "date", "datetime", [pd.Timestamp("2024-02-01"), pd.NaT]),
    ],
)
def test_a_column_is_taken_for_what_the_user_says(texts, wanted, kind, expected):
    found = column(texts, wanted)

    assert found.kind == wanted
    served = conform(pd.DataFrame({"it": texts}), {"it": kind}, True, {"it": found.form})
    pd.testing.assert_series_equal(served["it"], pd.Series(expected, name="it"), check_dtype=False)


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"its": "number"}, "no column 'its'; did you mean 'it'"),
        ({"it": "numbers"}, "task.source.columns.it: unknown 'numbers'; did you mean 'number'"),
        ({"it": "number"}, "task.source.columns.it: it cannot be taken for a number"),
        ({"it": "boolean"}, "task.source.columns.it: it cannot be taken for a boolean"),
    ],
)
def test_a_column_that_cannot_be_what_the_user_says_is_reported(columns, expected):
    with pytest.raises(UserError, match=expected):
        recognise(pd.DataFrame({"it": ["red", "blue"]}), columns)


def test_what_columns_are_taken_for_is_yaml_that_may_be_given_again():
    table = pd.DataFrame(
        {
            "id": [f"x{number}" for number in range(30)],
            "price in $": ["$1.50", "$2"] * 15,
            "yes": ["31.12.2024", "1.1.2024"] * 15,
            "plan": ["a", "b", "b"] * 10,
        }
    )
    first = recognise(table)

    written = yaml.safe_load(describe({name: one.settings() for name, one in first.items()}))

    assert written == {"id": "ignore", "price in $": "number", "yes": "date", "plan": "category"}
    again = recognise(table, written)
    assert again == {name: one for name, one in first.items() if name != "id"}


ROWS = 60


@pytest.fixture
def raw():
    """Return a table as people write tables, in which nothing is a plain number or ISO date."""
    rng = np.random.default_rng(0)
    paid = rng.gamma(2, 900, ROWS)
    days = [
        datetime.date(2024, 1, 1) + datetime.timedelta(int(n)) for n in rng.integers(0, 300, ROWS)
    ]
    german = [f"{one:_.2f}".replace(".", ",").replace("_", ".") for one in paid]
    return pd.DataFrame(
        {
            "customer": [f"{7590 + number}-VHVEG" for number in range(ROWS)],
            "total": [" " if number % 9 == 0 else f"{one:.2f}" for number, one in enumerate(paid)],
            "price": [f"${one:,.2f}" for one in paid],
            "preis": german,
            "share": [f"{number}%" for number in rng.integers(0, 100, ROWS)],
            "power": ["?" if number % 7 == 0 else str(number) for number in range(ROWS)],
            "day": [day.strftime("%d.%m.%Y") for day in days],
            "zip": rng.choice(["02139", "00501", "10001"], ROWS),
            "plan": rng.choice(["basic", "NA", "pro"], ROWS),
            "left": rng.choice(["yes", "no"], ROWS),
        }
    )  # fmt: skip


@pytest.mark.parametrize("reader", ["pandas", "objects", "records"])
def test_raw_rows_are_served_as_they_were_ingested(raw, tmp_path, reader):
    raw.to_csv(tmp_path / "a.csv", index=False)
    source = read(tmp_path / "a.csv", "left")
    inputs = [name for name in source.columns if name != "customer"]
    kinds = {name: kind_of(source.examples[name]) for name in inputs}
    forms = {
        name: Form(**{key: value for key, value in source.columns[name].items() if key != "kind"})
        for name in inputs
    }
    served = {
        "pandas": lambda: pd.read_csv(io.StringIO(raw.to_csv(index=False))),
        "objects": lambda: raw.astype(object),
        "records": lambda: pd.DataFrame(raw.to_dict("records")),
    }[reader]()

    found = conform(served, kinds, True, forms)

    pd.testing.assert_frame_equal(found, source.examples[inputs], check_dtype=False)
    assert source.examples["price"].round(2).equals(source.examples["preis"].round(2))
    assert kinds["day"] == "datetime"


def test_words_for_missing_values_are_counted(raw, tmp_path):
    raw.to_csv(tmp_path / "a.csv", index=False)

    (told,) = (one for one in read(tmp_path / "a.csv", "left").warnings if "for missing" in one)

    assert f"'?' in 'power' ({(raw['power'] == '?').sum()} rows)" in told
    assert f"'NA' in 'plan' ({(raw['plan'] == 'NA').sum()} rows)" in told


def test_a_target_of_numbers_is_recognised_as_an_input_is(raw, tmp_path):
    raw.to_csv(tmp_path / "a.csv", index=False)

    found = read(tmp_path / "a.csv", "price", target="number").examples

    np.testing.assert_array_equal(found["label"], found["preis"])


def test_a_target_whose_marks_are_in_doubt_is_asked_for(tmp_path):
    (tmp_path / "a.csv").write_text('x,y\n1,"1,234"\n2,"2,345"\n3,"3,456"\n')

    with pytest.raises(UserError, match=r"column 'y': in '1,234' .* task\.source\.decimal"):
        read(tmp_path / "a.csv", "y", target="number")


def test_a_test_file_is_read_as_the_examples_were(raw, tmp_path):
    raw.to_csv(tmp_path / "a.csv", index=False)
    raw.tail(1).assign(price="$1,000", day="01.02.2024").to_csv(tmp_path / "b.csv", index=False)

    test = read(tmp_path / "a.csv", "left", test=tmp_path / "b.csv").test

    assert test["price"].tolist() == [1000]
    assert test["day"].tolist() == [pd.Timestamp("2024-02-01")]


def test_a_time_in_any_format_is_a_time(raw, tmp_path):
    raw.to_csv(tmp_path / "a.csv", index=False)

    found = read(tmp_path / "a.csv", "left", time="day").examples

    assert found["time"].dt.strftime("%d.%m.%Y").tolist() == raw["day"].tolist()


def test_a_mark_for_a_missing_number_to_predict_is_no_label(tmp_path):
    rows = "".join(f"{number},{number * 10}%\n" for number in range(1, 10))
    (tmp_path / "a.csv").write_text(f"x,y\n{rows}10,?\n")

    with pytest.raises(UserError, match=r"label 'y' is missing in 1 of 10 rows \(10, .*unlabelled"):
        read(tmp_path / "a.csv", "y", target="number")

    source = read(tmp_path / "a.csv", "y", target="number", unlabelled="drop")
    assert source.examples["label"].tolist() == [10.0 * number for number in range(1, 10)]
    assert source.dropped == {"no label": 1}


@pytest.mark.parametrize(
    ("label", "kind"),
    [("price", "regression"), ("preis", "regression"), ("left", "classification")],
)
def test_what_is_predicted_is_recognised_as_columns_are(raw, tmp_path, label, kind):
    raw.to_csv(tmp_path / "a.csv", index=False)

    assert recognise_file(tmp_path / "a.csv", {"label": label}).kind == kind


def numbered(file, **texts):
    pd.DataFrame(texts).to_csv(file, index=False, sep="|", encoding="utf-16")
    return file


def test_what_is_predicted_is_read_as_the_settings_say(tmp_path):
    # 26 numbers, of which none tells whether 1,234 is a fraction; and a header with more commas
    file = numbered(
        tmp_path / "a.csv", **{"a,b,c": range(0, 52, 2), "it": [f"{i},234" for i in range(1, 27)]}
    )
    how = {"sep": "|", "encoding": "utf-16"}

    with pytest.raises(UserError, match=r"decimal=','; for classes say --kind classification$"):
        recognise_file(file, {"label": "it"}, None, how)
    assert recognise_file(file, {"label": "it"}, "classification", how).kind == "classification"
    assert recognise_file(file, {"label": "it"}, None, how | {"decimal": ","}).kind == "regression"
    assert read(file, "it", target="number", **how, decimal=",").examples["label"].iloc[0] == 1.234


@pytest.mark.parametrize(
    ("label", "because"),
    [
        (["yes", "no"], "'it' holds 2 values: classification"),
        (["yes", "yes"], "'it' holds 1 value: classification"),
        (
            ["1", "2"],
            "'it' holds 2 whole numbers: classification (otherwise say --kind regression)",
        ),
    ],
)
def test_another_kind_is_named_only_where_there_is_one(tmp_path, label, because):
    file = tmp_path / "a.csv"
    pd.DataFrame({"it": label * 3, "x": range(6)}).to_csv(file, index=False)

    assert recognise_file(file, {"label": "it"}).because == because
