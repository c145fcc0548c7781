"""Read who rated what and when: what users had seen and liked, and what they liked afterwards."""

from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.errors import UserError
from pipeline.files import sha256
from pipeline.sources import table
from pipeline.sources.catalogue import Catalogue
from pipeline.sources.columns import recognise
from pipeline.sources.examples import Source, origin_of

PERIODS = ("train", "validation", "test")
# Share of each training user's ratings that are the history; what was liked of the rest is learned.
LEARNED = 0.5
# The greatest number that is an item by itself: features have a column for each number below.
GREATEST = 2**31 - 2


def read(
    path: Path,
    user: str,
    item: str,
    time: str,
    reveal: float,
    shares: list[float],
    rating: str | None = None,
    liked: float | None = None,
    scale: list[float] | None = None,
    encoding: str = "utf-8",
) -> Source:
    """
    Read a table of ratings, for each user what is to be ranked after what was seen and liked.

    Parameters
    ----------
    path, user, item, time, rating, liked, scale, encoding
        As for `load`.
    reveal, shares
        As for `in_periods`.

    Returns
    -------
    Source
        With what `in_periods` returns, the names of items, and the protocol as a note.

    Raises
    ------
    UserError
        As for `load` and `in_periods`.
    """
    ratings, names = load(path, user, item, time, rating, liked, scale, encoding)
    relevant = f"rated {liked:g} or more" if liked is not None else "chose"
    return Source(
        in_periods(ratings, reveal, shares),
        [origin_of(Path(path), sha256(Path(path)))],
        may_miss=True,
        may_repeat=True,
        names=names,
        notes=[protocol("items", relevant, reveal, shares)],
    )


def catalogue(
    path: Path,
    user: str,
    item: str,
    time: str,
    rating: str | None = None,
    liked: float | None = None,
    scale: list[float] | None = None,
    encoding: str = "utf-8",
) -> Catalogue:
    """
    Read what each user of a table has seen and liked by now.

    Parameters
    ----------
    path, user, item, time, rating, liked, scale, encoding
        As for `load`.

    Raises
    ------
    UserError
        As for `load`.
    """
    ratings, names = load(path, user, item, time, rating, liked, scale, encoding)
    called = dict(enumerate(names)) or {one: str(one) for one in np.unique(ratings["item"])}
    return Catalogue(known_by_now(ratings), called, "items")


def load(
    path: Path,
    user: str,
    item: str,
    time: str,
    rating: str | None,
    liked: float | None,
    scale: list[float] | None,
    encoding: str,
) -> tuple[pd.DataFrame, list[str]]:
    """
    Read and check a table of ratings.

    Parameters
    ----------
    path : Path
        A file of a type in `pipeline.sources.table.READERS`.
    user, item, time : str
        The columns of who, what and when, a time or a number. No two rows have all three alike.
    rating : str, optional
        The column of ratings, numbers. Without it a row tells that a user chose an item.
    liked : float, optional
        The rating from which an item is liked. Without it every row is.
    scale : list of float, optional
        The lowest and the highest rating that there may be.
    encoding : str
        The encoding of text.

    Returns
    -------
    ratings : DataFrame
        In the order of time: ``user`` (str), ``item`` (int), ``time`` (a number), ``liked`` (bool).
    names : list of str
        The name of each item by its number. Empty if all items are whole numbers: they are then
        their own names.

    Raises
    ------
    UserError
        If the file cannot be read, a column cannot be used, a rating is no number or off the
        scale, a row is there twice, or there is one user.
    """
    file = Path(path)
    columns = {"user": user, "item": item, "time": time, "rating": rating}
    _check_keys(file, columns, liked, scale)
    rows = _read_columns(file, {r: name for r, name in columns.items() if name}, encoding)
    if scale is not None:
        off = f"is off task.source.scale, {scale[0]:g} to {scale[1]:g}"
        _check_rows(file, rating, rows["rating"], ~rows["rating"].between(*scale), off)
    twice = rows.duplicated(["user", "item", "time"])
    _check_rows(file, item, rows["item"], twice, "is there before, of the same user and time")
    if (rows["user"] == rows["user"].iloc[0]).all():
        raise UserError(
            f"{file}: column '{user}' names one user, '{rows['user'].iloc[0]}': "
            "what to show is learned from what others liked"
        )
    if liked is not None and rows["rating"].max() < liked:
        raise UserError(
            f"{file}: no rating is {liked:g} or more, the greatest is {rows['rating'].max():g}: "
            "lower task.source.liked"
        )
    numbers, names = number(rows["item"])
    likes = True if liked is None else rows["rating"] >= liked
    ratings = rows[["user", "time"]].assign(item=numbers, liked=likes)
    return ratings.sort_values(["time", "user", "item"], ignore_index=True), names


