"""Leaves from the original photo to the answer, as evaluate gave it, and the control beside it."""

import json
import urllib.parse

import numpy as np
import pandas as pd
import pytest
from mlflow.pyfunc import load_model

from pipeline import predictor

MODELS = ["baseline", "logistic_regression", "neural_net"]


@pytest.fixture(scope="module")
def grown(warm, downloaded):
    """Return the project after all stages, in one round, and the network with few epochs."""
    project = downloaded("leaf_disease", "task.split.folds=null")
    project.edit("conf/architecture/image_resnet.yaml", "max_epochs: 40", "max_epochs: 2")
    for stage, *overrides in (
        ("featurize",),
        *(("train", f"model={model}") for model in MODELS),
        ("evaluate", f"models=[{','.join(MODELS)}]"),
    ):
        project.must_warm(warm, f"pipeline.{stage}", "task=leaf_disease", *overrides)
    return project


@pytest.fixture(scope="module")
def board(grown):
    return json.loads((grown.root / "reports/leaf_disease/board.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def originals(grown, mirror) -> pd.DataFrame:
    """Return the files of the test photos, as a user would send them."""
    manifest = pd.read_csv(grown.root / "data/leaf_disease/manifest.csv", index_col="example_id")
    test = pd.read_parquet(grown.root / "data/ingested/leaf_disease/test.parquet")
    urls = manifest["url"][test["example_id"]].map(urllib.parse.urlsplit)
    files = [mirror / url.netloc / urllib.parse.unquote(url.path[1:]) for url in urls]
    return pd.DataFrame({"image": [file.read_bytes() for file in files]})


@pytest.mark.parametrize("model", MODELS)
def test_an_original_photo_has_the_probabilities_of_evaluate(grown, originals, model):
    found = predictor.load(grown.root / "models/leaf_disease" / model).outputs(originals)

    predictions = pd.read_parquet(grown.root / "reports/leaf_disease/predictions.parquet")
    expected = predictions[(predictions["model"] == model) & (predictions["part"] == "test")]
    np.testing.assert_array_equal(found, expected.filter(like="probability_"))


def test_the_logged_model_answers_an_original_photo(grown, originals, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", grown.store)
    monkeypatch.syspath_prepend(".")  # so that sys.path is put back afterwards
    (run,) = (r for r in grown.runs("leaf_disease") if r.info.run_name == "logistic_regression")
    served = load_model(f"runs:/{run.info.run_id}/logistic_regression")

    answers = served.predict(originals.head(20))

    trained = predictor.load(grown.root / "models/leaf_disease/logistic_regression")
    np.testing.assert_array_equal(answers.iloc[:, 1:], trained.outputs(originals.head(20)))


def test_colour_and_texture_tell_leaves_apart(board):
    assert board["models"]["logistic_regression"]["scores"]["accuracy"]["score"] > 0.88


def test_the_border_alone_tells_more_than_chance_but_less(board):
    controls = {row["name"]: row["score"] for row in board["controls"]}

    assert controls["nothing"] < 0.45
    assert 0.6 < controls["border_only"] < 0.92


def test_the_verdict_says_what_is_left_without_the_background(board):
    rows = {row["model"]: row["accuracy"] for row in board["slices"]["leaf_only"]["rows"]}
    take = board["verdict"]["take"]

    assert board["slices"]["leaf_only"]["examples"] == 92
    assert (
        f"On leaf_only, {take} has accuracy {rows[take]:.3f}" in board["verdict"]["sentences"][-1]
    )


def test_the_page_shows_photos_within_its_size(grown, board):
    page = (grown.root / "reports/leaf_disease/report.html").read_text("utf-8")

    assert 6 <= len(board["photos"]) <= 16
    for photo in board["photos"]:
        assert [one["name"] for one in photo["variants"]] == ["leaf_only"]
        assert photo["photo"] in page
    assert len(page) < 1_000_000
