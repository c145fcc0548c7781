"""
Time the description of ratings by what was known before them. Run: python benchmarks/ratings.py.

As many ratings as in MovieLens latest-small (610 users, 9,724 items), and ten times as many for ten
times the users, are drawn with a popularity of items as in Zipf's law and two tags per item. Each
size is described in a process of its own, alternately. The seconds, the peak of resident memory
and the ratio are printed.
"""

import os
import sys
import time
from pathlib import Path
from statistics import median

import numpy as np
import pandas as pd
from report import machine, spread, table

from pipeline.sources.histories import describe

SIZES = {100_836: 610, 1_008_360: 6_100}
ITEMS, TAGS = 9_724, 20
REPETITIONS = 3


def main() -> None:
    """Describe ratings of each size, and print a table."""
    if len(sys.argv) > 1:
        print(measure(int(sys.argv[1])))
        return
    print(machine())
    seconds: dict[int, list[float]] = {size: [] for size in SIZES}
    memory = dict.fromkeys(SIZES, 0.0)
    for _ in range(REPETITIONS):
        for size in SIZES:
            took, peak = apart(size)
            seconds[size].append(took)
            memory[size] = max(memory[size], peak)
    rows = [[f"{n:,}", spread(seconds[n]), f"{memory[n]:.2f}"] for n in SIZES]
    print(table(["ratings", "seconds", "peak GB"], rows))
    small, large = (median(seconds[size]) for size in SIZES)
    print(f"{large / small:.1f} times as long for 10 times the ratings")


def apart(size: int) -> tuple[float, float]:
    """Measure in a process of its own, and return its seconds and its peak memory in GB."""
    reader, writer = os.pipe()
    command = [sys.executable, str(Path(__file__).resolve()), str(size)]
    to_pipe = [(os.POSIX_SPAWN_DUP2, writer, 1)]
    process = os.posix_spawn(command[0], command, os.environ, file_actions=to_pipe)
    os.close(writer)
    with os.fdopen(reader) as said:
        printed = said.read()
    _, status, used = os.wait4(process, 0)
    if status:
        sys.exit("error: the description failed")
    unit = 1 if sys.platform == "darwin" else 1024
    return float(printed), used.ru_maxrss * unit / 1e9


def measure(size: int) -> float:
    """Return the seconds that ratings take to describe."""
    rng = np.random.default_rng(0)
    ratings = pd.DataFrame(
        {
            "user": rng.integers(0, SIZES[size], size),
            "item": np.minimum(rng.zipf(1.2, size), ITEMS) - 1,
            "rating": rng.integers(1, 11, size) / 2,
            "time": rng.integers(0, 700_000_000, size),
        }
    )
    genre = pd.Series(rng.integers(0, TAGS, 2 * ITEMS), np.tile(np.arange(ITEMS), 2))
    start = time.perf_counter()
    describe(ratings, {"genre": genre}, ratings["time"].to_numpy(), 4.0, 2.75)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
