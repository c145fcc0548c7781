"""
Time a whole `dvc repro`, stage by stage. Run: python benchmarks/pipeline_total.py.

The last commit is cloned into a temporary folder, and runs with the packages of this Python:
first `dvc repro` with params.yaml as it is, then `dvc repro` again with nothing to do.
A stage lasts from the line in which DVC announces it to the line of the next stage. That is
its process, and what DVC does before and after it.
"""

import os
import re
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

from report import machine, spread, table

ROOT = Path(__file__).resolve().parents[1]
REPETITIONS = 5
RUNNING = re.compile(r"Running stage '(\w+)@")
OTHERS = "dvc, before the first"


def main() -> None:
    """Clone, run, run again, and print two tables."""
    print(machine())
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder, "clone")
        output("git", "clone", "--quiet", str(ROOT), str(clone))
        commit = output("git", "rev-parse", "--short", "HEAD", cwd=clone).strip()
        package = output("python", "-c", "import pipeline; print(pipeline.__file__)", cwd=clone)
        if not Path(package).is_relative_to(clone.resolve()):
            sys.exit(f"error: the stages would run {package.strip()}, not the clone's code")
        first, by_stage = repro(clone)
        again = [repro(clone) for _ in range(REPETITIONS)]
    if any(set(stages) != {OTHERS} for _, stages in again):
        sys.exit("error: a stage ran again although nothing had changed")
    print(f"Commit {commit}, seconds; of the second: median (min..max) of {REPETITIONS}")
    nothing = spread([seconds for seconds, _ in again])
    rows = [["dvc repro, fresh clone", f"{first:.1f}"], ["dvc repro, nothing to do", nothing]]
    print(table(["command", "seconds"], rows), end="\n\n")
    rows = [
        [kind, str(len(times)), f"{sum(times):.1f}", spread(times)]
        for kind, times in by_stage.items()
    ]
    print(table(["stage, fresh clone", "runs", "all", "one: median (min..max)"], rows))


def environment() -> dict[str, str]:
    """Return the environment: this Python's commands first, no variable that leads elsewhere."""
    prefixes = ("PYTHON", "DVC_", "MLFLOW_", "HYDRA_", "GIT_", "BAKEOFF_")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(prefixes)}
    path = f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}"
    return kept | {"PATH": path, "PYTHONUNBUFFERED": "1"}


def output(*command: str, cwd: Path = ROOT) -> str:
    """Run a command and return what it prints."""
    return subprocess.run(
        command, cwd=cwd, env=environment(), check=True, capture_output=True, text=True
    ).stdout


def repro(clone: Path) -> tuple[float, dict[str, list[float]]]:
    """Run `dvc repro`, and return its seconds and the seconds of each stage, by kind of stage."""
    by_stage: dict[str, list[float]] = defaultdict(list)
    kind, log = OTHERS, []
    start = now = time.perf_counter()
    with subprocess.Popen(
        ["dvc", "repro"],
        cwd=clone,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            log.append(line)
            if found := RUNNING.search(line):
                before, now = now, time.perf_counter()
                by_stage[kind].append(now - before)
                kind = found[1]
    end = time.perf_counter()
    by_stage[kind].append(end - now)
    if process.returncode:
        sys.exit("".join([*log, "error: dvc repro failed"]))
    return end - start, dict(by_stage)


if __name__ == "__main__":
    main()
