"""A run records the code that ran, and how it ended."""

import hashlib
import os
import platform
import signal
import sqlite3
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from importlib.metadata import version
from pathlib import Path
from unittest import mock

import pytest

from pipeline import tracking
from pipeline.errors import UserError
from pipeline.tracking.journal import Journal
from pipeline.tracking.runs import Run
from pipeline.tracking.sender import Sender

MINUTE = 60


SETTINGS = {"model": {"lr": 0.1, "hidden": [8, 8]}}


@contextmanager
def start(project, name: str = "some", experiment: str = "task", settings=SETTINGS):
    with (
        mock.patch.dict(os.environ, DVC_ROOT=str(project.root)),  # where the spool is
        tracking.recording(project.store) as records,
        records.start_run(project.root, experiment, name, settings, tags={}) as run,
    ):
        yield run


def the_run(project):
    (run,) = project.runs("task")
    return run


def artifact(project, run, name: str) -> Path:
    return project.root / "mlruns" / "task" / run.info.run_id / "artifacts" / name


def test_a_clean_tree_is_recorded_as_its_commit(project):
    commit = project.must("git", "rev-parse", "HEAD").strip()
    with start(project):
        pass
    run = the_run(project)
    assert run.data.tags["mlflow.source.git.commit"] == commit
    assert run.data.tags["git.dirty"] == "false"
    assert not artifact(project, run, "uncommitted.diff").exists()


def test_a_changed_tree_is_recorded_with_its_changes(project):
    project.edit("params.yaml", "\nseed: 0", "\nseed: 12345")
    (project.root / "new.py").write_text("pass\n")
    with start(project):
        pass
    run = the_run(project)
    assert run.data.tags["git.dirty"] == "true"
    changes = artifact(project, run, "uncommitted.diff").read_text(encoding="utf-8")
    assert "-seed: 0\n+seed: 12345\n" in changes
    assert "?? new.py" in changes
    assert artifact(project, run, "untracked/new.py").read_text(encoding="utf-8") == "pass\n"
    assert not artifact(project, run, "untracked.txt").exists()


def test_what_cannot_be_kept_of_untracked_files_is_listed(project):
    (project.root / "new.bin").write_bytes(b"\0\1")
    with start(project):
        pass
    digest = hashlib.sha256(b"\0\1").hexdigest()
    listed = artifact(project, the_run(project), "untracked.txt").read_text(encoding="utf-8")
    assert listed == f"{digest} 2 new.bin\n"


def test_versions_and_the_machine_are_recorded(project):
    with start(project):
        pass
    run = the_run(project)
    installed = artifact(project, run, "requirements.txt").read_text(encoding="utf-8")
    assert f"numpy=={version('numpy')}\n" in installed
    assert run.data.tags["python"] == platform.python_version()
    assert {"machine.processor", "machine.cores", "machine.threads"} <= set(run.data.tags)


def test_staged_changes_are_changes(project):
    project.edit("params.yaml", "\nseed: 0", "\nseed: 12345")
    project.must("git", "add", "--all")
    with start(project):
        pass
    changes = artifact(project, the_run(project), "uncommitted.diff").read_text(encoding="utf-8")
    assert "+seed: 12345" in changes


def test_the_lock_that_dvc_rewrites_between_stages_is_no_change(project):
    (project.root / "dvc.lock").write_text("schema: '2.0'\n")
    with start(project):
        pass
    assert the_run(project).data.tags["git.dirty"] == "false"


def test_a_run_that_ends_without_an_error_is_finished(project):
    with start(project) as run:
        assert the_run(project).info.status == "RUNNING"
        run.log_curve(1, {"loss": 0.5})
    assert the_run(project).info.status == "FINISHED"
    assert the_run(project).data.metrics == {"curve/loss": 0.5}
    assert the_run(project).data.params == {"model.lr": "0.1", "model.hidden": "[8, 8]"}


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ValueError, "FAILED"),
        (UserError, "FAILED"),
        (MemoryError, "FAILED"),
        (KeyboardInterrupt, "KILLED"),
        (SystemExit, "KILLED"),
    ],
)
def test_a_run_that_does_not_finish_has_the_status_of_its_error_and_its_curve(
    project, error, status
):
    with pytest.raises(error), start(project) as run:
        run.log_curve(1, {"loss": 0.5})
        raise error
    assert the_run(project).info.status == status
    assert the_run(project).data.metrics == {"curve/loss": 0.5}


