"""Views of tables, against what pandas and scikit-learn give by hand."""

import zipfile

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.feature_extraction.text import TfidfVectorizer

from pipeline import storage
from pipeline.errors import UserError
from pipeline.features.columns import Columns, DateParts, OneHot
from pipeline.features.inputs import column_kind, conform, kind_of

WORDS = ["slow", "fast", "late", "kind", "good", "bad", "old", "new", "red", "blue"]
ROWS = 40


@pytest.fixture
def table():
    """Return a table with two columns of each kind, or one that is left out."""
    rng = np.random.default_rng(0)
    table = pd.DataFrame(
        {
            "age": rng.normal(40, 10, ROWS),
            "member": rng.random(ROWS) < 0.5,
            "since": pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 900, ROWS), "h"),
            "city": rng.choice(["Bonn", "Ulm", "Trier"], ROWS, p=[0.6, 0.3, 0.1]),
            "review": [" ".join(rng.choice(WORDS, 5)) for _ in range(ROWS)],
            "customer": [f"C{number}" for number in range(ROWS)],
            "year": np.arange(ROWS) * 2,
            "country": "DE",
        }
    )
    table.loc[3, "age"] = np.nan
    table.loc[4, "since"] = pd.NaT
    table.loc[5, "city"] = None
    table.loc[6, "review"] = None
    return table


KINDS = {
    "age": "number",
    "member": "number",
    "since": "date",
    "city": "category",
    "review": "text",
    "customer": "identifier",
    "year": "number",
    "country": "constant",
}


def dense(numbers):
    return numbers.toarray() if sparse.issparse(numbers) else numbers


def standardised(values):
    """Standardise by hand, with the median for what is missing, and a column that says so."""
    absent = values.isna().astype(float)
    filled = values.fillna(values.median())
    columns = [filled, absent] if absent.any() else [filled]
    return [(column - column.mean()) / (column.std(ddof=0) or 1) for column in columns]


def test_kinds_are_learned_and_kept(table):
    assert Columns(10, 20).fit(table).kinds_ == KINDS


def test_the_summary_names_each_column_under_its_kind(table):
    assert Columns(10, 20).fit(table).summary() == (
        "numbers: age, member, year; dates: since; categories: city; texts: review; "
        "left out, another value in almost every row: customer; left out, one value only: country"
    )


def test_the_summary_of_a_wide_table_is_short():
    rng = np.random.default_rng(0)
    wide = pd.DataFrame(rng.normal(size=(20, 50)), columns=[f"x{i}" for i in range(50)])

    assert Columns(10, 20).fit(wide).summary() == (
        "numbers: x0, x1, x2, x3, x4, x5, x6, x7 and 42 more"
    )


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([1.5, 2.5, 3.5], "number"),
        ([3, 1, 2], "number"),
        # a table may be sorted by what matters
        ([1, 2, 5], "number"),
        ([1, 2, np.nan], "number"),
        ([1.0, 1.0, np.nan], "number"),
        ([7, 7, 7], "constant"),
        ([np.nan, np.nan], "constant"),
        ([True, False, True], "number"),
        (pd.to_datetime(["2024-01-01", "2024-01-02", None]), "date"),
        (["a", "b", "a"], "category"),
        (["a", None, "a"], "category"),
        (["a1", "b2", "c3"], "identifier"),
        (["one two", "three four", "five six"], "text"),
        # several words that come again are categories
        (["New York City", "New York State"] * 10, "category"),
        # whether there is one may tell something
        (["a1", "b2", None], "category"),
        # texts that few rows have
        ([*(f"one of many {i}" for i in range(10)), *[None] * 90], "text"),
        ([None, None, None], "constant"),
        # more than a thousand of several words, though each comes thrice
        ([f"word{i} other{i}" for i in range(1100)] * 3, "text"),
        ([f"code{i}" for i in range(1100)] * 3, "category"),
    ],
)
def test_the_kind_of_a_column(values, kind):
    dtype = "str" if any(isinstance(value, str) for value in values) else None

    assert column_kind(pd.Series(values, dtype=dtype)) == kind


def test_bytes_and_sequences_are_left_to_other_views():
    for value in (b"a", [1.0]):
        with pytest.raises(UserError, match=r"column 'photo' .* needs another view"):
            Columns(10, 20).fit(pd.DataFrame({"photo": [value, value]}))


def test_numbers_are_standardised_with_the_median_for_what_is_missing(table):
    found = Columns(10, 20).fit_transform(table[["age"]])

    np.testing.assert_allclose(found, np.column_stack(standardised(table["age"])), rtol=1e-5)
    assert found.dtype == np.float32


