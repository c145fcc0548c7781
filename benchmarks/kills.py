"""What ends trainings, comparisons and sweeps early: kills, and a store that goes."""

import importlib
import inspect
import itertools
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

from processes import TASK, Ended, Row, fork, inside, must, scores, start
from proxy import Proxy, serve

TRAIN = ("pipeline.train", f"task={TASK}", "model=logistic_regression")
EVALUATE = ("pipeline.evaluate", f"task={TASK}", "models=[baseline,logistic_regression]")
SWEEP = (TRAIN[0], "--multirun", *TRAIN[1:], "+sweep=logistic_regression")
TIMES = ("before", "after")
SIGNALS = (signal.SIGKILL, signal.SIGTERM)
# Exit codes of what was killed: by the signal, or by its own answer to it.
KILLED = (*(-one for one in SIGNALS), 128 + signal.SIGTERM)
# In the short form one of so many moments; all times and signals have their turn.
EVERY = 29
# What Python runs first in the process that records a sweep.
RECORDER = """\
import os
import sys

if "KILL" in os.environ:
    sys.path.append({folder!r})
    __import__("kills").kill_at()
"""
# Calls to the store before which a server goes: the first, and those after its run began.
MOMENTS = ("search_experiments", "log_batch", "log_model_artifacts", "set_terminated")


def each_call(project: Path, short: bool) -> Row:
    """Kill a training, a comparison and a sweep before and after each call to the store."""
    prepare(project)
    (project / "sitecustomize.py").write_text(RECORDER.format(folder=str(Path(__file__).parent)))
    note, trials = project.with_name("note"), itertools.count(1)

    def go(command: tuple[str, ...], kill: str) -> Ended:
        first: Callable[[], None] | None = kill_at
        if command == SWEEP:  # whose store is called by another process, for one more trial
            command, first = (*SWEEP, f"sweep.n_trials={next(trials)}"), None
        ended = start(project, *command, first=first, KILL=kill, NOTE=str(note)).wait()
        # Otherwise the next one would be killed while it sends what this one left.
        must(project, "pipeline.tracking.sync")
        return ended

    attempts, wrong = 0, []
    for command in (TRAIN, EVALUATE, SWEEP):
        if (ended := go(command, "")).code != 0:
            sys.exit(f"error: {' '.join(command)}: {ended.said}")
        calls = range(1, int(note.read_text().split()[0]) + 1)
        moments = list(itertools.product(calls, TIMES, SIGNALS))
        for number, when, signum in moments[:: EVERY if short else 1]:
            ended = go(command, f"{number} {when} {signum:d}")
            attempts += note.read_text() == f"{number} {when}"
            fault = "" if ended.code in KILLED else ended.fault()
            if fault or "Traceback" in ended.said:
                wrong.append(f"{' '.join(command)}, {number} {when} {signum!r}: {ended.said}")
    total = next(trials)
    must(project, *SWEEP, f"sweep.n_trials={total}")
    lost, false = check_store(project, local_store(project), total)
    return Row("kills before and after each call to the store", attempts, lost, wrong + false)


def random_kills(project: Path, short: bool) -> Row:
    """Kill trainings, comparisons and a sweep at any moment."""
    attempts = 3 if short else 50
    prepare(project)
    lasted = {}
    for command in (TRAIN, EVALUATE):
        begin = time.monotonic()
        must(project, *command)
        lasted[command] = time.monotonic() - begin
    sweep = (*SWEEP, f"sweep.n_trials={attempts}")
    lasted[sweep] = 3 * max(lasted.values())
    wanted, moments = scores(project), Random(0)
    wrong: list[str] = []
    for number in range(attempts):
        command = [*lasted][number % len(lasted)]
        seconds = moments.uniform(0, lasted[command])
        ended = start(project, *command).end(seconds, moments.choice(SIGNALS))
        if "Traceback" in ended.said or ended.code not in (0, *KILLED):
            wrong.append(f"{' '.join(command)}: {ended.code}, {ended.said}")
    for command in (sweep, TRAIN, EVALUATE):
        must(project, *command)
    lost, false = check_store(project, local_store(project), trials=attempts)
    wrong += false
    if scores(project) != wanted:
        wrong.append(f"scores {scores(project)}, undisturbed {wanted}")
    return Row("kills of trainings, comparisons and a sweep at any moment", attempts, lost, wrong)


