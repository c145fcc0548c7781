"""What git knows of the code that runs."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

# DVC rewrites its lock between the stages of one `dvc repro`: an output, not a change.
_BESIDE_THE_LOCK = ["--", ".", ":(exclude)dvc.lock"]


@dataclass(frozen=True)
class Revision:
    """The commit that is checked out, and what differs from it."""

    commit: str
    changes: str
    """Status lines and the diff; empty when the tree is clean."""


def revision(root: Path) -> Revision:
    """
    Read the state of a git working tree.

    Parameters
    ----------
    root : Path
        Its top folder.
    """

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(root), *arguments]
        return subprocess.run(
            command, capture_output=True, check=True, text=True, errors="replace"
        ).stdout

    status = git("status", "--porcelain", *_BESIDE_THE_LOCK)
    diff = git("diff", "HEAD", *_BESIDE_THE_LOCK) if status else ""
    return Revision(git("rev-parse", "HEAD").strip(), "\n".join(filter(None, (status, diff))))
