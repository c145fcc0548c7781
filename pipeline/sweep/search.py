"""A sweep from the command line to its last trial."""

import json
import os
import socket
import subprocess
import sys
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

import joblib
import optuna
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus
from hydra.types import HydraContext
from omegaconf import DictConfig, open_dict

from pipeline import experiment, paths
from pipeline.config import composition, schema, targets
from pipeline.errors import UserError
from pipeline.features import views
from pipeline.problems import Problem
from pipeline.progress import console
from pipeline.sweep import space as spaces
from pipeline.sweep import study as studies
from pipeline.sweep.progress import Watch
from pipeline.sweep.space import Space
from pipeline.sweep.table import by_seeds, failures, headline
from pipeline.sweep.worker import Worker


class Asked(NamedTuple):
    """What a command asks for, checked."""

    cfg: schema.Train
    problem: Problem
    space: Space
    overrides: list[str]
    n_trials: int
    workers: int
    study: optuna.Study
    settings: dict[str, Any]


def search(context: HydraContext, composed: DictConfig, arguments: list[str]) -> None:
    """
    Run the trials of a sweep that are not done yet, and record and tell what came of all.

    Parameters
    ----------
    context : HydraContext
        Of the command.
    composed : DictConfig
        What Hydra composed for it.
    arguments : list of str
        The overrides of the command line, ranges among them.

    Raises
    ------
    UserError
        For a mistake, before the first trial; and at the end, when more trials failed
        than may.
    """
    asked = prepared(context, composed, arguments)
    if left(asked):
        with recording(asked), Watch(asked.study, asked.n_trials):
            launch(context, composed, asked)
    elif not recorded(asked):
        with recording(asked):
            pass
    else:
        console.print(
            f"{asked.study.study_name}: all {asked.n_trials} trials are done, nothing is run"
            + ("" if asked.cfg.sweep.sampler == "grid" else "; a higher sweep.n_trials goes on")
        )
    tell(asked)


def prepared(context: HydraContext, composed: DictConfig, arguments: list[str]) -> Asked:
    """
    Check all that can be checked before the first trial, and open the study.

    Raises
    ------
    UserError
        For a mistake of the user's.
    """
    parsed = OverridesParser.create(context.config_loader).parse_overrides(arguments)
    asked = {o.key_or_group: o.get_value_string() for o in parsed if o.is_sweep_override()}
    overrides = [str(o.input_line) for o in parsed if not o.is_sweep_override()]
    base = job_config(context, composed, overrides)
    cfg = composition.checked(base)
    if type(cfg) is not schema.Train:
        raise UserError("only pipeline.train searches")
    studies.check(cfg.sweep)
    workers = count_workers(cfg, composed)
    view = paths.features_folder(cfg.task.name) / cfg.model.view
    about = views.about(view, paths.ingested_folder(cfg.task.name))
    kind = experiment.problem_of(cfg.task, about["target"])
    # What the command line sets is not searched.
    given = composition.overridden()
    space = spaces.parse({k: v for k, v in spaces.written(cfg).items() if k not in given} | asked)
    fixed = dict(composition.leaves(cfg.model.estimator, "model"))
    spaces.check_conditions(space, fixed)
    check_keys(cfg, space)
    points = spaces.grid(space, fixed) if cfg.sweep.sampler == "grid" else None
    ranges = {parameter.key: parameter.written for parameter in space}
    known = studies.tried(cfg, ranges, about)
    study = studies.opened(cfg, known, points, kind.deciding.greater_is_better)
    used = composition.merged(about["settings"], composition.settings("train", cfg))
    return Asked(cfg, kind, space, overrides, studies.wanted(cfg, points), workers, study, used)


def job_config(context: HydraContext, composed: DictConfig, overrides: list[str]) -> DictConfig:
    """Compose the configuration that a job with these overrides gets, as launchers do."""
    whole = context.config_loader.load_sweep_config(composed, overrides)
    HydraConfig.instance().set_config(whole)
    with open_dict(whole):
        del whole["hydra"]
    return whole


def check_keys(cfg: schema.Train, space: Space) -> None:
    """
    Check that the model takes every key of a space, and the type of its values.

    Raises
    ------
    UserError
        For a key that it lacks; tells the nearest that it has.
    """
    estimator = cfg.model.estimator
    for parameter in space:
        if parameter.key != "seed":
            path = parameter.key.split(".")[1:]
            estimator = composition.with_value(estimator, path, parameter.first)
    targets.check_targets(estimator, "model")


def left(asked: Asked) -> bool:
    """Say whether any trial is not finished."""
    trials = asked.study.get_trials(deepcopy=False, states=studies.UNFINISHED)
    return any(trial.number < asked.n_trials for trial in trials)


def recorded(asked: Asked) -> bool:
    """Say whether the runs of all trials were written."""
    return bool(asked.study.user_attrs.get(studies.RECORDED, 0) >= asked.n_trials)


