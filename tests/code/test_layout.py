"""A board, and how it is read on a console."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.evaluation.board import make_board, plain, prices_of, read_rows, test_scores, unbeaten
from pipeline.evaluation.comparison import Comparison
from pipeline.evaluation.layout import (
    console_page,
    format_board,
    format_bytes,
    format_milliseconds,
    format_score,
    format_seconds,
    summarize_tasks,
)
from pipeline.evaluation.verdict import Verdict

test_scores.__test__ = False  # pytest would take it for a test

FAMILIES = {
    "lightgbm": "classical",
    "neural_net": "deep",
    "logistic_regression": "classical",
    "baseline": "baseline",
}
SCORES = pd.DataFrame(
    {
        "f1_macro": [0.9, 0.85, 0.8, 0.3],
        "f1_macro_low": [0.85, 0.8, np.nan, 0.2],
        "f1_macro_high": [0.95, 0.9, np.nan, 0.4],
        "f1_macro_why": ["", "", "too few to tell", ""],
        "f1_macro_undefined": [0.0, 0.0, 0.02, 0.0],
        "f1_macro_sd": [0.01, 0.02, 0.03, 0.04],
        "f1_macro_rounds": [[0.89, 0.91], [0.85, 0.85], [0.7, 0.9], [0.3, 0.3]],
    },
    index=pd.Index(FAMILIES, name="model"),
)
PAIR = {"difference": 0.05, "low": -0.01, "high": 0.12, "decision": "cannot tell"}
COMPARISON = Comparison(
    SCORES,
    pd.DataFrame([{"first": "lightgbm", "second": "neural_net", **PAIR}]),
    pd.DataFrame([{"first": "classical", "second": "deep", **PAIR}]),
    ["lightgbm", "neural_net"],
    pd.Series([0.6, 0.4, 0.0, 0.0], SCORES.index),
    120,
)
VERDICT = Verdict("neural_net", ["lightgbm", "neural_net"], ["Take neural_net.", "It is cheap."])
COSTS = {
    name: {
        "fit_seconds": 1.234,
        "predict_ms": {"1": 0.5, "10": 1.0, "100": milliseconds, "1000": np.nan},
        "model_bytes": 1_250_000,
    }
    for name, milliseconds in zip(FAMILIES, [126.4, 12.64, 12.0, 1.0], strict=True)
}
FACTS = {
    "task": "genre",
    "metric": "f1_macro",
    "metrics": ["f1_macro"],
    "greater_is_better": True,
    "confidence": 0.95,
    "cheapest": "predict",
    "rounds": {"folds": 5, "repeats": 3, "rounds": 15, "seeds": [0, 1], "examples": 1234},
    "models": {
        **{name: {"family": family, "failed": ""} for name, family in FAMILIES.items()},
        "broken": {"family": "deep", "failed": "loss is nan"},
    },
}


@pytest.fixture
def board():
    """Four models, best first, and one that failed."""
    return make_board(FACTS, {"test": COMPARISON}, VERDICT, COSTS, {})


def test_the_board_marks_the_recommended_model_and_the_other_contenders(board):
    rows = read_rows(board, "test").set_index("model")

    assert rows["mark"].to_dict() == {
        "lightgbm": "contender",
        "neural_net": "take",
        "logistic_regression": "",
        "baseline": "",
        "broken": "",
    }
    assert rows["failed"].tolist() == [""] * 4 + ["loss is nan"]


def test_models_that_were_tuned_are_named_below_the_table(board):
    assert "Tuned" not in console_page(board)
    board["models"]["lightgbm"]["settings"] = "30 trials, 9.8 min"
    board["models"]["neural_net"]["settings"] = "defaults"

    assert "\n\nTuned: lightgbm (30 trials, 9.8 min); other settings" in console_page(board)


def test_the_board_is_plain_json_and_what_is_not_defined_is_null(board):
    assert json.loads(json.dumps(board, allow_nan=False)) == board
    score = board["models"]["logistic_regression"]["scores"]["f1_macro"]
    assert score == {
        "score": 0.8,
        "low": None,
        "high": None,
        "why": "too few to tell",
        "undefined": 0.02,
        "sd": 0.03,
        "rounds": [0.7, 0.9],
    }
    assert plain({"a": [np.float32(0.5), np.nan, np.int64(3)]}) == {"a": [0.5, None, 3]}


def test_costs_follow_their_model_whatever_their_order():
    turned = dict(reversed(COSTS.items()))

    rows = read_rows(make_board(FACTS, {"test": COMPARISON}, VERDICT, turned, {}), "test")

    assert rows["predict_ms"].tolist()[:4] == [126.4, 12.64, 12.0, 1.0]


def test_the_latency_of_100_is_that_of_the_largest_batch_where_fewer_were_there():
    costs = {"fit_seconds": 1.0, "model_bytes": 5}

    assert prices_of(costs | {"predict_ms": {"10": 3.0, "100": 7.0, "1000": 60.0}}) == {
        "fit_seconds": 1.0,
        "predict_ms": 7.0,
        "model_bytes": 5,
    }
    few = prices_of(costs | {"predict_ms": {"1": 1.0, "10": 3.0, "100": np.nan}})
    assert few["predict_ms"] == pytest.approx(30.0)
    assert np.isnan(prices_of(costs | {"predict_ms": {"1": np.nan}})["predict_ms"])


@pytest.mark.parametrize(("greater", "expected"), [(True, ["good", "cheap"]), (False, ["cheap"])])
def test_a_model_is_unbeaten_when_none_is_better_and_cheaper(greater, expected):
    scores = pd.Series({"good": 0.9, "dear": 0.9, "bad": 0.6, "cheap": 0.7})
    if not greater:
        scores["cheap"] = 0.1
    prices = {name: {"predict_ms": ms} for name, ms in zip(scores.index, [5, 9, 4, 3], strict=True)}
    facts = {"greater_is_better": greater, "cheapest": "predict"}

    assert unbeaten(scores, prices, facts) == expected


def test_scores_for_dvc_are_those_that_are_defined_with_their_interval(board):
    found = test_scores(board)

    assert set(found) == set(FAMILIES)
    assert found["lightgbm"]["test"] == {
        "f1_macro": 0.9,
        "f1_macro_low": 0.85,
        "f1_macro_high": 0.95,
        "f1_macro_sd": 0.01,
    }
    assert found["logistic_regression"]["test"] == {"f1_macro": 0.8, "f1_macro_sd": 0.03}


@pytest.mark.parametrize(
    ("part", "words"),
    [
        ({"score": 0.98765, "low": 0.9, "high": 1.0}, "0.988 [0.900, 1.000]"),
        ({"score": 0.5, "low": None, "high": None}, "0.500 [too few to tell]"),
        ({"score": None, "low": 0.2, "high": 0.4}, "–"),
        ({"score": -0.0001, "low": -0.1, "high": 0.1}, "0.000 [-0.100, 0.100]"),
        (None, "–"),
    ],
)
def test_a_score_is_formatted_with_its_interval(part, words):
    assert format_score(part) == words


@pytest.mark.parametrize(
    ("count", "words"),
    [(0, "0 kB"), (1_234, "1 kB"), (1e6, "1.0 MB"), (12_345_678, "12.3 MB"), (None, "–")],
)
def test_bytes_are_readable(count, words):
    assert format_bytes(count) == words


def test_durations_are_readable():
    assert [format_seconds(value) for value in (None, 0.123, 1234.5)] == ["–", "0.12", "1,234"]
    assert [format_milliseconds(value) for value in (None, 1.234, 1234.5)] == ["–", "1.23", "1,234"]


def test_a_board_is_formatted_as_texts(board):
    rows = format_board(board, "test").set_index("model")

    assert rows.loc["lightgbm ☆"].to_dict() == {
        "family": "classical",
        "f1_macro": "0.900 [0.850, 0.950]",
        "fit s": "1.23",
        "ms": "126",
        "size": "1.2 MB",
    }
    assert rows.loc["broken"].tolist() == ["deep", "–", "–", "–", "–"]


def test_page_fits_80_columns_and_holds_every_model_and_the_verdict(board):
    page = console_page(board)

    assert max(map(len, page.splitlines())) <= 80
    assert all(name in page for name in FAMILIES)
    assert "0.850 [0.800, 0.900]" in page
    assert "Take neural_net. It is cheap." in page
    assert "broken: loss is nan" in page
    assert "1,234 examples, 5 × 3 folds, 2 seeds" in " ".join(page.split())


def test_tasks_are_summarized_by_the_model_to_take_and_its_families(board):
    nothing = make_board(FACTS, {"test": COMPARISON}, Verdict(None, [], ["No."]), COSTS, {})
    nothing["families"] = []

    found = summarize_tasks({"one": board, "two": nothing})

    assert found.to_dict("records") == [
        {
            "task": "one",
            "metric": "f1_macro",
            "take": "neural_net",
            "score": "0.850 [0.800, 0.900]",
            "classical − deep": "0.050 [-0.010, 0.120]",
        },
        {
            "task": "two",
            "metric": "f1_macro",
            "take": "–",
            "score": "–",
            "classical − deep": "–",
        },
    ]


def test_the_example_of_a_board_for_pages_has_the_keys_of_a_board(board):
    example = json.loads((Path(__file__).parents[1] / "boards/genre.json").read_text("utf-8"))
    made = set(board["models"]["lightgbm"])

    assert made <= set(example["models"]["logistic_regression"])
    assert set(board) <= set(example)
