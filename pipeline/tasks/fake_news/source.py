"""Read the headlines and article bodies of the Fake News Challenge."""

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
    Read the pairs of stage 1, with the test of the challenge.

    Parameters
    ----------
    manifest : Path
        CSV with a row per file: ``part`` is train or test, ``content`` is stances or bodies,
        then ``sha256`` and ``url``.

    Returns
    -------
    Source
        With the inputs ``headline`` and ``body``. The group is the body. The bootstrap draws
        headlines and bodies. Pairs whose headline or body is in the test are dropped.

    Raises
    ------
    UserError
        If a file cannot be downloaded or is not as expected.

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
    train, dropped = drop_tested(train, test)
    origin = [asdict(download) for download in downloads]
    return Source(train, origin, test, dropped=dropped)


def pairs(stances: Path, bodies: Path, part: str) -> pd.DataFrame:
    """
    Join headlines with the bodies that they are compared with.

    Parameters
    ----------
    stances : Path
        CSV with ``Headline``, ``Body ID`` and ``Stance``.
    bodies : Path
        CSV with ``Body ID`` and ``articleBody``.
    part : str
        Prefix of ids and groups, because train and test use the same body ids.

    Returns
    -------
    DataFrame
        A row per stance, in the order of the file: ``example_id``, ``headline``, ``body``,
        ``label``, ``group``, ``meta:unit`` (the headline), ``meta:unit_2`` (the body). Texts
        that are the same when normalised are one.

    Raises
    ------
    UserError
        If a column or body is missing, a body id is there twice, or a stance is unknown.
    """
    judged = _read_table(stances, ["Headline", "Body ID", "Stance"])
    articles = _read_table(bodies, ["Body ID", "articleBody"]).set_index("Body ID")["articleBody"]
    twice = articles.index[articles.index.duplicated()]
    if len(twice):
        raise UserError(f"{bodies}: the body id {twice[0]} comes twice")
    for column, names, expected in (
        ("Body ID", articles.index, f"a body of {bodies.name}"),
        ("Stance", STANCES, f"one of {', '.join(STANCES)}"),
    ):
        strange = judged.index[~judged[column].isin(names)]
        if len(strange):
            value = judged[column][strange[0]]
            raise UserError(
                f"{stances}, row {strange[0] + 1}: {column} '{value}' is not {expected}"
            )
    ids = articles.index.to_series().groupby(normalise_each(articles)).transform("first")
    group = f"{part}-" + judged["Body ID"].map(ids)
    headlines = pd.factorize(normalise_each(judged["Headline"]))[0]
    return pd.DataFrame(
        {
            "example_id": [f"{part}-{row:05d}" for row in range(len(judged))],
            "headline": judged["Headline"],
            "body": judged["Body ID"].map(articles),
            "label": judged["Stance"],
            "group": group,
            "meta:unit": [f"{part}-headline-{number:04d}" for number in headlines],
            "meta:unit_2": group,
        }
    )


def drop_tested(train: pd.DataFrame, test: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, int]]:
    """
    Drop training pairs whose normalised headline or body is in the test.

    Returns
    -------
    kept : DataFrame
        Rows of `train`.
    dropped : dict of str to int
        Number of dropped rows by reason. A row with both reasons counts for its headline.
    """
    tested = {n: normalise_each(train[n]).isin(normalise_each(test[n])) for n in INPUTS}
    kept = train[~tested["headline"] & ~tested["body"]].reset_index(drop=True)
    return kept, {
        "headline is in the test": int(tested["headline"].sum()),
        "body is in the test": int((tested["body"] & ~tested["headline"]).sum()),
    }


def _read_table(path: Path, columns: list[str]) -> pd.DataFrame:
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    lacking = [name for name in columns if name not in table]
    if lacking:
        raise UserError(f"{path} lacks the column '{lacking[0]}': expected {', '.join(columns)}")
    return table