def test_dates_are_taken_apart_by_hand():
    dates = pd.DataFrame({"a": pd.to_datetime(["1970-01-02 12:00", "2024-02-29 00:00", None])})

    found = DateParts().fit_transform(dates)

    # 1970-01-02 was a Friday, 2024-02-29 a Thursday and 19,782 days after 1970 began
    expected = [[1.5, 1, 4, 12], [19_782, 2, 3, 0], [np.nan] * 4]
    np.testing.assert_array_equal(found, expected)


def test_dates_of_any_year_are_taken_apart():
    dates = pd.DataFrame({"a": pd.to_datetime(["9999-12-31", "0001-01-01"], format="ISO8601")})

    found = DateParts().fit_transform(dates)

    # the ordinals of Python's datetime, in which 1970-01-01 is 719,163
    assert found[:, 0].tolist() == [3_652_059 - 719_163, 1 - 719_163]


@pytest.mark.parametrize("odd", [1e300, -1e300])
def test_a_number_off_any_scale_has_finite_numbers_in_training_and_after(table, odd):
    for view in VIEWS:
        assert np.isfinite(dense(view.fit(table).transform(table.assign(age=odd)))).all()
        table.loc[0, "age"] = odd
        assert np.isfinite(dense(view.fit_transform(table))).all()


def test_dates_of_several_columns_are_taken_apart_one_after_the_other():
    one, two = (pd.to_datetime([day]) for day in ("2024-03-04", "2023-12-31"))

    found = DateParts().fit_transform(pd.DataFrame({"one": one, "two": two}))

    assert found[0, [1, 2, 5, 6]].tolist() == [3, 0, 12, 6]


def test_dates_become_standardised_parts(table):
    since = table["since"]
    parts = [(since - pd.Timestamp(0)).dt.total_seconds() / 86_400, since.dt.month]
    parts += [since.dt.day_of_week, since.dt.hour]
    filled, absent = zip(*(standardised(part) for part in parts), strict=True)

    found = Columns(10, 20).fit_transform(table[["since"]])

    np.testing.assert_allclose(found, np.column_stack([*filled, *absent]), atol=1e-4)


def test_categories_get_a_column_each_and_a_missing_one_too(table):
    found = dense(Columns(10, 20).fit_transform(table[["city"]]))

    expected = pd.get_dummies(table["city"].fillna(""), dtype=float)
    np.testing.assert_array_equal(found, expected)


def test_rare_and_new_categories_share_the_last_column():
    train = pd.DataFrame({"city": ["a"] * 5 + ["b"] * 4 + ["c", "d"]})

    fitted = Columns(max_categories=3, words=20).fit(train)

    found = dense(
        fitted.transform(pd.DataFrame({"city": ["a", "b", "c", "d", "never seen", None]}))
    )
    assert found.tolist() == [[1, 0, 0], [0, 1, 0], *[[0, 0, 1]] * 4]


def test_a_new_category_is_no_category_where_none_is_rare():
    fitted = Columns(max_categories=9, words=20).fit(pd.DataFrame({"city": ["a", "b"] * 3}))

    assert dense(fitted.transform(pd.DataFrame({"city": ["c"]}))).tolist() == [[0, 0]]


def test_texts_are_weighed_as_scikit_learn_does(table):
    found = Columns(10, words=6).fit_transform(table[["review"]])

    vectorizer = TfidfVectorizer(max_features=6, sublinear_tf=True)
    expected = vectorizer.fit_transform(table["review"].fillna("")).toarray()
    np.testing.assert_allclose(dense(found), expected, rtol=1e-5)


def test_a_column_may_be_called_anything():
    name = 'my note__c.{"a": [0]}'
    X = pd.DataFrame({name: [f"word{n} and more words of number {n % 7}" for n in range(200)]})
    assert column_kind(X[name]) == "text"
    assert Columns(max_categories=10, words=50).fit(X).transform(X).shape == (200, 50)


def test_the_dense_view_reduces_texts_to_components(table):
    found = Columns(10, words=10, components=3).fit_transform(table[["review"]])

    weights = TfidfVectorizer(sublinear_tf=True).fit_transform(table["review"].fillna(""))
    left, scale, _ = np.linalg.svd(weights.toarray(), full_matrices=False)
    expected = left[:, :3] * scale[:3]
    expected = (expected - expected.mean(0)) / expected.std(0)
    assert found.shape == (ROWS, 3)
    # a component may come with either sign
    for ours, other in zip(found.T, expected.T, strict=True):
        assert abs(ours @ other) / ROWS == pytest.approx(1, abs=1e-3)


