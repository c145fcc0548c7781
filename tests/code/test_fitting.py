"""Fitting any classifier, and timing any answer."""

import functools

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.linear_model import LogisticRegression

from pipeline.errors import UserError
from pipeline.features.store import Numbers
from pipeline.models.fitting import fit, timed
from pipeline.models.neural_net import NeuralNet
from pipeline.models.trees import LightGBM, RandomForest

X = np.random.default_rng(0).normal(size=(60, 3)).astype(np.float32)
Y = np.where(X[:, 0] > 0, "a", "b")
TRAIN, VALIDATION = Numbers(X[:40], Y[:40], Y[:40]), Numbers(X[40:], Y[40:], Y[40:])


@pytest.fixture
def told():
    return []


@pytest.mark.parametrize(
    ("model", "steps"),
    [
        (LogisticRegression(), []),
        (RandomForest(10), list(range(1, 11))),
        (LightGBM(n_estimators=3, verbose=-1), [1, 2, 3]),
        (NeuralNet(max_epochs=2, device="cpu"), [1, 2]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_model_that_tells_its_steps_is_heard(model, steps, told):
    seconds = fit(model, TRAIN, VALIDATION, lambda step, losses: told.append(step))

    assert told == steps
    assert seconds > 0
    assert model.predict(X).shape == (60,)


@pytest.mark.parametrize(
    "model",
    [
        LogisticRegression(C=-1),
        RandomForest(max_features=-1),
        LightGBM(num_leaves=0, verbose=-1),
        NeuralNet(lr=-1, device="cpu"),
        NeuralNet(batch_size=0, device="cpu"),
    ],
    ids=["C", "max_features", "num_leaves", "lr", "batch_size"],
)
def test_a_hyperparameter_out_of_range_is_told(model):
    with pytest.raises(UserError):
        fit(model, TRAIN, VALIDATION, lambda step, losses: None)


@pytest.mark.parametrize("n", [3, 999, 1500])
@pytest.mark.parametrize(
    "form",
    [np.asarray, sparse.csr_matrix, functools.partial(pd.DataFrame, columns=["x"])],
    ids=["array", "sparse", "table"],
)
def test_timed_answers_are_those_of_the_examples(form, n):
    asked = []

    def answer(X):
        asked.append(X.shape[0])
        return np.asarray(X.todense() if sparse.issparse(X) else X)[:, 0] * 2

    answers, milliseconds = timed(answer, form(np.arange(n, dtype=float)[:, np.newaxis]))

    assert answers.tolist() == [2 * i for i in range(n)]
    # Once to warm up, then 1,000 examples at least.
    assert asked == [1, max(n, 1000)]
    assert milliseconds > 0
