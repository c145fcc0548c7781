"""Another kind of problem is one class: ingest, the split and the comparison take it as it is."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression

from pipeline.errors import UserError
from pipeline.evaluation.comparison import compare
from pipeline.ingest import card, checked, summary
from pipeline.problems import Predictions, Problem, in_module, metric
from pipeline.sources.examples import Source, meta_of
from pipeline.sources.split import split


@dataclass(frozen=True)
class Amounts(Predictions):
    predicted: np.ndarray


@metric(greater_is_better=False)
def mae(predictions, weights):
    return weights @ np.abs(predictions.predicted - predictions.actual) / weights.sum(1)


@metric("price", greater_is_better=False)
def cost(predictions, weights):
    error = np.abs(predictions.predicted - predictions.actual)
    return weights @ (error * predictions.meta["price"])


@dataclass(frozen=True)
class Amount(Problem):
    loss: ClassVar[str] = "squared_error"
    METRICS: ClassVar = in_module(globals())

    def checked(self, target):
        numbers = pd.to_numeric(target, errors="coerce")
        if numbers.isna().any():
            example = numbers.index[numbers.isna()][0]
            raise UserError(f"column 'label', example {example}: '{target[example]}' is no number")
        return numbers

    def check_enough(self, examples, needed, advice):
        if examples["group"].nunique() < needed:
            raise UserError(f"too few examples: {advice(len(examples))}")

    def strata(self, examples):
        return pd.qcut(examples["label"], 4, labels=False).to_numpy()

    def check_parts(self, parts, advice):
        pass

    def describe(self, train):
        return {"mean": float(train["label"].mean())}

    def summarize(self, examples):
        return {"mean": float(examples["label"].mean())}

    def headline(self, examples):
        return f"mean {examples['label'].mean():.1f}"

    def check_estimator(self, estimator):
        pass

    def outputs(self, estimator, X):
        return estimator.predict(X)

    def decide(self, predictions):
        return {}

    def predictions(self, target, outputs, meta, decision=None):
        return Amounts(target, outputs, meta=meta)

    def frame(self, outputs, decision):
        return pd.DataFrame({"label": outputs})

    def columns(self):
        return {"label": "double"}

    def plot_data(self, predictions):
        return {}

    def figure(self, title, predictions):
        raise NotImplementedError


def test_a_kind_of_numbers_goes_from_source_to_board():
    x = np.random.default_rng(0).normal(size=200)
    ids = [f"e{i}" for i in range(200)]
    examples = pd.DataFrame({"example_id": ids, "x": x, "label": 3 * x + 1, "group": ids})
    examples["label"] = examples["label"].map("{:.6f}".format)  # texts, as a file gives them
    examples["meta:price"] = 2.0
    kind = Amount("mae", ("mae", "cost"))
    source = Source(examples, [])

    sound, _, _, dropped = checked(source, kind)
    parts = split(sound, 0.2, 0.25, 0, kind)
    written = card(source, kind, parts, dropped)
    known = kind.on(written["target"])
    train, test = parts["train"], parts["test"]
    models = {"line": LinearRegression(), "flat": LinearRegression()}
    models["line"].fit(train[["x"]], train["label"])
    models["flat"].fit(train[["x"]] * 0, train["label"])
    predictions = {
        name: known.predictions(
            test["label"].to_numpy(), known.outputs(model, test[["x"]]), meta_of(test)
        )
        for name, model in models.items()
    }
    board = compare(predictions, known.deciding, known.reported, 0, 200)

    assert summary("lines", kind, parts, {}).startswith("lines: mean ")
    assert board.index.tolist() == ["line", "flat"]
    assert board.loc["line", "mae"] == pytest.approx(0, abs=1e-5)
    assert board.loc["flat", "cost"] == pytest.approx(board.loc["flat", "mae"] * 2 * len(test))
    assert (board["behind"] >= 0).all()
    assert len(set(test["meta:stratum"])) == 4


def test_a_target_of_another_kind_is_told_by_example():
    examples = pd.DataFrame({"example_id": ["e0"], "x": [1.0], "label": ["red"], "group": ["g"]})

    with pytest.raises(UserError, match="example e0: 'red' is no number"):
        checked(Source(examples, []), Amount())
