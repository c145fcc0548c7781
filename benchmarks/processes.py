"""Run modules of a clone of the project, in processes whose end is watched."""

import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
TASK = "breast_cancer"
# The longest that a call in a process of its own may take unless it is given more, in seconds,
# and the most memory, in bytes.
PATIENCE, MEMORY = 60, 3 * 2**29


class Row(NamedTuple):
    """
    What came of one sort of fault.

    Attributes
    ----------
    what : str
        What was done.
    attempts : int
        How often.
    lost : list of str
        What was there and is not any more, or was promised and is not there.
    wrong : list of str
        What was answered otherwise than promised.
    """

    what: str
    attempts: int
    lost: list[str]
    wrong: list[str]


class Ended(NamedTuple):
    """The exit code of a process, negative for a signal, and what it wrote on standard error."""

    code: int
    said: str

    def fault(self) -> str:
        """Return what is wrong with how it ended, or nothing: an answer and a line are right."""
        if self.code == -signal.SIGALRM:
            return "no end in time"
        if self.code < 0:
            return f"ended by {signal.Signals(-self.code).name}"
        if "Traceback" in self.said or self.code not in (0, 1):
            return f"traceback: {(self.said.strip().splitlines() or [self.code])[-1]}"
        if self.code == 1 and len(self.said.splitlines()) > 2:
            return f"{len(self.said.splitlines())} lines: {self.said}"
        return ""


def clone(folder: Path) -> Path:
    """Clone the last commit, and return the folder of the clone."""
    project = folder / "bakeoff"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(project)], check=True)
    return project


def start(project: Path, *command: str, **variables: str) -> "subprocess.Popen[str]":
    """Start a module of a clone as a user does, as the first of a group of processes."""
    leading = ("PYTHON", "DVC_", "MLFLOW_", "HYDRA_", "GIT_", "BAKEOFF_")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(leading)}
    return subprocess.Popen(
        [sys.executable, "-m", *command],
        cwd=project,
        env=kept | variables,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def run(project: Path, *command: str, **variables: str) -> Ended:
    """Run a module of a clone as a user does."""
    with start(project, *command, **variables) as process:
        said = process.communicate()[1]
    return Ended(process.returncode, said)


def must(project: Path, *command: str, **variables: str) -> None:
    """Run a module of a clone that has to succeed."""
    ended = run(project, *command, **variables)
    if ended.code != 0:
        sys.exit(f"error: {' '.join(command)}: {ended.said}")


@contextmanager
def inside(project: Path) -> Iterator[None]:
    """Import the package from a clone, for the processes that are forked in the block."""
    os.chdir(project)
    sys.path.insert(0, str(project))
    try:
        yield
    finally:
        os.chdir(ROOT)
        sys.path.remove(str(project))
        for name in [name for name in sys.modules if name.partition(".")[0] == "pipeline"]:
            del sys.modules[name]


def fork(call: Callable[[], object], seconds: int = PATIENCE) -> Callable[[], Ended]:
    """Begin to call a function in a process of its own, and return how to wait for its end."""
    said = tempfile.TemporaryFile("w+")  # noqa: SIM115 it is closed when the end is known
    child = os.fork()
    if child == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os.dup2(said.fileno(), 2)
        os._exit(exit_code(call, seconds))

    def wait() -> Ended:
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        with said:
            said.seek(0)
            return Ended(code, said.read())

    return wait


def exit_code(call: Callable[[], object], seconds: int) -> int:
    """Call a function as the main one of a process, with bounds, and return the exit code."""
    used = Path("/proc/self/statm")
    if used.exists():
        data = int(used.read_text().split()[5]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_DATA, (data + MEMORY, data + MEMORY))
    signal.alarm(seconds)
    try:
        call()
        code = 0
    except SystemExit as exit_:
        code = exit_.code if isinstance(exit_.code, int) else 2
    except BaseException:
        traceback.print_exc()
        code = 2
    sys.stderr.flush()
    return code


def scores(project: Path) -> dict[str, object]:
    """Return the scores that the board of a project has, by model."""
    board = json.loads((project / "reports" / TASK / "board.json").read_text(encoding="utf-8"))
    return {model: entry.get("scores") for model, entry in board["models"].items()}
