"""Run a sweep, from the command line to its last trial."""

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
from hydra.core.utils import JobReturn
from hydra.types import HydraContext
from omegaconf import DictConfig, open_dict

from pipeline import experiment, paths
from pipeline.config import command_line, composition, schema, targets
from pipeline.config.settings import leaves, merge, pick_settings, with_value
from pipeline.errors import UserError
from pipeline.features import views
from pipeline.problems import Problem
from pipeline.progress import console
from pipeline.sweep import space as spaces
from pipeline.sweep import study as studies
from pipeline.sweep.panel import SweepPanel
from pipeline.sweep.results import failure_lines, headline, seed_lines
from pipeline.sweep.space import Space
from pipeline.sweep.worker import Worker


class Sweep(NamedTuple):
    """A sweep that was checked and whose study is open."""

    cfg: schema.Train
    problem: Problem
    space: Space
    overrides: list[str]
    limit: studies.Limit
    workers: int
    study: optuna.Study
    settings: dict[str, Any]


def search(context: HydraContext, composed: DictConfig, arguments: list[str]) -> None:
    """
    Run the unfinished trials of a sweep, record all trials, and print the results.

    Parameters
    ----------
    context : HydraContext
        The context of the command.
    composed : DictConfig
        The configuration that Hydra composed for the command.
    arguments : list of str
        The overrides of the command line, including ranges.

    Raises
    ------
    UserError
        Before the first trial for a mistake of the user's. At the end when more trials
        failed than `sweep.max_failure_rate` allows.
    """
    sweep = prepare(context, composed, arguments)
    if has_unfinished(sweep):
        with run_recorder(sweep), SweepPanel(sweep.study, sweep.limit):
            launch(context, composed, sweep)
    elif not is_recorded(sweep):
        with run_recorder(sweep):
            pass
    else:
        console.print(f"{sweep.study.study_name}: {describe_end(sweep)}")
    report(sweep)


def prepare(context: HydraContext, composed: DictConfig, arguments: list[str]) -> Sweep:
    """
    Check the settings before the first trial, and open the study.

    Raises
    ------
    UserError
        For a mistake of the user's.
    """
    parsed = OverridesParser.create(context.config_loader).parse_overrides(arguments)
    searched = {o.key_or_group: o.get_value_string() for o in parsed if o.is_sweep_override()}
    overrides = [str(o.input_line) for o in parsed if not o.is_sweep_override()]
    base = job_config(context, composed, overrides)
    cfg = composition.check_and_settle(base)
    if type(cfg) is not schema.Train:
        raise UserError("only pipeline.train searches")
    studies.check(cfg.sweep)
    workers = count_workers(cfg, composed)
    view = paths.features_folder(cfg.task.name) / cfg.model.view
    about = views.about(view, paths.ingested_folder(cfg.task.name))
    kind = experiment.problem_of(cfg.task, about["target"])
    # A key that the command line sets is not searched.
    overridden = command_line.overridden_keys()
    ranges = {k: v for k, v in spaces.configured_ranges(cfg).items() if k not in overridden}
    space = spaces.parse(ranges | searched)
    fixed = dict(leaves(cfg.model.estimator, "model"))
    spaces.check_conditions(space, fixed)
    check_keys(cfg, space)
    points = spaces.grid(space, fixed) if cfg.sweep.sampler == "grid" else None
    shared = studies.trial_settings(cfg, spec_of(space), about)
    first = spaces.current(space, {"seed": cfg.seed} | fixed)
    study = studies.open_study(cfg, shared, points, first, kind.deciding.greater_is_better)
    settings = merge(about["settings"], pick_settings("train", cfg))
    limit = studies.limit(cfg, points)
    return Sweep(cfg, kind, space, overrides, limit, workers, study, settings)


def spec_of(space: Space) -> dict[str, Any]:
    """Return the ranges of a space as the user wrote them."""
    return {parameter.key: parameter.spec for parameter in space}


def job_config(context: HydraContext, composed: DictConfig, overrides: list[str]) -> DictConfig:
    """Compose the configuration of a job with these overrides, as launchers do."""
    whole = context.config_loader.load_sweep_config(composed, overrides)
    HydraConfig.instance().set_config(whole)
    with open_dict(whole):
        del whole["hydra"]
    return whole


def check_keys(cfg: schema.Train, space: Space) -> None:
    """
    Check that the model has every key of a space, and takes the type of its values.

    Raises
    ------
    UserError
        For a key that the model does not have. The message names the nearest one.
    """
    estimator = cfg.model.estimator
    for parameter in space:
        if parameter.key != "seed":
            path = parameter.key.split(".")[1:]
            estimator = with_value(estimator, path, parameter.first)
    targets.check_targets(estimator, "model")


def has_unfinished(sweep: Sweep) -> bool:
    """Return whether any trial has to be run."""
    return bool(studies.trials_to_run(sweep.study, sweep.limit))