def test_a_long_curve_keeps_every_point(project):
    with start(project) as run:
        for step in range(1, 2502):
            run.log_curve(step, {"loss": 1 / step})
    points = project.client.get_metric_history(the_run(project).info.run_id, "curve/loss")
    assert [(point.step, point.value) for point in points] == [(s, 1 / s) for s in range(1, 2502)]


def test_a_store_that_fails_is_told_in_a_line_and_gets_the_run_later(project, capsys):
    # The database refuses one table, as it refuses any when the disk is full.
    refusal = (
        "CREATE TRIGGER full BEFORE INSERT ON metrics "
        "BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END"
    )
    with start(project) as run:
        with closing(sqlite3.connect(project.root / "mlflow.db")) as database:
            database.execute(refusal)
        run.log_scores({"accuracy": 1.0})

    assert capsys.readouterr().err == (
        f"the tracking store {project.store} does not have all of 1 run (database or disk is "
        "full): kept in .spool/, sent by the next run or by python -m pipeline.tracking.sync\n"
    )
    assert len([*(project.root / ".spool").iterdir()]) == 1
    with closing(sqlite3.connect(project.root / "mlflow.db")) as database:
        database.execute("DROP TRIGGER full")
    with start(project, "next"):
        pass
    runs = {run.info.run_name: run for run in project.runs("task")}
    assert {name: run.info.status for name, run in runs.items()} == {
        "some": "FINISHED",
        "next": "FINISHED",
    }
    assert runs["some"].data.metrics == {"accuracy": 1.0}
    assert [*(project.root / ".spool").iterdir()] == []


def test_a_param_too_long_for_mlflow_is_cut(project):
    with start(project, settings={"a": "x" * 9000}):
        pass
    assert the_run(project).data.params["a"] == "x" * 6000


def running(project, process: subprocess.Popen):
    """Wait until a process has its run, and return it."""
    deadline = time.monotonic() + MINUTE
    while time.monotonic() < deadline:
        for run in project.runs("breast_cancer"):
            if run.data.tags["process.id"] == str(process.pid) and run.info.status == "RUNNING":
                return run
        try:
            process.wait(0.1)
        except subprocess.TimeoutExpired:
            continue
        raise AssertionError(process.communicate())
    raise AssertionError("no run within a minute")


def test_a_signal_ends_a_training_as_killed_and_leaves_nothing_half_written(
    warm, reproduced, files
):
    """Ctrl-C, SIGTERM and SIGKILL each end one training; the last only the next run can tell."""
    project = reproduced
    before = files(project.root)
    stamp = (project.root / "models/breast_cancer/neural_net/network.safetensors").stat()
    endless = ["model=neural_net", "model.max_epochs=1000000", "model.patience=1000000"]
    command = ["python", "-m", "pipeline.train", *endless]
    ends = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGKILL: -signal.SIGKILL}
    processes = {number: project.start(*command) for number in ends}
    try:
        runs = {number: running(project, process) for number, process in processes.items()}
        for process in processes.values():
            process.stdout.readline()  # it trains, which is what shall be ended
        for number, process in processes.items():
            process.send_signal(number)
        outputs = {number: process.communicate(timeout=60) for number, process in processes.items()}
    finally:
        for process in processes.values():
            process.kill()
    assert {number: process.returncode for number, process in processes.items()} == ends
    assert outputs[signal.SIGINT][1] == "interrupted\n"
    assert "Traceback" not in outputs[signal.SIGTERM][1]

    def status() -> dict[int, str]:
        return {n: project.client.get_run(run.info.run_id).info.status for n, run in runs.items()}

    assert status() == {
        signal.SIGINT: "KILLED",
        signal.SIGTERM: "KILLED",
        signal.SIGKILL: "RUNNING",
    }
    with start(project, "next", "breast_cancer"):
        assert set(status().values()) == {"KILLED"}
    # What SIGKILL left lies outside of what DVC hashes, and the next training removes it.
    left = set(files(project.root)) - set(before)
    assert left
    assert all(name.startswith(".tmp/") for name in left)
    project.must_warm(warm, "pipeline.train", "model=baseline")
    assert files(project.root) == before
    assert (project.root / "models/breast_cancer/neural_net/network.safetensors").stat() == stamp


