"""The state of the code that runs, from git."""

import hashlib
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

# DVC rewrites its lock between the stages of one `dvc repro`: it is an output, not a change.
_WITHOUT_LOCK = ["--", ".", ":(exclude)dvc.lock"]
# The bytes of untracked files that are copied in total. Files of more bytes than the second are
# not hashed, because that would take seconds.
COPIED_BYTES, HASHED_BYTES = 1_000_000, 100_000_000


@dataclass(frozen=True)
class Revision:
    """
    The commit that is checked out, and the changes to it.

    Attributes
    ----------
    commit : str
        The hash of the commit.
    changes : str
        Status lines and the diff, which ``git apply`` accepts; empty when the tree is clean.
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
        The top folder of the working tree.
    """

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", "-C", str(root), *arguments],
            capture_output=True,
            check=True,
            encoding="utf-8",
            errors="surrogateescape",
        ).stdout

    status = git("status", "--porcelain", "--untracked-files=normal", *_WITHOUT_LOCK)
    diff = untracked = ""
    if status:
        diff = git("diff", "HEAD", "--binary", "--no-ext-diff", "--no-textconv", *_WITHOUT_LOCK)
        untracked = git("ls-files", "--others", "--exclude-standard", "-z", *_WITHOUT_LOCK)
    return Revision(
        git("rev-parse", "HEAD").strip(),
        "\n".join(filter(None, (status, diff))),
        tuple(filter(None, untracked.split("\0"))),
    )


def copy_untracked(root: Path, names: tuple[str, ...], target: Path) -> list[str]:
    """
    Copy untracked text files, the smallest first, up to `COPIED_BYTES` in total.

    Parameters
    ----------
    root : Path
        Top folder of the working tree.
    names : tuple of str
        Paths below `root`.
    target : Path
        The folder to copy to. Each file keeps its path.

    Returns
    -------
    list of str
        A line per file that was not copied, because it is no text or there was no room for
        it: SHA-256, size in bytes, path. The hash is ``-`` for a file that is larger than
        `HASHED_BYTES` or cannot be read, and for anything else, such as a link.
    """
    files = {name: root / name for name in names}
    sizes = {
        name: path.stat().st_size
        for name, path in files.items()
        if path.is_file() and not path.is_symlink()
    }
    left_out = [f"- - {name}" for name in names if name not in sizes]
    room = COPIED_BYTES
    for name, size in sorted(sizes.items(), key=lambda item: (item[1], item[0])):
        digest = "-"
        with suppress(OSError):  # the file was removed meanwhile, or may not be read
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
