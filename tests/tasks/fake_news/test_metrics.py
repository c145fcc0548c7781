"""The score of the challenge against its rules."""

import numpy as np
import pytest

from pipeline.errors import UserError
from pipeline.problems import problem
from pipeline.problems.classification import ClassPredictions
from pipeline.tasks.fake_news.metrics import fnc_score


# The rules of the challenge by example: 0.25 for related or not, 0.75 more for which.
@pytest.mark.parametrize(
    ("actual", "predicted", "points", "most"),
    [
        ("unrelated", "unrelated", 0.25, 0.25),
        ("unrelated", "agree", 0, 0.25),
        ("agree", "unrelated", 0, 1),
        ("agree", "disagree", 0.25, 1),
        ("discuss", "discuss", 1, 1),
    ],
)
def test_fnc_score_gives_the_challenges_points(actual, predicted, points, most):
    classes = ("agree", "disagree", "discuss", "unrelated")
    # A second, perfect answer worth 1 makes shares tell points apart.
    pairs = [(actual, predicted), ("agree", "agree")]
    right = np.array([classes.index(a) for a, _ in pairs])
    given = np.eye(4)[[classes.index(p) for _, p in pairs]]

    found = fnc_score.once(ClassPredictions(right, given, 0, classes=classes))

    assert found == pytest.approx((points + 1) / (most + 1))


def test_the_score_needs_pairs_that_are_unrelated():
    name = "pipeline.tasks.fake_news.metrics.fnc_score"
    asked = problem("classification", {"metric": name, "metrics": [name]})

    with pytest.raises(UserError, match="fnc_score needs a class 'unrelated'"):
        asked.on({"classes": ["agree", "disagree"]})