def _check_keys(
    file: Path, columns: dict[str, str | None], liked: float | None, scale: list[float] | None
) -> None:
    """Check the keys of the source before the file is read."""
    named = list(columns.values())
    for role, name in columns.items():
        if name is None and role != "rating":
            raise UserError(f"task.source.{role} is not set: name the column of {file}")
        if name is not None and named.count(name) > 1:
            raise UserError(f"task.source.{role}: column '{name}' has another role too")
    for key, value in (("liked", liked), ("scale", scale)):
        if columns["rating"] is None and value is not None:
            raise UserError(
                f"task.source.{key}: {value} is a rating, but task.source.rating names no column"
            )
    if scale is not None and (len(scale) != 2 or not scale[0] < scale[1]):
        raise UserError(f"task.source.scale: {scale} is not the lowest and the highest rating")


def _read_columns(file: Path, roles: dict[str, str], encoding: str) -> pd.DataFrame:
    """Read a column per role: users and items as texts, times and ratings as numbers."""
    texts = [roles["user"], roles["item"]]
    whole = table.load(file, roles, texts=texts, how=table.Written(encoding=encoding))
    frame = table.plain(file, whole.select(list(roles.values())))
    found = {
        # The keys that would settle a doubt are those of other sources.
        name: one._replace(doubts=tuple(doubt.partition(";")[0] for doubt in one.doubts))
        for name, one in recognise(frame.drop(columns=texts), codes=False).items()
    }
    (rows,) = table.examples([file], [frame], roles, found)
    if pd.api.types.is_datetime64_any_dtype(rows["time"]):
        rows["time"] = rows["time"].astype(np.int64)
    if "rating" in roles:
        numbers = pd.to_numeric(rows["rating"], errors="coerce")
        _check_rows(file, roles["rating"], rows["rating"], numbers.isna(), "is no number")
        rows["rating"] = numbers
    return rows


def _check_rows(
    file: Path, column: str | None, values: pd.Series, wrong: "pd.Series[bool]", what: str
) -> None:
    """Raise an error that names the first of the values that are wrong, if there is one."""
    rows = np.flatnonzero(wrong)
    if len(rows):
        more = f" (and {len(rows) - 1:,} more)" if len(rows) > 1 else ""
        raise UserError(
            f"{file}: column '{column}', row {rows[0] + 1:,}: '{values.iloc[rows[0]]}' {what}{more}"
        )


def number(items: "pd.Series[str]") -> tuple[np.ndarray, list[str]]:
    """
    Give each item a number.

    Returns
    -------
    numbers : ndarray of int, shape (n,)
        Whole numbers as they are if all items are such, and otherwise places in `names`.
    names : list of str
        The distinct items, sorted, or nothing if they are whole numbers.
    """
    codes, names = pd.factorize(items, sort=True)
    if all(name.isdecimal() and name == str(int(name)) and int(name) <= GREATEST for name in names):
        return names.astype(np.int64).to_numpy()[codes], []
    return codes, list(names)


def protocol(what: str, liked: str, reveal: float, shares: list[float]) -> str:
    """
    Return a sentence on how lists are scored, without which a score cannot be compared.

    Parameters
    ----------
    what : str
        What the items are, in the plural.
    liked : str
        What a user did to those that are relevant.
    reveal, shares
        As for `in_periods`.
    """
    history = "what the user rated before the test begins"
    if reveal:
        history += f", and the first {reveal:.0%} of what the user rated in it"
    return (
        f"Protocol: candidates are all {what} that a training user liked, but those in the "
        f"history of the user; relevant are {what} that the user {liked} after it; the history is "
        f"{history}. The test is the latest {1 - shares[1]:.0%} of the ratings of all users; "
        f"models learn from the first {shares[0]:.0%}."
    )