def test_a_run_of_a_live_process_is_not_ended(project):
    with start(project, "first"), start(project, "second"):
        assert [run.info.status for run in project.runs("task")] == ["RUNNING", "RUNNING"]


def test_a_run_of_another_machine_is_not_ended(project, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("socket.gethostname", lambda: "elsewhere")
        patch.setattr(os, "getpid", lambda: 2**22 + 1)  # above Linux's largest
        unfinished = start(project, "far away")
        unfinished.__enter__()
    with start(project, "here"):
        statuses = {run.info.run_name: run.info.status for run in project.runs("task")}
    assert statuses["far away"] == "RUNNING"
    unfinished.__exit__(None, None, None)


def test_evaluate_restores_the_runs_that_a_store_lacks_once(warm, reproduced):
    """A teammate's `dvc pull` brings the models, not the runs."""
    first = reproduced.warm(warm, "pipeline.evaluate", "task=breast_cancer")
    assert first.returncode == 0, first.stderr
    runs = {run.info.run_name: run for run in reproduced.runs("breast_cancer")}
    assert runs.pop("comparison").data.tags["kind"] == "comparison"
    assert sorted(runs) == ["baseline", "ensemble", "logistic_regression", "neural_net"]
    for model, run in runs.items():
        line = f"{model}: the run that trained it is not in this store; recorded as run"
        assert f"{line} {run.info.run_id}" in first.stdout
        assert run.info.status == "FINISHED"
        assert {"test/roc_auc", "validation/roc_auc"} <= set(run.data.metrics)
        assert run.data.tags["restored"] == "true"
    assert "curve/train/log_loss" in runs["neural_net"].data.metrics

    second = reproduced.warm(warm, "pipeline.evaluate", "task=breast_cancer")
    assert second.returncode == 0, second.stderr
    assert "recorded as run" not in second.stdout
    # Four models, and the two comparisons.
    assert len(reproduced.runs("breast_cancer")) == 6


def test_eight_processes_may_make_the_store_at_once(warm, project):
    """Parallel first writers break a new SQLite store of MLflow (daizutabi/hydraflow#245)."""
    (project.root / "mlflow.db").unlink()
    first = "import sys\nfrom pipeline.tracking import store\nstore.connect(sys.argv[1])\n"
    (project.root / "first.py").write_text(first)
    with ThreadPoolExecutor(8) as pool:
        waiting = [pool.submit(project.warm, warm, "first", project.store) for _ in range(8)]
        for done in waiting:
            assert (done.result().returncode, done.result().stderr) == (0, "")
    assert [e.name for e in project.client.search_experiments()] == ["Default"]


def test_logging_a_model_ends_no_run_and_leaves_mlflows_store_as_it_was(
    project, tmp_path, monkeypatch
):
    """A process that is killed next must not leave a run that is FINISHED."""
    import mlflow

    _ = mlflow.pyfunc.log_model  # puts the module in the place of what loads it
    names = []
    monkeypatch.setattr(mlflow.pyfunc, "log_model", lambda **given: names.append(given["name"]))
    monkeypatch.setenv("DVC_ROOT", str(project.root))
    manifest = {"model": "net.v2", "inputs": {"x": "double"}, "outputs": {"label": "string"}}
    manifest |= {"example": [{"x": 1.5}], "requirements": []}
    (tmp_path / "model").mkdir()

    def log_model() -> None:
        journal = Journal.create(project.store, experiment="task", name="some", tags={})
        sender = Sender(journal, is_new=True)
        Run(sender).log_model(manifest, tmp_path / "model", [])
        sender.send(project.client, project.store)
        journal.leave()

    log_model()
    assert names == ["net_v2"]  # MLflow refuses a name with a dot
    assert the_run(project).info.status == "RUNNING"

    # What the environment names, then or later, is still heard.
    for name in ("elsewhere", "another"):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{name}.db")
        assert mlflow.get_tracking_uri() == f"sqlite:///{name}.db"
        log_model()
        assert os.environ["MLFLOW_TRACKING_URI"] == f"sqlite:///{name}.db"
