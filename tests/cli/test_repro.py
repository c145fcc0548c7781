"""`dvc repro` and `dvc status`: everything declared is made, and no more is redone than must be."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import f1_score, roc_auc_score

TASKS = ["breast_cancer", "genre"]
MODELS = ["baseline", "logistic_regression", "neural_net"]
COMPARED = sorted([*MODELS, "ensemble"])
VIEWS = {"breast_cancer": ["engineered", "raw"], "genre": ["engineered", "length", "raw"]}
REMOTE = """\
from pipeline.sources.download import Remote, fetch

def read():
    fetch([Remote("https://example.org/book.txt", "0" * 64)])
"""
METRIC = {"breast_cancer": "roc_auc", "genre": "f1_macro"}
ESTIMATOR = {"neural_net": ["network.json", "network.safetensors"]}


def expected(folder: str) -> list[str]:
    """List every file that one run of two tasks and three models makes under a folder."""
    splits = ["card.json", "examples.parquet", "rounds.parquet"]
    rounds = ["0", "1", "2", "3", "4"]
    features = ["featurizer.skops", "train.npz", "validation.npz"]
    # texts become sparse numbers for classical models
    of = {(t, v): [*features, "train.npy", "validation.npy"] for t in TASKS for v in VIEWS[t]}
    of["genre", "engineered"] = features
    view = {at: [f"{r}/{f}" for r in [*rounds, "final"] for f in made] for at, made in of.items()}
    report = [
        "board.json",
        *(f"leaderboard.{suffix}" for suffix in ("csv", "txt")),
        *(f"report.{suffix}" for suffix in ("html", "md")),
        *(f"metrics/{model}.json" for model in COMPARED),
        "plots/learning.csv",
        *(f"plots/{plot}.csv" for plot in ("line/roc", "matrix/confusion", "points/calibration")),
        "predictions.parquet",
    ]
    made = {
        "data/ingested": [f"{t}/{f}" for t in TASKS for f in splits],
        "data/features": [f"{t}/{v}/{f}" for t, v in view for f in [*view[t, v], "view.json"]],
        "models": [
            f"{t}/{m}/{place}{f}"
            for t in TASKS
            for m in MODELS
            for place in ["", *(f"rounds/{r}/0/" for r in rounds)]
            for f in [*ESTIMATOR.get(m, ["estimator.skops"]), "featurizer.skops", "bundle.json"]
        ]
        + [f"{t}/{m}/rounds/validation.npz" for t in TASKS for m in MODELS],
        "metrics": [f"{t}/{m}.json" for t in TASKS for m in MODELS],
        "reports": [f"{t}/{f}" for t in TASKS for f in report],
    }
    return sorted(made[folder])


@pytest.mark.parametrize(
    "folder", ["data/ingested", "data/features", "models", "metrics", "reports"]
)
def test_every_declared_file_is_made_and_no_other(repro, files, folder):
    made = [name for name in files(repro.root / folder) if (repro.root / folder / name).is_file()]
    assert made == expected(folder)


def test_git_sees_no_output_of_a_stage(repro):
    changed = repro.must("git", "status", "--porcelain", "--untracked-files=all").split("\n")
    assert [line.split()[-1] for line in changed if line] == ["dvc.lock"]


@pytest.mark.parametrize("task", TASKS)
def test_the_leaderboard_ranks_every_model_and_learning_beats_the_baseline(repro, task):
    board = pd.read_csv(repro.root / "reports" / task / "leaderboard.csv", keep_default_na=False)
    assert sorted(board["model"]) == COMPARED
    scores = board.set_index("model")[METRIC[task]]
    assert scores.is_monotonic_decreasing
    assert scores.idxmin() == "baseline"
    assert (board["mark"] == "take").sum() == 1
    assert board.set_index("model")["mark"]["baseline"] == ""
    for costs in ("fit_seconds", "predict_ms", "model_bytes"):
        assert (board[costs] > 0).all()


@pytest.mark.parametrize("task", TASKS)
def test_the_predictions_are_those_of_every_model_on_every_test_example(repro, task):
    given = pd.read_parquet(repro.root / "reports" / task / "predictions.parquet")
    assert sorted(given["model"].unique()) == COMPARED
    for (_, name), part in given.groupby(["model", "round"]):
        test = repro.parts(task, name)["test"]
        assert part["example_id"].tolist() == test["example_id"].tolist()
        assert part["label"].tolist() == test["label"].tolist()


@pytest.mark.parametrize("task", TASKS)
def test_the_row_of_the_ensemble_is_the_average_of_its_members_by_hand(repro, task):
    manifest = json.loads((repro.root / "ensembles" / task / "bundle.json").read_text("utf-8"))
    assert set(manifest["combined"]) == {"logistic_regression", "neural_net"}
    given = pd.read_parquet(repro.root / "reports" / task / "predictions.parquet")
    columns = [name for name in given if name.startswith("probability_")]
    classes = [name.removeprefix("probability_") for name in columns]
    scores = []
    for one in manifest["rounds"]:
        assert sum(one["weights"].values()) == pytest.approx(1)
        of_round = given[given["round"] == one["round"]]
        by_model = dict(iter(of_round.groupby("model")))
        expected = sum(
            weight * by_model[name][columns].to_numpy(dtype=float)
            for name, weight in one["weights"].items()
        )
        found = by_model["ensemble"]
        np.testing.assert_allclose(found[columns], expected, rtol=1e-12)
        assert found["predicted"].tolist() == [classes[code] for code in expected.argmax(1)]
        if task == "genre":
            scores.append(f1_score(found["label"], found["predicted"], average="macro"))
        else:
            positive = found["label"] == "malignant"
            scores.append(roc_auc_score(positive, expected[:, classes.index("malignant")]))
    board = json.loads((repro.root / "reports" / task / "board.json").read_text("utf-8"))
    row = board["models"]["ensemble"]
    assert row["family"] == "ensemble"
    assert row["scores"][METRIC[task]]["rounds"] == pytest.approx(scores)
    kept = {member["model"]: board["models"][member["model"]] for member in manifest["members"]}
    costs = [model["costs"]["fit_seconds"] for model in kept.values()]
    assert row["costs"]["fit_seconds"] == pytest.approx(sum(costs))


def test_the_leaderboards_are_printed_for_reading(warm, repro):
    printed = repro.must_warm(warm, "pipeline.leaderboard")
    for task in TASKS:
        assert (repro.root / "reports" / task / "leaderboard.txt").read_text("utf-8") in printed


def test_a_second_repro_runs_nothing(warm, repro):
    runs_before = [len(repro.runs(task)) for task in TASKS]
    said = repro.must_dvc(warm, "repro")
    assert "Data and pipelines are up to date." in said
    assert "Running stage" not in said
    assert [len(repro.runs(task)) for task in TASKS] == runs_before


def test_a_task_whose_data_cannot_be_had_fails_alone(warm, project):
    own = project.root / "pipeline/tasks/remote"
    shutil.copytree(project.root / "pipeline/tasks/breast_cancer", own)
    (own / "source.py").write_text(REMOTE, encoding="utf-8")
    task = (project.root / "conf/task/breast_cancer.yaml").read_text(encoding="utf-8")
    task = task.replace("tasks.breast_cancer.", "tasks.remote.")
    (project.root / "conf/task/remote.yaml").write_text(task, encoding="utf-8")
    (project.root / "data/remote").mkdir()
    params = "tasks: [remote, breast_cancer]\nmodels: [baseline]\nseed: 0\nsplit_seed: 0\n"
    (project.root / "params.yaml").write_text(params, encoding="utf-8")

    done = project.dvc(warm, "repro", "--keep-going")

    assert done.returncode != 0
    assert "cannot be downloaded" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert (project.root / "reports" / "breast_cancer" / "leaderboard.csv").is_file()
    assert not (project.root / "data" / "ingested" / "remote").exists()


@pytest.fixture(scope="module")
def watched(repro, tmp_path_factory):
    """Return a copy of the reproduced project to edit, with DVC's cache."""
    root = tmp_path_factory.mktemp("watched") / "bakeoff"
    ignored = shutil.ignore_patterns("mlruns", "tmp")
    return replace(repro, root=shutil.copytree(repro.root, root, ignore=ignored, symlinks=True))


