"""Sweeps as a user runs them: killed, shared, failing, pruned, and adopted."""

import json
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import optuna
import pandas as pd
import pytest
import yaml
from safetensors import safe_open

from pipeline.sweep.study import connect

DEADLINE = 120
STUDY = "breast_cancer-mine"
MODULE = '''
import os, signal, time
import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin

class Mine(ClassifierMixin, BaseEstimator):
    """A model that fails or waits as `how` says, and logs when it starts and when it ends."""

    def __init__(self, quality: float = 0.5, how: str = "well", seed: int = 0, log: str = ""):
        self.quality, self.how, self.seed, self.log = quality, how, seed, log

    def fit(self, X, y, validation=None, report=None):
        self.write("start")
        for step in range(1, 6):
            report(step, {"validation/log_loss": 1 - self.quality})
        if self.how == "raises":
            raise ValueError("boom")
        if self.how == "memory":
            raise MemoryError("no room")
        if self.how == "no_number":
            report(6, {"validation/log_loss": float("nan")})
        while self.how == "dies_later" and self.count("start") < 2:
            time.sleep(0.02)
        if self.how in ("dies", "dies_later"):
            os.kill(os.getpid(), signal.SIGKILL)
        while self.how == "waits" and self.count("end") >= int(open(self.log + ".let").read()):
            time.sleep(0.02)
        self.classes_ = np.unique(y)
        self.write("end")
        return self

    def count(self, what):
        return open(self.log).read().count(what)

    def write(self, what):
        with open(self.log, "a") as file:
            file.write(f"{what} {self.quality} {self.how} {self.seed}\\n")

    def predict_proba(self, X):
        noise = np.random.default_rng(self.seed).random(len(X))
        score = self.quality * (X[:, 0] < 0) + (1 - self.quality) * noise
        return np.column_stack([score, 1 - score])
'''
MODEL = """\
family: classical
view: engineered
_target_: mine.Mine
quality: 0.5
how: well
seed: ${{seed}}
log: {log}
"""


@pytest.fixture(scope="session")
def featurized(warm, clone, empty_store, tmp_path_factory):
    """Return the project with the features of breast_cancer in one round. Leave it as it is."""
    project = clone.copy(tmp_path_factory.mktemp("featurized") / "bakeoff", empty_store)
    project.edit("conf/task/breast_cancer.yaml", "folds: 5", "folds: null")
    for stage in ("ingest", "featurize"):
        project.must_warm(warm, f"pipeline.{stage}", "task=breast_cancer")
    return project


