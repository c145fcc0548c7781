"""Write and read a view of a task: arrays without pickle, beside the fitted featurizer."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse

from pipeline.errors import UserError
from pipeline.files import ZIP_DAMAGE, damaged, dvc_digest, missing, read_json

ABOUT, FEATURIZER = "view.json", "featurizer.skops"
# The prefix of the names of arrays that are neither X nor y.
META = "meta/"


class Features(NamedTuple):
    """
    What a model is fitted on.

    Attributes
    ----------
    X : ndarray or CSR matrix with n rows
        Features of each example. An array that was read from a view is mapped from its file:
        only the rows in use take memory, and changes do not reach the file.
    y : ndarray of shape (n,)
        The target.
    meta : mapping of str to ndarray of shape (n,)
        Further columns of the examples, as `sources.examples.meta_of` returns them.
    """

    X: np.ndarray | sparse.csr_matrix
    y: np.ndarray
    meta: Mapping[str, np.ndarray]


def save(path: Path, features: Features) -> None:
    """
    Write the features of one split.

    Parameters
    ----------
    path : Path
        ``<split>.npz``. A dense `X` is written beside it as ``<split>.npy``, because NumPy maps
        no array inside of an archive.
    features : Features
        The floats of a dense or sparse `X` are stored in 32 bits.
    """
    X, arrays = features.X, dict[str, Any]()
    if X.dtype == np.float64:
        X = X.astype(np.float32)
    if sparse.issparse(X):
        X = sparse.csr_matrix(X)
        parts = ("data", "indices", "indptr", "shape")
        arrays = {part: getattr(X, part) for part in parts}
    else:
        np.save(path.with_suffix(".npy"), X)
    arrays["y"] = _plain(features.y)
    arrays |= {f"{META}{name}": _plain(values) for name, values in features.meta.items()}
    np.savez(path, **arrays)


def _plain(values: np.ndarray) -> np.ndarray:
    """Convert texts, which pandas keeps as objects, to a type that needs no pickle."""
    return values.astype(str) if values.dtype == object else values


def load(path: Path) -> Features:
    """
    Read what `save` wrote.

    Raises
    ------
    UserError
        When a file is missing or damaged, or the two are not of the same examples.
    """
    X: Any = None
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            meta = {
                name.removeprefix(META): stored[name]
                for name in stored.files
                if name.startswith(META)
            }
            y = stored["y"]
            if "data" in stored:
                triple = (stored["data"], stored["indices"], stored["indptr"])
                X = sparse.csr_matrix(triple, shape=stored["shape"])
    except FileNotFoundError:
        raise missing(path) from None
    except ZIP_DAMAGE as error:
        raise damaged(path, error) from None
    return Features(_map(path.with_suffix(".npy"), len(y)) if X is None else X, y, meta)


def _map(path: Path, n: int) -> np.ndarray:
    """Map an array with a row per example from its file."""
    try:
        # Copied on write, since some estimators refuse an array that is read-only.
        X: np.ndarray = np.load(path, mmap_mode="c", allow_pickle=False)
        if len(X) != n:
            raise ValueError(f"{len(X):,} rows for {n:,} examples")
    except FileNotFoundError:
        raise missing(path) from None
    except ZIP_DAMAGE as error:
        raise damaged(path, error) from None
    return X


def about(view: Path, ingested: Path) -> dict[str, Any]:
    """
    Read the description that featurize wrote of a view.

    Parameters
    ----------
    view : Path
        Folder of the view.
    ingested : Path
        Folder of the examples that the view was made from. It may be missing.

    Raises
    ------
    UserError
        If the view is missing or damaged, or other examples were ingested since.
    """
    keys: dict[str, type] = {"digest": str, "may_miss": bool}
    keys |= dict.fromkeys(("settings", "target", "inputs", "forms"), dict)
    description: dict[str, Any] = read_json(view / ABOUT, keys)
    if ingested.is_dir() and dvc_digest(ingested) != description["digest"]:
        raise UserError(f"{ingested} has changed since it was featurized: featurize again")
    return description
