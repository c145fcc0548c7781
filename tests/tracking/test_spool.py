"""Runs are on disk before the store has them, and it has each of them once in the end."""

import json
import resource
import shutil
import socket
import subprocess
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import LoggedModelStatus, RunStatus
from mlflow.exceptions import MlflowException

from benchmarks.proxy import Proxy, serve
from pipeline import tracking
from pipeline.errors import UserError
from pipeline.tracking import journal as journals
from pipeline.tracking import records as recording
from pipeline.tracking.git import Revision
from pipeline.tracking.journal import BUNDLE, Journal
from pipeline.tracking.runs import Run
from pipeline.tracking.sender import Sender

MINUTE = 60
# What a client of MLflow's writes with while a run is sent.
WRITES = (
    "create_run",
    "create_logged_model",
    "finalize_logged_model",
    "log_artifacts",
    "log_batch",
    "log_inputs",
    "log_model_artifacts",
    "log_outputs",
    "set_experiment_tag",
    "set_tag",
    "set_terminated",
    "update_run",
)
PREDICTOR = """\
def _load_pyfunc(path):
    class Model:
        def predict(self, table, params=None):
            return table[["x"]]

    return Model()
"""


@pytest.fixture
def root(tmp_path, monkeypatch) -> Path:
    """Return a folder that holds the spool of this process."""
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    return tmp_path


@pytest.fixture
def uri(root, empty_store) -> str:
    shutil.copy(empty_store, root / "mlflow.db")
    return f"sqlite:///{root.as_posix()}/mlflow.db"


def spooled(root: Path) -> list[Path]:
    return sorted((root / ".spool").glob("*"))


def runs(uri: str, experiment: str = "task") -> list:
    client = MlflowClient(uri)
    found = client.get_experiment_by_name(experiment)
    return [*client.search_runs([found.experiment_id])] if found else []


def write_everything(journal: Journal) -> None:
    """Write a line of each kind that a run can have."""
    run = Run(Sender(journal, is_new=True))
    run.log_settings(Path(), {"model": {"depth": 3}}, Revision("0" * 40, "", ()))
    for step in (1, 2, 3):
        run.log_curve(step, {"loss": 1 / step})
    run.log_rounds({"validation": [{"accuracy": 0.5}, {"accuracy": 0.75}]})
    journal.add(data={"name": "data", "digest": "abc", "origin": []})
    place = journal.new_folder()
    (place / "model").mkdir()
    (place / "code" / "toy_package").mkdir(parents=True)
    (place / "code" / "toy_package" / "predictor.py").write_text(PREDICTOR)
    model = {"files": place.name, "package": "toy_package", "name": "toy"}
    model |= {"inputs": ["x"], "outputs": {"label": "double"}, "requirements": []}
    journal.add(model=model | {"example": [{"x": 1.5}]})
    run.log_tags({BUNDLE: journal.name})
    run.log_text("note.txt", "a note")
    run.end("FINISHED")
    run.log_board("accuracy", {journal.name: "0.75"}, {journal.name: "take"}, ["curve/loss"])


def state(client: MlflowClient, name: str) -> dict:
    """Return all that the store has of the run of a journal."""
    experiment = client.get_experiment_by_name("task").experiment_id
    (run,) = client.search_runs([experiment], f"tags.journal = '{name}'")
    run_id, of_run = run.info.run_id, f"source_run_id = '{run.info.run_id}'"
    folder = Path(client.download_artifacts(run_id, ""))
    return {
        "status": run.info.status,
        "times": (run.info.start_time, run.info.end_time),
        "params": run.data.params,
        "curves": {
            key: [(point.step, point.value) for point in client.get_metric_history(run_id, key)]
            for key in run.data.metrics
        },
        "files": sorted(
            (str(path.relative_to(folder)), path.read_bytes())
            for path in folder.rglob("*")
            if path.is_file() and path.name != "requirements.txt"
        ),
        "data": [one.dataset.digest for one in run.inputs.dataset_inputs],
        "models": [
            (one.name, one.status)
            for one in client.search_logged_models([experiment], filter_string=of_run)
        ],
        "tags": {key: run.data.tags.get(key) for key in ("rank", "verdict", "accuracy")},
    }


class Killed(BaseException):
    """What stands for SIGKILL: nothing is sent after it, whoever catches it."""


@contextmanager
def broken(monkeypatch, number: int, when: str, how: str):
    """Break the call of a number, before or after it was done; yield the names of all calls."""
    calls: list[str] = []

    def breaking(name):
        usual = getattr(MlflowClient, name)

        def call(client, *arguments, **named):
            calls.append(name)
            is_it = len(calls) == number
            if how == "killed" and len(calls) > number:
                raise Killed
            if is_it and when == "before":
                raise Killed if how == "killed" else MlflowException("no answer")
            done = usual(client, *arguments, **named)
            if is_it:
                raise Killed if how == "killed" else MlflowException("no answer")
            return done

        return call

    with monkeypatch.context() as patch:
        for name in WRITES:
            patch.setattr(MlflowClient, name, breaking(name))
        yield calls