def in_periods(ratings: pd.DataFrame, reveal: float, shares: list[float]) -> pd.DataFrame:
    """
    Return for users what they had seen and liked, and what they liked afterwards.

    Parameters
    ----------
    ratings : DataFrame
        ``user`` (str), ``item``, ``time``, ``liked``, in the order of time.
    reveal : float
        Share of what a user rated in the period of a part that is revealed before the rest is to
        be ranked. With 0 only what was rated before the period is known.
    shares : list of float
        Shares of all ratings, in the order of time, at which the periods of validation and test
        begin.

    Returns
    -------
    DataFrame
        A row per user and period: train, validation, test, told apart by ``time``. In train the
        second half of each history is to be ranked. Users who liked nothing in the rest of
        validation or test are left out there.

    Raises
    ------
    UserError
        If a setting is out of range, or there is nothing to rank in a period.
    """
    if not 0 <= reveal < 1:
        raise UserError(f"task.source.reveal: {reveal} is not at least 0 and below 1")
    if len(shares) != 2 or not 0 < shares[0] < shares[1] < 1:
        raise UserError(f"task.source.shares: {shares} are not two rising shares between 0 and 1")
    begin = [ratings["time"].iloc[int(len(ratings) * share)] for share in shares]
    period = np.searchsorted(begin, ratings["time"], side="right")
    rows = pd.concat(
        [
            histories(ratings[period <= place], period[period <= place] == place, share)
            .query("label != '' or @place == 0")
            .assign(time=place)
            for place, share in enumerate((LEARNED, reveal, reveal))
        ],
        ignore_index=True,
    )
    liked = rows["time"][rows["label"] != ""]
    lacking = [name for place, name in enumerate(PERIODS) if not (liked == place).any()]
    if lacking:
        raise UserError(
            f"nobody liked anything that is to be ranked in {' and '.join(lacking)}: add ratings, "
            "or change task.source.shares or task.source.reveal"
        )
    user = rows.pop("user")
    names = rows["time"].map(dict(enumerate(PERIODS)))
    return rows.assign(example_id=user + "-" + names, group=user)


def histories(ratings: pd.DataFrame, inside: np.ndarray, share: float) -> pd.DataFrame:
    """
    Divide what users rated into a history and what they liked afterwards.

    Parameters
    ----------
    ratings : DataFrame
        ``user``, ``item``, ``time``, ``liked``, in the order of time up to the end of a period.
    inside : ndarray of bool
        Which of them are in the period.
    share : float
        Share of a user's ratings in the period that belong to the history. Those of one time
        stay together.

    Returns
    -------
    DataFrame
        A row per user with ratings in the period: ``user``, ``seen``, ``liked`` (arrays, missing
        if empty) and ``label``, the items liked afterwards that are not in the history.
    """
    place = places(ratings[inside]).reindex(ratings.index, fill_value=-1.0)
    after = inside & (place >= share).to_numpy()
    known = pd.Series(~after, ratings.index).groupby([ratings["user"], ratings["item"]])
    new = after & ~known.transform("any").to_numpy(bool)
    likes = ratings["liked"].to_numpy()

    def listed(chosen: np.ndarray) -> pd.Series:
        of_user = ratings[chosen].drop_duplicates(["user", "item"]).groupby("user")["item"]
        return of_user.agg(lambda one: one.to_numpy(np.float64)).astype(object)

    users = np.unique(ratings["user"][inside])
    labels = listed(new & likes).map(lambda items: " ".join(map(str, items.astype(int))))
    return pd.DataFrame(
        {
            "user": users,
            "seen": listed(~after).reindex(users).to_numpy(),
            "liked": listed(~after & likes).reindex(users).to_numpy(),
            "label": labels.reindex(users, fill_value="").to_numpy(str),
        }
    )


def known_by_now(ratings: pd.DataFrame) -> pd.DataFrame:
    """Return what each user has seen and liked by now, indexed by user."""
    everything = histories(ratings, np.full(len(ratings), True), 1.0)
    return everything.set_index("user")[["seen", "liked"]]


def places(ratings: pd.DataFrame) -> pd.Series:
    """Return for each rating the share of the user's ratings that are earlier."""
    of_user = ratings.groupby("user")["time"]
    return (of_user.rank(method="min") - 1) / of_user.transform("size")
