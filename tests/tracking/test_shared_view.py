"""The list of runs in MLflow's UI shows the newest board first, and its verdict."""

import json
import shutil
from pathlib import Path

import mlflow
import pytest
from mlflow import MlflowClient
from mlflow.entities import Metric

from pipeline.tracking import shared_view
from pipeline.tracking.journal import BUNDLE

METRIC, LOSS = "test/accuracy", "curve/validation/log_loss"
MODELS = [f"model {number}" for number in range(11)]


@pytest.fixture
def client(empty_store, tmp_path) -> MlflowClient:
    shutil.copy(empty_store, tmp_path / "mlflow.db")
    return MlflowClient(f"sqlite:///{tmp_path.as_posix()}/mlflow.db")


def add_run(client: MlflowClient, experiment: str, name: str, start: int, **tags: str) -> str:
    found = client.get_experiment_by_name(experiment)
    number = found.experiment_id if found else client.create_experiment(experiment)
    run_id = client.create_run(number, start, tags, name).info.run_id
    client.log_batch(run_id, metrics=[Metric(METRIC, 0.5, start, 0)])
    client.set_terminated(run_id, "FINISHED")
    return run_id


def share(client: MlflowClient, names: list[str], start: int) -> list[str]:
    """Train models, and share a board on which the first is recommended; return the runs."""
    digests = [f"digest of {name} at {start}" for name in names]
    runs = [
        add_run(client, "task", name, start + i, **{BUNDLE: digest, "family": "classical"})
        for i, (name, digest) in enumerate(zip(names, digests, strict=True))
    ]
    scores = {digest: f"{name}'s score" for digest, name in zip(digests, names, strict=True)}
    verdicts = dict(zip(digests, ["take", *[""] * (len(runs) - 1)], strict=True))
    number = client.get_experiment_by_name("task").experiment_id
    shared_view.share_board(client, number, METRIC, scores, verdicts, [LOSS])
    return runs


def tags(client: MlflowClient, run_id: str, *names: str) -> tuple[str | None, ...]:
    found = client.get_run(run_id).data.tags
    return tuple(found.get(name) for name in names)


def test_the_view_lists_the_newest_board_from_best_to_worst_and_then_older_runs(client):
    older = share(client, ["a", "b"], start=100)
    newest = share(client, MODELS, start=200)
    experiment = client.get_experiment_by_name("task")
    state = json.loads(experiment.tags[shared_view.TAG])

    # The UI asks the server for this order.
    order = f"{state['orderByKey']} {'ASC' if state['orderByAsc'] else 'DESC'}"
    listed = client.search_runs([experiment.experiment_id], order_by=[order])

    assert [run.info.run_id for run in listed] == [*newest, *reversed(older)]


def test_of_two_boards_only_the_newest_is_marked(client):
    older = share(client, ["a", "b"], start=100)
    assert [tags(client, run, "verdict") for run in older] == [("take",), ("",)]
    newest = share(client, ["a", "b", "c"], start=200)

    marks = ("verdict", "rank", METRIC)
    assert [tags(client, run, *marks) for run in older] == [
        (None, None, "a's score"),
        (None, None, "b's score"),
    ]
    assert [tags(client, run, *marks) for run in newest] == [
        ("take", "01", "a's score"),
        ("", "02", "b's score"),
        ("", "03", "c's score"),
    ]


def test_runs_of_others_keep_their_tags(client):
    mine = {"rank": "mine", "verdict": "mine"}
    others = [
        add_run(client, "task", "by hand", 1, **mine),
        add_run(client, "another task", "trained", 1, **mine, **{BUNDLE: "digest"}),
    ]
    share(client, ["a"], start=100)

    assert [tags(client, run, "rank", "verdict") for run in others] == [("mine", "mine")] * 2


def test_the_address_opens_the_view_where_there_is_one(client):
    add_run(client, "swept", "trial", 1)
    share(client, ["a"], start=100)
    task, swept = (client.get_experiment_by_name(name) for name in ("task", "swept"))

    assert shared_view.page(task) == (
        f"#/experiments/{task.experiment_id}/runs"
        "?workflowType=machine_learning&viewStateShareKey=board"
    )
    assert "viewStateShareKey" not in shared_view.page(swept)


def test_the_ui_of_the_installed_mlflow_reads_what_is_written():
    """The UI skips a key that it does not know, and then shows none of the columns."""
    scripts = Path(mlflow.__file__).parent / "server/js/build/static/js"
    program = "".join(path.read_text("utf-8") for path in sorted(scripts.glob("*.js")))
    state = shared_view.view(METRIC, [LOSS])

    prefix = shared_view.TAG.removesuffix(shared_view.NAME)
    for name in [prefix, "viewStateShareKey", *state]:
        assert f'"{name}"' in program
    for chart in state["compareRunCharts"]:
        for key in chart:
            assert f"this.{key}=" in program
