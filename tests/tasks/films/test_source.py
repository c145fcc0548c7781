"""Ratings of films: what is held out, what is known then, and what is read of the files."""

import hashlib

import numpy as np
import pandas as pd
import pytest

from pipeline.errors import UserError
from pipeline.problems import problem
from pipeline.sources.examples import inputs_of
from pipeline.sources.split import Plan, split
from pipeline.tasks.films.source import cuts, likes, load, parts, places

SPLIT = {"test": 0.2, "validation": 0.2, "folds": None}


def read(shelf, cut="global", reveal=True, stars=False, **how):
    return likes(shelf / "manifest.csv", cut, reveal, SPLIT | how, stars)


def raw(shelf) -> pd.DataFrame:
    table = pd.read_csv(shelf / "example.org" / "ratings.csv")
    return table.sort_values(["timestamp", "userId", "movieId"], ignore_index=True)


def test_the_target_is_the_rating_or_whether_it_is_four_stars(shelf):
    stars = read(shelf, stars=True).examples["label"]

    assert stars.tolist() == raw(shelf)["rating"].tolist()
    assert read(shelf).examples["label"].tolist() == np.where(stars >= 4, "yes", "no").tolist()


def test_titles_years_and_genres_are_read_apart(shelf):
    films = load(shelf / "manifest.csv").films

    assert films["title"].tolist()[:4] == [
        "Alien",
        "Crying Game, The",
        "Paterson",
        "2001: A Space Odyssey",
    ]
    assert films["year"].tolist()[:2] + films["year"].tolist()[3:] == [1979, 1992, 1968, 2001]
    assert np.isnan(films["year"][3])
    assert films["genres"].tolist()[2] == ""


def test_every_rating_is_an_example_liked_from_four_stars_on(shelf):
    examples, table = read(shelf).examples, raw(shelf)

    assert len(examples) == len(table)
    assert examples["user"].tolist() == table["userId"].astype(str).tolist()
    assert examples["film"].tolist() == table["movieId"].astype(str).tolist()
    assert (examples["label"] == "yes").tolist() == (table["rating"] >= 4).tolist()
    assert examples["example_id"].is_unique


@pytest.mark.parametrize("cut", ["global", "user"])
def test_the_split_holds_out_what_the_source_froze(shelf, cut):
    examples = read(shelf, cut).examples
    plan = Plan(test=5, validation=5, folds=False, repeats=1, seed=0)

    rounds = split(examples, plan, problem("classification"))

    of_source = pd.Series(parts(examples["time"], SPLIT), examples["example_id"])
    for code, name in enumerate(("train", "validation", "test")):
        held = set(rounds.part("0", name)["example_id"])
        assert held == set(of_source.index[of_source == code])


def test_the_global_cut_holds_out_the_latest(shelf):
    examples, table = read(shelf).examples, raw(shelf)

    test = parts(examples["time"], SPLIT) == 2

    assert table["timestamp"][~test].max() < table["timestamp"][test].min()
    assert 0.2 <= test.mean() < 0.25


def test_the_cut_by_user_holds_out_the_latest_of_each(shelf):
    examples, table = read(shelf, "user").examples, raw(shelf)

    test = parts(examples["time"], SPLIT) == 2

    for _, of_user in table.assign(test=test).groupby("userId"):
        assert (
            of_user["timestamp"][~of_user["test"]].max()
            < of_user["timestamp"][of_user["test"]].min()
            or not of_user["test"].any()
        )


def test_places_are_the_share_of_what_came_before():
    table = pd.DataFrame({"user": [1, 1, 1, 1, 2], "time": [5, 3, 5, 9, 1]})

    assert places(table).tolist() == [0.25, 0, 0.25, 0.75, 0]


def test_a_part_is_frozen_at_its_first_moment():
    moment = np.array([1, 2, 3, 4, 5, 6])
    part = np.array([0, 0, 1, 1, 2, 2])

    assert cuts(moment, part, np.zeros(6)).tolist() == [1, 2, 3, 3, 5, 5]
    whose = np.array([1, 2, 1, 2, 1, 2])
    assert cuts(moment, part, whose).tolist() == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("cut", ["global", "user"])
def test_frozen_test_ratings_do_not_tell_of_each_other(shelf, cut):
    before = read(shelf, cut, reveal=False).examples
    test = parts(before["time"], SPLIT) == 2
    table = raw(shelf)
    # Turned round, in the order of the file.
    flipped = table.assign(rating=np.where(test, 5.5 - table["rating"], table["rating"]))
    rewrite(shelf, flipped)

    after = read(shelf, cut, reveal=False).examples

    changed = (after["label"] != before["label"]).to_numpy()
    assert changed.any()
    assert not changed[~test].any()
    if cut == "global":
        inputs = [
            c for c in inputs_of(before) if c.startswith(("user_", "film_", "genre_", "era_"))
        ]
        pd.testing.assert_frame_equal(after[inputs], before[inputs])
    else:  # of films a rating hears what other users said before the cut of this one
        own = ["user_count", "user_mean", "user_liked", "user_recent_5", "genre_share"]
        pd.testing.assert_frame_equal(after[own], before[own])


def test_revealed_test_ratings_tell_of_those_before(shelf):
    frozen, revealed = read(shelf, reveal=False).examples, read(shelf).examples
    test = parts(frozen["time"], SPLIT) == 2

    assert (revealed["film_count"] >= frozen["film_count"]).all()
    assert revealed["film_count"][test].sum() > frozen["film_count"][test].sum()
    part = parts(frozen["time"], SPLIT)
    pd.testing.assert_frame_equal(frozen[part == 0], revealed[part == 0])


def test_what_is_unknown_is_missing(shelf):
    first = read(shelf).examples.iloc[0]

    assert first["user_count"] == first["film_count"] == 0
    assert np.isnan(first["user_mean"])


def test_an_unknown_cut_and_a_frozen_test_in_folds_are_refused(shelf):
    with pytest.raises(UserError, match=r"task\.source\.cut: 'film' is neither global nor user"):
        read(shelf, "film")
    with pytest.raises(UserError, match=r"reveal: false needs one cut: set task\.split\.folds"):
        read(shelf, reveal=False, folds=5)


def rewrite(shelf, table):
    """Replace the ratings, and their hash in the manifest."""
    path, manifest = shelf / "example.org" / "ratings.csv", shelf / "manifest.csv"
    old = hashlib.sha256(path.read_bytes()).hexdigest()
    table.to_csv(path, index=False)
    new = hashlib.sha256(path.read_bytes()).hexdigest()
    manifest.write_text(manifest.read_text().replace(old, new))
