"""Sparse features become few dense ones, and dense ones stay as they are."""

import numpy as np
from scipy import sparse

from pipeline.features.reduction import Reduction


def test_dense_features_stay_as_they_are():
    X = np.eye(4, 3)

    assert Reduction(2).fit(X).transform(X) is X


def test_there_are_no_more_components_than_features():
    weights = sparse.csr_matrix(np.eye(4, 3))

    assert Reduction(32).fit_transform(weights).shape == (4, 3)


def test_components_are_learned_from_evenly_chosen_examples(monkeypatch):
    monkeypatch.setattr("pipeline.features.reduction.MOST_EXAMPLES", 2)
    # of five examples the first and the fourth are chosen; only they have the features 0 and 1
    weights = sparse.csr_matrix(
        [[2.0, 0, 0], [0, 0, 9], [0, 0, 9], [0, 1.0, 0], [0, 0, 9]], dtype=np.float32
    )

    found = np.abs(Reduction(2).fit(weights).svd_.components_)

    np.testing.assert_allclose(found, np.eye(2, 3), atol=1e-6)
