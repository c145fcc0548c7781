"""Any estimator made of types that are trusted, in a file of skops."""

from pathlib import Path
from typing import Any

from pipeline import storage

FILE = "estimator.skops"


def save(estimator: Any, folder: Path, trusted: list[str]) -> None:
    """Write an estimator, refused when it holds a type that is not trusted."""
    storage.dump(estimator, folder / FILE, trusted)


def load(folder: Path, trusted: list[str]) -> Any:
    """Read an estimator, refused when it holds a type that is not trusted."""
    return storage.load(folder / FILE, trusted)
