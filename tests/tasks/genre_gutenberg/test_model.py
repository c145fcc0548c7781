"""Real books: what is learned holds for authors that were never seen, the rule does not."""

import urllib.parse

import numpy as np
import pandas as pd
import yaml

from pipeline import predictor
from pipeline.features.text import token_ids


def test_the_networks_read_all_of_every_passage(gutenberg):
    base = yaml.safe_load((gutenberg.root / "conf/task/base/text.yaml").read_text())
    passages = pd.concat(gutenberg.parts("genre_gutenberg").values())[["text"]]

    view = token_ids(base["views"]["raw"]["max_length"], min_texts=3).fit(passages)

    assert view[-1].unread_ == 0


def test_learning_beats_counting_words_on_unseen_authors(warm, gutenberg, mirror):
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
    assert scores["logistic_regression"] >= 0.85
    assert scores["baseline"] < 0.45

    # Passages as they are in the files, sent to the trained model.
    test = gutenberg.parts("genre_gutenberg")["test"]
    assert test["text"].str.contains("\r\n").any()
    manifest = pd.read_csv(gutenberg.root / "data/genre_gutenberg/manifest.csv", dtype=str)
    for book in manifest.itertuples():
        url = urllib.parse.urlsplit(book.url)
        whole = (mirror / url.netloc / url.path[1:]).read_bytes().decode(book.encoding)
        of_it = test["text"][test["example_id"].str.startswith(f"{book.gutenberg_id}-")]
        assert all(passage in whole for passage in of_it)
    predictions = pd.read_parquet(gutenberg.root / "reports/genre_gutenberg/predictions.parquet")
    of_round = (predictions["model"] == "logistic_regression") & (predictions["round"] == "0")
    expected = predictions[of_round]
    model = gutenberg.root / "models/genre_gutenberg/logistic_regression"
    trained = predictor.load(model / "rounds/0/0")
    np.testing.assert_array_equal(
        trained.outputs(test[["text"]]), expected.filter(like="probability_")
    )