# MLflow compares the columns of an input example with a range.
@pytest.mark.filterwarnings("ignore:Operation with range is deprecated")
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("how", ["killed", "error"])
def test_whichever_call_is_broken_the_store_has_everything_once_in_the_end(
    root, uri, monkeypatch, how, when
):
    client = MlflowClient(uri)
    made = Journal.create(uri, experiment="task", name="some", tags={})
    write_everything(made)
    made.file.close()
    text = (made.folder / "lines.jsonl").read_text()

    def copy(name: str) -> Path:
        folder = root / ".spool" / name
        shutil.copytree(made.folder, folder)
        (folder / "lines.jsonl").write_text(text.replace(made.name, name))
        return folder

    undisturbed = Journal.open(copy("undisturbed"))
    with broken(monkeypatch, 0, when, "error") as calls:
        Sender(undisturbed, is_new=True).send(client, uri)
    undisturbed.leave()
    expected = state(client, "undisturbed")
    assert expected["status"] == "FINISHED"
    assert expected["curves"]["curve/loss"] == [(1, 1.0), (2, 1 / 2), (3, 1 / 3)]
    assert expected["models"] == [("toy", LoggedModelStatus.READY)]
    assert expected["tags"] == {"rank": "01", "verdict": "take", "accuracy": "0.75"}
    assert len(calls) > 12

    for number in range(1, len(calls) + 1):
        name = f"broken{number}"
        journal = Journal.open(copy(name))
        sender = Sender(journal, is_new=True)
        with broken(monkeypatch, number, when, how) as seen, suppress(Killed, MlflowException):
            sender.send(client, uri)
        assert len(seen) >= number
        if how == "killed":  # another process finds what was left
            journal.file.close()
            journal = Journal.open(root / ".spool" / name)
            sender = Sender(journal, is_new=False)
        sender.send(client, uri)
        assert state(client, name) == expected, (number, seen[number - 1])
        journal.leave()
        assert not (root / ".spool" / name).exists()


def test_half_a_line_of_a_killed_process_is_cut(root, uri):
    journal = Journal.create(uri, experiment="task", name="some", tags={})
    journal.add(tags={"a": "1"})
    journal.file.write(b'{"tags": {"b"')
    journal.file.close()

    (again,) = journals.abandoned(uri)
    again.add(tags={"c": "3"})

    assert again.tags() == {"a": "1", "c": "3"}
    assert again.status == "KILLED"
    again.file.close()


