"""Files that are whole or absent: everything is written aside, then renamed."""

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import UserError

if TYPE_CHECKING:
    import pandas as pd


@contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """
    Fill a folder aside and put it in place only when all of it is written.

    Parameters
    ----------
    target : Path
        Where the folder shall be; a folder already there is replaced.

    Yields
    ------
    Path
        An empty folder beside `target` to write into. When the block raises,
        it is removed and `target` is left as it was.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(
        prefix=f".{target.name}-", dir=target.parent, ignore_cleanup_errors=True
    ) as aside:
        filling, old = Path(aside, "new"), Path(aside, "old")
        filling.mkdir()
        yield filling
        if target.exists():
            target.rename(old)
        try:
            filling.rename(target)
        except OSError:
            if old.exists():
                old.rename(target)
            raise


def write_json(path: Path, value: Any) -> None:
    """Write a value as indented JSON in one step, making the folders above it."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a text in one step, making the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}-{os.getpid()}")
    try:
        aside.write_text(text, encoding="utf-8")
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def read_json(path: Path) -> Any:
    """
    Read a JSON file that a stage wrote.

    Raises
    ------
    UserError
        When the file is missing or is not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise missing(path) from None
    except ValueError as error:
        raise damaged(path, error) from None


def read_table(path: Path) -> "pd.DataFrame":
    """
    Read a Parquet file that a stage wrote.

    Raises
    ------
    UserError
        When the file is missing or damaged.
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
    Hash a folder of files as DVC does.

    Computed from what is read, it is right inside and outside of DVC, where
    dvc.lock may be older than the files.

    Parameters
    ----------
    folder : Path
        Output of a stage.

    Returns
    -------
    str
        36 characters: the MD5 of the sorted JSON list of paths and MD5s, and ``.dir``.
    """

    def md5(path: Path) -> str:
        with path.open("rb") as content:
            return hashlib.file_digest(content, "md5").hexdigest()

    files = sorted(path for path in folder.rglob("*") if path.is_file())
    entries = [{"md5": md5(f), "relpath": f.relative_to(folder).as_posix()} for f in files]
    listing = json.dumps(sorted(entries, key=lambda entry: entry["relpath"]))
    return hashlib.md5(listing.encode(), usedforsecurity=False).hexdigest() + ".dir"


def size(folder: Path) -> int:
    """Add up the bytes of the files in a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def missing(path: Path) -> UserError:
    """Say that what an earlier stage should have written is not there."""
    return UserError(f"{path} does not exist: run the stage that writes it, or `dvc repro`")


def damaged(path: Path, reason: object) -> UserError:
    """Say that a file is not what a stage wrote."""
    first_line = str(reason).splitlines()[0] if str(reason) else type(reason).__name__
    return UserError(
        f"{path} is damaged ({first_line}): remove it and run the stage that writes it again, "
        "or `dvc checkout --force`"
    )
