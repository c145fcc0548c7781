"""A kind of problem that the project does not have: amounts, predicted by numbers."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from sklearn.linear_model import Ridge
from sklearn.tree import DecisionTreeRegressor

from pipeline.errors import ModelError, UserError
from pipeline.problems import Predictions, Problem, metric, metrics_in


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
    mean_metric: ClassVar[str] = "mae"
    METRICS: ClassVar = metrics_in(globals())
    PLOTS: ClassVar = (
        {
            "name": "points",
            "title": "Predictions on test",
            "form": "points",
            "x": "actual",
            "y": "predicted",
        },
    )

    def check_target(self, target):
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

    def check_parts(self, parts, advice, in_time):
        pass

    def describe(self, train):
        return {"mean": float(train["label"].mean())}

    def summarize(self, examples):
        return {"mean": float(examples["label"].mean())}

    def headline(self, examples):
        return f"mean {examples['label'].mean():.1f}"

    def check_estimator(self, estimator):
        if not hasattr(estimator, "predict"):
            raise ModelError(f"{type(estimator).__name__} has no predict")

    def outputs(self, estimator, X):
        return np.asarray(estimator.predict(X), dtype=float)

    def decide(self, predictions):
        return {}

    def predictions(self, target, outputs, meta, decision=None):
        return Amounts(target, outputs, meta=meta)

    def frame(self, outputs, decision):
        return pd.DataFrame({"label": outputs})

    def columns(self):
        return {"label": "double"}

    def concatenate(self, parts):
        actual, predicted = (
            np.concatenate([getattr(part, name) for part in parts])
            for name in ("actual", "predicted")
        )
        meta = {n: np.concatenate([part.meta[n] for part in parts]) for n in parts[0].meta}
        return Amounts(actual, predicted, meta=meta)

    def misses(self, predictions):
        error = np.abs(predictions.predicted - predictions.actual)
        return np.where(error > np.quantile(error, 0.9), error, 0)

    def control(self, sparse):
        return Ridge() if sparse else DecisionTreeRegressor(max_leaf_nodes=16, random_state=0)

    def plot_data(self, predictions):
        points = {"actual": predictions.actual, "predicted": predictions.predicted}
        return {"points": pd.DataFrame(points)}

    def figure(self, title, predictions):
        figure = Figure()
        axes = figure.subplots()
        axes.plot(predictions.actual, predictions.predicted, ".")
        axes.set_title(title)
        return figure
