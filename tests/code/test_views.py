"""The feature store: arrays as they were, and nothing unpickled."""

import io
import re
import tracemalloc

import numpy as np
import pytest
from scipy import sparse

from pipeline.errors import UserError
from pipeline.features import views
from pipeline.features.views import Features

Y = np.array(["novel", "poetry", "novel"])
META = {"group": np.array(["Brontë", "Keats", "Brontë"], dtype=object)}


@pytest.mark.parametrize(
    "X",
    [
        np.arange(6, dtype=np.float32).reshape(3, 2),
        np.arange(6, dtype=np.int32).reshape(3, 2),
        np.arange(24, dtype=np.float32).reshape(3, 2, 4),
    ],
    ids=["floats", "ids", "windows"],
)
def test_dense_numbers_are_read_as_they_were_written(X, tmp_path):
    views.save(tmp_path / "train.npz", Features(X, Y, META))

    found = views.load(tmp_path / "train.npz")

    np.testing.assert_array_equal(found.X, X)
    assert found.X.dtype == X.dtype
    assert found.y.tolist() == Y.tolist()
    assert found.meta["group"].tolist() == META["group"].tolist()


@pytest.mark.parametrize("form", [sparse.csr_matrix, sparse.csc_matrix, sparse.csr_array])
def test_sparse_numbers_stay_sparse(form, tmp_path):
    # The last row and column are empty: the shape is not to be had from the entries.
    X = np.array([[0, 1.5, 0], [2, 0, 0], [0, 0, 0]], dtype=np.float32)
    views.save(tmp_path / "train.npz", Features(form(X), Y, META))

    found = views.load(tmp_path / "train.npz").X

    assert sparse.issparse(found)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found.toarray(), X)


@pytest.mark.parametrize("form", [np.array, sparse.csr_matrix])
def test_floats_are_stored_in_32_bits(form, tmp_path):
    X = np.array([[0.1], [0.0], [1 / 3]])
    views.save(tmp_path / "train.npz", Features(form(X), Y, META))

    found = views.load(tmp_path / "train.npz").X

    assert found.dtype == np.float32
    np.testing.assert_array_equal(
        found.toarray() if sparse.issparse(found) else found, X.astype(np.float32)
    )


def test_the_same_numbers_give_the_same_bytes(tmp_path):
    for name in ("first", "second"):
        views.save(tmp_path / f"{name}.npz", Features(np.eye(3, dtype=np.float32), Y, META))

    for suffix in (".npz", ".npy"):
        first, second = ((tmp_path / name).with_suffix(suffix) for name in ("first", "second"))
        assert first.read_bytes() == second.read_bytes()


def test_dense_numbers_are_mapped_from_their_file(tmp_path):
    X = np.zeros((1000, 4000), dtype=np.float32)
    views.save(tmp_path / "train.npz", Features(X, np.zeros(1000), {}))

    tracemalloc.start()
    found = views.load(tmp_path / "train.npz").X
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert isinstance(found, np.memmap)
    assert found.nbytes == 16e6
    assert most < 1e6


def test_a_change_of_what_was_read_does_not_reach_the_file(tmp_path):
    path = tmp_path / "train.npz"
    views.save(path, Features(np.eye(3, dtype=np.float32), Y, META))

    views.load(path).X[:] = 7

    np.testing.assert_array_equal(views.load(path).X, np.eye(3))


def test_a_missing_file_is_reported_by_name(tmp_path):
    path = tmp_path / "train.npz"

    with pytest.raises(UserError, match=f"{re.escape(str(path))} does not exist"):
        views.load(path)


def test_a_missing_file_of_dense_numbers_is_reported_by_name(tmp_path):
    views.save(tmp_path / "train.npz", Features(np.eye(3), Y, META))
    path = tmp_path / "train.npy"
    path.unlink()

    with pytest.raises(UserError, match=f"{re.escape(str(path))} does not exist"):
        views.load(tmp_path / "train.npz")


def npy(array):
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def npz(**arrays):
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not an archive",
        npz(y=Y)[:-30],
        npz(group=Y),
        npz(y=Y, group=Y, data=np.ones(2)),
        npz(y=Y, group=Y, data=[1.0], indices=[0], indptr=[0, 9], shape=[1, 1]),
        npz(y=np.array([{"an": "object"}], dtype=object), group=Y),
        npy(np.eye(3)),
    ],
    ids=[
        "empty",
        "text",
        "cut",
        "no target",
        "half sparse",
        "wrong sparse",
        "pickled objects",
        "one bare array",
    ],
)
def test_a_damaged_file_is_reported_by_name(content, tmp_path):
    path = tmp_path / "train.npz"
    path.write_bytes(content)

    with pytest.raises(UserError, match=f"{re.escape(str(path))} is damaged"):
        views.load(path)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no array",
        npy(np.eye(3))[:-30],
        npy(np.array([{"an": "object"}] * 3, dtype=object)),
        npy(np.eye(2)),
        npy(np.float32(1)),
        npz(X=np.eye(3)),
    ],
    ids=["empty", "text", "cut", "pickled objects", "of other examples", "a number", "an archive"],
)
def test_damaged_dense_numbers_are_reported_by_name(content, tmp_path):
    views.save(tmp_path / "train.npz", Features(np.eye(3), Y, META))
    path = tmp_path / "train.npy"
    path.write_bytes(content)

    with pytest.raises(UserError, match=f"{re.escape(str(path))} is damaged"):
        views.load(tmp_path / "train.npz")


def test_what_else_is_known_is_kept_in_its_own_type(tmp_path):
    known = {
        "group": np.array(["a", "b", "c"], dtype=object),
        "time_to_event": np.array([3.0, 2.0, 0.0]),
        "stratum": np.array([1, 0, 1]),
    }
    views.save(tmp_path / "train.npz", Features(np.eye(3), Y, known))

    found = views.load(tmp_path / "train.npz").meta

    assert {name: values.tolist() for name, values in found.items()} == {
        name: values.tolist() for name, values in known.items()
    }
    assert found["time_to_event"].dtype == float
    assert found["stratum"].dtype == known["stratum"].dtype


@pytest.mark.parametrize("y", [np.array([1.5, -2, 0.1]), np.array([1, 0, 3])], ids=str)
def test_a_target_of_numbers_stays_one(y, tmp_path):
    views.save(tmp_path / "train.npz", Features(np.eye(3), y, {}))

    found = views.load(tmp_path / "train.npz").y

    assert found.dtype == y.dtype
    np.testing.assert_array_equal(found, y)
