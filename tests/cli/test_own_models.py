"""Models that live outside the project: one file in conf/model/ each, trained, compared, served."""

import json

import pandas as pd
import pytest

ESTIMATOR = """\
import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin

class Nearest(ClassifierMixin, BaseEstimator):
    '''Classes by their centres.'''

    def __init__(self, sharpness: float = 1.0):
        self.sharpness = sharpness

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        self.centres_ = np.stack([X[y == label].mean(0) for label in self.classes_])
        return self

    def predict_proba(self, X):
        far = ((X[:, None] - self.centres_) ** 2).mean(2) * self.sharpness
        closeness = np.exp(far.min(1, keepdims=True) - far)
        return closeness / closeness.sum(1, keepdims=True)
"""
NETWORK = """\
import torch

class Wide(torch.nn.Module):
    def __init__(self, n_inputs: int, n_outputs: int, units: int = 32):
        super().__init__()
        first, last = torch.nn.Linear(n_inputs, units), torch.nn.Linear(units, n_outputs)
        self.layers = torch.nn.Sequential(first, torch.nn.Tanh(), last)

    @staticmethod
    def dimensions(X):
        return {"n_inputs": X.shape[1]}

    def forward(self, X):
        return self.layers(X)
"""
KERAS = """\
import keras

def wide(X, n_outputs, units=32):
    inputs = keras.Input(X.shape[1:])
    hidden = keras.layers.Dense(units, activation="tanh")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(n_outputs, activation="softmax")(hidden))
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
    return model
"""
FILES = {
    "nearest": (
        ESTIMATOR,
        "family: classical\nview: engineered\n_target_: outside_nearest.Nearest\nsharpness: 2.0\n"
        "trusted: [outside_nearest.Nearest]\n",
    ),
    "wide": (
        NETWORK,
        "family: deep\nview: raw\n_target_: pipeline.models.neural_net.NeuralNet\n"
        "max_epochs: 15\nlr: 0.01\nrandom_state: ${seed}\ntrusted: [outside_wide.Wide]\n"
        "network: {_target_: outside_wide.Wide, _partial_: true, units: 16}\n",
    ),
    "keras_wide": (
        KERAS,
        "family: deep\nview: raw\n_target_: pipeline.models.keras_net.KerasNet\n"
        "max_epochs: 15\nrandom_state: ${seed}\n"
        "build: {_target_: outside_keras_wide.wide, _partial_: true, units: 16}\n",
    ),
}


# Asks the logged model of a run for the first patient, whose tumour is clearly malignant.
ASK = """\
import sys, mlflow, pandas
patients = pandas.read_parquet("data/ingested/breast_cancer/examples.parquet")
runs = mlflow.search_runs(experiment_names=["breast_cancer"], output_format="list")
(run,) = (run for run in runs if run.data.tags.get("model") == sys.argv[1])
(logged,) = mlflow.search_logged_models(
    [run.info.experiment_id],
    filter_string=f"source_run_id = '{run.info.run_id}'",
    output_format="list",
)
served = mlflow.pyfunc.load_model(logged.model_uri)
names = served.metadata.get_input_schema().input_names()
print(served.predict(patients[names].head(1)).iloc[0].to_json())
"""


@pytest.mark.parametrize(
    "models",
    [["nearest", "wide"], pytest.param(["keras_wide"], marks=pytest.mark.extra("keras"))],
    ids=["nearest, wide", "keras_wide"],
)
def test_models_from_elsewhere_are_trained_compared_and_served(warm, reproduced, tmp_path, models):
    elsewhere = {"PYTHONPATH": str(tmp_path), "PYTHONWARNINGS": "ignore"}
    for model in models:
        code, settings = FILES[model]
        (tmp_path / f"outside_{model}.py").write_text(code)
        (reproduced.root / f"conf/model/{model}.yaml").write_text(settings)
    names = "".join(f"  - {model}\n" for model in models)
    reproduced.edit("params.yaml", "  - neural_net\n", names)

    for model in models:
        ask = ["task=breast_cancer", f"model={model}"]
        reproduced.must_warm(warm, "pipeline.train", *ask, **elsewhere)
    reproduced.must_warm(warm, "pipeline.evaluate", "task=breast_cancer", **elsewhere)

    board = pd.read_csv(
        reproduced.root / "reports/breast_cancer/leaderboard.csv", index_col="model"
    )
    # A dummy has 0.5.
    assert (board["roc_auc"][models] > 0.95).all()
    for model in models:
        store = {"MLFLOW_TRACKING_URI": reproduced.store}
        said = reproduced.must("python", "-c", ASK, model, **elsewhere, **store)
        answer = json.loads(said.splitlines()[-1])
        assert answer["label"] == "malignant"
        assert answer["probability_malignant"] > 0.9
