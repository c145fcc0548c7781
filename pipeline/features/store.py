"""One view of a task on disk: arrays without pickle, the fitted featurizer beside them."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse

from pipeline.errors import UserError
from pipeline.files import damaged, dvc_digest, missing, read_json
from pipeline.storage import DAMAGE

ABOUT, FEATURIZER = "view.json", "featurizer.skops"


class Numbers(NamedTuple):
    """What a model is fitted on: for each example its numbers, a label, a group."""

    X: np.ndarray | sparse.csr_matrix
    y: np.ndarray
    group: np.ndarray
    time_to_event: np.ndarray | None = None


def save(path: Path, numbers: Numbers) -> None:
    """
    Write the numbers of one split as ``.npz``.

    Parameters
    ----------
    path : Path
        File to write.
    numbers : Numbers
        A dense array or a CSR matrix, labels, groups, and perhaps times;
        the floats of `X` are stored in 32 bits.
    """
    X = numbers.X
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
    if numbers.time_to_event is not None:
        arrays["time_to_event"] = numbers.time_to_event
    np.savez(path, y=numbers.y.astype(str), group=numbers.group.astype(str), **arrays)


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
            rest = (stored["y"], stored["group"], stored.get("time_to_event"))
            if "X" in stored:
                return Numbers(stored["X"], *rest)
            triple = (stored["data"], stored["indices"], stored["indptr"])
            return Numbers(sparse.csr_matrix(triple, shape=stored["shape"]), *rest)
    except FileNotFoundError:
        raise missing(path) from None
    except DAMAGE as error:
        raise damaged(path, error) from None


def about(view: Path, ingested: Path) -> dict[str, Any]:
    """
    Read what featurize says of a view.

    Parameters
    ----------
    view : Path
        Its folder.
    ingested : Path
        The examples that it was made of, which need not be there any more.

    Raises
    ------
    UserError
        When the view is missing or damaged, or other examples were ingested since.
    """
    told: dict[str, Any] = read_json(view / ABOUT)
    if ingested.is_dir() and dvc_digest(ingested) != told["digest"]:
        raise UserError(f"{ingested} has changed since it was featurized: featurize again")
    return told
