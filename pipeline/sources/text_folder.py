"""Read texts: from a folder per class with a file per text, or from a column of a table."""

import hashlib
from pathlib import Path

import pandas as pd

from pipeline.errors import UserError, encoding_fault
from pipeline.files import sha256
from pipeline.sources import table
from pipeline.sources.columns import class_doubts
from pipeline.sources.examples import Source, origin_of
from pipeline.sources.folders import folder_doubts

OTHERS = "files that are not .txt were not read: {:,}, such as {}"


def read(
    path: Path,
    text: str = "text",
    label: str = "label",
    group: str | None = None,
    unlabelled: str = "error",
    encoding: str = "utf-8",
) -> Source:
    """
    Read a folder of texts, or a table of them.

    Parameters
    ----------
    path : Path
        A folder with ``<label>/<text>.txt`` and ``<label>/<group>/<text>.txt``,
        or a table, as for `pipeline.sources.table`. Hidden files and folders, whose names
        start with a dot, are ignored.
    text, label, group : str
        Columns of a table. Other columns are ignored. Without `group` each row is a
        group of its own.
    unlabelled : {"error", "drop"}, default="error"
        What happens to rows of a table without a label.
    encoding : str, default="utf-8"
        The encoding of the texts, or of the table.

    Returns
    -------
    Source
        With the input ``text``. Texts in a sub-folder of a class share a group, which has
        the sub-folder's name. Any other text is a group of its own.

    Raises
    ------
    UserError
        If the path is missing or holds no text, or if a file is not in its encoding.
    """
    if Path(path).is_file():
        named = {"text": text, "label": label, "group": group}
        columns = {role: name for role, name in named.items() if name is not None}
        return _from_table(Path(path), columns, unlabelled, encoding)
    return _from_folder(Path(path), encoding)


def _from_table(file: Path, columns: dict[str, str], unlabelled: str, encoding: str) -> Source:
    texts = list(columns.values())
    rows = table.load(file, columns, texts=texts, how=table.Written(encoding=encoding))
    frames = [table.plain(file, rows.select(texts))]
    frames, dropped = table.settle_unlabelled(frames, columns["label"], unlabelled)
    (examples,) = table.examples([file], frames, columns, {})
    return Source(
        examples,
        [origin_of(file, sha256(file))],
        dropped=dropped,
        warnings=class_doubts(examples["label"], columns["label"]),
    )


def _from_folder(folder: Path, encoding: str) -> Source:
    if not folder.is_dir():
        raise UserError(
            f"{folder} is not a folder or a file: task.source.path names a folder of classes, "
            "or a table of texts"
        )
    found = sorted(
        file
        for file in folder.glob("*/**/*")
        if file.is_file()
        and not any(part.startswith(".") for part in file.relative_to(folder).parts)
    )
    files = [file for file in found if file.suffix.lower() == ".txt"]
    others = [file for file in found if file.suffix.lower() != ".txt"]
    if not files:
        raise UserError(f"{folder} holds no text: expected {folder}/<label>/<text>.txt")
    digest = hashlib.sha256()
    rows = []
    for file in files:
        place = file.relative_to(folder)
        content = file.read_bytes()
        digest.update(place.as_posix().encode() + b"\0" + content + b"\0")
        try:
            text = content.decode("utf-8-sig" if encoding == "utf-8" else encoding)
        except UnicodeDecodeError as error:
            raise UserError(
                f"{file} {encoding_fault(error)}; save it as UTF-8, or set task.source.encoding, "
                "such as to cp1252"
            ) from None
        except LookupError:
            raise UserError(f"task.source.encoding: unknown '{encoding}'") from None
        group = place.parts[1] if len(place.parts) > 2 else place.as_posix()
        rows.append((place.as_posix(), text, place.parts[0], group))
    examples = pd.DataFrame(rows, columns=["example_id", "text", "label", "group"])
    strange = [file.relative_to(folder).as_posix() for file in others]
    return Source(
        examples,
        [origin_of(folder, digest.hexdigest())],
        warnings=[
            *([OTHERS.format(len(strange), strange[0])] if strange else []),
            *folder_doubts(folder, examples["label"], [".txt"]),
        ],
    )
