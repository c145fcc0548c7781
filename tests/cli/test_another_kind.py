"""A kind of problem of the user's goes all the way: one file, a task, and models for it."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from mlflow.pyfunc import load_model

KIND = Path(__file__).parents[1] / "kinds" / "amount.py"
SOURCE = """\
import numpy as np
import pandas as pd
from pipeline.sources.examples import Source

def read():
    rng = np.random.default_rng(0)
    x, z = rng.normal(size=(2, 1000))
    ids = [f"e{number:03}" for number in range(1000)]
    columns = {"x": x, "z": z, "label": 3 * x + z, "group": ids, "meta:price": 2.0}
    return Source(pd.DataFrame({"example_id": ids} | columns), [])
"""
MODEL = """\
import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin

class Steps(RegressorMixin, BaseEstimator):
    def __init__(self, rate=0.1):
        self.rate = rate

    def fit(self, X, y, validation=None, report=None):
        self.coef_ = np.zeros(X.shape[1])
        for step in range(1, 6):
            self.coef_ += self.rate * X.T @ (y - X @ self.coef_) / len(y)
            error = np.mean((validation[1] - validation[0] @ self.coef_) ** 2)
            report(step, {"validation/squared_error": error})
        return self

    def predict(self, X):
        return X @ self.coef_
"""
TASK = """\
kind: amount
defaults: [base/common]
source: {_target_: pipeline.tasks.lines.source.read}
split: {validation: 0.25}
views: {raw: {_target_: sklearn.preprocessing.StandardScaler}}
metric: mae
metrics: [mae, cost]
"""
MODELS = {
    "line": "_target_: sklearn.linear_model.LinearRegression",
    "steps": "_target_: pipeline.tasks.lines.model.Steps\nrate: 0.1\n"
    "trusted: [pipeline.tasks.lines.model.Steps]",
}


@pytest.fixture(scope="module")
def lines(warm, clone, empty_store, tmp_path_factory):
    """Return the project with a kind, a task and two models more, after all of its stages."""
    project = clone.copy(tmp_path_factory.mktemp("lines") / "bakeoff", empty_store)
    shutil.copy(KIND, project.root / "pipeline" / "problems" / KIND.name)
    own = project.root / "pipeline" / "tasks" / "lines"
    own.mkdir()
    for name, text in {"__init__": '"""Lines."""', "source": SOURCE, "model": MODEL}.items():
        (own / f"{name}.py").write_text(text)
    (project.root / "conf/task/lines.yaml").write_text(TASK)
    for name, text in MODELS.items():
        node = f"family: classical\nview: raw\n{text}\n"
        (project.root / f"conf/model/{name}.yaml").write_text(node)
    (project.root / "params.yaml").write_text(
        "tasks: [lines]\nmodels: [line, steps]\nseed: 0\nsplit_seed: 0\n"
    )
    project.commit()
    (project.root / "data/lines").mkdir()  # where a task has its files
    project.must_dvc(warm, "repro")
    return project


def test_the_board_ranks_by_its_metric(lines):
    reports = lines.root / "reports" / "lines"
    board = pd.read_csv(reports / "leaderboard.csv").set_index("model")
    test = lines.parts("lines")["test"]

    assert board.index.drop("ensemble").tolist() == ["line", "steps"]
    assert board["mae"]["line"] == pytest.approx(0, abs=1e-6)
    assert board["cost"]["steps"] == pytest.approx(board["mae"]["steps"] * 2 * len(test))
    assert board["mae_low"]["steps"] < board["mae"]["steps"] < board["mae_high"]["steps"]
    predicted = pd.read_parquet(reports / "predictions.parquet")
    of_line = predicted[predicted["model"] == "line"]
    np.testing.assert_allclose(of_line["predicted"], test["label"], atol=1e-5)
    plots = reports / "plots"
    assert sorted(path.relative_to(plots).as_posix() for path in plots.rglob("*.csv")) == [
        "learning.csv",
        "points/points.csv",
    ]


def test_dvc_runs_it_and_shows_its_plots(warm, lines):
    assert "up to date" in lines.must_dvc(warm, "status")

    lines.must_dvc(warm, "plots", "show")

    page = (lines.root / "dvc_plots" / "index.html").read_text("utf-8")
    assert "Predictions on test: predicted (up) by actual (right)" in page
    assert page.count('"model": "steps"') > 20


def test_its_loss_is_recorded_under_its_name(lines):
    (run,) = (run for run in lines.runs("lines") if run.info.run_name == "steps")
    manifest = json.loads((lines.root / "models/lines/steps/bundle.json").read_text())
    learning = pd.read_csv(lines.root / "reports/lines/plots/learning.csv")

    assert "curve/validation/squared_error" in run.data.metrics
    assert manifest["kind"] == "amount"
    assert len(manifest["curve"]) == len(learning) == 5
    assert set(learning["curve"]) == {"validation/squared_error"}


def test_a_logged_model_predicts_amounts(lines, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", lines.store)
    monkeypatch.syspath_prepend(".")  # so that sys.path is put back afterwards
    (run,) = (run for run in lines.runs("lines") if run.info.run_name == "line")
    model = load_model(f"runs:/{run.info.run_id}/line")

    found = model.predict(pd.DataFrame({"x": [1.0, 0.0], "z": [0.0, 2.0]}))

    assert found["label"].tolist() == pytest.approx([3, 2], abs=1e-5)
    assert model.metadata.signature.outputs.to_dict() == [
        {"type": "double", "name": "label", "required": True}
    ]


def test_a_search_takes_the_lowest_of_its_metric(warm, lines):
    asked = ["--multirun", "hydra/sweeper=optuna", "task=lines", "model=steps"]
    grid = ["model.rate=0.01,0.2", "sweep.sampler=grid"]

    printed = lines.must_warm(warm, "pipeline.train", *asked, *grid)

    assert "best validation mae" in printed
    assert "in trial 1: rate=0.2" in printed
    trials = [run for run in lines.runs("lines") if "trial" in run.data.tags]
    assert {"curve/validation/squared_error", "validation/mae"} <= set(trials[0].data.metrics)


def test_its_module_is_among_the_code_that_the_settings_name(lines):
    for stage in ("ingest/lines", "train/lines/line", "evaluate/lines"):
        composed = yaml.safe_load((lines.root / f"composed/{stage}.yaml").read_text())
        assert "pipeline/problems/amount.py" in composed["code"]
        assert "pipeline/problems/classification.py" not in composed["code"]
