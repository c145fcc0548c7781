"""
Time ingest and featurize on a large table. Run: python benchmarks/table.py [rows].

A CSV file of 30 columns is written into a temporary folder: numbers, booleans, dates, few and
many categories, texts of eight words, an identifier. A tenth of the values of most columns is
missing. The two stages run on it in a clone of the last commit. The seconds and the peak of
resident memory of each process are printed.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv
from report import machine, table

ROOT = Path(__file__).resolve().parents[1]
ROWS = 1_000_000
MISSING = 0.1
WORDS = np.array([f"word{number}" for number in range(5000)])


def main() -> None:
    """Write the file, run the stages on it, and print a table."""
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else ROWS
    print(machine())
    with tempfile.TemporaryDirectory() as folder:
        clone, file = Path(folder, "clone"), Path(folder, "data.csv")
        subprocess.run(["git", "clone", "--quiet", ROOT, clone], check=True)
        data = examples(rows, np.random.default_rng(0))
        csv.write_csv(data, file)
        print(f"{data.num_rows:,} rows, {data.num_columns} columns, {file.stat().st_size:,} bytes")
        measured = [
            [stage, *map("{:.1f}".format, peak(clone, stage, f"task.source.path={file}"))]
            for stage in ("ingest", "featurize")
        ]
    print(table(["stage", "seconds", "peak GB"], measured))


def examples(rows: int, rng: np.random.Generator) -> pa.Table:
    """Draw a table whose label depends a little on one column of each kind."""

    def some(values: np.ndarray) -> pa.Array:
        return pa.array(values, mask=rng.random(rows) < MISSING)

    def categories(kinds: int) -> pa.Array:
        number = (rng.random(rows) ** 2 * kinds).astype(int)
        return pa.DictionaryArray.from_arrays(some(number), [f"kind {i}" for i in range(kinds)])

    def text() -> pa.Array:
        words = [pa.array(WORDS).take(pa.array(zipf(rng, rows))) for _ in range(8)]
        return pc.binary_join_element_wise(*words, " ")

    days = np.datetime64("2015-01-01") + np.arange(3650)
    columns = {
        "customer": pc.binary_join_element_wise(
            "C", pa.array(rng.permutation(rows)).cast(pa.string()), ""
        )
    }
    columns |= {f"amount_{i}": some(np.exp(rng.normal(size=rows)).round(4)) for i in range(8)}
    columns |= {f"count_{i}": some(rng.poisson(20, rows)) for i in range(4)}
    columns |= {f"flag_{i}": some(rng.random(rows) < 0.3) for i in range(3)}
    columns |= {f"day_{i}": some(rng.choice(days, rows)) for i in range(3)}
    columns |= {
        f"kind_{i}": categories(kinds) for i, kinds in enumerate([3, 5, 10, 50, 300, 2000, 20_000])
    }
    columns |= {f"note_{i}": text() for i in range(3)}
    score = pc.fill_null(columns["amount_0"], 1).to_numpy() + rng.normal(size=rows)
    columns["label"] = pa.array(np.where(score > 2, "yes", "no"))
    return pa.table(columns)


def zipf(rng: np.random.Generator, rows: int) -> np.ndarray:
    """Draw indices of words with frequencies as in a language (Zipf's law)."""
    return np.minimum(rng.zipf(1.3, rows) - 1, len(WORDS) - 1)


def peak(clone: Path, stage: str, *overrides: str) -> tuple[float, float]:
    """Run a stage, and return its seconds and its peak of resident memory in GB."""
    start = time.perf_counter()
    command = [sys.executable, "-m", f"pipeline.{stage}", "task=table", *overrides]
    process = subprocess.Popen(command, cwd=clone)
    _, status, used = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"error: {stage} failed")
    unit = 1 if sys.platform == "darwin" else 1024
    return time.perf_counter() - start, used.ru_maxrss * unit / 1e9


if __name__ == "__main__":
    main()