class SweepProject:
    """A project with a model whose trials fail or wait as their parameters say."""

    def __init__(self, project, warm: str) -> None:
        self.project = project
        self.root = project.root
        self.warm = warm
        self.log = project.root / "fits.log"
        (project.root / "mine.py").write_text(MODULE)
        (project.root / "conf/model/mine.yaml").write_text(MODEL.format(log=self.log))

    def command(self, *overrides: str) -> list[str]:
        arguments = ["--multirun", "hydra/sweeper=optuna", "task=breast_cancer", "model=mine"]
        return [*arguments, *overrides]

    def run(self, *overrides: str):
        return self.project.warm(self.warm, "pipeline.train", *self.command(*overrides))

    def start(self, *overrides: str):
        return self.project.start(self.warm, "-m", "pipeline.train", *self.command(*overrides))

    def logged(self, word: str) -> list[str]:
        """Return the parameters of the trials that logged a word: start or end."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        return [line.partition(" ")[2] for line in lines if line.startswith(word)]

    def allow(self, ends: int) -> None:
        """Allow this number of waiting trials to end."""
        aside = self.log.with_suffix(".new")
        aside.write_text(str(ends))
        aside.replace(f"{self.log}.let")

    def trials(self, study: str = STUDY) -> list[optuna.trial.FrozenTrial]:
        storage = connect(f"journal:///{self.root}/sweeps/{study}.db")
        return optuna.load_study(study_name=study, storage=storage).get_trials(deepcopy=False)

    def states(self) -> dict[str, int]:
        return Counter(trial.state.name for trial in self.trials())

    def runs(self, nested: bool) -> list:
        """Return the runs in MLflow: of the trials, or of the sweeps."""
        runs = self.project.runs("breast_cancer")
        return [run for run in runs if ("mlflow.parentRunId" in run.data.tags) == nested]

    def artifact(self, run, name: str) -> Path:
        folder = self.root / "mlruns" / "breast_cancer" / run.info.run_id / "artifacts"
        return folder / name


@pytest.fixture
def sweeping(warm, featurized, empty_store, tmp_path) -> SweepProject:
    return SweepProject(featurized.copy(tmp_path / "bakeoff", empty_store), warm)


def wait_until(so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE
    while not so():
        assert time.monotonic() < deadline, "waited for two minutes"
        time.sleep(0.05)


GRID = ["sweep.sampler=grid", "sweep.pruner=null"]


def test_a_sweep_has_one_run_with_nested_runs_of_its_trials_and_a_table(sweeping):
    done = sweeping.run(*GRID, "model.quality=0.2,0.9,0.5")
    assert done.returncode == 0, done.stderr
    assert "3 trials, 3 complete; best validation roc_auc" in done.stdout
    assert done.stdout.rstrip().endswith("in trial 1: quality=0.9")
    (parent,) = sweeping.runs(nested=False)
    assert (parent.info.status, parent.info.run_name) == ("FINISHED", f"sweep {STUDY}")
    assert (parent.data.tags["best.trial"], parent.data.tags["best.model.quality"]) == ("1", "0.9")
    best = sweeping.trials()[1].value
    assert parent.data.metrics == {"best/roc_auc": best}
    children = {run.info.run_name: run for run in sweeping.runs(nested=True)}
    assert sorted(children) == ["quality=0.2", "quality=0.5", "quality=0.9"]
    assert {run.info.status for run in children.values()} == {"FINISHED"}
    assert {run.data.tags["mlflow.parentRunId"] for run in children.values()} == {
        parent.info.run_id
    }
    child = children["quality=0.9"]
    assert child.data.params == {"model.quality": "0.9"}
    assert child.data.metrics["validation/roc_auc"] == best
    assert child.data.metrics["curve/validation/log_loss"] == pytest.approx(0.1)
    table = pd.read_csv(sweeping.artifact(parent, "trials.csv"))
    assert table["model.quality"].tolist() == [0.2, 0.9, 0.5]
    assert table["roc_auc"].tolist() == [trial.value for trial in sweeping.trials()]
    assert sweeping.artifact(parent, "history.png").stat().st_size > 1000


def test_a_second_call_runs_nothing_and_a_higher_number_runs_more(sweeping):
    space = ["model.quality=interval(0, 1)", "sweep.sampler=random"]
    assert sweeping.run(*space, "sweep.n_trials=3").returncode == 0
    values = [trial.params for trial in sweeping.trials()]
    # The first trial has the settings of now.
    assert values[0] == {"model.quality": 0.5}
    again = sweeping.run(*space, "sweep.n_trials=3")
    assert again.returncode == 0, again.stderr
    assert "all 3 trials are done, nothing is run" in again.stdout
    assert len(sweeping.logged("start")) == 3
    more = sweeping.run(*space, "sweep.n_trials=5")
    assert more.returncode == 0, more.stderr
    assert [trial.params for trial in sweeping.trials()][:3] == values
    assert sweeping.states() == {"COMPLETE": 5}
    assert len(sweeping.runs(nested=True)) == 5
    assert len(sweeping.runs(nested=False)) == 1


def test_a_sweep_killed_three_times_runs_every_trial_once_and_interrupted_ones_again(sweeping):
    """SIGKILL, each time while a trial is under way."""
    qualities = [round(0.3 + number / 100, 2) for number in range(12)]
    asked = [*GRID, f"model.quality={','.join(map(str, qualities))}", "model.how=waits"]
    for kills, done in enumerate((2, 5, 9)):
        sweeping.allow(done)
        process = sweeping.start(*asked)
        try:
            wait_until(lambda begun=done + kills + 1: len(sweeping.logged("start")) == begun)
        finally:
            process.kill()
            process.communicate()
        assert sweeping.states() == {"COMPLETE": done, "RUNNING": 1, "WAITING": 11 - done}
    sweeping.allow(12)
    done = sweeping.run(*asked)
    assert done.returncode == 0, done.stderr
    assert sweeping.states() == {"COMPLETE": 12}
    assert [trial.params["model.quality"] for trial in sweeping.trials()] == qualities
    assert sweeping.logged("end") == [f"{quality} waits 0" for quality in qualities]
    again = [f"{qualities[number]} waits 0" for number in (2, 5, 9)]
    assert Counter(sweeping.logged("start")) == Counter(sweeping.logged("end") + again)
    runs = sweeping.runs(nested=True)
    assert {run.info.status for run in runs} == {"FINISHED"}
    assert sorted(int(run.data.tags["trial"]) for run in runs) == list(range(12))
    (parent,) = sweeping.runs(nested=False)
    assert parent.info.status == "FINISHED"


def test_two_processes_share_a_study_and_run_no_trial_twice(sweeping):
    qualities = ",".join(str(round(0.3 + number / 100, 2)) for number in range(40))
    asked = [*GRID, f"model.quality={qualities}", "model.how=waits"]
    sweeping.allow(0)
    processes = [sweeping.start(*asked) for _ in range(2)]
    try:
        # Both are at work before either may end a trial.
        wait_until(lambda: len(sweeping.logged("start")) == 2)
        sweeping.allow(40)
        outputs = [process.communicate(timeout=DEADLINE) for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert [process.returncode for process in processes] == [0, 0], outputs
    assert sweeping.states() == {"COMPLETE": 40}
    assert len(sweeping.logged("start")) == len(set(sweeping.logged("end"))) == 40
    numbers = [int(run.data.tags["trial"]) for run in sweeping.runs(nested=True)]
    assert sorted(numbers) == list(range(40))
    (parent,) = sweeping.runs(nested=False)
    assert parent.info.status == "FINISHED"
    assert len(pd.read_csv(sweeping.artifact(parent, "trials.csv"))) == 40


def test_a_trial_that_fails_is_a_result_and_the_sweep_goes_on(sweeping):
    done = sweeping.run(
        *GRID, "model.how=well,raises,memory,no_number", "sweep.max_failure_rate=0.75"
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    line = MODULE[: MODULE.index("boom")].count("\n") + 1
    reasons = {
        "raises": f"Mine failed: ValueError: boom (mine.py, line {line})",
        "memory": "MemoryError: no room",
        "no_number": "Mine: validation/log_loss is nan at step 6",
    }
    for number, (how, reason) in enumerate(reasons.items(), 1):
        assert f"trial {number} failed: {reason} (how={how})" in done.stderr
    assert sweeping.states() == {"COMPLETE": 1, "FAIL": 3}
    failed = [run for run in sweeping.runs(nested=True) if run.info.status == "FAILED"]
    assert {run.data.tags["trial.error"] for run in failed} == set(reasons.values())
    again = sweeping.run(
        *GRID, "model.how=well,raises,memory,no_number", "sweep.max_failure_rate=0.7"
    )
    assert again.returncode == 1
    assert "3 of 4 trials failed, more than sweep.max_failure_rate=0.7 allows" in again.stderr
    assert len(sweeping.logged("start")) == 4


def test_a_worker_that_is_killed_fails_its_own_trial_only(sweeping):
    """Though the death of one process ends the others of a joblib pool."""
    done = sweeping.run(
        *GRID,
        "model.quality=0.5,0.6",
        "model.how=dies,well",
        "hydra/launcher=joblib",
        "sweep.workers=2",
        "sweep.max_failure_rate=0.5",
    )
    assert done.returncode == 0, done.stderr
    assert [trial.state.name for trial in sweeping.trials()] == ["FAIL", "COMPLETE"] * 2
    assert done.stderr.count("the process that ran it died") == 2


def test_a_trial_that_kills_is_told_from_one_that_is_killed_with_it(sweeping):
    """Both are left running: the second time too, when the first one runs alone."""
    sweeping.allow(0)
    two = ["hydra/launcher=joblib", "sweep.workers=2", "sweep.max_failure_rate=0.5"]
    process = sweeping.start(*GRID, "model.how=dies_later,waits", *two)
    try:
        wait_until(lambda: len(sweeping.logged("start")) > 2)
        wait_until(lambda: sweeping.states().get("FAIL") == 1)
        sweeping.allow(2)
        _, errors = process.communicate(timeout=DEADLINE)
    finally:
        process.kill()
    assert process.returncode == 0, errors
    assert [trial.state.name for trial in sweeping.trials()] == ["FAIL", "COMPLETE"]


@pytest.mark.parametrize(
    "asked",
    [["hydra/sweeper=optuna", *GRID, "sweep.workers=2"], ["hydra.launcher.n_jobs=2"]],
    ids=["trials", "jobs"],
)
def test_workers_end_when_only_their_command_is_killed(sweeping, asked):
    sweeping.allow(0)
    waiting = ["model=mine", "model.quality=0.3,0.4", "model.how=waits", "hydra/launcher=joblib"]
    process = sweeping.project.start(
        *[sweeping.warm, "-m", "pipeline.train", "--multirun", "task=breast_cancer"],
        *[*waiting, *asked],
    )
    try:
        wait_until(lambda: len(sweeping.logged("start")) == 2)
        process.kill()
        process.communicate(timeout=DEADLINE)  # until nobody can write to its output any more
    finally:
        sweeping.allow(2)


def test_hopeless_trials_are_ended_and_marked(sweeping):
    """The median of the first five is beyond what the sixth can be."""
    qualities = "model.quality=0.9,0.8,0.7,0.85,0.75,0.1"
    done = sweeping.run(qualities, "sweep.sampler=grid", "sweep.warmup=3")
    assert done.returncode == 0, done.stderr
    assert sweeping.states() == {"COMPLETE": 5, "PRUNED": 1}
    last = sweeping.trials()[5]
    assert (last.state.name, sorted(last.intermediate_values)) == ("PRUNED", [1, 2, 3])
    (run,) = (run for run in sweeping.runs(nested=True) if run.info.run_name == "quality=0.1")
    assert (run.info.status, run.data.tags["trial.state"]) == ("KILLED", "pruned")


def test_what_the_command_line_sets_is_not_searched(sweeping):
    space = "++sweep.space={model.quality: 'choice(0.2, 0.9)', model.how: 'choice(well, waits)'}"
    done = sweeping.run(*GRID, space, "model.how=well")
    assert done.returncode == 0, done.stderr
    assert [trial.params for trial in sweeping.trials()] == [
        {"model.quality": 0.2},
        {"model.quality": 0.9},
    ]


def test_what_is_searched_outranks_the_architecture_the_task_and_what_was_adopted(sweeping):
    architecture = sweeping.root / "conf/architecture/better.yaml"
    architecture.write_text("# @package model\nquality: 0.7\n")
    with (sweeping.root / "conf/task/breast_cancer.yaml").open("a") as file:
        file.write("models: {mine: {architecture: better, quality: 0.6}}\n")
    adopted = sweeping.root / "conf/adopted/breast_cancer/mine.yaml"
    adopted.parent.mkdir(parents=True)
    adopted.write_text("# @package model\nquality: 0.5\n")
    done = sweeping.run(*GRID, "model.quality=0.2,0.9")
    assert done.returncode == 0, done.stderr
    assert [line.split()[0] for line in sweeping.logged("end")] == ["0.2", "0.9"]


def test_a_study_that_ran_nothing_may_be_corrected(sweeping):
    out_of_reach = "tracking.uri=http://127.0.0.1:9"
    assert sweeping.run(*GRID, "model.quality=0.2,0.8", out_of_reach).returncode == 1
    done = sweeping.run(*GRID, "model.quality=0.2,0.9")
    assert done.returncode == 0, done.stderr
    assert [trial.params["model.quality"] for trial in sweeping.trials()] == [0.2, 0.9]


def test_seeds_give_a_mean_and_a_standard_deviation(sweeping):
    done = sweeping.run("+sweep=seeds", "model.quality=0.1")
    assert done.returncode == 0, done.stderr
    study = f"{STUDY}-seeds"
    values = [trial.value for trial in sweeping.trials(study)]
    assert len(set(values)) == 3
    assert [line.split()[1:] for line in sweeping.logged("end")] == [["well", s] for s in "012"]
    line = f"roc_auc {np.mean(values):.4f} ± {np.std(values, ddof=1):.4f} over 3 seeds"
    assert line in done.stdout
    (parent,) = sweeping.runs(nested=False)
    row = pd.read_csv(sweeping.artifact(parent, "seeds.csv")).iloc[0]
    assert row["roc_auc_mean"] == pytest.approx(np.mean(values))
    assert row["roc_auc_std"] == pytest.approx(np.std(values, ddof=1))
    metrics = parent.data.metrics
    assert metrics["seeds/roc_auc_mean"] == pytest.approx(np.mean(values))
    assert metrics["seeds/roc_auc_std"] == pytest.approx(np.std(values, ddof=1))


@pytest.mark.parametrize(
    "launcher",
    [
        "joblib",
        pytest.param("ray", marks=pytest.mark.slow),
        pytest.param("submitit_local", marks=pytest.mark.slow),
    ],
)
def test_every_launcher_gives_the_same_trials(sweeping, launcher):
    pytest.importorskip({"submitit_local": "submitit"}.get(launcher, launcher))
    space = ["model.quality=interval(0.2, 0.9)", "sweep.sampler=random", "sweep.n_trials=6"]
    done = sweeping.run(*space, f"hydra/launcher={launcher}", "sweep.workers=2")
    assert done.returncode == 0, done.stderr
    parallel = {trial.number: (trial.params, trial.value) for trial in sweeping.trials()}
    done = sweeping.run(*space, "sweep.study=alone")
    assert done.returncode == 0, done.stderr
    alone = {trial.number: (trial.params, trial.value) for trial in sweeping.trials("alone")}
    assert parallel == alone
    runs = sweeping.runs(nested=True)
    assert Counter(run.info.status for run in runs) == {"FINISHED": 12}


@pytest.mark.slow
def test_eight_processes_may_start_a_sweep_in_a_fresh_store(sweeping):
    (sweeping.root / "mlflow.db").unlink()
    qualities = ",".join(str(round(0.3 + number / 100, 2)) for number in range(16))
    done = sweeping.run(
        *GRID, f"model.quality={qualities}", "hydra/launcher=joblib", "sweep.workers=8"
    )
    assert done.returncode == 0, done.stderr
    assert sweeping.states() == {"COMPLETE": 16}
    assert len(sweeping.logged("start")) == 16
    assert {run.info.status for run in sweeping.runs(nested=True)} == {"FINISHED"}
    assert len(sweeping.runs(nested=True)) == 16


def test_ctrl_c_leaves_a_trial_that_the_next_sweep_continues(sweeping):
    asked = [*GRID, "model.quality=0.5,0.6", "model.how=waits"]
    sweeping.allow(0)
    process = sweeping.start(*asked)
    try:
        wait_until(lambda: len(sweeping.runs(nested=True)) == 1)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=DEADLINE)
    finally:
        process.kill()
    assert process.returncode == 130
    assert err == "interrupted\n"
    assert {run.info.status for run in sweeping.project.runs("breast_cancer")} == {"KILLED"}
    sweeping.allow(2)
    assert sweeping.run(*asked).returncode == 0
    assert sweeping.states() == {"COMPLETE": 2}
    assert {run.info.status for run in sweeping.project.runs("breast_cancer")} == {"FINISHED"}
    assert len(sweeping.project.runs("breast_cancer")) == 3


@pytest.mark.slow
def test_a_killed_training_of_a_network_continues_from_its_checkpoint(sweeping):
    asked = ["model=neural_net", "model.lr=0.0003,0.001", "sweep.sampler=grid"]
    asked += ["model.max_epochs=300", "model.patience=300", "sweep.pruner=null"]
    process = sweeping.start(*asked, "sweep.study=killed")
    checkpoint = sweeping.root / "multirun/killed/0/0-0.safetensors"
    try:
        wait_until(checkpoint.exists)
    finally:
        process.kill()
        process.communicate()
    with safe_open(checkpoint, framework="pt") as file:
        epochs = len(json.loads(file.metadata()["values"])["curve"])
    assert 0 < epochs < 300
    for study in ("killed", "whole"):
        done = sweeping.run(*asked, f"sweep.study={study}")
        assert done.returncode == 0, done.stderr
    values = {study: [t.value for t in sweeping.trials(study)] for study in ("killed", "whole")}
    assert values["killed"] == values["whole"]
    curves = [sweeping.trials(study)[0].intermediate_values for study in values]
    assert curves[0] == curves[1]
    assert not checkpoint.exists()


@pytest.mark.slow
def test_a_new_study_does_not_continue_from_the_checkpoint_of_a_deleted_one(sweeping):
    asked = ["model=neural_net", "sweep.sampler=grid", "sweep.pruner=null", "model.patience=300"]
    process = sweeping.start(*asked, "model.lr=0.00001,0.1", "model.max_epochs=300")
    study = "breast_cancer-neural_net"
    checkpoint = sweeping.root / "multirun" / study / "0" / "0-0.safetensors"
    try:
        wait_until(checkpoint.exists)
    finally:
        process.kill()
        process.communicate()
    assert checkpoint.exists()
    for file in (sweeping.root / "sweeps").glob(f"{study}.db*"):
        file.unlink()
    for name in (study, "fresh"):
        again = ["model.lr=0.01,0.02", "model.max_epochs=300", f"sweep.study={name}"]
        done = sweeping.run(*asked, *again)
        assert done.returncode == 0, done.stderr
    values = [[trial.value for trial in sweeping.trials(name)] for name in (study, "fresh")]
    assert values[0] == values[1]


MISTAKES = {
    "a key that the model lacks": (["++sweep.space={model.qualty: 'interval(0, 1)'}"], "quality"),
    "a range upside down": (["model.quality=interval(1, 0)"], "interval(1, 0) is upside down"),
    "no range": ([], "there is nothing to search"),
    "a space without a plus": (["sweep=lightgbm"], "+sweep=<model>"),
    "workers of a launcher that has one": (
        ["model.quality=1,2", "sweep.workers=8"],
        "sweep.workers=8 needs a launcher of several processes",
    ),
    "a seed below 0": (
        ["model.quality=1,2", "seed=-1"],
        "seed: -1 is not between 0 and 4294967295",
    ),
    "nothing left to search": (["+sweep=seeds", "seed=7"], "there is nothing to search"),
    "a group": (["task=breast_cancer,genre", "model.quality=1,2"], "sweep.space.task"),
    "a grid of an interval": (["model.quality=interval(0, 1)", *GRID], "needs choice(...)"),
    "an unknown sampler": (["model.quality=1,2", "sweep.sampler=tpee"], "did you mean 'tpe'?"),
    "a number of trials": (["model.quality=1,2", "sweep.n_trials=0"], "sweep.n_trials: 0"),
    "a metric that is not computed": (
        ["model.quality=0.1,0.2", "task.metric=accuracy"],
        "task.metric 'accuracy' is not among task.metrics",
    ),
    "a database out of reach": (
        ["model.quality=0.1,0.2", "sweep.storage=sqlite:////nowhere/studies.db"],
        "sweep.storage sqlite:////nowhere/studies.db cannot be reached",
    ),
    "a store out of reach": (
        ["model.quality=0.1,0.2", "tracking.uri=http://127.0.0.1:9"],
        "the tracking store http://127.0.0.1:9 cannot be reached",
    ),
    "features that are not there": (
        ["model.quality=0.1,0.2", "task=genre"],
        "view.json does not exist: run the stage that writes it",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_reported_before_the_first_trial(sweeping, mistake):
    overrides, message = MISTAKES[mistake]
    done = sweeping.run(*overrides)
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) <= 2
    assert sweeping.logged("start") == []


def test_features_of_other_data_are_not_searched_on(sweeping):
    (sweeping.root / "data/ingested/breast_cancer/more.txt").write_text("more")
    done = sweeping.run(*GRID, "model.quality=0.1,0.2")
    assert done.returncode == 1
    assert "data/ingested/breast_cancer has changed since it was featurized" in done.stderr
    assert sweeping.logged("start") == []


def test_another_search_under_the_same_name_is_refused(sweeping):
    assert sweeping.run("model.quality=0.1,0.2", *GRID).returncode == 0
    done = sweeping.run("model.quality=0.1,0.3", *GRID)
    assert done.returncode == 1
    assert "sweep.space.model.quality was 0.1,0.2, is 0.1,0.3" in done.stderr
    assert f"sweep.study={STUDY}-2" in done.stderr
    done = sweeping.run("model.quality=0.1,0.2", *GRID, "model.how=raises")
    assert "model.how was well, is raises" in done.stderr


@pytest.mark.slow
def test_what_is_adopted_is_trained_next_and_marks_that_stage_alone(sweeping):
    project, warm = sweeping.project, sweeping.warm
    models = "tasks: [breast_cancer]\nmodels: [baseline, logistic_regression]\n"
    models += "seed: 0\nsplit_seed: 0\n"
    (sweeping.root / "params.yaml").write_text(models)
    project.commit()
    project.must_dvc(warm, "repro", "--quiet")
    asked = ["task=breast_cancer", "model=logistic_regression", "model.max_iter=3000"]
    swept = ["--multirun", "hydra/sweeper=optuna", *asked, "model.C=0.000003,20,0.05", *GRID]
    done = project.warm(warm, "pipeline.train", *swept)
    assert done.returncode == 0, done.stderr
    best = max(sweeping.trials("breast_cancer-logistic_regression"), key=lambda trial: trial.value)
    file = sweeping.root / "conf/adopted/breast_cancer/logistic_regression.yaml"
    shown = project.warm(warm, "pipeline.adopt", *asked, "--dry-run")
    assert shown.returncode == 0, shown.stderr
    # What the command line set in the sweep belongs to the experiment.
    assert f"+max_iter: 3000\n+C: {best.params['model.C']}\n" in shown.stdout
    assert not file.exists()
    done = project.warm(warm, "pipeline.adopt", *asked)
    assert done.stdout == shown.stdout
    settings = yaml.safe_load(file.read_text(encoding="utf-8"))
    assert settings.pop("tuned")["trials"] == 3
    assert settings == {"max_iter": 3000, "C": best.params["model.C"]}
    assert list(json.loads(project.must_dvc(warm, "status", "--json"))) == ["compose"]
    project.must_dvc(warm, "repro", "--quiet", "compose")
    stage = "train@breast_cancer-logistic_regression"
    assert list(json.loads(project.must_dvc(warm, "status", "--json"))) == [stage]
    project.must_dvc(warm, "repro", "--quiet", stage)
    scores = sweeping.root / "metrics/breast_cancer/logistic_regression.json"
    assert json.loads(scores.read_text(encoding="utf-8"))["roc_auc"] == best.value
    again = project.warm(warm, "pipeline.adopt", *asked)
    assert "has these settings already" in again.stdout
    # The command line has the last word.
    done = project.warm(warm, "pipeline.train", *asked, "model.C=7")
    assert done.returncode == 0, done.stderr
    assert project.runs("breast_cancer")[0].data.params["model.C"] == "7"


def tuning(sweeping, how: str = "well") -> list[str]:
    """Let `baseline` and `mine` be tuned, of which one has a space, and return the command."""
    space = "# @package _global_\ndefaults:\n  - override /hydra/sweeper: optuna\n"
    space += "sweep:\n  space:\n    model.quality: interval(0.2, 0.9)\n"
    (sweeping.root / "conf/sweep/mine.yaml").write_text(space)
    model = MODEL.format(log=sweeping.log).replace("how: well", f"how: {how}")
    (sweeping.root / "conf/model/mine.yaml").write_text(model)
    return ["task=breast_cancer", "models=[baseline,mine]", "sweep.sampler=random"]


def adopted(sweeping) -> dict:
    file = sweeping.root / "conf/adopted/breast_cancer/mine.yaml"
    return yaml.safe_load(file.read_text(encoding="utf-8"))


def test_models_with_a_space_are_tuned_and_their_best_settings_adopted(sweeping):
    asked = [*tuning(sweeping), "sweep.n_trials=3"]
    done = sweeping.project.warm(sweeping.warm, "pipeline.tune", *asked)
    assert done.returncode == 0, done.stderr
    assert "breast_cancer baseline: no space in conf/sweep/, its settings stay" in done.stdout
    assert sweeping.states() == {"COMPLETE": 3}
    best = max(sweeping.trials(), key=lambda trial: trial.value)
    seconds = sum(trial.user_attrs["seconds"] for trial in sweeping.trials())
    assert seconds > 0
    assert adopted(sweeping) == {
        "quality": best.params["model.quality"],
        "tuned": {"trials": 3, "seconds": round(seconds, 1)},
    }
    # What was adopted does not make another search of the next one.
    again = sweeping.project.warm(sweeping.warm, "pipeline.tune", *asked)
    assert again.returncode == 0, again.stderr
    assert "has these settings already" in again.stdout
    assert len(sweeping.logged("start")) == 3


def test_the_board_says_how_settings_were_found(sweeping):
    project, warm = sweeping.project, sweeping.warm
    folder = sweeping.root / "conf/adopted/breast_cancer"
    folder.mkdir(parents=True)
    found = "# @package model\nC: 0.5\ntuned: {trials: 30, seconds: 588.0}\n"
    (folder / "logistic_regression.yaml").write_text(found)
    models = ["baseline", "logistic_regression"]
    for model in models:
        project.must_warm(warm, "pipeline.train", f"model={model}")
    project.must_warm(warm, "pipeline.evaluate", f"models=[{','.join(models)}]")
    report = sweeping.root / "reports/breast_cancer"
    board = json.loads((report / "board.json").read_text(encoding="utf-8"))
    assert {name: model["settings"] for name, model in board["models"].items()} == {
        "baseline": "defaults",
        "logistic_regression": "30 trials, 9.8 min",
    }
    costs = {name: model["costs"]["tune_seconds"] for name, model in board["models"].items()}
    assert costs == {"baseline": 0, "logistic_regression": 588}
    page = (report / "leaderboard.txt").read_text(encoding="utf-8")
    assert "Tuned: logistic_regression (30 trials, 9.8 min); other settings are" in page
    # The one round that is tested had no say.
    assert "tuned_on_rounds" not in {check["code"] for check in board["checks"]}


def test_a_killed_tuning_goes_on_and_gets_no_more_than_its_budget(sweeping):
    asked = [*tuning(sweeping, "waits"), "sweep.n_trials=2"]
    sweeping.allow(1)
    process = sweeping.project.start(sweeping.warm, "-m", "pipeline.tune", *asked)
    try:
        wait_until(lambda: len(sweeping.logged("start")) == 2)
    finally:
        process.terminate()
        process.communicate(timeout=DEADLINE)
    assert process.returncode == 143
    assert sweeping.states() == {"COMPLETE": 1, "RUNNING": 1}
    first = sweeping.trials()[0].user_attrs["seconds"]
    sweeping.allow(100)
    done = sweeping.project.warm(sweeping.warm, "pipeline.tune", *asked)
    assert done.returncode == 0, done.stderr
    assert sweeping.states() == {"COMPLETE": 2}
    assert len(sweeping.logged("start")) == 3
    spent = sum(trial.user_attrs["seconds"] for trial in sweeping.trials())
    assert spent > first > 0
    asked[-1] = f"sweep.budget={first:.9f}"
    done = sweeping.project.warm(sweeping.warm, "pipeline.tune", *asked)
    assert done.returncode == 0, done.stderr
    assert "the budget is spent, nothing is run" in done.stdout
    assert len(sweeping.logged("end")) == 2
    assert adopted(sweeping)["tuned"] == {"trials": 2, "seconds": round(spent, 1)}
    asked[-1] = f"sweep.budget={spent + 1e-6:.9f}"
    done = sweeping.project.warm(sweeping.warm, "pipeline.tune", *asked)
    assert done.returncode == 0, done.stderr
    assert sweeping.states() == {"COMPLETE": 3, "WAITING": 997}
    assert adopted(sweeping)["tuned"]["trials"] == 3


def test_a_model_that_cannot_be_tuned_does_not_end_the_others(sweeping):
    asked = tuning(sweeping, "raises")
    asked[1] = "models=[mine,logistic_regression]"
    done = sweeping.project.warm(sweeping.warm, "pipeline.tune", *asked, "sweep.n_trials=1")
    assert done.returncode == 1
    assert done.stderr.endswith("error: not tuned, see above: mine\n")
    assert not (sweeping.root / "conf/adopted/breast_cancer/mine.yaml").exists()
    assert (sweeping.root / "conf/adopted/breast_cancer/logistic_regression.yaml").exists()


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("sweep.budget=ten", "sweep.budget: 'ten' is no duration: expected 90s, 10m or 1.5h"),
        ("sweep.budget=0", "sweep.budget: '0' is no duration"),
        ("model=lightgbm", "'models=[lightgbm]' picks some"),
        ("model.C=1", "'models=[lightgbm]' picks some"),
        ("task=genr", "unknown task 'genr'"),
    ],
)
def test_a_mistake_in_tuning_is_told_once(sweeping, override, message):
    done = sweeping.project.warm(sweeping.warm, "pipeline.tune", override)
    assert done.returncode == 1
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_sweep_needs_multirun(sweeping):
    asked = ["hydra/sweeper=optuna", "task=breast_cancer", "model=mine"]
    done = sweeping.project.warm(sweeping.warm, "pipeline.train", *asked)
    assert (done.returncode, done.stderr) == (1, "error: a sweep is started with --multirun\n")


def test_adopting_without_a_sweep_reports_how_to_run_one(sweeping):
    asked = ["task=breast_cancer", "model=mine"]
    done = sweeping.project.warm(sweeping.warm, "pipeline.adopt", *asked)
    assert done.returncode == 1
    assert f"there is no sweep '{STUDY}'" in done.stderr