def is_recorded(sweep: Sweep) -> bool:
    """Return whether the runs of all trials are written."""
    done = len(studies.begun_trials(sweep.study, sweep.limit.n_trials))
    return bool(sweep.study.user_attrs.get(studies.RECORDED, 0) >= done)


def describe_end(sweep: Sweep) -> str:
    """Return why no trial is left, and what runs more."""
    done = len(studies.begun_trials(sweep.study, sweep.limit.n_trials))
    if done < sweep.limit.n_trials:
        return "the budget is spent, nothing is run; a higher sweep.budget runs more"
    more = sweep.cfg.sweep.sampler != "grid" and sweep.limit.seconds is None
    return f"all {done} trials are done, nothing is run" + (
        "; a higher sweep.n_trials runs more" if more else ""
    )


@contextmanager
def run_recorder(sweep: Sweep) -> Iterator[None]:
    """
    Run a process that writes the trials into MLflow while the block runs.

    Trials may last a tenth of a second, and so do not wait for a database. What is not
    written when everything is killed is written by the next call.

    Raises
    ------
    UserError
        When the tracking store cannot be reached, or fails.
    """
    cfg = sweep.cfg
    order = {
        "storage": cfg.sweep.storage,
        "study": cfg.sweep.study,
        "uri": cfg.tracking.uri,
        "task": cfg.task.name,
        "model": cfg.model.name,
        "metric": sweep.problem.deciding.name,
        "loss": sweep.problem.loss,
        "n_trials": sweep.limit.n_trials,
        "settings": sweep.settings | {"sweep": {"space": spec_of(sweep.space)}},
    }
    with subprocess.Popen(
        [sys.executable, "-m", "pipeline.sweep.recorder"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        start_new_session=True,  # Ctrl-C ends it through its input, after everything is written
    ) as recorder:
        _send(recorder, json.dumps(order))
        if not (recorder.stdout and recorder.stdout.readline()):
            raise UserError("no trial was run, because trials cannot be recorded: see above")
        yield
        _send(recorder, "finished")
    if recorder.returncode:
        raise UserError(
            "the trials are kept, but not all are recorded, see above: run the same command again"
        )


def _send(recorder: "subprocess.Popen[str]", line: str) -> None:
    with suppress(BrokenPipeError):  # the recorder ended, and printed why
        print(line, file=recorder.stdin, flush=True)


def launch(context: HydraContext, composed: DictConfig, sweep: Sweep) -> None:
    """Let the launcher run workers until no trial is left."""
    sweep_id = uuid.uuid4().hex
    worker = Worker(
        sweep.space, sweep.limit, sweep_id, os.getpid(), sweep.workers, socket.gethostname()
    )
    folder = paths.sweep_folder(sweep.cfg.sweep.study)
    folders = [f"hydra.sweep.dir='{folder}'", "hydra.sweep.subdir=workers/${hydra.job.num}"]
    composed.hydra.sweep.dir = str(folder)
    launcher = Plugins.instance().instantiate_launcher(
        hydra_context=context, task_function=worker, config=composed
    )
    workers = sweep.workers
    while has_unfinished(sweep):
        died: Exception | None = None
        jobs: Sequence[JobReturn] = []
        try:
            jobs = launcher.launch([[*sweep.overrides, *folders]] * workers, 0)
        except UserError:
            raise
        except Exception as error:  # launchers raise their own types when a process died
            died = error
        for job in jobs:
            job.return_value  # noqa: B018 a property that raises
        abandoned = studies.abandoned_trials(sweep.study, folder, sweep_id)
        if not abandoned:
            if died:
                raise died
            return
        # A process that dies may end the others too. One worker alone shows which one it is: it
        # runs trials in their order, so that the first one that is left ended it.
        found = workers == 1 or len(abandoned) == 1
        if found:
            studies.fail_trial(
                sweep.study,
                studies.connect(sweep.cfg.sweep.storage),
                abandoned[0].number,
                "the process that ran it died: killed, perhaps for its memory",
            )
        workers = sweep.workers if found else 1


def count_workers(cfg: schema.Train, composed: DictConfig) -> int:
    """
    Return the number of processes that run trials.

    Raises
    ------
    UserError
        When the launcher runs only one.
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


def report(sweep: Sweep) -> None:
    """
    Print the results of a sweep.

    Raises
    ------
    UserError
        When more trials failed than `sweep.max_failure_rate` allows.
    """
    trials = studies.begun_trials(sweep.study, sweep.limit.n_trials)
    metric = sweep.problem.deciding.name
    console.print(headline(sweep.study, trials, metric))
    if any(parameter.key == "seed" for parameter in sweep.space):
        for line in seed_lines(trials, metric):
            console.print(line)
    failed = failure_lines(trials)
    for line in failed:
        print(line, file=sys.stderr)
    share = len(failed) / len(trials)
    if share > sweep.cfg.sweep.max_failure_rate:
        raise UserError(
            f"{len(failed)} of {len(trials)} trials failed, "
            f"more than sweep.max_failure_rate={sweep.cfg.sweep.max_failure_rate} allows"
        )
