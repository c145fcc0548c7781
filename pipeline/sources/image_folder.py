"""Read images: from a folder per class with a file per image, or named by a table."""

import hashlib
from pathlib import Path

import pandas as pd

from pipeline.errors import UserError
from pipeline.sources import table
from pipeline.sources.columns import class_doubts
from pipeline.sources.examples import META_PREFIX, Source, origin_of
from pipeline.sources.folders import folder_doubts
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
    unlabelled: str = "error",
    encoding: str = "utf-8",
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
    unlabelled, encoding
        Of a table, as for `pipeline.sources.table.read`.

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
        named = {"image": image, "label": label, "group": group}
        files, dropped = _in_table(path, named, unlabelled, encoding)
        doubts = class_doubts(files["label"], label)
    else:
        files, others = _in_folder(path)
        dropped, doubts = {}, [OTHERS.format(len(others), others[0])] if others else []
        doubts += folder_doubts(path, files["label"], SUFFIXES)
    examples, joined = read_images(files, size, near)
    origin = origin_of(path, _digest(examples))
    return Source(examples, [origin], dropped=dropped, joined=joined, warnings=doubts)


def _in_table(
    file: Path, named: dict[str, str | None], unlabelled: str, encoding: str
) -> tuple[pd.DataFrame, dict[str, int]]:
    columns = {role: name for role, name in named.items() if name is not None}
    texts = list(columns.values())
    rows = table.load(file, columns, texts=texts, how=table.Written(encoding=encoding))
    frames = [table.plain(file, rows.select(texts))]
    (frame,), dropped = table.settle_unlabelled(frames, columns["label"], unlabelled)
    names = frame[columns["image"]]
    roles = {role: name for role, name in columns.items() if role != "image"}
    (files,) = table.examples([file], [frame], roles, {})
    paths = [file.parent / str(name) for name in names]
    for row, path, missing in zip(names.index + 1, paths, names.isna(), strict=True):
        if missing or not path.is_file():
            raise UserError(f"{file}, row {row} (not counting a header): {path} is no file")
    return files.assign(path=paths), dropped


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
