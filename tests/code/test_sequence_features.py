"""Views of sequences, against other libraries and brute force."""

import numpy as np
import pandas as pd
import pytest

from pipeline import storage
from pipeline.errors import UserError
from pipeline.features.sequence import (
    SequenceStatistics,
    SequenceWindows,
    engineered,
    last_readings,
)

RNG = np.random.default_rng(0)
LENGTHS = [1, 2, 5, 8, 9, 30, 4]
WINDOW = 8


def histories(lengths=LENGTHS) -> pd.DataFrame:
    """Make sequences of two sensors that move, around one that does not."""
    return pd.DataFrame(
        {
            "speed": [RNG.normal(9000, 20, n) for n in lengths],
            "demand": [np.full(n, 518.67) for n in lengths],
            "pressure": [RNG.normal(0.03, 0.001, n) for n in lengths],
        }
    )


def filled(sequence, window=WINDOW) -> np.ndarray:
    """Fill up one sequence in front with its first number, or cut it."""
    last = list(sequence)[-window:]
    return np.array([last[0]] * (window - len(last)) + last)


@pytest.mark.parametrize("window", [1, 2, 8, 40])
def test_sequences_end_together_and_begin_with_their_first_number(window):
    column = histories()["speed"]

    found = last_readings(column, window)

    np.testing.assert_array_equal(found, [filled(one, window) for one in column])


def test_lists_arrays_and_integers_are_alike():
    column = pd.Series([[1, 2, 3], np.array([1.0, 2.0, 3.0]), np.array([1, 2, 3])])

    assert last_readings(column, 4).tolist() == [[1, 1, 2, 3]] * 3


@pytest.mark.parametrize("odd", [1e300, -1e300])
def test_a_reading_off_any_scale_has_finite_numbers(odd):
    X = histories()
    broken = X.assign(speed=[[9000.0, odd]] * len(X))
    for view in (engineered(WINDOW, 3), SequenceWindows(WINDOW)):
        assert np.isfinite(view.fit(X).transform(broken)).all()
        assert np.isfinite(view.fit_transform(pd.concat([X, broken]))).all()


def test_statistics_are_those_of_numpy_and_pandas():
    X = histories()

    found = SequenceStatistics(WINDOW, halflife=3).fit(X).transform(X)

    statistics = (
        lambda s: s[-1],
        np.mean,
        lambda s: np.polyfit(range(WINDOW), s, 1)[0],
        np.std,
        lambda s: pd.Series(s).ewm(halflife=3).mean().iloc[-1],
    )
    expected = [
        [statistic(filled(one)) for one in X[name]]
        for statistic in statistics
        for name in ("speed", "pressure")
    ]
    np.testing.assert_allclose(found, np.transpose(expected), rtol=1e-7, atol=1e-9)


def test_a_window_of_one_has_no_slope_and_no_spread():
    X = histories()

    found = SequenceStatistics(1, halflife=3).fit(X).transform(X)

    last = np.array([[one[-1] for one in X[name]] for name in ("speed", "pressure")]).T
    np.testing.assert_allclose(found, np.hstack([last, last, 0 * last, 0 * last, last]))


def test_engineered_columns_are_standardised_in_training():
    X = histories(LENGTHS * 20)

    found = engineered(WINDOW, halflife=3).fit_transform(X)

    np.testing.assert_allclose(found.mean(0), 0, atol=1e-6)
    np.testing.assert_allclose(found.std(0), 1, atol=1e-5)


def test_windows_are_standardised_by_the_training_examples():
    X, new = histories(), histories([3, 20])
    training = np.array([[filled(one) for one in X[name]] for name in ("speed", "pressure")])
    mean, scale = training.mean((1, 2)), training.std((1, 2))

    found = SequenceWindows(WINDOW).fit(X).transform(new)

    assert found.shape == (2, WINDOW, 2)
    assert found.dtype == np.float32
    for channel, name in enumerate(("speed", "pressure")):
        for row in range(2):
            expected = (filled(new[name][row]) - mean[channel]) / scale[channel]
            np.testing.assert_allclose(found[row, :, channel], expected, rtol=1e-4, atol=1e-4)


VIEWS = [engineered(WINDOW, 3), SequenceWindows(WINDOW)]


@pytest.mark.parametrize("view", VIEWS, ids=["statistics", "windows"])
def test_a_short_history_is_one_that_stood_still_before(view):
    X = histories(LENGTHS * 3)
    filled_up = X.map(filled)

    view.fit(X)

    np.testing.assert_array_equal(view.transform(X), view.transform(filled_up))


@pytest.mark.parametrize("view", VIEWS, ids=["statistics", "windows"])
def test_what_is_constant_in_training_is_left_out_even_if_it_moves_later(view):
    X = histories()
    later = X.assign(demand=X["speed"])

    view.fit(X)

    np.testing.assert_array_equal(view.transform(later), view.transform(X))


@pytest.mark.parametrize("view", VIEWS, ids=["statistics", "windows"])
def test_nothing_but_constants_is_refused(view):
    with pytest.raises(UserError, match="every input is constant"):
        view.fit(histories()[["demand"]])


@pytest.mark.parametrize("view", VIEWS, ids=["statistics", "windows"])
def test_a_view_read_back_sees_the_same(view, tmp_path):
    X = histories()
    view.fit(X)
    storage.dump(view, tmp_path / "view.skops")

    again = storage.load(tmp_path / "view.skops")

    np.testing.assert_array_equal(again.transform(X), view.transform(X))
    assert again.feature_names_in_.tolist() == ["speed", "demand", "pressure"]


@pytest.mark.parametrize(
    ("view", "message"),
    [
        (SequenceWindows(0), "window: 0 is not at least 1"),
        (SequenceStatistics(0, halflife=3), "window: 0 is not at least 1"),
        (SequenceStatistics(5, halflife=0), "halflife: 0 is not above 0"),
    ],
)
def test_settings_out_of_range_are_reported(view, message):
    with pytest.raises(ValueError, match=message):
        view.fit(histories())
