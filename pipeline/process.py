"""Processes of this machine, and the environment of this one."""

import os
from collections.abc import Iterator
from contextlib import contextmanager


def alive(pid: int) -> bool:
    """Return whether a process exists, whoever owns it."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


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
