"""Headlines and articles that no model has seen: does one agree with the other?"""

import numpy as np
import pandas as pd
import pytest

from pipeline import predictor

ARTICLE = (
    "Police in the town of Varn have found the missing ferry captain alive. "
    "A fisherman saw him on an island on Sunday, officials said. "
    "The captain, who was missing for a week, is well."
)


@pytest.fixture(scope="module")
def judged(warm, fake_news):
    """Return the project with two models trained on the engineered view and evaluated."""
    fake_news.edit("conf/model/lightgbm.yaml", "n_estimators: 500", "n_estimators: 100")
    for stage, *overrides in (
        ("featurize", "~task.views.raw"),
        ("train", "model=baseline"),
        ("train", "model=lightgbm"),
        ("evaluate", "models=[baseline,lightgbm]", "resamples=100"),
    ):
        fake_news.must_warm(warm, f"pipeline.{stage}", "task=fake_news", *overrides)
    return fake_news


@pytest.fixture(scope="module")
def board(judged) -> pd.DataFrame:
    return pd.read_csv(judged.root / "reports/fake_news/leaderboard.csv").set_index("model")


def test_lightgbm_beats_the_official_baseline_on_the_official_test(board):
    """The challenge's own baseline reached 75.20 %."""
    assert board["fnc_score"]["lightgbm"] > 0.78


def test_the_stance_of_most_expected_points_has_the_official_score_of_discuss(board):
    """A quarter for each of 7,064 related pairs, and the rest for 4,464 that discuss."""
    assert board["fnc_score"]["baseline"] == pytest.approx((7064 / 4 + 4464 * 3 / 4) / 11651.25)


def test_headlines_of_another_topic_are_unrelated(judged):
    headlines = {
        "Missing ferry captain found alive on island": "related",
        "Ferry captain of Varn is alive, officials say": "related",
        "Apple to sell a watch made of gold": "unrelated",
        "Giant crab seen in English harbour": "unrelated",
    }
    trained = predictor.load(judged.root / "models/fake_news/lightgbm")

    answers = trained.predict(pd.DataFrame({"headline": list(headlines), "body": ARTICLE}))

    found = answers["label"].where(answers["label"] == "unrelated", "related")
    assert found.tolist() == list(headlines.values())


def test_pairs_of_the_challenges_files_have_the_probabilities_of_evaluate(judged, mirror):
    stances, bodies = (
        pd.read_csv(next(mirror.rglob(f"competition_test_{name}.csv")))
        for name in ("stances", "bodies")
    )
    pairs = stances.merge(bodies, how="left", on="Body ID")
    sent = pairs.rename(columns={"Headline": "headline", "articleBody": "body"})

    found = predictor.load(judged.root / "models/fake_news/lightgbm").outputs(sent)

    predictions = pd.read_parquet(judged.root / "reports/fake_news/predictions.parquet")
    expected = predictions[predictions["model"] == "lightgbm"].filter(like="probability_")
    np.testing.assert_array_equal(found, expected)


def test_plots_of_25_000_examples_stay_small(judged):
    plots = judged.root / "reports/fake_news/plots"
    files = [path for path in plots.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 300_000
    confusion = pd.read_csv(plots / "matrix/confusion.csv")
    assert confusion.groupby("model")["value"].sum().to_dict() == dict.fromkeys(
        ["baseline", "lightgbm"], 25_413
    )
