"""What git knows of the code that runs."""

import hashlib
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

# DVC rewrites its lock between the stages of one `dvc repro`: an output, not a change.
_BESIDE_THE_LOCK = ["--", ".", ":(exclude)dvc.lock"]
# Of untracked files so many bytes are kept in total, and larger ones than the second are not
# hashed, which would take seconds.
KEPT_BYTES, HASHED_BYTES = 1_000_000, 100_000_000


@dataclass(frozen=True)
class Revision:
    """
    The commit that is checked out, and what differs from it.

    Attributes
    ----------
    commit : str
        Its hash.
    changes : str
        Status lines and the diff, as ``git apply`` takes it; empty when the tree is clean.
        Bytes that are not UTF-8 are surrogates.
    untracked : tuple of str
        Paths of the files that git neither tracks nor ignores.
    """

    commit: str
    changes: str
    untracked: tuple[str, ...]


def revision(root: Path) -> Revision:
    """
    Read the state of a git working tree.

    Parameters
    ----------
    root : Path
        Its top folder.
    """

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", "-C", str(root), *arguments],
            capture_output=True,
            check=True,
            encoding="utf-8",
            errors="surrogateescape",
        ).stdout

    status = git("status", "--porcelain", "--untracked-files=normal", *_BESIDE_THE_LOCK)
    diff = untracked = ""
    if status:
        diff = git("diff", "HEAD", "--binary", "--no-ext-diff", "--no-textconv", *_BESIDE_THE_LOCK)
        untracked = git("ls-files", "--others", "--exclude-standard", "-z", *_BESIDE_THE_LOCK)
    return Revision(
        git("rev-parse", "HEAD").strip(),
        "\n".join(filter(None, (status, diff))),
        tuple(filter(None, untracked.split("\0"))),
    )


def copy_untracked(root: Path, names: tuple[str, ...], target: Path) -> list[str]:
    """
    Copy untracked texts, the smallest first, as far as `KEPT_BYTES` reach.

    Parameters
    ----------
    root : Path
        Top folder of the working tree.
    names : tuple of str
        Paths below it.
    target : Path
        Folder to copy to; each file keeps its path.

    Returns
    -------
    list of str
        A line for each file that was not copied, because it is no text or there was no room
        for it: SHA-256, size in bytes, path. The hash is ``-`` for what is larger than
        `HASHED_BYTES`, cannot be read, or is no file, such as a link.
    """
    files = {name: root / name for name in names}
    sizes = {
        name: path.stat().st_size
        for name, path in files.items()
        if path.is_file() and not path.is_symlink()
    }
    left_out = [f"- - {name}" for name in names if name not in sizes]
    room = KEPT_BYTES
    for name, size in sorted(sizes.items(), key=lambda item: (item[1], item[0])):
        digest = "-"
        with suppress(OSError):  # such as a file that was removed since, or is not ours to read
            if size <= room and b"\0" not in (content := files[name].read_bytes()):
                copy = target / name
                copy.parent.mkdir(parents=True, exist_ok=True)
                copy.write_bytes(content)
                room -= len(content)
                continue
            if size <= HASHED_BYTES:
                with files[name].open("rb") as file:
                    digest = hashlib.file_digest(file, "sha256").hexdigest()
        left_out.append(f"{digest} {size} {name}")
    return left_out
