"""Turbofan engines run to failure: NASA's C-MAPSS simulations."""

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.errors import UserError
from pipeline.sources.download import fetch, remotes
from pipeline.sources.examples import META_PREFIX, Source

READINGS = [f"setting_{n}" for n in range(1, 4)] + [f"sensor_{n}" for n in range(1, 22)]


def read(manifest: Path, horizon: int, window: int) -> Source:
    """
    Read what each engine's sensors told up to each of its cycles.

    Parameters
    ----------
    manifest : Path
        CSV with the columns ``file``, ``url``, ``sha256`` and a row for each of
        the files ``train``, ``test`` and ``remaining``.
    horizon : int
        An engine ``fails`` when it has so many cycles left or fewer, and ``runs`` otherwise.
    window : int
        The most cycles that an example looks back, the present one among them.

    Returns
    -------
    Source
        A row an engine and cycle; each input holds the last readings of a
        setting or sensor, the present one last, and fewer than `window` early in an
        engine's life. The group is the engine. The test examples are the last
        cycles of engines whose record ends before they fail; the slice
        ``every_cycle`` holds all of their cycles.

    Raises
    ------
    UserError
        When a file cannot be had, the window is empty, or not every test
        engine has its remaining cycles.

    References
    ----------
    Saxena, Goebel, Simon, Eklund, "Damage propagation modeling for aircraft
    engine run-to-failure simulation", PHM 2008.
    """
    if window < 1:
        raise UserError(f"task.source.window: {window} is not at least 1 cycle")
    files = pd.read_csv(manifest, index_col="file").loc[["train", "test", "remaining"]]
    downloads = remotes(files)
    train_path, test_path, remaining_path = fetch(downloads)
    columns = ["engine", "cycle", *READINGS]
    train, test = (pd.read_csv(p, sep=r"\s+", names=columns) for p in (train_path, test_path))
    remaining = np.loadtxt(remaining_path, ndmin=1)
    if len(remaining) != test["engine"].nunique():
        raise UserError(
            f"{remaining_path} tells the remaining cycles of {len(remaining):,} engines, "
            f"{test_path} has {test['engine'].nunique():,}"
        )
    every_cycle = examples(test, "test", remaining, horizon, window)
    return Source(
        examples(train, "train", np.zeros(train["engine"].nunique()), horizon, window),
        [asdict(download) for download in downloads],
        test=every_cycle.drop_duplicates("group", keep="last", ignore_index=True),
        slices={"every_cycle": every_cycle},
    )


def examples(
    readings: pd.DataFrame, prefix: str, remaining: np.ndarray, horizon: int, window: int
) -> pd.DataFrame:
    """
    Lay out a row for each engine and cycle.

    Parameters
    ----------
    readings : DataFrame
        ``engine``, ``cycle`` and `READINGS`, by engine and then by cycle.
    prefix : str
        What the names of the engines begin with.
    remaining : ndarray of shape (n_engines,)
        Cycles that each engine has left after its last one here.
    horizon, window
        As for `read`.

    Returns
    -------
    DataFrame
        ``example_id``, the inputs, ``label``, ``group``, and in cycles ``meta:time_to_event``.
    """
    engine = readings.groupby("engine")
    after_last = remaining[engine.ngroup()]
    time_to_event = after_last + engine.cumcount(ascending=False).to_numpy()
    group = prefix + "-" + readings["engine"].astype(str).str.zfill(3)
    ends = np.arange(1, len(readings) + 1)
    starts = ends - np.minimum(engine.cumcount() + 1, window)
    return pd.DataFrame(
        {
            "example_id": group + "-" + readings["cycle"].astype(str).str.zfill(3),
            **{name: windows(readings[name], starts, ends) for name in READINGS},
            "label": np.where(time_to_event <= horizon, "fails", "runs"),
            "group": group,
            f"{META_PREFIX}time_to_event": time_to_event,
        }
    )


def windows(values: pd.Series, starts: np.ndarray, ends: np.ndarray) -> list[np.ndarray]:
    """Cut windows out of one array; each is a view that copies nothing."""
    whole = values.to_numpy(np.float64)
    return [whole[start:end] for start, end in zip(starts, ends, strict=True)]
