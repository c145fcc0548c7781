"""What films to show: the histories of users, and what models make of them."""

import json

import pandas as pd
import pytest
from mlflow.pyfunc import load_model

from pipeline.errors import UserError
from pipeline.features.history import Histories
from pipeline.models.recommend import EASE, Popularity
from pipeline.paths import ROOT
from pipeline.problems.ranking import Ranking
from pipeline.tasks.films.source import rankings

MODELS = ["baseline", "ease", "lightgbm", "neural_net"]


@pytest.mark.parametrize(
    ("reveal", "shares", "said"),
    [
        (1.0, [0.6, 0.8], r"reveal: 1.0 is not at least 0 and below 1"),
        (0.5, [0.8, 0.6], r"shares: \[0.8, 0.6\] are not two rising shares"),
    ],
)
def test_settings_out_of_range_are_refused(shelf, reveal, shares, said):
    with pytest.raises(UserError, match=said):
        rankings(shelf / "manifest.csv", reveal, shares)


@pytest.fixture(scope="module")
def shown(warm, films):
    """Return the project with models trained and evaluated."""
    for stage, *overrides in (
        ("featurize",),
        *(("train", f"model={model}") for model in MODELS),
        ("evaluate", f"models=[{','.join(MODELS)}]"),
    ):
        films.must_warm(warm, f"pipeline.{stage}", "task=films", *overrides)
    return films


def test_no_one_is_to_be_shown_what_they_have_seen(films):
    for name, part in films.parts("films").items():
        for seen, label in zip(part["seen"], part["label"], strict=True):
            before = set() if seen is None else {int(item) for item in seen}
            assert not before & {int(item) for item in label.split()}, name


def test_each_part_of_the_split_is_one_period(films):
    parts = films.parts("films")

    assert {name: set(part["time"]) for name, part in parts.items()} == {
        "train": {0},
        "validation": {1},
        "test": {2},
    }


def test_a_network_shows_better_films_than_likes_in_common_and_popularity(shown):
    reports = shown.root / "reports/films"
    board = json.loads((reports / "board.json").read_text("utf-8"))

    # Of 116 users 88 have no history. EASE and the baseline show the same to them.
    scores = pd.read_csv(reports / "leaderboard.csv").set_index("model")["ndcg_10"]
    expected = {"neural_net": 0.328, "lightgbm": 0.304, "ease": 0.300, "baseline": 0.298}
    assert scores.to_dict() == pytest.approx(expected, abs=0.015)
    assert board["verdict"]["take"] == "neural_net"
    assert "Deep models beat classical ones" in " ".join(board["verdict"]["sentences"])


def test_the_protocol_is_wherever_a_score_is(shown):
    reports = shown.root / "reports/films"

    (note,) = json.loads((reports / "board.json").read_text("utf-8"))["notes"]

    assert note.startswith("Protocol: candidates are all films that a training user liked, but")
    assert "relevant are films that the user gave 4 stars or more after it" in note
    assert "the history is what the user rated before the test begins. The test is" in note
    for name in ("leaderboard.txt", "report.html", "report.md"):
        assert note in (reports / name).read_text("utf-8").replace("\n", " "), name


def test_ease_is_better_than_popularity_where_half_of_a_history_is_revealed(mirror, monkeypatch):
    monkeypatch.setenv("BAKEOFF_MIRROR", str(mirror))
    examples = rankings(ROOT / "data/films/manifest.csv", 0.5, [0.64, 0.8]).examples
    train, test = (examples[examples["time"] == period] for period in (0, 2))
    view = Histories().fit(train, train["label"])
    kind = Ranking("ndcg_10", ("ndcg_10",)).on({})
    found = {}
    for model in (Popularity(), EASE()):
        model.fit(view.transform(train), train["label"].to_numpy(str))
        outputs = kind.outputs(model, view.transform(test))
        predictions = kind.predictions(test["label"].to_numpy(str), outputs, {})
        found[type(model).__name__] = kind.deciding.once(predictions)

    assert found == pytest.approx({"EASE": 0.130, "Popularity": 0.100}, abs=0.01)


def test_users_are_cut_by_how_much_they_liked_afterwards(shown):
    board = json.loads((shown.root / "reports/films/board.json").read_text("utf-8"))

    (by_label,) = [one for one in board["by"] if one["name"] == "label"]
    names = [row["value"] for row in by_label["rows"]]
    assert set(names) == {"below 5 liked", "5 to 19 liked", "20 liked or more"}


@pytest.mark.parametrize("model", MODELS)
def test_a_logged_model_shows_films_to_anyone(shown, model, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", shown.store)
    monkeypatch.syspath_prepend(".")  # so that sys.path is put back afterwards
    (run,) = (run for run in shown.runs("films") if run.info.run_name == model)
    logged = load_model(f"runs:/{run.info.run_id}/{model}")
    sent = pd.DataFrame({"seen": [[1.0, 2.0], None], "liked": [[1.0], None]})

    found = logged.predict(sent)

    assert found["label"].str.split().str.len().tolist() == [10, 10]
    assert not {"1", "2"} & set(found["label"][0].split())
    assert found["scores"].str.split().str.len().tolist() == [10, 10]


def test_what_is_recommended_has_titles_scores_and_reasons(shown, warm, mirror):
    asked = ["task=films", "user=42", "n=4"]

    printed = shown.must_warm(warm, "pipeline.predict", *asked, BAKEOFF_MIRROR=str(mirror))

    lines = printed.splitlines()
    assert [line.partition(".")[0] for line in lines] == ["1", "2", "3", "4"]
    assert all(", because you liked " in line for line in lines)
    assert "(19" in lines[0]
    scores = [float(line.partition(", because")[0].rpartition(", ")[2]) for line in lines]
    assert scores == sorted(scores, reverse=True)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (["user=9999"], "user: '9999' is unknown; there are 610, such as 1 and 610"),
        (["user=42", "n=0"], "n: 0 is not a whole number from 1 to 9,742, the number of films"),
        (["user=42", "n=9743"], "n: 9743 is not a whole number from 1 to 9,742"),
        ([], "name what to predict, as in file=new.csv, or user=42 to recommend to one"),
        (["user=42", "model=eas"], "model: task films has no trained model 'eas'; did you mean"),
    ],
)
def test_what_cannot_be_recommended_is_said_in_a_line(shown, warm, mirror, asked, said):
    done = shown.warm(warm, "pipeline.predict", "task=films", *asked, BAKEOFF_MIRROR=str(mirror))

    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {said}")
    assert done.stderr.count("\n") == 1
