"""Another kind of problem is one class: the stages take it as it is, and name none."""

import importlib
import re
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression

from pipeline import problems
from pipeline.config.schema import Split
from pipeline.errors import UserError
from pipeline.evaluation.comparison import Round, compare
from pipeline.ingest import card, clean, summary
from pipeline.paths import ROOT
from pipeline.sources.examples import Source, meta_of
from pipeline.sources.split import make_plan, split

KINDS = Path(__file__).parents[1] / "kinds"
# What stages are made of, and what reads and writes their results.
STAGES = [
    *(f"{name}.py" for name in ("ingest", "featurize", "train", "evaluate", "experiment")),
    *("predictor.py", "bundle.py", "formats.py", "adopt.py", "compose.py", "models/fitting.py"),
    *("features/views.py", "sources/split.py", "sources/examples.py"),
    *("sweep/*.py", "tracking/*.py", "evaluation/*.py"),
]
MODULES = [path for stage in STAGES for path in sorted(ROOT.glob(f"pipeline/{stage}"))]
# The names of kinds, and the words of the one that there is; `probability_best` is of a model.
WORDS = re.compile(
    r"predict_proba|classes_\b|log.?loss|classif|regress|positive|threshold|probabilit(?!y_best)",
    re.I,
)


@pytest.fixture
def amount(monkeypatch):
    """Add a kind to those that the project has."""
    monkeypatch.setattr(problems, "__path__", [*problems.__path__, str(KINDS)])
    yield importlib.import_module("pipeline.problems.amount").Amount
    sys.modules.pop("pipeline.problems.amount")
    monkeypatch.delattr(problems, "amount")


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_stage_names_a_kind_of_problem_or_its_words(module):
    lines = module.read_text("utf-8").splitlines()
    assert [line for line in lines if WORDS.search(line)] == []


def test_a_kind_of_numbers_goes_from_source_to_board(amount):
    x = np.random.default_rng(0).normal(size=200)
    ids = [f"e{i}" for i in range(200)]
    examples = pd.DataFrame({"example_id": ids, "x": x, "label": 3 * x + 1, "group": ids})
    examples["label"] = examples["label"].map("{:.6f}".format)  # texts, as a file gives them
    examples["meta:price"] = 2.0
    kind = amount("mae", ("mae", "cost"))
    source = Source(examples, [])

    sound, _, _, dropped = clean(source, kind)
    plan = make_plan(Split(test=0.2, validation=0.25, seed=0), sound, has_test=False)
    rounds = split(sound, plan, kind)
    written = card(source, kind, plan, rounds, {}, dropped)
    known = kind.on(written["target"])
    train, test = (rounds.part("0", part) for part in ("train", "test"))
    models = {"line": LinearRegression(), "flat": LinearRegression()}
    models["line"].fit(train[["x"]], train["label"])
    models["flat"].fit(train[["x"]] * 0, train["label"])
    predictions = {
        name: [
            known.predictions(
                test["label"].to_numpy(), known.outputs(model, test[["x"]]), meta_of(test)
            )
        ]
        for name, model in models.items()
    }
    found = compare(
        [Round(predictions, {"line": 0.0, "flat": 2.0}, 0.25)],
        known.deciding,
        known.reported,
        {"line": "classical", "flat": "deep"},
        matters=0.01,
        seed=0,
        resamples=200,
    )
    board = found.scores

    assert summary("lines", kind, plan, rounds, {}, {}).startswith("lines: mean ")
    assert board.index.tolist() == ["line", "flat"]
    assert board.loc["line", "mae"] == pytest.approx(0, abs=1e-5)
    assert board.loc["flat", "cost"] == pytest.approx(board.loc["flat", "mae"] * 2 * len(test))
    assert (board["behind"] >= 0).all()
    assert found.contenders == ["line"]
    assert found.families["decision"].tolist() == ["better"]
    assert len(set(test["meta:stratum"])) == 4


def test_a_target_of_another_kind_is_reported_by_example(amount):
    examples = pd.DataFrame({"example_id": ["e0"], "x": [1.0], "label": ["red"], "group": ["g"]})

    with pytest.raises(UserError, match="example e0: 'red' is no number"):
        clean(Source(examples, []), amount())
