"""What a board says about how settings were found."""

import pytest

from pipeline.evaluation.tuning import describe_tuning


@pytest.mark.parametrize(
    ("tuned", "text"),
    [
        ({}, "defaults"),
        ({"trials": 30, "seconds": 588}, "30 trials, 9.8 min"),
        ({"trials": 1, "seconds": 4.4}, "1 trial, 4 s"),
        ({"trials": 1000, "seconds": 5400.0}, "1,000 trials, 1.5 h"),
    ],
)
def test_a_search_is_described_by_its_trials_and_time(tuned, text):
    assert describe_tuning(tuned) == text
