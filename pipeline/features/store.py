"""One view of a task on disk: arrays without pickle, the fitted featurizer beside them."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy import sparse

from pipeline.files import damaged, missing
from pipeline.storage import DAMAGE


class Numbers(NamedTuple):
    """What a model is fitted on: for each example a row of numbers, a label, a group."""

    X: np.ndarray | sparse.csr_matrix
    y: np.ndarray
    group: np.ndarray


def save(path: Path, numbers: Numbers) -> None:
    """
    Write the numbers of one split as ``.npz``.

    Parameters
    ----------
    path : Path
        File to write.
    numbers : Numbers
        A dense array or a CSR matrix, labels and groups; floats are stored in 32 bits.
    """
    X, y, group = numbers
    if X.dtype == np.float64:
        X = X.astype(np.float32)
    if sparse.issparse(X):
        X = sparse.csr_matrix(X)
        arrays = {
            "data": X.data,
            "indices": X.indices,
            "indptr": X.indptr,
            "shape": X.shape,
        }
    else:
        arrays = {"X": X}
    np.savez(path, y=y.astype(str), group=group.astype(str), **arrays)


def load(path: Path) -> Numbers:
    """
    Read what `save` wrote.

    Raises
    ------
    UserError
        When the file is missing or damaged.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            y, group = stored["y"], stored["group"]
            if "X" in stored:
                return Numbers(stored["X"], y, group)
            triple = (stored["data"], stored["indices"], stored["indptr"])
            return Numbers(sparse.csr_matrix(triple, shape=stored["shape"]), y, group)
    except FileNotFoundError:
        raise missing(path) from None
    except DAMAGE as error:
        raise damaged(path, error) from None
