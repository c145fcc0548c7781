"""Patterns of faces, and what is left of them."""

import numpy as np
import pandas as pd
import pytest

from pipeline import storage
from pipeline.features.decode import encode
from pipeline.tasks.faces.features import (
    COLUMNS,
    PATTERNS,
    ROWS,
    PatternGrid,
    eigenfaces,
    fisherfaces,
)

RNG = np.random.default_rng(0)
PEOPLE = np.repeat(["a", "b", "c"], 8)
FACES = RNG.integers(0, 200, (3, 56, 49, 3))[np.repeat([0, 1, 2], 8)]
FACES = (FACES + RNG.integers(0, 50, FACES.shape)).astype(np.uint8)
TABLE = pd.DataFrame({"image": [encode(face) for face in FACES]})


def test_shares_of_each_cell_sum_to_1_and_do_not_change_with_brightness():
    patterns = PatternGrid().fit_transform(FACES // 2)

    cells = patterns.reshape(len(FACES), ROWS * COLUMNS, PATTERNS) ** 2
    np.testing.assert_allclose(cells.sum(2), 1, rtol=1e-5)
    grey = np.repeat(FACES[:, :, :, :1] // 2, 3, axis=3)
    dark, bright = (PatternGrid().fit_transform(one) for one in (grey, grey + 100))
    # Points between pixels are interpolated, and rounded otherwise.
    assert np.abs(dark - bright).mean() < 0.01


def test_eigenfaces_are_white():
    found = eigenfaces([56, 49], 5).fit_transform(TABLE)

    np.testing.assert_allclose(np.cov(found.T), np.eye(5), atol=1e-4)


def test_fisherfaces_tell_people_apart():
    found = fisherfaces([56, 49], 10).fit_transform(TABLE, PEOPLE)

    assert found.shape == (24, 2)
    centres = np.array([found[name == PEOPLE].mean(0) for name in "abc"])
    nearest = ((found[:, None] - centres) ** 2).sum(2).argmin(1)
    assert (np.array(["a", "b", "c"])[nearest] == PEOPLE).all()


@pytest.mark.parametrize("view", [eigenfaces, fisherfaces])
def test_a_view_is_stored_and_read(view, tmp_path):
    featurizer = view([56, 49], 10).fit(TABLE, PEOPLE)
    storage.dump(featurizer, tmp_path / "view.skops")

    np.testing.assert_array_equal(
        storage.load(tmp_path / "view.skops").transform(TABLE), featurizer.transform(TABLE)
    )
