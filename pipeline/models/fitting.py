"""Fit any estimator, with progress and learning curves if it reports them."""

import math
import resource
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.utils.validation import has_fit_parameter

from pipeline.errors import ModelError
from pipeline.features.views import Features

# Called with a step of a fit and its losses. True ends the fit with what was best so far.
Report = Callable[[int, Mapping[str, float]], bool | None]
# Examples per batch whose latency is measured, the most calls for each, and the seconds after
# which no further call is made.
SIZES = (1, 10, 100, 1000)
CALLS, LONGEST_SECONDS = 15, 0.25
# Where Linux tells what energy processors have used: the counters of RAPL, in microjoules.
RAPL = Path("/sys/class/powercap")


class Spent(NamedTuple):
    """
    What a fit took.

    Attributes
    ----------
    seconds : float
        Wall-clock time.
    joules : float or None
        Energy of the processors of this machine in that time, also for other processes. None if
        the machine does not tell.
    """

    seconds: float
    joules: float | None


class TimeLimit:
    """
    Share the time that a model may take among its fits.

    Parameters
    ----------
    seconds : float or None
        Most seconds of all fits together. None is no limit.
    fits : int
        Number of fits.
    """

    def __init__(self, seconds: float | None, fits: int) -> None:
        self.seconds = seconds
        self.fits = fits
        self.begun = 0
        self.start = time.monotonic()

    def next_end(self) -> float:
        """
        Return when the next fit has to end, on the clock of `time.monotonic`.

        What a fit leaves over is shared by those after it.

        Raises
        ------
        ModelError
            If no time is left. Not every model can end a fit early.
        """
        if self.seconds is None:
            return math.inf
        now = time.monotonic()
        left = self.start + self.seconds - now
        if left <= 0:
            raise ModelError(
                f"the time limit of {self.seconds:g} s is over after {self.begun} of {self.fits} "
                "fits: raise task.time_limit, or lower task.split.repeats or folds"
            )
        share = left / (self.fits - self.begun)
        self.begun += 1
        return now + share


def fit(
    model: Any,
    train: Features,
    validation: Features,
    report: Report,
    checkpoint: Path | None = None,
) -> Spent:
    """
    Fit an estimator.

    Parameters
    ----------
    model : estimator
        If its ``fit`` has a parameter ``validation``, it gets `validation` and `report`.
    train, validation : Features
        Examples to fit on, and for early stopping.
    report : callable
        Called with a step and its losses. A model ends its fit if it returns true.
    checkpoint : Path, optional
        File to write the progress to and to continue from, for a model whose ``fit`` has a
        parameter ``checkpoint``.

    Returns
    -------
    Spent
        Seconds and energy.
    """
    extra: dict[str, Any] = {}
    if stops_early(model):
        extra = {"validation": (validation.X, validation.y), "report": report}
    if checkpoint is not None and has_fit_parameter(model, "checkpoint"):
        extra["checkpoint"] = checkpoint
    before, start = read_energy(), time.perf_counter()
    model.fit(train.X, train.y, **extra)
    seconds = time.perf_counter() - start
    return Spent(seconds, joules_between(before, read_energy()))


def read_energy(folder: Path = RAPL) -> dict[Path, int]:
    """
    Read the energy counter of each processor.

    Returns
    -------
    dict of Path to int
        Microjoules by the folder of the counter. Empty if there is none, or none may be read:
        most systems let only root read them.
    """
    found = {}
    try:
        # Further zones are parts of a processor, or hold all of them.
        for zone in sorted(folder.glob("intel-rapl:*")):
            if (zone / "name").read_text(encoding="utf-8").startswith("package"):
                found[zone] = int((zone / "energy_uj").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found


def joules_between(before: Mapping[Path, int], after: Mapping[Path, int]) -> float | None:
    """Return the energy between two readings, in joules, or None if one is empty."""
    if not before or before.keys() != after.keys():
        return None
    used = 0
    for zone, start in before.items():
        # A counter starts anew at its end.
        size = int((zone / "max_energy_range_uj").read_text(encoding="utf-8"))
        used += (after[zone] - start) % size
    return used / 1e6


@contextmanager
def parameters(model: Any, **values: Any) -> Iterator[None]:
    """Set parameters of an estimator, and reset them at the end."""
    before = {name: model.get_params()[name] for name in values}
    model.set_params(**values)
    try:
        yield
    finally:
        model.set_params(**before)


def stops_early(model: Any) -> bool:
    """Return whether an estimator learns from validation when to stop."""
    return bool(has_fit_parameter(model, "validation"))


def reset_peak_memory() -> None:
    """Forget how much memory this process has held, where Linux allows that."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")


def peak_memory() -> int:
    """Return the most memory that this process has held, in bytes, since the last reset."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def measure_latency(
    predict: Callable[[Any], Any], table: pd.DataFrame, sizes: Sequence[int] = SIZES
) -> dict[int, float]:
    """
    Measure the time of predicting batches of different sizes.

    Parameters
    ----------
    predict : callable
        From a table of examples to predictions.
    table : DataFrame
        Distinct examples. A batch larger than the table is not measured.
    sizes : sequence of int
        Numbers of examples per batch.

    Returns
    -------
    dict of int to float
        Median milliseconds per batch, by its size. Each call gets other examples where there
        are enough, so that nothing that was computed before is used again.
    """
    predict(table.head(1))  # libraries do extra work in their first call
    found = {}
    for size in sizes:
        seconds: list[float] = []
        starts = range(0, len(table) - size + 1, size)
        for start in starts[:CALLS]:
            batch = table.iloc[start : start + size]
            began = time.perf_counter()
            predict(batch)
            seconds.append(time.perf_counter() - began)
            if sum(seconds) > LONGEST_SECONDS:
                break
        if seconds:
            found[size] = float(np.median(seconds)) * 1000
    return found
