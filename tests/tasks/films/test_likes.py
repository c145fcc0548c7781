"""Whether a film will be liked, on the ratings of MovieLens."""

import json

import pandas as pd
import pytest
from mlflow.pyfunc import load_model

from pipeline import predictor

MODELS = ["baseline", "lightgbm", "neural_net"]


@pytest.fixture(scope="module")
def shown(warm, films_like):
    """Return the project with models trained and evaluated; the network for three epochs only."""
    films_like.edit("conf/task/films_like.yaml", "max_epochs: 30", "max_epochs: 3")
    films_like.edit("conf/task/films_like.yaml", "learning_rate: 0.03", "learning_rate: 0.1")
    for stage, *overrides in (
        ("featurize",),
        *(("train", f"model={model}") for model in MODELS),
        ("evaluate", f"models=[{','.join(MODELS)}]"),
    ):
        films_like.must_warm(warm, f"pipeline.{stage}", "task=films_like", *overrides)
    return films_like


def test_what_was_appended_to_the_file_is_left_out(films_like):
    """MovieLens' README: 100,836 ratings of 610 users."""
    parts = pd.concat(films_like.parts("films_like").values())

    assert len(parts) == 100_836
    assert parts["user"].nunique() == 610
    assert parts["film"].nunique() == 9_724


def test_the_test_is_the_latest_fifth(films_like):
    parts = films_like.parts("films_like")

    assert parts["train"]["time"].max() < parts["validation"]["time"].min()
    assert parts["validation"]["time"].max() < parts["test"]["time"].min()
    assert len(parts["test"]) == pytest.approx(100_836 / 5, rel=0.01)


def test_models_know_better_than_the_means(shown):
    scores = {
        model: json.loads((shown.root / f"reports/films_like/metrics/{model}.json").read_text())
        for model in MODELS
    }

    auc = {model: one["test"]["roc_auc"] for model, one in scores.items()}
    assert auc["baseline"] == pytest.approx(0.80, abs=0.01)
    assert min(auc["lightgbm"], auc["neural_net"]) > 0.83


@pytest.mark.parametrize("model", MODELS)
def test_a_logged_model_answers_for_a_film_and_a_user_never_seen(shown, model, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", shown.store)
    monkeypatch.syspath_prepend(".")  # so that sys.path is put back afterwards
    (run,) = (run for run in shown.runs("films_like") if run.info.run_name == model)
    logged = load_model(f"runs:/{run.info.run_id}/{model}")
    trained = predictor.load(shown.root / "models/films_like" / model)
    known = shown.parts("films_like")["test"].head(2)[list(trained.inputs)]
    nothing = dict.fromkeys(known) | {"user": "new", "film": "new", "user_count": 0}
    sent = pd.concat([known, pd.DataFrame([nothing | {"film_count": 0}]).astype(known.dtypes)])

    found = logged.predict(sent)

    assert found["label"].isin(["yes", "no"]).all()
    assert found.filter(like="probability").sum(axis=1).tolist() == pytest.approx([1, 1, 1])
