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
        Features of each example.
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
    Write the features of one split as ``.npz``.

    Parameters
    ----------
    path : Path
        File to write.
    features : Features
        The floats of a dense or sparse `X` are stored in 32 bits.
    """
    X = features.X
    if X.dtype == np.float64:
        X = X.astype(np.float32)
    if sparse.issparse(X):
        X = sparse.csr_matrix(X)
        parts = ("data", "indices", "indptr", "shape")
        arrays: dict[str, Any] = {part: getattr(X, part) for part in parts}
    else:
        arrays = {"X": X}
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
        When the file is missing or damaged.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            meta = {
                name.removeprefix(META): stored[name]
                for name in stored.files
                if name.startswith(META)
            }
            if "X" in stored:
                return Features(stored["X"], stored["y"], meta)
            triple = (stored["data"], stored["indices"], stored["indptr"])
            X = sparse.csr_matrix(triple, shape=stored["shape"])
            return Features(X, stored["y"], meta)
    except FileNotFoundError:
        raise missing(path) from None
    except ZIP_DAMAGE as error:
        raise damaged(path, error) from None


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
    keys = {"digest": str, "settings": dict, "target": dict, "inputs": dict, "may_miss": bool}
    description: dict[str, Any] = read_json(view / ABOUT, keys)
    if ingested.is_dir() and dvc_digest(ingested) != description["digest"]:
        raise UserError(f"{ingested} has changed since it was featurized: featurize again")
    return description
