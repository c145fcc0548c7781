"""Read images: from a folder per class with a file per image, or named by a table."""

import hashlib
from pathlib import Path

import pandas as pd

from pipeline.errors import UserError
from pipeline.sources import table
from pipeline.sources.examples import META_PREFIX, Source, origin_of
from pipeline.sources.images import read_images

SUFFIXES = {
    *(".avif", ".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm"),
    *(".tif", ".tiff", ".webp"),
}
OTHERS = "files that are not named as images were not read: {:,}, such as {}"


def read(
    path: Path,
    size: list[int],
    near: int | None = None,
    image: str = "image",
    label: str = "label",
    group: str | None = None,
) -> Source:
    """
    Read a folder of images, or the images that a table names.

    Parameters
    ----------
    path : Path
        A folder with ``<label>/<image>.jpg`` and ``<label>/<group>/<image>.jpg``, or a
        table, as for `pipeline.sources.table`. Hidden files and folders, whose names start
        with a dot, are ignored.
    size : list of (height, width)
        Size that images are decoded to, in pixels.
    near : int, optional
        Images whose difference hashes differ in at most this many of 256 bits are kept
        together.
    image, label, group : str
        Columns of a table. Images are named by their paths, relative to the table. Other
        columns are ignored. Without `group` each row is a group of its own.

    Returns
    -------
    Source
        With what `read_images` returns. Images in a sub-folder of a class share a group,
        which has the sub-folder's name. Any other image is a group of its own.

    Raises
    ------
    UserError
        If the path is missing or holds no image, or if a file is none.
    """
    path = Path(path)
    if path.is_file():
        files = _in_table(path, {"image": image, "label": label, "group": group})
        others: list[str] = []
    else:
        files, others = _in_folder(path)
    examples, joined = read_images(files, size, near)
    warnings = [OTHERS.format(len(others), others[0])] if others else []
    origin = origin_of(path, _digest(examples))
    return Source(examples, [origin], joined=joined, warnings=warnings)


def _in_table(file: Path, named: dict[str, str | None]) -> pd.DataFrame:
    columns = {role: name for role, name in named.items() if name is not None}
    rows = table.load(file, columns, texts=list(columns.values())).select(list(columns.values()))
    frame = table.plain(file, rows)
    names = frame.pop(columns["image"])
    roles = {role: name for role, name in columns.items() if role != "image"}
    (files,) = table.examples([file], [frame], roles, {})
    paths = [file.parent / str(name) for name in names]
    for row, (path, missing) in enumerate(zip(paths, names.isna(), strict=True), 1):
        if missing or not path.is_file():
            raise UserError(f"{file}, row {row} (not counting a header): {path} is no file")
    return files.assign(path=paths)


def _in_folder(folder: Path) -> tuple[pd.DataFrame, list[str]]:
    if not folder.is_dir():
        raise UserError(
            f"{folder} is not a folder or a file: task.source.path names a folder of classes, "
            "or a table of images"
        )
    rows, others = [], []
    for file in sorted(folder.glob("*/**/*")):
        place = file.relative_to(folder)
        if not file.is_file() or any(part.startswith(".") for part in place.parts):
            continue
        name = place.as_posix()
        if file.suffix.lower() not in SUFFIXES:
            others.append(name)
            continue
        group = place.parts[1] if len(place.parts) > 2 else name
        rows.append((file, name, place.parts[0], group))
    if not rows:
        raise UserError(f"{folder} holds no image: expected {folder}/<label>/<image>.jpg")
    return pd.DataFrame(rows, columns=["path", "example_id", "label", "group"]), others


def _digest(examples: pd.DataFrame) -> str:
    """Hash the names and contents of all files."""
    hashed = zip(examples["example_id"], examples[f"{META_PREFIX}sha256"], strict=True)
    return hashlib.sha256("".join(f"{name}\0{one}\0" for name, one in hashed).encode()).hexdigest()