def test_a_full_disk_spoils_no_line(root, uri):
    journal = Journal.create(uri, experiment="task", name="some", tags={})
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (journal.written + 10, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            journal.add(tags={"a": "too much"})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    journal.add(tags={"b": "2"})

    assert journal.tags() == {"b": "2"}
    journal.file.close()


def test_a_journal_is_left_to_its_process_its_store_and_its_machine(root, uri, monkeypatch):
    mine = Journal.create(uri, experiment="task", name="mine", tags={})
    other = Journal.create("http://elsewhere", experiment="task", name="other store", tags={})
    other.file.close()
    with monkeypatch.context() as patch:
        patch.setattr(socket, "gethostname", lambda: "elsewhere")
        far = [Journal.create(uri, experiment="task", name=n, tags={}) for n in ("runs", "ended")]
    far[1].add(end="FINISHED", time=1)
    for journal in far:
        journal.file.close()

    found = [*journals.abandoned(uri)]
    assert [journal.head["name"] for journal in found] == ["ended"]
    for journal in (mine, *found):
        journal.file.close()


def test_a_run_that_cannot_be_sent_holds_up_no_other(root, uri, capsys):
    incomplete = Journal.create(uri, experiment="task", name="incomplete", tags={})
    incomplete.add(files="missing")
    damaged = Journal.create(uri, experiment="task", name="damaged", tags={})
    (damaged.folder / "lines.jsonl").write_text("{}}\n")
    for journal in (incomplete, damaged):
        journal.file.close()

    with (
        tracking.recording(uri) as records,
        records.start_run(root_of_git(root), "task", "whole", {"a": 1}, {}),
    ):
        pass

    first, second = capsys.readouterr().err.splitlines()
    assert first == f"{damaged.folder} is damaged and not sent: mend or remove it"
    assert second.startswith(f"the tracking store {uri} does not have all of 1 run (")
    assert {run.info.run_name: run.info.status for run in runs(uri)} == {
        "incomplete": "RUNNING",
        "whole": "FINISHED",
    }
    assert spooled(root) == sorted([incomplete.folder, damaged.folder])


def test_no_password_is_in_the_spool(root):
    journal = Journal.create("http://me:secret@127.0.0.1:9", experiment="task", name="a", tags={})

    assert journal.head["store"] == "http://127.0.0.1:9"
    assert b"secret" not in (journal.folder / "lines.jsonl").read_bytes()
    journal.file.close()


@pytest.fixture(scope="module")
def server(empty_store, tmp_path_factory):
    """Return the port of a server of MLflow's."""
    folder = tmp_path_factory.mktemp("server")
    shutil.copy(empty_store, folder / "mlflow.db")
    with serve(folder) as port:
        yield port


@pytest.fixture
def proxy(server) -> Proxy:
    return Proxy(server)


@pytest.mark.parametrize("mode", ["gone", "silent"])
def test_work_goes_on_when_the_server_goes_and_it_has_the_run_later(
    root, proxy, mode, capsys, request, monkeypatch
):
    monkeypatch.setattr(recording, "PATIENCE", 1.0)
    experiment = request.node.name
    with (
        tracking.recording(proxy.url) as records,
        records.start_run(root_of_git(root), experiment, "some", {"a": 1}, {}) as run,
    ):
        proxy.set(mode)
        for step in range(3):
            run.log_curve(step, {"loss": float(step)})
        run.log_text("note.txt", "a note")
    err = capsys.readouterr().err
    assert f"the tracking store {proxy.url} does not have all of 1 run (" in err
    assert err.count("\n") == 1
    assert len(spooled(root)) == 1

    proxy.set("open")
    records.finish(MINUTE)  # a thread may still wait for an answer
    capsys.readouterr()
    with tracking.recording(proxy.url):
        pass
    assert capsys.readouterr().err == ""
    assert spooled(root) == []
    (run,) = runs(proxy.url, experiment)
    assert (run.info.status, run.data.metrics) == ("FINISHED", {"curve/loss": 2.0})


def root_of_git(root: Path) -> Path:
    subprocess.run(["git", "init", "--quiet"], cwd=root, check=True)
    commit = ["git", "-c", "user.name=a", "-c", "user.email=a@example.org", "commit", "--quiet"]
    subprocess.run([*commit, "--allow-empty", "--message", "a"], cwd=root, check=True)
    return root


@pytest.mark.parametrize("mode", ["gone", "silent"])
def test_nothing_begins_without_a_store_that_is_required(root, proxy, mode, monkeypatch):
    monkeypatch.setattr(recording, "PATIENCE", 1.0)
    proxy.set(mode)
    with (
        pytest.raises(UserError, match=r"tracking store .*tracking\.required=false"),
        tracking.recording(proxy.url),
    ):
        raise AssertionError("it began")
    assert spooled(root) == []


def test_a_training_without_its_server_is_kept_compared_and_sent(warm, reproduced, proxy):
    """The commands of a user who has no network for a while."""
    project = reproduced
    shutil.rmtree(project.root / "models/breast_cancer/neural_net")
    proxy.set("gone")
    offline = ["tracking.required=false", "task=breast_cancer"]
    uri = {"MLFLOW_TRACKING_URI": proxy.url}
    told = project.warm(warm, "pipeline.train", "task=breast_cancer", "model=baseline", **uri)
    assert told.returncode == 1
    assert told.stderr.startswith(f"error: the tracking store {proxy.url} cannot be reached (")
    assert told.stderr.count("\n") == 1

    for model in ("baseline", "logistic_regression"):
        done = project.warm(warm, "pipeline.train", f"model={model}", *offline, **uri)
        assert done.returncode == 0, done.stderr
        assert "kept in .spool/" in done.stderr
        assert "kept in runs/" not in done.stdout  # it is the model that is compared
    models = "models=[baseline,logistic_regression]"
    done = project.warm(warm, "pipeline.evaluate", models, *offline, **uri)
    assert done.returncode == 0, done.stderr
    assert (project.root / "reports/breast_cancer/board.json").exists()

    proxy.set("open")
    sent = project.must_warm(warm, "pipeline.tracking.sync", **uri)
    assert sent == f"sent 3 runs to {proxy.url}\n"
    assert spooled(project.root) == []
    found = {run.info.run_name: run for run in runs(proxy.url, "breast_cancer")}
    assert sorted(found) == ["baseline", "comparison", "logistic_regression"]
    assert {run.info.status for run in found.values()} == {"FINISHED"}
    board = json.loads((project.root / "reports/breast_cancer/board.json").read_text())
    best = found["logistic_regression"].data
    assert (
        best.metrics["test/roc_auc"]
        == board["models"]["logistic_regression"]["scores"]["roc_auc"]["score"]
    )
    assert best.metrics["cost/fit_seconds"] > 0
    assert best.tags["verdict"] == "take"
    assert "restored" not in best.tags
    assert project.must_warm(warm, "pipeline.tracking.sync", **uri) == (
        f"sent 0 runs to {proxy.url}\n"
    )


def test_a_training_that_ended_well_is_not_killed_by_the_next(root, uri):
    """Its process was killed after the end of the run, and before the store had it."""
    journal = Journal.create(uri, experiment="task", name="some", tags={})
    journal.add(end="FINISHED", time=journals.now())
    journal.file.close()
    with tracking.recording(uri):
        pass
    (run,) = runs(uri)
    assert run.info.status == RunStatus.to_string(RunStatus.FINISHED)
