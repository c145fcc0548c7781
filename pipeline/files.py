"""Write files and folders in one step, and read them: each is written aside, then moved."""

import ctypes
import errno
import hashlib
import json
import os
import re
import shutil
import socket
import tempfile
import uuid
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from tokenize import TokenError
from typing import TYPE_CHECKING, Any

from pipeline.errors import UserError
from pipeline.paths import ROOT
from pipeline.process import alive

if TYPE_CHECKING:
    import pandas as pd

# The earliest time that a zip file can hold.
EPOCH = (1980, 1, 1, 0, 0, 0)
# What reading a zip file whose bytes were changed can raise.
ZIP_DAMAGE = (
    AttributeError,
    EOFError,
    KeyError,
    MemoryError,
    NotImplementedError,
    OverflowError,
    RuntimeError,
    TokenError,
    TypeError,
    ValueError,
    zipfile.BadZipFile,
    zlib.error,
)


@contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """
    Yield an empty folder, and move it to its place when everything is written.

    If the operating system can, the old and the new folder are exchanged in one step. A reader
    then finds one or the other, and of two writers the last one wins.

    Parameters
    ----------
    target : Path
        The final place of the folder. A folder that is already there is replaced.

    Yields
    ------
    Path
        An empty folder to write into. If the block raises an error, it is removed and
        `target` is unchanged.
    """
    with aside(target) as folder:
        filling = folder / "new"
        filling.mkdir()
        yield filling
        put(filling, target)


