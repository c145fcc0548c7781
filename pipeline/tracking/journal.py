"""
What a run records, on disk until the tracking store has it.

A journal is a folder in the spool. Its lines are JSON objects that are only ever appended; the
files that they name lie beside them. Whoever writes or sends a journal holds the lock of its file,
so that a journal that nobody holds is that of a process that ended.
"""

import fcntl
import json
import os
import shutil
import socket
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from io import FileIO
from pathlib import Path
from typing import Any

from pipeline import paths
from pipeline.errors import address
from pipeline.files import aside

LINES, FILES, SENT = "lines.jsonl", "files", "sent"
# The tags that hold the digest of the trained model, and the name of the journal of the run.
BUNDLE, JOURNAL = "bundle", "journal"


class Journal:
    """
    The record of one run, held by this process.

    Parameters
    ----------
    folder : Path
        Folder of the journal.
    file : FileIO
        Its lines, open for reading and appending, and locked.

    Attributes
    ----------
    name : str
        The name of the folder, which no other journal has.
    head : dict
        The first line: ``store``, ``host`` and ``start`` as `create` adds them, and what it was
        given.
    sent, written : int
        The number of bytes of the lines that the store has, and of all.
    is_wanted : bool
        False if the work that is recorded was not begun.
    """

    def __init__(self, folder: Path, file: FileIO) -> None:
        self.folder = folder
        self.file = file
        self.name = folder.name
        (self.head, begin), *others = self.lines(0)
        self.written = others[-1][1] if others else begin
        self.is_wanted = True
        sent = folder / SENT
        self.sent = int(sent.read_text()) if sent.exists() else begin

    @classmethod
    def create(cls, uri: str, **head: Any) -> "Journal":
        """
        Begin a journal.

        Parameters
        ----------
        uri : str
            URI of the store that shall have the run. Only its address is written, because it
            may hold a password.
        **head
            What the first line says of the run.
        """
        folder = paths.spool_folder() / uuid.uuid4().hex
        folder.parent.mkdir(exist_ok=True)
        about = {"store": address(uri), "host": socket.gethostname(), "start": now()}
        with aside(folder) as place:
            made = place / folder.name
            made.mkdir()
            file = (made / LINES).open("a+b", buffering=0)
            fcntl.flock(file, fcntl.LOCK_EX)
            _append(file, about | head)
            made.rename(folder)
        return cls(folder, file)

    @classmethod
    def open(cls, folder: Path) -> "Journal | None":
        """Return the journal in a folder, or None if another process holds or has removed it."""
        try:
            file = (folder / LINES).open("a+b", buffering=0)
        except FileNotFoundError:
            return None
        found = None
        try:
            with suppress(BlockingIOError):
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.fstat(file.fileno()).st_nlink:
                    file.seek(0)
                    # A killed process may have left half a line.
                    file.truncate(file.read().rfind(b"\n") + 1)
                    found = cls(folder, file)
        finally:
            if found is None:
                file.close()
        return found

    def add(self, **line: Any) -> None:
        """Append a line. The end of a run returns when the disk has it."""
        _append(self.file, line)
        self.written = self.file.tell()
        if "end" in line:
            os.fsync(self.file.fileno())

    def new_folder(self) -> Path:
        """Make a folder for files, which a line names by its last part."""
        folder = self.files(uuid.uuid4().hex)
        folder.mkdir(parents=True)
        return folder

    def files(self, name: str) -> Path:
        """Return a folder of files that a line names."""
        return self.folder / FILES / name

    def lines(self, begin: int) -> list[tuple[dict[str, Any], int]]:
        """Return the lines from a position in bytes on, each with the position of its end."""
        with (self.folder / LINES).open("rb") as file:
            file.seek(begin)
            *whole, _ = file.read().split(b"\n")
        found = []
        for line in whole:
            begin += len(line) + 1
            found.append((json.loads(line), begin))
        return found

    def confirm(self, end: int) -> None:
        """Note on disk that the store has the lines up to a position."""
        self.sent = end
        new = self.folder / f"{SENT}.new"
        new.write_text(str(end))
        new.replace(self.folder / SENT)

    @property
    def is_due(self) -> bool:
        """Whether there are lines that the store shall have and has not."""
        return self.is_wanted and self.sent < self.written

    def leave(self) -> None:
        """Leave the journal to who sends it next, or remove it if no line is due."""
        if not self.is_due:
            shutil.rmtree(self.folder, ignore_errors=True)
        self.file.close()

    @property
    def is_of_process(self) -> bool:
        """Whether the run began with this journal, rather than had ended before."""
        return "run" not in self.head or any("begin" in line for line, _ in self.lines(0))

    @property
    def status(self) -> str | None:
        """How the run ended, or None."""
        return next((line["end"] for line, _ in self.lines(0) if "end" in line), None)

    def metrics(self) -> dict[str, float]:
        """Return the last value of each metric."""
        points = (line.get("metrics", []) for line, _ in self.lines(0))
        return {name: value for line in points for name, value, *_ in line}

    def tags(self) -> dict[str, str]:
        """Return the tags of the run."""
        tags = dict(self.head.get("tags", {}))
        for line, _ in self.lines(0):
            tags |= line.get("tags", {})
        return tags


def now() -> int:
    """Return the time in milliseconds, as MLflow counts it."""
    return time.time_ns() // 1_000_000


def abandoned(uri: str) -> Iterator[Journal]:
    """
    Take the journals for a store whose processes have ended, the oldest first.

    Of another machine, which may share the disk but not its locks, only runs that ended are
    taken. A run that did not end is ended as KILLED.
    """
    found = []
    for folder in paths.spool_folder().glob("*"):
        try:
            found.append(Journal.open(folder))
        except (KeyError, ValueError):
            print(f"{folder} is damaged and not sent: mend or remove it", file=sys.stderr)
    for journal in sorted(filter(None, found), key=lambda one: one.head["start"]):
        mine = journal.head["host"] == socket.gethostname()
        if journal.head["store"] != address(uri) or not (mine or journal.status):
            journal.file.close()
            continue
        if not journal.status and journal.is_of_process:
            journal.add(end="KILLED", time=now())
        yield journal


def _append(file: FileIO, line: dict[str, Any]) -> None:
    rest, end = json.dumps(line).encode() + b"\n", file.seek(0, os.SEEK_END)
    try:
        while rest:
            rest = rest[file.write(rest) :]
    except OSError:
        file.truncate(end)  # half a line would spoil the next one
        raise