def store_gone(project: Path, short: bool) -> Row:
    """Let a server go before a training, after its run began, amid its model, and at its end."""
    prepare(project)
    place = project.with_name("server")
    place.mkdir()
    model = project / "models" / TASK / "logistic_regression"
    address = project.with_name("address")
    moments = MOMENTS[:: 2 if short else 1]
    lost: list[str] = []
    wrong: list[str] = []
    with serve(place) as port:
        uri = f"http://127.0.0.1:{port}"
        for moment in moments:
            shutil.rmtree(model, ignore_errors=True)

            def go_at(moment: str = moment) -> None:
                proxy = Proxy(port)
                address.write_text(proxy.url)
                os.environ["MLFLOW_TRACKING_URI"] = proxy.url

                def go(_: int, when: str, name: str) -> None:
                    if (when, name) == ("before", moment):
                        proxy.set("gone")

                watch_calls(go)

            ended = start(project, *TRAIN, first=go_at).wait()
            # Without a store nothing begins; what began goes on.
            if (ended.code, model.exists()) != ((1, False) if moment == MOMENTS[0] else (0, True)):
                lost.append(f"gone before {moment}: {ended.code}, {ended.said}")
            if ended.said.count("\n") != 1:
                wrong.append(f"gone before {moment}: {ended.said}")
            Proxy(port, int(address.read_text().rpartition(":")[2]))
            must(project, "pipeline.tracking.sync", MLFLOW_TRACKING_URI=address.read_text())
        gone, false = check_store(project, uri)
    return Row("servers that go while a model trains", len(moments), lost + gone, wrong + false)


def prepare(project: Path) -> None:
    """Ingest and featurize the task, and train what is compared."""
    must(project, "pipeline.ingest", f"task={TASK}", "task.split.folds=null")
    must(project, "pipeline.featurize", f"task={TASK}")
    for model in ("baseline", "logistic_regression"):
        must(project, "pipeline.train", f"task={TASK}", f"model={model}")


def local_store(project: Path) -> str:
    """Return the URI of the store of a project."""
    return f"sqlite:///{project.as_posix()}/mlflow.db"


def watch_calls(at: Callable[[int, str, str], object]) -> None:
    """Report the number and the name of each call to the store, before and after it."""
    client = importlib.import_module("mlflow").MlflowClient
    numbers = itertools.count(1)

    def watched(name: str, usual: Callable[..., object]) -> Callable[..., object]:
        def call(*arguments: object, **named: object) -> object:
            number = next(numbers)
            at(number, "before", name)
            done = usual(*arguments, **named)
            at(number, "after", name)
            return done

        return call

    for name, usual in list(vars(client).items()):
        if not name.startswith("_") and inspect.isfunction(usual):
            setattr(client, name, watched(name, usual))


def kill_at() -> None:
    """Let this process note each call to the store in NOTE, and be killed at the one of KILL."""
    note, (*moment, signum) = Path(os.environ["NOTE"]), os.environ["KILL"].split() or [""]

    def reach(number: int, when: str, _: str) -> None:
        note.write_text(f"{number} {when}")
        if [str(number), when] == moment:
            os.kill(os.getpid(), int(signum))

    watch_calls(reach)


def check_store(project: Path, uri: str, trials: int = 0) -> tuple[list[str], list[str]]:
    """
    Send what is left, and return what is lost and what is wrong in the store.

    Parameters
    ----------
    project : Path
        Folder of the project.
    uri : str
        URI of the store.
    trials : int
        The number of trials of the sweep.
    """
    must(project, "pipeline.tracking.sync", MLFLOW_TRACKING_URI=uri)
    lost = [f"{folder} is not sent" for folder in (project / ".spool").iterdir()]
    with inside(project):
        ended = fork(lambda: print_faults(uri, trials)).wait()
    wrong = ended.said.splitlines()
    return lost, wrong if ended.code == 0 else [*wrong, "the store cannot be read"]


def print_faults(uri: str, trials: int) -> None:
    """Print on standard error what is wrong in a store."""
    mlflow = importlib.import_module("mlflow")
    client = mlflow.MlflowClient(uri)
    number = client.get_experiment_by_name(TASK).experiment_id
    runs = client.search_runs([number], max_results=50_000)
    of_sweep = [run for run in runs if "trial" in run.data.tags]
    ready = {
        model.source_run_id
        for model in client.search_logged_models([number], max_results=1000)
        if model.status == mlflow.entities.LoggedModelStatus.READY
    }
    faults = [f"{len(of_sweep)} trials of {trials}"] * (len(of_sweep) != trials)
    if len({run.data.tags["journal"] for run in runs}) < len(runs):
        faults.append("a run is there twice")
    for run in runs:
        tags, status = run.data.tags, run.info.status
        is_done = status == "FINISHED"
        is_trained = is_done and "model" in tags and "trial" not in tags and "sweep" not in tags
        for what, is_wrong in {
            "is RUNNING": status == "RUNNING",
            "has no parameters": is_done and not run.data.params,
            "has no model": is_trained and run.info.run_id not in ready,
            "has no scores": is_trained and "validation/roc_auc" not in run.data.metrics,
            "is a trial that was not recorded": "trial" in tags
            and tags["trial.state"] not in ("complete", "pruned"),
            "is complete": tags.get("trial.state") == "complete" and not is_done,
        }.items():
            if is_wrong:
                faults.append(f"{run.info.run_name} {run.info.run_id}, {status}, {what}")
    print(*faults, sep="\n", end="\n" if faults else "", file=sys.stderr)