def write_json(path: Path, value: Any) -> None:
    """Write a value as indented JSON in one step, and make the folders above it."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def write_archive(path: Path, parts: Mapping[str, bytes]) -> None:
    """
    Write files into a zip archive, sorted and without the time.

    The same parts always become the same bytes.
    """
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(parts):
            archive.writestr(zipfile.ZipInfo(name, EPOCH), parts[name])


def check_archive(archive: zipfile.ZipFile, size: int) -> None:
    """
    Check that a zip archive holds no more than it weighs, as those of `write_archive` do.

    A compressed file of some megabytes could fill the memory.

    Parameters
    ----------
    archive : ZipFile
        The archive.
    size : int
        Its bytes.

    Raises
    ------
    BadZipFile
        If a file in it is compressed, or if the files overlap.
    """
    files = archive.infolist()
    if any(file.compress_type != zipfile.ZIP_STORED for file in files):
        raise zipfile.BadZipFile("a file in it is compressed")
    if sum(file.file_size for file in files) > size:
        raise zipfile.BadZipFile("the files in it overlap")


def write_text(path: Path, text: str) -> None:
    """Write a text in one step, and make the folders above it."""
    with aside(path) as folder:
        filling = folder / path.name
        filling.write_text(text, encoding="utf-8")
        path.parent.mkdir(parents=True, exist_ok=True)
        filling.replace(path)


@contextmanager
def aside(target: Path) -> Iterator[Path]:
    """
    Yield a temporary folder on the same disk as a target, and remove it in the end.

    For targets in the project it is in ``.tmp`` at the root, which git ignores and no DVC stage
    reads. What a killed process leaves there is no part of any output, and the next call removes
    it.
    """
    place = next(folder for folder in target.absolute().parents if folder.exists()).resolve()
    # Only within a disk can a folder be moved in one step.
    if place.is_relative_to(ROOT) and place.stat().st_dev == ROOT.stat().st_dev:
        place = ROOT / ".tmp"
        place.mkdir(exist_ok=True)
    mine = f".{socket.gethostname()}-{{}}-"
    named = re.compile(re.escape(mine).replace(r"\{\}", r"(\d+)") + r"\w+")
    for left_over in place.glob(".*-*-*"):
        made_here = named.fullmatch(left_over.name)
        if made_here and not alive(int(made_here[1])):
            shutil.rmtree(left_over, ignore_errors=True)
    with tempfile.TemporaryDirectory(
        prefix=mine.format(os.getpid()), dir=place, ignore_cleanup_errors=True
    ) as folder:
        yield Path(folder)


def put(new: Path, target: Path) -> None:
    """Move a folder to its place. A folder that is already there takes the place of the new one."""
    target.parent.mkdir(parents=True, exist_ok=True)
    while True:
        try:
            new.rename(target)  # raises an error if a folder with files is there
            return
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
        if _exchange(new, target):
            return
        with suppress(FileNotFoundError):  # another process was faster
            target.rename(new.with_name(f"old-{uuid.uuid4().hex}"))


def _exchange(new: Path, target: Path) -> bool:
    """Exchange two folders in one step, and return whether the operating system can do that."""
    libc = ctypes.CDLL(None, use_errno=True)
    paths = os.fsencode(new), os.fsencode(target)
    if hasattr(libc, "renameat2"):  # Linux
        here, exchange = -100, 2
        return bool(libc.renameat2(here, paths[0], here, paths[1], exchange) == 0)
    if hasattr(libc, "renamex_np"):  # macOS
        return bool(libc.renamex_np(*paths, 2) == 0)
    return False


def read_json(path: Path, keys: Mapping[str, type] | None = None) -> Any:
    """
    Read a JSON file that a stage wrote.

    Parameters
    ----------
    path : Path
        The file.
    keys : mapping of str to type, optional
        Keys that it must hold, and the type of each value.

    Raises
    ------
    UserError
        If the file is missing, is not JSON, or lacks a key.
    """
    try:
        read = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise missing(path) from None
    except (ValueError, RecursionError) as error:
        raise damaged(path, error) from None
    for key, kind in (keys or {}).items():
        if not isinstance(read, dict) or not isinstance(read.get(key), kind):
            raise damaged(path, f"'{key}' is missing or not as it was written")
    return read


def read_table(path: Path) -> "pd.DataFrame":
    """
    Read a Parquet file that a stage wrote.

    Raises
    ------
    UserError
        If the file is missing or damaged.
    """
    import pandas as pd
    from pyarrow import ArrowException

    try:
        return pd.read_parquet(path)
    except FileNotFoundError:
        raise missing(path) from None
    except ArrowException as error:
        raise damaged(path, error) from None


def dvc_digest(folder: Path) -> str:
    """
    Return the hash of a folder as DVC computes it.

    It is computed from the files, because dvc.lock may be older than they are.

    Parameters
    ----------
    folder : Path
        Output folder of a stage.

    Returns
    -------
    str
        36 characters: the MD5 of the sorted JSON list of paths and MD5s, then ``.dir``.
    """

    def md5(path: Path) -> str:
        with path.open("rb") as content:
            return hashlib.file_digest(content, "md5").hexdigest()

    files = sorted(path for path in folder.rglob("*") if path.is_file())
    entries = [{"md5": md5(f), "relpath": f.relative_to(folder).as_posix()} for f in files]
    listing = json.dumps(sorted(entries, key=lambda entry: entry["relpath"]))
    return hashlib.md5(listing.encode(), usedforsecurity=False).hexdigest() + ".dir"


def sha256(path: Path) -> str:
    """
    Return the SHA-256 of a file.

    Raises
    ------
    UserError
        If it is missing.
    """
    try:
        with path.open("rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest()
    except FileNotFoundError:
        raise missing(path) from None


def size(folder: Path) -> int:
    """Return the total size of the files in a folder, in bytes."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def missing(path: Path) -> UserError:
    """Return the error for a file that an earlier stage should have written."""
    return UserError(f"{path} does not exist: run the stage that writes it, or `dvc repro`")


def damaged(path: Path, reason: object) -> UserError:
    """Return the error for a file that is not as a stage wrote it."""
    first_line = str(reason).splitlines()[0] if str(reason) else type(reason).__name__
    return UserError(
        f"{path} is damaged ({first_line}): remove it and run the stage that writes it again, "
        "or `dvc checkout --force`"
    )