def test_the_dense_view_is_an_array_of_32_bits(table):
    found = Columns(10, 20, components=3).fit_transform(table)

    assert isinstance(found, np.ndarray)
    assert found.dtype == np.float32
    assert np.isfinite(found).all()


@pytest.mark.parametrize(("columns", "is_sparse"), [(["age", "member"], False), (["review"], True)])
def test_the_engineered_view_is_sparse_where_that_is_leaner(table, columns, is_sparse):
    review = [" ".join([f"word{i}"] * 3 + [f"more{i}"]) for i in range(ROWS)]

    found = Columns(10, 500).fit_transform(table.assign(review=review)[columns])

    assert sparse.issparse(found) == is_sparse
    assert found.dtype == np.float32


VIEWS = [Columns(10, 20), Columns(10, 20, components=3)]


@pytest.mark.parametrize("view", VIEWS, ids=["engineered", "raw"])
def test_fitting_and_transforming_is_one_and_the_same(table, view):
    fitting, again = dense(view.fit_transform(table)), dense(view.transform(table))

    np.testing.assert_allclose(fitting, again, atol=1e-6)


@pytest.mark.parametrize("view", VIEWS, ids=["engineered", "raw"])
def test_validation_does_not_change_what_was_learned(table, view):
    before = dense(view.fit(table).transform(table))

    view.transform(table.assign(age=1e9, city="Rom", review="new words only"))

    np.testing.assert_array_equal(dense(view.transform(table)), before)


@pytest.mark.parametrize("view", VIEWS, ids=["engineered", "raw"])
def test_a_stored_view_gives_the_same_numbers_and_bytes(table, view, tmp_path):
    view.fit(table)
    storage.dump(view, tmp_path / "one.skops")
    storage.dump(view, tmp_path / "two.skops")

    again = storage.load(tmp_path / "one.skops")

    np.testing.assert_array_equal(dense(again.transform(table)), dense(view.transform(table)))
    assert again.kinds_ == KINDS
    assert again.summary() == view.summary()
    assert (tmp_path / "one.skops").read_bytes() == (tmp_path / "two.skops").read_bytes()


@pytest.mark.parametrize("view", VIEWS, ids=["engineered", "raw"])
def test_a_served_row_without_a_value_is_answered(table, view):
    kinds = {name: kind_of(table[name]) for name in table}
    row = conform(pd.DataFrame([dict.fromkeys(table)]), kinds, may_miss=True)

    found = dense(view.fit(table).transform(row))

    assert found.shape == (1, dense(view.transform(table)).shape[1])
    assert np.isfinite(found).all()


def test_a_value_that_is_missing_in_a_column_that_never_was_is_the_median(table):
    fitted = Columns(10, 20).fit(table[["member"]])

    found = fitted.transform(pd.DataFrame({"member": [np.nan]}))

    median = fitted.transform(pd.DataFrame({"member": [table["member"].median()]}))
    assert found.tolist() == median.tolist()


def test_white_space_around_a_served_category_does_not_count(table):
    fitted = Columns(10, 20).fit(table[["city"]])

    one, other = (dense(fitted.transform(pd.DataFrame({"city": [c]}))) for c in ("Ulm", " Ulm "))

    assert one.tolist() == other.tolist()


def test_a_table_without_a_column_to_learn_from_is_reported(table):
    with pytest.raises(UserError, match=r"no column to learn from: left out, .*: customer; "):
        Columns(10, 20).fit(table[["customer", "country"]])


def test_one_hot_that_is_stored_does_what_scikit_learns_does(tmp_path):
    train = pd.DataFrame({"a": ["x", "y", "x", "ä"], "b": ["1", "2", "2", "long value"]})
    fitted = OneHot(handle_unknown="infrequent_if_exist", max_categories=2).fit(train)
    storage.dump(fitted, tmp_path / "it.skops")

    again = storage.load(tmp_path / "it.skops")

    unseen = pd.DataFrame({"a": ["ä", "x", "zzzzzzzzz"], "b": ["long value", "2", "3"]})
    np.testing.assert_array_equal(
        again.transform(unseen).toarray(), fitted.transform(unseen).toarray()
    )
    assert again.get_feature_names_out().tolist() == fitted.get_feature_names_out().tolist()


def test_many_categories_are_stored_in_few_parts(tmp_path):
    many = pd.DataFrame({"a": [f"value {number}" for number in range(5000)]})

    storage.dump(OneHot(max_categories=9).fit(many), tmp_path / "it.skops")

    with zipfile.ZipFile(tmp_path / "it.skops") as archive:
        assert archive.getinfo("schema.json").file_size < 20_000
