"""
Run `python -m MODULE` in processes that have imported the libraries already.

Importing torch, MLflow and scikit-learn takes most of the time of a short command.
This server imports them once, and forks for each command. The project itself is
imported anew in each fork, from the folder that the command is run in.

Usage: python warm.py SOCKET. A connection sends one JSON line with the file descriptors
of standard input, output and error, then signals, and gets the exit code. Commands that start
others by `sys.executable` start forks too: beside the socket lies a `python` that asks for them.
"""

import atexit
import gc
import importlib
import importlib.metadata
import json
import os
import runpy
import signal
import socket
import sys
import threading
from contextlib import suppress
from functools import cache
from pathlib import Path

exit_code: int | None = None


@atexit.register  # first, and so called last
def leave() -> None:
    """
    End this process without freeing what it has imported, object by object.

    In a fork that would copy most of the memory, which takes longer than most commands.
    """
    if exit_code is not None:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(exit_code)


PYTHON = str(Path(sys.argv[1]).with_name("python"))
# What the commands import, some of it late.
LIBRARIES = [
    *("alembic.command", "dvc.cli.parser", "dvc.commands.repro", "dvc.commands.status", "dvc.repo"),
    *("filelock", "git", "hydra._internal.hydra", "jinja2", "joblib", "lightgbm"),
    *("matplotlib.backends.backend_agg", "matplotlib.pyplot"),
    *("mlflow.genai", "mlflow.pyfunc", "mlflow.store.tracking.sqlalchemy_store"),
    *("mlflow.tracing.provider", "mlflow.utils.requirements_utils"),
    *("optuna", "pyarrow.dataset", "pyarrow.parquet"),
    *("rich._emoji_codes", "rich.console", "scipy.stats", "skops.io"),
    *("sklearn.compose", "sklearn.dummy", "sklearn.ensemble", "sklearn.linear_model"),
    *("sklearn.feature_extraction.text", "sqlalchemy.dialects.sqlite", "torch"),
]
for library in LIBRARIES:
    importlib.import_module(library)
# Which package a distribution is of: MLflow looks through all that are installed, and so do we.
importlib.metadata.packages_distributions = cache(importlib.metadata.packages_distributions)
sys.modules["mlflow.utils.requirements_utils"]._init_modules_to_packages_map()
sys.modules["torch"].accelerator.is_available()
# Otherwise the last collection of each fork copies the memory of all that was imported.
gc.freeze()


def become(
    streams: list[int], module: str, arguments: list[str], cwd: str, environment: dict
) -> None:
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(cwd)
    extra = environment.get("PYTHONPATH", "")
    # The first entry is this file's folder; `python -m` has the working directory there.
    sys.path[:1] = [cwd, *filter(None, extra.split(os.pathsep))]
    sys.argv = [module, *arguments]
    sys.executable = PYTHON
    global exit_code
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
        exit_code = 0
    except SystemExit as error:
        # Python prints any other code.
        exit_code = error.code if isinstance(error.code, int) else int(error.code is not None)
        raise
    except Exception:
        exit_code = 1
        raise


def pass_signals(connection: socket.socket, child: int) -> None:
    """Send a process each signal that comes as a byte, and kill it when who asked is gone."""
    with suppress(ProcessLookupError):
        while number := connection.recv(1):
            os.kill(child, number[0])
        os.kill(child, signal.SIGKILL)


def serve(path: str) -> dict:
    """Accept commands until ended; in a fork of this process, give the command to run."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen()
        print("ready", flush=True)
        while True:
            connection, _ = listening.accept()
            if os.fork() == 0:
                break
            connection.close()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    with connection:
        line, streams, *_ = socket.recv_fds(connection, 1 << 16, 3)
        while not line.endswith(b"\n"):
            line += connection.recv(1 << 16)
        child = os.fork()
        if child == 0:
            return {"streams": streams, **json.loads(line)}
        for stream in streams:
            os.close(stream)
        threading.Thread(target=pass_signals, args=(connection, child), daemon=True).start()
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        with suppress(BrokenPipeError):  # who asked was killed
            connection.sendall(f"{code}\n".encode())
    os._exit(0)  # a fork that only waited has nothing to tidy up


if __name__ == "__main__":
    become(**serve(sys.argv[1]))