@contextmanager
def recording(asked: Asked) -> Iterator[None]:
    """
    Have another process write the study's trials into MLflow while they come.

    Trials of a tenth of a second wait for no database; and what is not written when
    all is killed is written by the next call.

    Raises
    ------
    UserError
        When the tracking store cannot be reached, or failed.
    """
    cfg = asked.cfg
    ranges = {parameter.key: parameter.written for parameter in asked.space}
    order = {
        "storage": cfg.sweep.storage,
        "study": cfg.sweep.study,
        "uri": cfg.tracking.uri,
        "task": cfg.task.name,
        "model": cfg.model.name,
        "metric": asked.problem.deciding.name,
        "loss": asked.problem.loss,
        "n_trials": asked.n_trials,
        "settings": asked.settings | {"sweep": {"space": ranges}},
    }
    with subprocess.Popen(
        [sys.executable, "-m", "pipeline.sweep.recorder"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        start_new_session=True,  # Ctrl-C ends it through its input, once all is written
    ) as recorder:
        _say(recorder, json.dumps(order))
        if not (recorder.stdout and recorder.stdout.readline()):
            raise UserError("no trial was run, for trials cannot be recorded: see above")
        yield
        _say(recorder, "finished")
    if recorder.returncode:
        raise UserError(
            "the trials are kept, but not all are recorded, see above; the same command does that"
        )


def _say(recorder: "subprocess.Popen[str]", line: str) -> None:
    with suppress(BrokenPipeError):  # it has ended, and told why
        print(line, file=recorder.stdin, flush=True)


def launch(context: HydraContext, composed: DictConfig, asked: Asked) -> None:
    """Have a launcher run workers until no trial is left."""
    sweep_id = uuid.uuid4().hex
    worker = Worker(
        asked.space, asked.n_trials, sweep_id, os.getpid(), asked.workers, socket.gethostname()
    )
    folder = paths.sweep_folder(asked.cfg.sweep.study)
    places = [f"hydra.sweep.dir='{folder}'", "hydra.sweep.subdir=workers/${hydra.job.num}"]
    composed.hydra.sweep.dir = str(folder)
    launcher = Plugins.instance().instantiate_launcher(
        hydra_context=context, task_function=worker, config=composed
    )
    workers = asked.workers
    while left(asked):
        died: Exception | None = None
        jobs: Sequence[JobReturn] = []
        try:
            jobs = launcher.launch([[*asked.overrides, *places]] * workers, 0)
        except UserError:
            raise
        except Exception as error:  # a launcher's own, for a process that died
            died = error
        for job in jobs:
            check_job(job)
        victims = studies.abandoned(asked.study, folder, sweep_id)
        if not victims:
            if died:
                raise died
            return
        if len(victims) == 1:
            studies.fail(
                asked.study,
                victims[0],
                "the process that ran it died: killed, perhaps for its memory",
            )
        # One process that dies may take the others with it: which one it is shows alone.
        workers = asked.workers if len(victims) == 1 else 1


def check_job(job: JobReturn) -> None:
    """Raise what ended a worker."""
    if job.status == JobStatus.FAILED:
        raise job._return_value


def count_workers(cfg: schema.Train, composed: DictConfig) -> int:
    """
    Say how many processes shall run trials.

    Raises
    ------
    UserError
        When the launcher has one only.
    """
    launcher = composed.hydra.launcher
    if launcher._target_.endswith("BasicLauncher"):
        if cfg.sweep.workers not in (None, 1):
            raise UserError(
                f"sweep.workers={cfg.sweep.workers} needs a launcher of several processes: "
                "hydra/launcher=joblib, ray or submitit_slurm"
            )
        return 1
    if cfg.sweep.workers is not None:
        return cfg.sweep.workers
    cores = int(joblib.cpu_count())
    jobs = int(launcher.get("n_jobs", -1))
    return jobs if jobs > 0 else cores


def tell(asked: Asked) -> None:
    """
    Print what came of a sweep.

    Raises
    ------
    UserError
        When more trials failed than may.
    """
    trials = asked.study.get_trials(deepcopy=False)[: asked.n_trials]
    metric = asked.problem.deciding.name
    console.print(headline(asked.study, trials, metric), markup=False)
    if any(parameter.key == "seed" for parameter in asked.space):
        for line in by_seeds(trials, metric):
            console.print(line, markup=False)
    failed = failures(trials)
    for line in failed:
        print(line, file=sys.stderr)
    share = len(failed) / asked.n_trials
    if share > asked.cfg.sweep.max_failure_rate:
        raise UserError(
            f"{len(failed)} of {asked.n_trials} trials failed, "
            f"more than sweep.max_failure_rate={asked.cfg.sweep.max_failure_rate} allows"
        )
