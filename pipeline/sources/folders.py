"""Find what a folder of classes holds beside examples."""

from collections.abc import Collection
from pathlib import Path

import pandas as pd

from pipeline.sources.columns import class_doubts

EMPTY = "folders of classes without a file were left out: {:,}, such as {}"
BESIDE = "files beside the folders of classes were not read: {:,}, such as {}"


def folder_doubts(folder: Path, classes: pd.Series, suffixes: Collection[str]) -> list[str]:
    """
    Return messages about folders of classes that hold nothing, and files that lie beside them.

    Parameters
    ----------
    folder : Path
        The folder of the classes.
    classes : Series
        The class of each file that was read.
    suffixes : collection of str
        Suffixes of the files that are read.
    """
    entries = [entry for entry in sorted(folder.iterdir()) if not entry.name.startswith(".")]
    empty = [entry.name for entry in entries if entry.is_dir() and entry.name not in set(classes)]
    beside = [entry.name for entry in entries if entry.suffix.lower() in suffixes]
    beside = [name for name in beside if (folder / name).is_file()]
    return [
        *([EMPTY.format(len(empty), empty[0])] if empty else []),
        *([BESIDE.format(len(beside), beside[0])] if beside else []),
        *class_doubts(classes, "class"),
    ]
