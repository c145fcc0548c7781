"""Headlines and article bodies of the Fake News Challenge."""

from dataclasses import asdict
from pathlib import Path

import pandas as pd

from pipeline.errors import UserError
from pipeline.features.normaliser import normalise_each
from pipeline.sources.download import fetch, remotes
from pipeline.sources.examples import Source

STANCES = ("agree", "disagree", "discuss", "unrelated")
INPUTS = ["headline", "body"]


def read(manifest: Path) -> Source:
    """
    Read the pairs of stage 1, with the challenge's own test.

    Parameters
    ----------
    manifest : Path
        CSV with a row a file: ``part``, train or test; ``content``, stances
        or bodies; ``sha256``, ``url``.

    Returns
    -------
    Source
        Inputs ``headline`` and ``body``; the group is the body. Pairs whose
        headline or body is in the test are left out.

    Raises
    ------
    UserError
        When a file cannot be had or is not as expected.

    References
    ----------
    Pomerleau and Rao, "The Fake News Challenge", 2017, stage 1.
    """
    files = pd.read_csv(manifest, dtype=str)
    downloads = remotes(files)
    names = zip(files["part"], files["content"], strict=True)
    paths = dict(zip(names, fetch(downloads), strict=True))
    train, test = (
        pairs(paths[part, "stances"], paths[part, "bodies"], part) for part in ("train", "test")
    )
    train, dropped = unseen(train, test)
    origin = [asdict(download) for download in downloads]
    return Source(train, origin, test, dropped=dropped)


def pairs(stances: Path, bodies: Path, part: str) -> pd.DataFrame:
    """
    Join headlines with the bodies that they are judged against.

    Parameters
    ----------
    stances : Path
        CSV with ``Headline``, ``Body ID`` and ``Stance``.
    bodies : Path
        CSV with ``Body ID`` and ``articleBody``.
    part : str
        Begins ids and groups, as train and test count bodies alike.

    Returns
    -------
    DataFrame
        A row a stance, in the order of the file: ``example_id``, ``headline``,
        ``body``, ``label``, ``group``. Bodies that are normalised to the same
        text are one group.

    Raises
    ------
    UserError
        For a column or body that is missing, a body id that comes twice, and
        an unknown stance.
    """
    given = _table(stances, ["Headline", "Body ID", "Stance"])
    articles = _table(bodies, ["Body ID", "articleBody"]).set_index("Body ID")["articleBody"]
    twice = articles.index[articles.index.duplicated()]
    if len(twice):
        raise UserError(f"{bodies}: the body id {twice[0]} comes twice")
    for column, known, expected in (
        ("Body ID", articles.index, f"a body of {bodies.name}"),
        ("Stance", STANCES, f"one of {', '.join(STANCES)}"),
    ):
        strange = given.index[~given[column].isin(known)]
        if len(strange):
            value = given[column][strange[0]]
            raise UserError(
                f"{stances}, row {strange[0] + 1}: {column} '{value}' is not {expected}"
            )
    ids = articles.index.to_series().groupby(normalise_each(articles)).transform("first")
    return pd.DataFrame(
        {
            "example_id": [f"{part}-{row:05d}" for row in range(len(given))],
            "headline": given["Headline"],
            "body": given["Body ID"].map(articles),
            "label": given["Stance"],
            "group": f"{part}-" + given["Body ID"].map(ids),
        }
    )


def unseen(train: pd.DataFrame, test: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, int]]:
    """
    Leave out of train every pair with a headline or a body of the test, once normalised.

    Returns
    -------
    kept : DataFrame
        Rows of `train`.
    dropped : dict of str to int
        Rows left out, by reason; one with both is counted by its headline.
    """
    known = {name: normalise_each(train[name]).isin(normalise_each(test[name])) for name in INPUTS}
    kept = train[~known["headline"] & ~known["body"]].reset_index(drop=True)
    return kept, {
        "headline is in the test": int(known["headline"].sum()),
        "body is in the test": int((known["body"] & ~known["headline"]).sum()),
    }


def _table(path: Path, columns: list[str]) -> pd.DataFrame:
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    lacking = [name for name in columns if name not in table]
    if lacking:
        raise UserError(f"{path} lacks the column '{lacking[0]}': expected {', '.join(columns)}")
    return table
