"""The time of a warning, by hand."""

import numpy as np

from pipeline.problems.classification import ClassPredictions
from pipeline.tasks.turbofan.metrics import warning_time


def test_warning_time_is_that_of_the_first_right_alarm_of_engines_that_need_one():
    # Engine a: a false alarm 50 before the end, right ones at 20 and 10; b: missed; c: no need.
    engine = np.array(["a", "a", "a", "a", "b", "c", "c"])
    left = np.array([50.0, 30.0, 20.0, 10.0, 5.0, 90.0, 89.0])
    actual = np.array([0, 1, 1, 1, 1, 0, 0])
    alarm = np.array([1, 0, 1, 1, 0, 1, 0])
    meta = {"group": engine, "time_to_event": left}
    answers = ClassPredictions(actual, np.eye(2)[alarm], 1, meta=meta)
    # once each; engine a twice and b never; c alone
    weights = np.array([[1, 1, 1], [2, 0, 1], [0, 0, 3]])[:, [0, 0, 0, 0, 1, 2, 2]] * 1.0

    found = warning_time(answers, weights)

    np.testing.assert_allclose(found, [10, 20, np.nan])


def test_one_example_an_engine_has_no_first_alarm():
    alarm = np.array([1, 0])
    meta = {"group": np.array(["a", "b"]), "time_to_event": alarm}
    answers = ClassPredictions(alarm, np.eye(2)[alarm], 1, meta=meta)

    assert np.isnan(warning_time(answers, np.ones((3, 2)))).tolist() == [True] * 3
