"""A limit on the time of all fits of a model: how it is shared, and how models end a fit."""

import importlib
import time

import numpy as np
import pytest

from pipeline.config.settling import parse_duration
from pipeline.errors import ModelError, UserError
from pipeline.models.fitting import TimeLimit
from pipeline.models.neural_net import NeuralNet
from pipeline.models.trees import ExtraTrees, LightGBM, RandomForest
from pipeline.train import Curve

RNG = np.random.default_rng(0)
X = RNG.normal(size=(80, 3)).astype(np.float32)
Y = (X[:, 0] + RNG.normal(size=80) > 0).astype(int)


@pytest.mark.parametrize(
    ("duration", "seconds"),
    [(None, None), (90, 90), (0.5, 0.5), ("90s", 90), ("10m", 600), ("1.5h", 5400)],
)
def test_a_duration_is_in_seconds(duration, seconds):
    assert parse_duration("sweep.budget", duration) == seconds


@pytest.mark.parametrize("duration", ["m", "10 d", "-5", 0, "0m", True, "inf", "1e3"])
def test_what_is_no_duration_is_refused(duration):
    with pytest.raises(UserError, match=r"task\.time_limit: .* is no duration"):
        parse_duration("task.time_limit", duration)


@pytest.fixture
def clock(monkeypatch):
    """Return a clock that stands still: a list with its time."""
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def test_what_a_fit_leaves_over_is_shared_by_those_after_it(clock):
    limit = TimeLimit(60, 3)
    assert limit.next_end() == 120
    clock[0] = 110  # 50 s are left for two
    assert limit.next_end() == 135
    clock[0] = 159
    assert limit.next_end() == 160


def test_without_time_left_a_model_fails_and_says_how_far_it_came(clock):
    limit = TimeLimit(60, 3)
    limit.next_end()
    clock[0] = 160
    with pytest.raises(ModelError, match=r"60 s is over after 1 of 3 fits: raise task\.time_limit"):
        limit.next_end()


def test_without_a_limit_a_fit_never_has_to_end(clock):
    limit = TimeLimit(None, 1)
    clock[0] = 1e9
    assert limit.next_end() == np.inf


def test_a_curve_ends_a_fit_when_its_time_is_over(clock):
    losses = {"validation/log_loss": 0.5}
    curve = Curve(None, "x", None, "log_loss", end=110)
    with curve.bar:
        assert not curve.add(1, losses)
        clock[0] = 110
        assert curve.add(2, losses)
        assert curve.ended
        # a model that cannot end a fit goes on, and was not ended
        curve.add(3, losses)
        assert not curve.ended


def extra(module, name, **params):
    """Return a function that builds a model of an extra."""
    marks = pytest.mark.extra("ebm" if module == "ebm" else module)

    def build():
        return getattr(importlib.import_module(f"pipeline.models.{module}"), name)(**params)

    return pytest.param(build, marks=marks, id=module)


@pytest.mark.parametrize(
    "build",
    [
        pytest.param(lambda: LightGBM(n_estimators=30, verbose=-1), id="lightgbm"),
        pytest.param(lambda: RandomForest(n_estimators=30), id="random_forest"),
        pytest.param(lambda: ExtraTrees(n_estimators=30), id="extra_trees"),
        pytest.param(lambda: NeuralNet(max_epochs=30, device="cpu"), id="neural_net"),
        extra("xgboost", "XGBoost", n_estimators=30),
        extra("catboost", "CatBoost", n_estimators=30, verbose=False, allow_writing_files=False),
    ],
)
def test_a_model_ends_its_fit_when_it_is_told_to_and_predicts(build):
    steps = []

    def report(step, losses):
        steps.append(step)
        return len(steps) == 3

    model = build().fit(X[:60], Y[:60], validation=(X[60:], Y[60:]), report=report)

    assert len(steps) == 3
    assert model.predict_proba(X).shape == (80, 2)


def test_lightgbm_keeps_its_best_round():
    losses = []

    def report(step, found):
        losses.append(found["validation/log_loss"])
        return step == 25

    # so fast that validation soon gets worse
    model = LightGBM(n_estimators=99, learning_rate=0.9, min_child_samples=2, verbose=-1)
    model.fit(X[:60], Y[:60], validation=(X[60:], Y[60:]), report=report)

    assert len(losses) == 25
    assert model.best_iteration_ == np.argmin(losses) + 1 < 25
