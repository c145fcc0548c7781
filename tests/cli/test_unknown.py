"""Rows of none of the classes, from a table to what is served, by commands that a user types."""

import json

import numpy as np
import pandas as pd
import pytest

from pipeline import bundle, predictor

NOBODY = "none of them"
TASK = f"""\
defaults:
  - table
source:
  path: rows.csv
  label: who
  group: body
split:
  folds: 2
  repeats: 1
unknown: {NOBODY}
false_acceptance: 0.01
metric: identification_rate
metrics: [identification_rate, false_acceptance_rate, closed_accuracy]
"""
MODELS = ["baseline", "logistic_regression", "lightgbm"]


def rows(seed=0, each=60, strangers=40, photos=5) -> pd.DataFrame:
    """Draw rows of three people around corners, and of strangers between them."""
    rng = np.random.default_rng(seed)
    names = [*["ada", "ben", "eva"] * each, *[NOBODY] * strangers * photos]
    corners = {"ada": (0, 6), "ben": (-6, -6), "eva": (6, -6), NOBODY: (0, -2)}
    points = np.array([corners[name] for name in names]) + rng.normal(size=(len(names), 2)) / 2
    groups = [f"k{row}" for row in range(3 * each)]
    groups += [f"s{person}" for person in range(strangers) for _ in range(photos)]
    return pd.DataFrame({"x": points[:, 0], "y": points[:, 1], "who": names, "body": groups})


@pytest.fixture(scope="module")
def met(clone, warm, empty_store, tmp_path_factory):
    """Return the project after all stages on rows of whom some are of nobody who is known."""
    project = clone.copy(tmp_path_factory.mktemp("met") / "bakeoff", empty_store)
    rows().to_csv(project.root / "rows.csv", index=False)
    (project.root / "conf/task/people.yaml").write_text(TASK)
    said = project.must_warm(warm, "pipeline.ingest", "task=people")
    assert f"3 classes and '{NOBODY}'" in said
    project.must_warm(warm, "pipeline.featurize", "task=people")
    for model in MODELS:
        project.must_warm(warm, "pipeline.train", "task=people", f"model={model}")
    compared = ["task=people", f"models=[{','.join(MODELS)}]"]
    project.must_warm(warm, "pipeline.combine", *compared)
    project.must_warm(warm, "pipeline.evaluate", *compared)
    return project


def test_nobody_learns_what_is_of_none_of_the_classes(met):
    for name in "01":
        parts = met.parts("people", name)
        people = {part: {*few["group"][few["label"] == NOBODY]} for part, few in parts.items()}
        assert {part: len(of_part) for part, of_part in people.items()} == {
            **{"train": 0, "validation": 20, "test": 20}
        }
        assert not people["validation"] & people["test"]
    kept = bundle.read(met.root / "models/people/logistic_regression")
    assert kept["target"]["classes"] == ["ada", "ben", "eva"]


def test_people_far_apart_are_recognised_and_who_is_between_them_is_not(met):
    board = pd.read_csv(met.root / "reports/people/leaderboard.csv").set_index("model")
    best = board.loc["logistic_regression"]
    assert best["identification_rate"] > 0.95
    assert best["closed_accuracy"] == 1
    assert best["false_acceptance_rate"] < 0.05
    # It is as sure of everybody, so that it may accept nobody.
    assert board.loc["baseline", "identification_rate"] == 0
    assert "ensemble" in board.index
    page = (met.root / "reports/people/report.html").read_text(encoding="utf-8")
    assert "identification_rate" in page
    assert "false_acceptance_rate" in page


def test_scores_are_those_of_the_predictions_counted_by_hand(met):
    board = pd.read_csv(met.root / "reports/people/leaderboard.csv").set_index("model")
    predicted = pd.read_parquet(met.root / "reports/people/predictions.parquet")
    for model in [*MODELS, "ensemble"]:
        rates = []
        for _, one in predicted[predicted["model"] == model].groupby("round"):
            known = one["label"] != NOBODY
            chances = one[known].filter(like="probability_")
            likely = chances.idxmax(axis=1).str.removeprefix("probability_")
            rates.append(
                [
                    (one["predicted"] == one["label"])[known].mean(),
                    (one["predicted"] != NOBODY)[~known].mean(),
                    (likely == one["label"][known]).mean(),
                ]
            )
        names = ["identification_rate", "false_acceptance_rate", "closed_accuracy"]
        np.testing.assert_allclose(board.loc[model, names].astype(float), np.mean(rates, axis=0))


def test_a_new_file_is_answered_with_the_label_of_none(met, warm):
    new = rows(seed=1, each=5, strangers=5)
    new.drop(columns=["who", "body"]).to_csv(met.root / "new.csv", index=False)

    asked = ["task=people", "model=logistic_regression", "file=new.csv", "output=answers.csv"]
    met.must_warm(warm, "pipeline.predict", *asked)

    found = pd.read_csv(met.root / "answers.csv")
    assert [name for name in found if name.startswith("probability_")] == [
        *["probability_ada", "probability_ben", "probability_eva"]
    ]
    assert (found["label"] == new["who"]).mean() > 0.9
    assert (found["label"] == NOBODY).sum() > 20
    served = predictor.load(met.root / "models/people/logistic_regression").predict(new)
    assert served["label"].tolist() == found["label"].tolist()


def test_the_decision_of_a_round_is_from_its_validation(met):
    of_round = met.root / "models/people/logistic_regression/rounds/0/0"
    validation = met.parts("people")["validation"]
    strangers = validation[validation["label"] == NOBODY]

    answered = predictor.load(of_round).predict(strangers)

    assert len(strangers) == 100
    assert (answered["label"] == NOBODY).all()
    highest = answered.filter(like="probability_").max(axis=1)
    above = json.loads((of_round / bundle.MANIFEST).read_text())["decision"]["accept_above"]
    assert highest.max() == pytest.approx(above, rel=1e-6)


def test_a_sweep_seeks_what_recognises_most(met, warm):
    swept = ["--multirun", "hydra/sweeper=optuna", "task=people", "model=logistic_regression"]
    grid = ["model.C=0.01,1", "sweep.sampler=grid"]

    said = met.must_warm(warm, "pipeline.train", *swept, *grid)

    assert "identification_rate" in said
