"""Models and families over many tasks, against what is computed by hand."""

import numpy as np
import pytest

from pipeline.evaluation.across import compare_over_tasks, format_over_tasks

FAMILIES = {"tree": "classical", "line": "classical", "net": "deep"}


def board(greater=True, validation=None, **scores):
    models = {
        name: {
            "family": FAMILIES[name],
            "scores": {"m": {"score": score}},
            "validation": (validation or scores)[name],
        }
        for name, score in scores.items()
    }
    models["broken"] = {"family": "deep", "failed": "nan"}
    return {"metric": "m", "greater_is_better": greater, "models": models}


def rows(boards, kind="model"):
    found = compare_over_tasks(boards)
    return found[found["kind"] == kind].set_index("name")


def test_measures_are_those_computed_by_hand():
    boards = {
        "one": board(tree=0.9, line=0.8, net=0.6),
        # Lower is better, and the two best are equal.
        "two": board(greater=False, tree=0.5, line=0.2, net=0.2),
        "three": board(tree=0.7, net=0.9),
    }

    found = rows(boards)

    assert found["tasks"].to_dict() == {"tree": 3, "line": 2, "net": 3}
    assert found["win rate"].to_dict() == pytest.approx(
        {"tree": 1 / 3, "line": 0.25, "net": (0.5 + 1) / 3}
    )
    assert found["mean rank"].to_dict() == pytest.approx(
        {"tree": (1 + 3 + 2) / 3, "line": (2 + 1.5) / 2, "net": (3 + 1.5 + 1) / 3}
    )
    assert found["improvability"].to_dict() == pytest.approx(
        {
            "tree": (0 + (1 - 0.2 / 0.5) + (1 - 0.1 / 0.3)) / 3,
            "line": ((1 - 0.1 / 0.2) + 0) / 2,
            "net": ((1 - 0.1 / 0.4) + 0 + 0) / 3,
        }
    )
    assert not any(name.endswith("_low") for name in found)


def test_a_family_is_represented_by_its_model_that_is_best_on_validation():
    # The tree is better on test, the line on validation.
    validation = {"tree": 0.5, "line": 0.6, "net": 0.5}
    boards = {"one": board(validation=validation, tree=0.9, line=0.7, net=0.8)}

    found = rows(boards, "family")

    assert found["win rate"].to_dict() == {"deep": 1.0, "classical": 0.0}
    assert found.loc["classical", "improvability"] == pytest.approx(1 - 0.2 / 0.3)


def test_an_error_that_nobody_makes_cannot_be_improved():
    assert rows({"one": board(tree=1.0, net=1.0)})["improvability"].tolist() == [0.0, 0.0]


def test_with_eight_tasks_the_intervals_are_those_of_a_bootstrap_over_tasks():
    rng = np.random.default_rng(0)
    scores = rng.uniform(0.5, 0.9, (8, 2))
    boards = {str(n): board(tree=tree, net=net) for n, (tree, net) in enumerate(scores)}

    found = rows(boards)

    wins = scores[:, 0] > scores[:, 1]
    drawn = rng.choice(wins, (20_000, 8)).mean(1)
    ends = found.loc["tree", ["win rate_low", "win rate_high"]].tolist()
    assert ends == pytest.approx(np.quantile(drawn, [0.025, 0.975]), abs=0.126)
    assert ends[0] < found.loc["tree", "win rate"] < ends[1]
    text = format_over_tasks(found.reset_index())
    assert text["win rate"].str.fullmatch(r"\d\.\d\d \[\d\.\d\d, \d\.\d\d\]").all()
