"""What ends trainings, comparisons and sweeps early: kills, and a store that goes."""

import importlib
import inspect
import itertools
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from random import Random

from processes import TASK, Row, fork, inside, must, scores, start
from proxy import Proxy, serve

STAGES = {
    "train": (f"task={TASK}", "model=logistic_regression"),
    "evaluate": (f"task={TASK}", "models=[baseline,logistic_regression]"),
}
SWEEP = ("--multirun", f"task={TASK}", "model=logistic_regression", "+sweep=logistic_regression")
TIMES = ("before", "after")
# Calls to the store before which a server goes: the first, and those after its run began.
MOMENTS = ("search_experiments", "log_batch", "log_model_artifacts", "set_terminated")


def each_call(project: Path, short: bool) -> Row:
    """Kill a training and a comparison before and after each call to the store."""
    prepare(project)
    uri, attempts, wrong = local_store(project), 0, []
    with inside(project):
        for module in (*STAGES, "tracking.sync", "evaluation.page"):  # once, not in each process
            importlib.import_module(f"pipeline.{module}")
        for stage in STAGES:
            calls = range(1, count_calls(stage, uri, project.parent / "calls") + 1)
            for moment in itertools.product(calls[:: 12 if short else 1], TIMES):

                def kill(number: int, when: str, _: str, moment: object = moment) -> None:
                    if (number, when) == moment:
                        os.kill(os.getpid(), signal.SIGKILL)

                ended = fork(lambda stage=stage, kill=kill: call_stage(stage, uri, kill))()
                # Otherwise the next one would be killed while it sends what this one left.
                fork(lambda: importlib.import_module("pipeline.tracking.sync").main(uri))()
                attempts += ended.code == -signal.SIGKILL
                if ended.code not in (0, -signal.SIGKILL):
                    wrong.append(f"{stage}, {moment}: {ended.fault() or ended.said}")
    lost, false = check_store(project, uri)
    return Row("kills before and after each call to the store", attempts, lost, wrong + false)


def random_kills(project: Path, short: bool) -> Row:
    """Kill trainings, comparisons and a sweep at any moment."""
    attempts = 3 if short else 50
    prepare(project)
    commands = {f"pipeline.{stage}": given for stage, given in STAGES.items()}
    lasted = {}
    for module, given in commands.items():
        begin = time.monotonic()
        must(project, module, *given)
        lasted[module] = time.monotonic() - begin
    wanted, moments = scores(project), Random(0)
    sweep = ("pipeline.train", *SWEEP, f"sweep.n_trials={attempts}")
    for number in range(attempts):
        module = [*commands, "sweep"][number % (len(commands) + 1)]
        command = (module, *commands[module]) if module in commands else sweep
        with start(project, *command) as process:
            with suppress(subprocess.TimeoutExpired):
                process.wait(moments.uniform(0, lasted.get(module, 3 * max(lasted.values()))))
            with suppress(ProcessLookupError):
                os.killpg(process.pid, moments.choice((signal.SIGKILL, signal.SIGTERM)))
            process.communicate()
    must(project, *sweep)
    for module, given in commands.items():
        must(project, module, *given)
    lost, wrong = check_store(project, local_store(project), trials=attempts)
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
    with inside(project), serve(place) as port:
        uri = f"http://127.0.0.1:{port}"
        for moment in moments:
            shutil.rmtree(model, ignore_errors=True)

            def train(moment: str = moment) -> None:
                proxy = Proxy(port)
                address.write_text(proxy.url)

                def go(_: int, when: str, name: str) -> None:
                    if (when, name) == ("before", moment):
                        proxy.set("gone")

                call_stage("train", proxy.url, go)

            ended = fork(train)()
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


def call_stage(stage: str, uri: str, at: Callable[[int, str, str], object]) -> None:
    """Run the command of a stage, and report each call to the store before and after it."""
    client = importlib.import_module("mlflow").MlflowClient
    command = importlib.import_module("pipeline.command")
    numbers = itertools.count(1)

    def told(name: str, usual: Callable[..., object]) -> Callable[..., object]:
        def call(*arguments: object, **named: object) -> object:
            number = next(numbers)
            at(number, "before", name)
            done = usual(*arguments, **named)
            at(number, "after", name)
            return done

        return call

    for name, usual in list(vars(client).items()):
        if not name.startswith("_") and inspect.isfunction(usual):
            setattr(client, name, told(name, usual))
    sys.argv = [stage, *STAGES[stage], f"tracking.uri={uri}"]
    command.run(stage)


def count_calls(stage: str, uri: str, note: Path) -> int:
    """Run a stage undisturbed, and return how often it calls the store."""
    ended = fork(lambda: call_stage(stage, uri, lambda number, *_: note.write_text(str(number))))()
    if ended.code != 0:
        sys.exit(f"error: {stage}: {ended.said}")
    return int(note.read_text())


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
        ended = fork(lambda: print_faults(uri, trials))()
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