@contextmanager
def edited(project, path: str, old: str, new: str) -> Iterator[None]:
    file = project.root / path
    before = file.read_bytes()
    composed, aside = project.root / "composed", project.root.with_name("composed-before")
    shutil.copytree(composed, aside)
    project.edit(path, old, new)
    try:
        yield
    finally:
        file.write_bytes(before)
        shutil.rmtree(composed)
        aside.rename(composed)


def changed(project, warm) -> set[str]:
    return set(json.loads(project.must_dvc(warm, "status", "--json")))


def train(tasks=TASKS, models=MODELS) -> set[str]:
    return {f"train@{task}-{model}" for task in tasks for model in models}


def stages(name: str, tasks=TASKS) -> set[str]:
    return {f"{name}@{task}" for task in tasks}


# Once composed, `dvc status` names the stages that read what was edited. What these make in
# turn is not made yet, so that the stages after them are not named, though they may run.
@pytest.mark.parametrize(
    ("path", "old", "new", "affected"),
    [
        pytest.param(
            "conf/model/logistic_regression.yaml",
            "max_iter: 1000",
            "max_iter: 2000",
            train(models=["logistic_regression"]),
            id="a hyperparameter: that model on every task",
        ),
        pytest.param(
            "conf/task/genre.yaml",
            "words: 2000",
            "words: 1000",
            stages("featurize", ["genre"]),
            id="a view: featurize of that task, not ingest",
        ),
        pytest.param(
            "conf/task/genre.yaml",
            "validation: 0.25",
            "validation: 0.2",
            stages("ingest", ["genre"]),
            id="a split: ingest of that task",
        ),
        pytest.param(
            "conf/task/breast_cancer.yaml",
            "metrics: [roc_auc, sensitivity",
            "metrics: [sensitivity, roc_auc",
            train(["breast_cancer"])
            | stages("combine", ["breast_cancer"])
            | stages("evaluate", ["breast_cancer"]),
            id="the metrics: what scores in that task",
        ),
        pytest.param(
            "pipeline/train.py",
            "import traceback\n",
            "import traceback  # now\n",
            train(),
            id="the code of train: train, not ingest",
        ),
        pytest.param(
            "pipeline/evaluation/plots.py",
            "import pandas as pd\n",
            "import pandas as pd\n\n",
            stages("evaluate"),
            id="the code of a plot: evaluate",
        ),
        pytest.param(
            "pipeline/tasks/breast_cancer/source.py",
            "import hashlib",
            "import hashlib  # now",
            stages("ingest", ["breast_cancer"]),
            id="the code of a source: ingest of the task that it is of",
        ),
        pytest.param(
            "params.yaml",
            "\nseed: 0",
            "\nseed: 1",
            train() | stages("combine") | stages("evaluate"),
            id="the seed of the models: what trains, combines and compares",
        ),
        pytest.param(
            "params.yaml",
            "split_seed: 0",
            "split_seed: 1",
            stages("ingest"),
            id="the seed of the splits: ingest",
        ),
        pytest.param(
            "pipeline/models/networks/tables.py",
            "from itertools import pairwise\n",
            "from itertools import pairwise\n\n",
            train(models=["neural_net"]) | stages("combine") | stages("evaluate"),
            id="the code of the networks: what trains and predicts with them",
        ),
        pytest.param(
            "pipeline/config/composition.py",
            "import os\n",
            "import os  # now\n",
            train().union(*map(stages, ("ingest", "featurize", "combine", "evaluate"))),
            id="the code that composes: all",
        ),
        pytest.param(
            "params.yaml",
            "  - neural_net\n",
            "",
            stages("combine") | stages("evaluate"),
            id="a model less: the ensemble and the leaderboard",
        ),
        pytest.param(
            "data/genre/poetry/abacus/forty-pence.txt",
            "The ice machine delivers one short roar.\nI tick",
            "The ice machine delivers one short roar.\nYou tick",
            stages("ingest", ["genre"]),
            id="a text: ingest of its task",
        ),
        pytest.param(
            "pipeline/problems/classification.py",
            "import numpy as np\n",
            "import numpy as np\n\n",
            train().union(*map(stages, ("ingest", "combine", "evaluate"))),
            id="the code of a kind of problem: what checks, learns and scores its targets",
        ),
        pytest.param(
            "conf/model/logistic_regression.yaml",
            "# inverse of the strength",
            "# the inverse of the strength",
            set(),
            id="a comment: nothing",
        ),
        pytest.param(
            "data/genre/README.md",
            "# The starter corpus",
            "# A starter corpus",
            set(),
            id="the page about the data: nothing",
        ),
    ],
)
def test_an_edit_marks_exactly_the_stages_that_read_it(watched, warm, path, old, new, affected):
    with edited(watched, path, old, new):
        if path.startswith(("conf/", "pipeline/")):
            assert "compose" in changed(watched, warm)
        watched.must_warm(warm, "pipeline.compose")
        assert changed(watched, warm) - {"compose"} == affected
