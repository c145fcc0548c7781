"""Real books: what is learned holds for authors that were never seen, the rule does not."""

import pandas as pd


def test_learning_beats_counting_words_on_unseen_authors(warm, gutenberg):
    for command in (
        ("featurize", "~task.views.raw"),
        ("train", "model=baseline"),
        ("train", "model=logistic_regression"),
        ("evaluate", "models=[baseline,logistic_regression]"),
    ):
        stage, *overrides = command
        gutenberg.must_warm(warm, f"pipeline.{stage}", "task=genre_gutenberg", *overrides)
    board = gutenberg.root / "reports" / "genre_gutenberg" / "leaderboard.csv"
    scores = pd.read_csv(board).set_index("model")["f1_macro"]
    assert scores["logistic_regression"] >= 0.83
    assert scores["baseline"] < 0.45
