"""Other processes of this machine."""

import os


def alive(pid: int) -> bool:
    """Say whether a process is there, also one of another user."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
