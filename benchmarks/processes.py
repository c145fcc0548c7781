"""Run modules of a clone of the project, in processes whose end is watched."""

import gc
import importlib
import json
import os
import resource
import runpy
import signal
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple, TextIO

ROOT = Path(__file__).resolve().parents[1]
TASK = "breast_cancer"
# The longest that a call in a process of its own may take unless it is given more, in seconds,
# and the most memory, in bytes.
PATIENCE, MEMORY = 60, 3 * 2**29
# The same for a command that a user types.
WORK = 600
# What commands import, some of it late.
LIBRARIES = (
    *("alembic.command", "filelock", "git", "hydra._internal.hydra", "jinja2", "lightgbm"),
    *("matplotlib.pyplot", "mlflow.pyfunc", "mlflow.store.tracking.sqlalchemy_store", "optuna"),
    *("pandas", "pyarrow.parquet", "rich.console", "scipy.stats", "skops.io"),
    *("sklearn.compose", "sklearn.dummy", "sklearn.ensemble", "sklearn.linear_model", "torch"),
    "sqlalchemy.dialects.sqlite",
)


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


def import_libraries() -> None:
    """Import what commands need, once for all processes that are forked afterwards."""
    for library in LIBRARIES:
        importlib.import_module(library)
    # Otherwise the last collection of each fork copies the memory of all that was imported.
    gc.freeze()


def clone(folder: Path) -> Path:
    """Clone the last commit, and return the folder of the clone."""
    project = folder / "bakeoff"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(project)], check=True)
    return project


def start(
    project: Path,
    module: str,
    *arguments: str,
    first: Callable[[], object] | None = None,
    **variables: str,
) -> "Process":
    """
    Start a module of a clone, in a process with libraries imported, as the first of a group.

    Parameters
    ----------
    project : Path
        The clone, and the working directory.
    module, *arguments : str
        What a user types after ``python -m``.
    first : callable, optional
        What the process does before.
    **variables : str
        Further variables of the environment.
    """

    def become() -> None:
        os.setsid()
        leading = ("PYTHON", "DVC_", "MLFLOW_", "HYDRA_", "GIT_", "BAKEOFF_")
        for key in [key for key in os.environ if key.startswith(leading)]:
            del os.environ[key]
        os.environ.update(variables)
        forget()
        os.chdir(project)
        sys.path.insert(0, str(project))
        if first is not None:
            first()
        sys.argv = [module, *arguments]
        runpy.run_module(module, run_name="__main__", alter_sys=True)

    return fork(become, WORK)


def run(project: Path, module: str, *arguments: str, **variables: str) -> Ended:
    """Run a module of a clone as `start` does."""
    return start(project, module, *arguments, **variables).wait()


def must(project: Path, module: str, *arguments: str, **variables: str) -> None:
    """Run a module of a clone that has to succeed."""
    ended = run(project, module, *arguments, **variables)
    if ended.code != 0:
        sys.exit(f"error: {module} {' '.join(arguments)}: {ended.said}")


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
        forget()


def forget() -> None:
    """Forget what was imported from a clone."""
    for name in [n for n in sys.modules if n.partition(".")[0] in ("pipeline", "hydra_plugins")]:
        del sys.modules[name]


class Process:
    """
    A process, and the file that takes its standard error.

    Parameters
    ----------
    pid : int
        Its number.
    said : file
        Closed when its end is known.
    """

    def __init__(self, pid: int, said: TextIO) -> None:
        self.pid = pid
        self.said = said

    def wait(self) -> Ended:
        """Wait for the end."""
        code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        with self.said:
            self.said.seek(0)
            return Ended(code, self.said.read())

    def end(self, seconds: float, signum: int) -> Ended:
        """Send a signal to its group after some seconds, unless it has ended before."""

        def kill() -> None:
            with suppress(ProcessLookupError):
                os.killpg(self.pid, signum)

        timer = threading.Timer(seconds, kill)
        timer.start()
        try:
            return self.wait()
        finally:
            timer.cancel()
            timer.join()


def fork(call: Callable[[], object], seconds: int = PATIENCE) -> Process:
    """Begin to call a function in a process of its own, which may take so many seconds."""
    said = tempfile.TemporaryFile("w+")  # noqa: SIM115 it is closed when the end is known
    child = os.fork()
    if child == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os.dup2(said.fileno(), 2)
        os._exit(exit_code(call, seconds))
    return Process(child, said)


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
