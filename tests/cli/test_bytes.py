"""Examples of bytes, such as images, go all the way: from ingest to a served model."""

import base64
import json

import numpy as np
import pandas as pd
import pytest
from mlflow.pyfunc import load_model
from mlflow.pyfunc.scoring_server import infer_and_parse_data

SOURCE = """\
import numpy as np
import pandas as pd
from pipeline.sources.examples import Source

def read():
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (120, 16)).astype(np.uint8)
    label = np.where(pixels.mean(1) > 127, "bright", "dark")
    ids = [f"e{number:03}" for number in range(120)]
    images = [row.tobytes() for row in pixels]
    columns = {"example_id": ids, "image": images, "label": label, "group": ids}
    return Source(pd.DataFrame(columns), [])
"""
VIEW = """\
import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin

class Pixels(TransformerMixin, BaseEstimator):
    def fit(self, X, y=None):
        return self

    def transform(self, X):
        rows = [np.frombuffer(image, np.uint8) for image in X["image"]]
        return np.array(rows, np.float32).reshape(-1, 16) / 255
"""
TASK = """\
defaults:
  - base/classification
source: {_target_: pipeline.tasks.dots.source.read}
views:
  engineered: {_target_: pipeline.tasks.dots.view.Pixels}
"""


@pytest.fixture(scope="module")
def dots(warm, clone, empty_store, tmp_path_factory):
    """Return the project with a task of images of 4 by 4 pixels, after all of its stages."""
    project = clone.copy(tmp_path_factory.mktemp("dots") / "bakeoff", empty_store)
    own = project.root / "pipeline" / "tasks" / "dots"
    own.mkdir()
    for name, text in {"__init__": '"""Dots."""\n', "source": SOURCE, "view": VIEW}.items():
        (own / f"{name}.py").write_text(text)
    (project.root / "conf/task/dots.yaml").write_text(TASK)
    project.commit()
    model = "logistic_regression"
    for stage in ("ingest", "featurize", f"train model={model}", f"evaluate models=[{model}]"):
        name, *choices = stage.split()
        project.must_warm(warm, f"pipeline.{name}", "task=dots", *choices)
    return project


@pytest.fixture
def images(dots):
    return dots.parts("dots")["test"]


def test_ingest_keeps_every_byte(images):
    assert images["image"].map(type).eq(bytes).all()
    pixels = np.array([np.frombuffer(image, np.uint8) for image in images["image"]])
    assert (np.where(pixels.mean(1) > 127, "bright", "dark") == images["label"]).all()


def test_the_kind_and_an_example_in_base64_are_part_of_the_model(dots):
    manifest = json.loads((dots.root / "models/dots/logistic_regression/bundle.json").read_text())
    first = dots.parts("dots")["train"]["image"][0]

    assert manifest["inputs"] == {"image": "binary"}
    assert base64.b64decode(manifest["example"][0]["image"]) == first


def test_the_logged_model_predicts_from_bytes_and_from_json_as_evaluate_did(
    dots, images, monkeypatch
):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", dots.store)
    monkeypatch.syspath_prepend(".")  # so that sys.path is put back afterwards
    (run,) = (run for run in dots.runs("dots") if run.info.run_name == "logistic_regression")
    served = load_model(f"runs:/{run.info.run_id}/logistic_regression")
    records = [{"image": base64.b64encode(image).decode()} for image in images["image"]]
    request = json.loads(json.dumps({"dataframe_records": records}))
    predicted = pd.read_parquet(dots.root / "reports/dots/predictions.parquet")

    of_json = served.predict(
        infer_and_parse_data(request, schema=served.metadata.get_input_schema())
    )
    of_bytes = served.predict(images[["image"]])

    pd.testing.assert_frame_equal(of_json, of_bytes)
    for name in ("bright", "dark"):
        expected = predicted[f"probability_{name}"]
        np.testing.assert_allclose(of_bytes[f"probability_{name}"], expected, atol=1e-6)
    assert (of_bytes["label"] == images["label"]).mean() > 0.8
