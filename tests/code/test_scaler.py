"""Standardisation, against scikit-learn's and at the ends of what a number can be."""

import numpy as np
import pandas as pd
import pytest
from sklearn.preprocessing import StandardScaler

from pipeline.features.scaler import Scaler, SmoothScaler

X = np.random.default_rng(0).normal(5, 2, (200, 3))


@pytest.mark.parametrize("table", [X, pd.DataFrame(X, columns=list("abc"))], ids=["array", "table"])
def test_numbers_in_range_are_standardised_as_by_scikit_learn(table):
    found = Scaler().fit(table).transform(table)

    np.testing.assert_array_equal(found, StandardScaler().fit_transform(X).astype(np.float32))
    assert found.dtype == np.float32


def test_missing_numbers_stay_missing():
    assert np.isnan(Scaler().fit(X).transform([[np.nan, 5, 5]] * np.ones((1, 3)))[0, 0])


@pytest.mark.parametrize("odd", [1e300, -1e300, 1e39, 1e20])
def test_a_number_off_any_scale_has_a_finite_place(odd):
    served = Scaler().fit(X).transform(np.array([[odd, 5.0, 5.0]]))
    trained = Scaler().fit_transform(np.vstack([X, [odd, 5.0, 5.0]]))

    assert np.sign(served[0, 0]) == np.sign(odd)
    for found in (served, trained):
        assert np.isfinite(found).all()
        assert np.isfinite(found.astype(np.float32) ** 2 * 100).all()


def test_smooth_scaling_is_by_median_and_quartiles_within_three():
    # The median is 4, the quartiles are 2 and 6.
    X = np.arange(9, dtype=np.float32)[:, np.newaxis]

    found = SmoothScaler().fit(X).transform(np.array([[4], [8], [-8], [1e9]], dtype=np.float32))

    # x is 0, 1, -3 and 2.5e8; -3 becomes -3 / sqrt(2).
    expected = [[0], [1 / np.sqrt(1 + 1 / 9)], [-3 / np.sqrt(2)], [3]]
    np.testing.assert_allclose(found, expected, rtol=1e-6)
