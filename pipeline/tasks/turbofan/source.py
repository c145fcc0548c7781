"""Read turbofan engines that run to failure, from NASA's C-MAPSS simulations."""

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.errors import UserError
from pipeline.sources.download import fetch, remotes
from pipeline.sources.examples import META_PREFIX, Source

READINGS = [f"setting_{n}" for n in range(1, 4)] + [f"sensor_{n}" for n in range(1, 22)]


def read(manifest: Path, horizon: int | None, window: int) -> Source:
    """
    Read the sensors of each engine up to each of its cycles.

    Parameters
    ----------
    manifest : Path
        CSV with the columns ``file``, ``url`` and ``sha256``, and a row for each of the files
        ``train``, ``test`` and ``remaining``.
    horizon : int or None
        An engine ``fails`` if it has at most this many cycles left, and ``runs`` otherwise.
        None to predict the cycles left.
    window : int
        Maximum number of cycles per example, including the present one.

    Returns
    -------
    Source
        A row per engine and cycle. Each input holds the last readings of a setting or
        sensor, with the present one at the end, and fewer than `window` early in the life
        of an engine. The group is the engine. The test examples are the last cycles of
        engines whose records end before they fail. The slice ``every_cycle`` holds all of
        their cycles.

    Raises
    ------
    UserError
        If a file cannot be downloaded, the window is empty, or the numbers of remaining
        cycles do not match the test engines.

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
            f"{remaining_path} holds the remaining cycles of {len(remaining):,} engines, "
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
    readings: pd.DataFrame, prefix: str, remaining: np.ndarray, horizon: int | None, window: int
) -> pd.DataFrame:
    """
    Return a row for each engine and cycle.

    Parameters
    ----------
    readings : DataFrame
        ``engine``, ``cycle`` and `READINGS`, sorted by engine and cycle.
    prefix : str
        Prefix of the names of engines.
    remaining : ndarray of shape (n_engines,)
        Cycles that each engine has left after its last row.
    horizon, window
        As for `read`.

    Returns
    -------
    DataFrame
        ``example_id``, the inputs, ``label``, ``group``, and ``meta:time_to_event`` in cycles.
    """
    engine = readings.groupby("engine")
    after_last = remaining[engine.ngroup()]
    time_to_event = after_last + engine.cumcount(ascending=False).to_numpy()
    group = prefix + "-" + readings["engine"].astype(str).str.zfill(3)
    label = time_to_event
    if horizon is not None:
        label = np.where(time_to_event <= horizon, "fails", "runs")
    ends = np.arange(1, len(readings) + 1)
    starts = ends - np.minimum(engine.cumcount() + 1, window)
    return pd.DataFrame(
        {
            "example_id": group + "-" + readings["cycle"].astype(str).str.zfill(3),
            **{name: windows(readings[name], starts, ends) for name in READINGS},
            "label": label,
            "group": group,
            f"{META_PREFIX}time_to_event": time_to_event,
        }
    )


def windows(values: pd.Series, starts: np.ndarray, ends: np.ndarray) -> list[np.ndarray]:
    """Return windows of one array, as views without copies."""
    whole = values.to_numpy(np.float64)
    return [whole[start:end] for start, end in zip(starts, ends, strict=True)]
