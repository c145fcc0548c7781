"""A board, and how people read it."""

import pandas as pd
import pytest

from pipeline.evaluation.board import make_board
from pipeline.evaluation.layout import (
    LEGEND,
    compare_families,
    console_table,
    format_board,
    format_bytes,
    format_interval,
    markdown_page,
)

FAMILIES = {
    "lightgbm": "classical",
    "neural_net": "deep",
    "logistic_regression": "classical",
    "baseline": "baseline",
}


@pytest.fixture
def board():
    """Four models, best first, as `compare` ranks them."""
    scores = pd.DataFrame(
        {
            "f1_macro": [0.9, 0.85, 0.8, 0.3],
            "f1_macro_low": [0.85, 0.8, 0.7, 0.2],
            "f1_macro_high": [0.95, 0.9, 0.9, 0.4],
            "behind": [0.0, 0.05, 0.1, 0.6],
            "behind_low": [0.0, -0.01, 0.02, 0.5],
            "behind_high": [0.0, 0.12, 0.2, 0.7],
        },
        index=pd.Index(FAMILIES, name="model"),
    )
    costs = {
        name: {
            "family": family,
            "fit_seconds": 1.234,
            "predict_ms_per_1000": 12.6,
            "model_bytes": 1_250_000,
        }
        for name, family in FAMILIES.items()
    }
    return make_board(scores, costs, "f1_macro")


def test_best_of_all_and_best_of_each_other_family_are_marked(board):
    assert dict(zip(board["model"], board["best"], strict=True)) == {
        "lightgbm": "overall",
        "neural_net": "family",
        "logistic_regression": "",
        "baseline": "family",
    }


def test_order_of_the_scores_is_kept_and_costs_are_numbers(board):
    assert board["model"].tolist() == list(FAMILIES)
    assert board["family"].tolist() == list(FAMILIES.values())
    for cost in ("fit_seconds", "predict_ms_per_1000", "model_bytes"):
        assert pd.api.types.is_numeric_dtype(board[cost])


def test_costs_follow_their_model_whatever_their_order():
    scores = pd.DataFrame({"accuracy": [0.9, 0.8]}, index=pd.Index(["b", "a"], name="model"))
    costs = {"a": {"family": "x", "fit_seconds": 1.0}, "b": {"family": "y", "fit_seconds": 2.0}}

    assert make_board(scores, costs, "accuracy")["fit_seconds"].tolist() == [2.0, 1.0]


def test_an_interval_is_formatted_with_its_ends():
    row = pd.Series({"auc": 0.98765, "auc_low": 0.9, "auc_high": 1.0})

    assert format_interval(row, "auc") == "0.988 [0.900, 1.000]"
    assert format_interval(row, "auc", digits=1) == "1.0 [0.9, 1.0]"


def test_a_score_that_is_not_defined_is_a_dash():
    row = pd.Series({"recall": float("nan"), "recall_low": 0.2, "recall_high": 0.4})

    assert format_interval(row, "recall") == "–"


@pytest.mark.parametrize(
    ("count", "words"), [(0, "0 kB"), (1_234, "1 kB"), (1e6, "1.0 MB"), (12_345_678, "12.3 MB")]
)
def test_bytes_are_readable(count, words):
    assert format_bytes(count) == words


def test_a_board_is_formatted_as_texts(board):
    first = format_board(board, ["f1_macro"]).iloc[0]

    assert first.to_dict() == {
        "model": "lightgbm ★",
        "family": "classical",
        "f1_macro": "0.900 [0.850, 0.950]",
        "behind best": "0.000 [0.000, 0.000]",
        "fit s": "1.23",
        "ms/1,000": "13",
        "size": "1.2 MB",
    }


def test_table_fits_80_columns_and_holds_every_model(board):
    legend = LEGEND.format(share=0.95, n=1234)

    rows = format_board(board, ["f1_macro"]).drop(columns="behind best")

    page = console_table("genre: f1_macro on test", rows, legend)

    assert max(map(len, page.splitlines())) <= 80
    assert all(name in page for name in FAMILIES)
    assert "0.850 [0.800, 0.900]" in page
    assert "[95% bootstrap interval], 1,234 test examples" in " ".join(page.split())


def test_markdown_is_a_table_with_one_row_per_model(board):
    page = markdown_page("Genre", format_board(board, ["f1_macro"]), "the legend")

    lines = page.splitlines()
    assert lines[0] == "# Genre"
    rows = [line for line in lines if line.startswith("|")]
    assert len(rows) == 2 + len(FAMILIES)
    assert {row.count("|") for row in rows} == {8}
    assert rows[1] == "| --- | --- | ---: | ---: | ---: | ---: | ---: |"
    assert rows[2].startswith("| lightgbm ★ | classical | 0.900 [0.850, 0.950] |")
    assert lines[-1] == "the legend"


def test_families_are_compared_by_which_wins_where_and_by_how_much(board):
    without_networks = board[board["family"] != "deep"]
    # What a network is best in: the classical models change places with it.
    deep = board.replace({"family": {"classical": "deep", "deep": "classical"}})

    found = compare_families({"one": board, "two": without_networks, "three": deep})

    assert found.to_dict("records") == [
        {
            "task": "one",
            "metric": "f1_macro",
            "best classical": "lightgbm 0.900",
            "best deep": "neural_net 0.850",
            "wins by": "classical 0.050 [-0.010, 0.120]",
        },
        {
            "task": "two",
            "metric": "f1_macro",
            "best classical": "lightgbm 0.900",
            "best deep": "",
            "wins by": "",
        },
        {
            "task": "three",
            "metric": "f1_macro",
            "best classical": "neural_net 0.850",
            "best deep": "lightgbm 0.900",
            "wins by": "deep 0.050 [-0.010, 0.120]",
        },
    ]


def undefined(board, models):
    """Return a board on which the deciding metric is not defined for some models."""
    scores = [name for name in board if name.startswith(("f1_macro", "behind"))]
    scored = board.drop(columns=["best", "metric"]).set_index("model")
    costs = scored.drop(columns=scores).to_dict("index")
    scored = scored[scores]
    scored.loc[models] = float("nan")
    return make_board(scored.sort_values("f1_macro", ascending=False), costs, "f1_macro")


def test_a_metric_that_is_not_defined_has_no_winner(board):
    nothing = undefined(board, list(FAMILIES))

    assert nothing["best"].tolist() == [""] * 4
    assert "★" not in format_board(nothing, ["f1_macro"]).to_string()
    assert set(format_board(nothing, ["f1_macro"])["f1_macro"]) == {"–"}
    assert compare_families({"t": nothing}).to_dict("records") == [
        {"task": "t", "metric": "f1_macro"}
    ]


def test_a_model_for_which_the_metric_is_not_defined_is_not_the_best_of_its_family(board):
    some = undefined(board, ["neural_net", "baseline"])

    assert dict(zip(some["model"], some["best"], strict=True)) == {
        "lightgbm": "overall",
        "logistic_regression": "",
        "neural_net": "",
        "baseline": "",
    }
    assert "wins by" not in compare_families({"t": some})
