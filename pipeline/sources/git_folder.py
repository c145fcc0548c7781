"""Bring a folder of a git repository at a pinned commit, and no more of it than that."""

import os
import subprocess
import urllib.parse
from pathlib import Path

import pooch
from filelock import FileLock

from pipeline.errors import UserError, address
from pipeline.progress import track

# Files that are brought at once. What was brought is kept if the next ones fail.
AT_ONCE = 200
# git reads the names of files from its input.
PATHS = ("--pathspec-from-file=-", "--pathspec-file-nul")


def fetch_folder(repository: str, commit: str, folder: str) -> Path:
    """
    Download a folder of a git repository.

    Only the commit is asked for, and of its files only those in the folder. Files that were
    brought before are not brought again, so that an interrupted download continues. git checks
    the bytes: the commit is a hash of all of them.

    Parameters
    ----------
    repository : str
        Address of the repository. The environment variable ``BAKEOFF_MIRROR`` may name a folder
        that holds a clone of ``https://HOST/PATH`` at ``HOST/PATH``, which is used instead.
    commit : str
        The full hash of a commit.
    folder : str
        Path of the folder in the repository.

    Returns
    -------
    Path
        The folder on this machine.

    Raises
    ------
    UserError
        If git is not installed or fails, or the commit has no such folder.
    """
    if len(commit) != 40 or set(commit) - set("0123456789abcdef"):
        raise UserError(f"task.source.commit: '{commit}' is not the full hash of a commit")
    place = Path(pooch.os_cache("bakeoff")) / "git" / commit
    place.mkdir(parents=True, exist_ok=True)
    with FileLock(place.with_suffix(".lock")):
        if not (place / ".git").is_dir():
            _git(place, "init", "--quiet")
        (place / ".git/index.lock").unlink(missing_ok=True)  # of a process that was killed
        remote = _mirrored(repository)
        for key, value in {
            "remote.origin.url": remote,
            "remote.origin.promisor": "true",
            "remote.origin.partialclonefilter": "blob:none",
        }.items():
            _git(place, "config", key, value)
        if not _has(place, commit):
            _git(place, "fetch", "--quiet", "--depth=1", "--filter=blob:none", "origin", commit)
        listed = _git(place, "ls-tree", "-r", "-z", "--name-only", commit, "--", f"{folder}/")
        wanted = listed.split("\0")[:-1]
        if not wanted:
            raise UserError(f"{address(repository)} has no folder '{folder}' at {commit}")
        # git lists a file there once it is written.
        there = set(_git(place, "ls-files", "-z", "--", folder).split("\0"))
        lacking = [name for name in wanted if name not in there]
        batches = [lacking[start : start + AT_ONCE] for start in range(0, len(lacking), AT_ONCE)]
        for batch in track(batches, f"downloading {len(lacking):,} files", len(batches)):
            _git(place, "checkout", commit, *PATHS, names=batch)
        changed = _git(place, "diff", "--name-only", "-z", "--", folder).split("\0")[:-1]
        if changed:  # by hand, or on a damaged disk
            _git(place, "checkout", commit, *PATHS, names=changed)
    return place / folder


def _mirrored(repository: str) -> str:
    named = os.environ.get("BAKEOFF_MIRROR")
    if named:
        parts = urllib.parse.urlsplit(repository)
        mirrored = Path(named, parts.netloc, parts.path.lstrip("/"))
        if parts.netloc and mirrored.is_dir():
            return mirrored.resolve().as_uri()
    return repository


def _has(place: Path, commit: str) -> bool:
    """Return whether the commit was brought, without asking the network for it."""
    asked = ["git", "-C", str(place), "cat-file", "-e", f"{commit}^{{tree}}"]
    offline = os.environ | {"GIT_NO_LAZY_FETCH": "1"}
    return subprocess.run(asked, env=offline, capture_output=True, check=False).returncode == 0


def _git(place: Path, *arguments: str, names: list[str] | None = None) -> str:
    """Run git in a folder, with names of files as what it reads, and return what it prints."""
    literal = {"GIT_LITERAL_PATHSPECS": "1", "GIT_TERMINAL_PROMPT": "0"}
    try:
        done = subprocess.run(
            ["git", "-C", str(place), *arguments],
            env=os.environ | literal,
            input="\0".join(names or ()),
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError:
        raise UserError("git is not installed: install it") from None
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        reason = address(lines[-1]) if lines else f"exit status {done.returncode}"
        raise UserError(
            f"git {arguments[0]} failed ({reason}): check the network, or set BAKEOFF_MIRROR to a "
            "folder that holds a clone; the same command goes on with what is missing"
        )
    return done.stdout
