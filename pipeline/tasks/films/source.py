"""Read what people thought of films: the ratings of MovieLens, latest-small."""

from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from pipeline.errors import UserError
from pipeline.sources.catalogue import Catalogue
from pipeline.sources.download import fetch, remotes
from pipeline.sources.examples import Source
from pipeline.sources.histories import describe
from pipeline.sources.ratings import in_periods, known_by_now, places, protocol
from pipeline.sources.split import latest, nearest_part

# Ratings of MovieLens; the copy that is downloaded has rows of someone else's after them.
RATINGS = 100_836
# Stars from which a user likes a film, and the middle of the scale from half a star to five.
LIKED, MIDDLE = 4.0, 2.75
YEAR = r"\((\d{4})\)\s*$"
NO_GENRES = "(no genres listed)"
# Years that are one era.
ERA = 5
CUTS = ("global", "user")


class MovieLens(NamedTuple):
    """
    The files of MovieLens.

    Attributes
    ----------
    ratings : DataFrame
        A row per rating: ``user``, ``item``, ``rating`` in stars, ``time`` in seconds since 1970.
    films : DataFrame
        Indexed by ``item``: ``title`` without the year, ``year`` (missing for a few), and
        ``genres``, separated by bars and empty if there are none.
    origin : list of dict
        The origin of each file.
    """

    ratings: pd.DataFrame
    films: pd.DataFrame
    origin: list[dict[str, str]]


def load(manifest: Path) -> MovieLens:
    """
    Read ratings and films.

    Parameters
    ----------
    manifest : Path
        CSV with the columns ``file``, ``url`` and ``sha256``, and a row for each of the files
        ``ratings`` and ``films``.

    Raises
    ------
    UserError
        If a file cannot be downloaded.

    References
    ----------
    Harper and Konstan, "The MovieLens Datasets: History and Context", ACM Transactions on
    Interactive Intelligent Systems 5 (4), 2015.
    """
    downloads = remotes(pd.read_csv(manifest, index_col="file").loc[["ratings", "films"]])
    ratings_path, films_path = fetch(downloads)
    ratings = pd.read_csv(ratings_path, nrows=RATINGS).set_axis(
        ["user", "item", "rating", "time"], axis=1
    )
    films = pd.read_csv(films_path, index_col="movieId").rename_axis("item")
    year = films["title"].str.extract(YEAR)[0].astype(np.float64)
    films = films.assign(
        title=films["title"].str.replace(YEAR, "", regex=True).str.strip(),
        year=year,
        genres=films["genres"].where(films["genres"] != NO_GENRES, ""),
    )
    return MovieLens(ratings, films, [asdict(one) for one in downloads])


def likes(
    manifest: Path, cut: str, reveal: bool, split: dict[str, Any], stars: bool = False
) -> Source:
    """
    Read for each rating whether the user liked the film, and what was known before.

    Parameters
    ----------
    manifest : Path
        As for `load`.
    cut : str
        What is held out: ``global``, the latest of all ratings, or ``user``, the latest of each
        user.
    reveal : bool
        Whether each rating that is held out is described by all that came before it, held-out
        ratings too. Otherwise by what was known at the cut: of test ratings that is the first
        of them, of validation ratings the first of those.
    split : dict
        The keys of ``task.split``.
    stars : bool, default=False
        Whether the target is the rating itself.

    Returns
    -------
    Source
        A row per rating in the order of time, with the columns of `histories.describe`, the items
        being films. A column ``time`` makes the split hold out what `cut` says: seconds, or the
        share of the user's ratings that are earlier. The group is the user.

    Raises
    ------
    UserError
        If a file cannot be downloaded, or a setting is out of range.
    """
    if cut not in CUTS:
        raise UserError(f"task.source.cut: '{cut}' is neither {' nor '.join(CUTS)}")
    if not reveal and split["folds"] is not None:
        raise UserError(
            "task.source.reveal: false needs one cut: set task.split.folds to null, or reveal"
        )
    ratings, films, origin = load(manifest)
    ratings = ratings.sort_values(["time", "user", "item"], ignore_index=True)
    place = ratings["time"] if cut == "global" else places(ratings)
    moment = ratings["time"].to_numpy()
    whose = np.zeros(len(ratings)) if cut == "global" else ratings["user"]
    limit = moment if reveal else cuts(moment, parts(place, split), whose)
    genres = films["genres"].str.split("|").explode()
    tags = {
        "genre": genres[genres != ""],
        "era": films["year"].dropna() // ERA,
    }
    known = describe(ratings, tags, limit, LIKED, MIDDLE)
    of_film = films.loc[ratings["item"]].reset_index(drop=True)
    user, film = ratings["user"].astype(str), ratings["item"].astype(str)
    target = ratings["rating"]
    examples = pd.DataFrame(
        {
            "example_id": "user-" + user.str.zfill(3) + "-film-" + film.str.zfill(6),
            "user": user,
            "film": film,
            "title": of_film["title"],
            "year": of_film["year"],
            "genres": of_film["genres"].where(of_film["genres"] != "", None),
            **known.rename(columns=lambda name: name.replace("item_", "film_")),
            "label": target if stars else np.where(target >= LIKED, "yes", "no"),
            "group": "user-" + user.str.zfill(3),
            "time": place,
        }
    )
    # Two ratings are two cases, however alike they look.
    return Source(examples, origin, may_miss=True, may_repeat=True)


