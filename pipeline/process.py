"""Processes of this machine, and the environment of this one."""

import atexit
import gc
import getpass
import os
import runpy
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

LOOKS_EVERY_SECONDS = 0.5


def alive(pid: int) -> bool:
    """Return whether a process exists, whoever owns it."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def keep_imports() -> None:
    """
    Exempt what was imported from garbage collection, and collect garbage from here on.

    What is there when the process ends is exempt too. Python would free the objects of the
    libraries one by one, which takes seconds; the operating system frees the memory at once.
    """
    gc.freeze()
    gc.enable()
    atexit.register(gc.freeze)


@contextmanager
def importing() -> Iterator[None]:
    """Collect no garbage in a block that imports, and exempt what it imported from then on."""
    looks = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if looks:
            gc.enable()


def end_with(parent: int) -> None:
    """End this process by SIGTERM when the one that started it is gone, however that ended."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(LOOKS_EVERY_SECONDS)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()


def tie_workers() -> None:
    """Let the workers that joblib starts end with this process, which it may be killed before."""
    from joblib import register_parallel_backend
    from joblib.parallel import LokyBackend

    class TiedBackend(LokyBackend):
        def configure(self, *args: Any, **kwargs: Any) -> int:
            return super().configure(*args, initializer=end_with, initargs=(os.getpid(),), **kwargs)

    register_parallel_backend("loky", TiedBackend)


def ensure_user() -> None:
    """Let libraries find a home and a name for a user without an entry in passwd."""
    try:
        Path.home()
    except RuntimeError:
        os.environ["HOME"] = tempfile.gettempdir()
    try:
        getpass.getuser()
    except (KeyError, OSError):  # OSError from Python 3.13 on
        os.environ["LOGNAME"] = str(os.getuid())


@contextmanager
def restored_variable(name: str) -> Iterator[None]:
    """Restore a variable of the environment when the block ends."""
    before = os.environ.get(name)
    try:
        yield
    finally:
        os.environ.pop(name, None)
        if before is not None:
            os.environ[name] = before


if __name__ == "__main__":
    # python -m pipeline.process MODULE ARGUMENTS: the module, but no longer than its parent.
    end_with(os.getppid())
    sys.argv.pop(0)
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