def parts(place: pd.Series, split: dict[str, Any]) -> np.ndarray:
    """Return the part that a split by time gives each rating: 0 train, 1 validation, 2 test."""
    part = np.zeros(len(place), np.int64)
    part[latest(place, nearest_part(split["test"]))] = 2
    rest = np.flatnonzero(part == 0)
    part[rest[latest(place.iloc[rest], nearest_part(split["validation"]))]] = 1
    return part


def cuts(moment: np.ndarray, part: np.ndarray, whose: Any) -> np.ndarray:
    """
    Return the moment at which what is known of each rating is frozen.

    Parameters
    ----------
    moment : ndarray of shape (n,)
        The time of each rating.
    part : ndarray of shape (n,)
        What `parts` returned.
    whose : array of shape (n,)
        What has a cut of its own.

    Returns
    -------
    ndarray of shape (n,)
        Of a rating in train its own time, of others that of the first one in the same part.
    """
    first = pd.Series(moment).groupby([part, np.asarray(whose)]).transform("min").to_numpy()
    return np.where(part == 0, moment, first)


def rankings(manifest: Path, reveal: float, shares: list[float]) -> Source:
    """
    Read for users what they had seen and liked, and what they liked afterwards.

    Parameters
    ----------
    manifest : Path
        As for `load`.
    reveal, shares
        As for `pipeline.sources.ratings.in_periods`.

    Returns
    -------
    Source
        With what `pipeline.sources.ratings.in_periods` returns, and the protocol as a note.

    Raises
    ------
    UserError
        If a file cannot be downloaded, or a setting is out of range.
    """
    stars, _, origin = load(manifest)
    user = "user-" + stars["user"].astype(str).str.zfill(3)
    examples = in_periods(liking(stars.assign(user=user)), reveal, shares)
    note = protocol("films", f"gave {LIKED:g} stars or more", reveal, shares)
    return Source(examples, origin, may_miss=True, may_repeat=True, notes=[note])


def catalogue(manifest: Path) -> Catalogue:
    """
    Read what each user has seen and liked by now, and the titles of films.

    Parameters
    ----------
    manifest : Path
        As for `load`.

    Raises
    ------
    UserError
        If a file cannot be downloaded.
    """
    stars, films, _ = load(manifest)
    known = known_by_now(liking(stars))
    year = films["year"].map(lambda year: "" if np.isnan(year) else f" ({year:.0f})")
    names = (films["title"] + year).to_dict()
    return Catalogue(known.set_axis(known.index.astype(str)), names, "films")


def liking(stars: pd.DataFrame) -> pd.DataFrame:
    """Return ratings in the order of time, with whether the user liked the film."""
    ordered = stars.sort_values(["time", "user", "item"], ignore_index=True)
    return ordered.assign(liked=ordered["rating"] >= LIKED)
