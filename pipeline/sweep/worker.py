"""The job of a launcher: run trials of one study, one after another, until none is left."""

import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import joblib
import optuna
import pandas as pd
from omegaconf import DictConfig, OmegaConf
from optuna.trial import FrozenTrial, TrialState
from threadpoolctl import threadpool_limits

from pipeline import experiment, paths
from pipeline.config import composition, schema
from pipeline.config.settings import leaves, with_value
from pipeline.config.settling import settle_model
from pipeline.errors import UserError
from pipeline.experiment import Examples
from pipeline.features import views
from pipeline.models.fitting import Report
from pipeline.problems import Problem
from pipeline.process import alive, restored_variable
from pipeline.sweep import study as studies
from pipeline.sweep.space import Space

# The steps at which a curve is reported to the study grow by this factor: 1, 2, 3, 5, 8, 12, ...
# They are the same for every trial, and few, so that reporting takes nearly no time.
STEP_FACTOR = 1.5


@dataclass(frozen=True)
class Worker:
    """
    A job of a launcher, in another process or on another machine.

    Parameters
    ----------
    space : list of Parameter
        The search space.
    limit : Limit
        The end of the whole sweep.
    sweep_id : str
        The command that started the job.
    pid : int
        The process of the command. When it is gone, the job stops after the current trial.
    workers : int
        Number of jobs that share the cores.
    host : str
        The machine of the command.
    """

    space: Space
    limit: studies.Limit
    sweep_id: str
    pid: int
    workers: int
    host: str

    def __call__(self, composed: DictConfig) -> None:
        """Run trials until none is left."""
        cfg = composition.check_and_settle(composed.copy())
        storage = studies.connect(cfg.sweep.storage)
        study = optuna.load_study(
            study_name=cfg.sweep.study, storage=storage, pruner=studies.make_pruner(cfg.sweep)
        )
        folder = paths.sweep_folder(cfg.sweep.study)
        view = paths.features_folder(cfg.task.name) / cfg.model.view
        about = views.about(view, paths.ingested_folder(cfg.task.name))
        # Further repeats of the folds would make trials dearer, and hardly tell more.
        rounds = {
            name: experiment.load(view / name) for name in about["rounds"][: about["folds"] or 1]
        }
        kind = experiment.problem_of(cfg.task, about["target"])
        with limit_threads(self.workers):
            while self.command_is_alive():
                with studies.claim_trial(
                    study, storage, folder, self.limit, self.sweep_id
                ) as claim:
                    if claim is None:
                        return
                    number = claim.number
                    study.sampler = studies.make_sampler(cfg.sweep.sampler, cfg.seed, number)
                    trial = optuna.Trial(study, studies.trial_id(study, storage, number))
                    choose = partial(choose_settings, trial, self.space, cfg, composed)
                    checkpoints = folder / str(number)
                    if not claim.params:  # checkpoints that are there belong to another study
                        remove_checkpoints(checkpoints)
                    run_trial(study, trial, claim, choose, kind, rounds, checkpoints)
                    remove_checkpoints(checkpoints)

    def command_is_alive(self) -> bool:
        """Return whether the command is still there; True on another machine."""
        return self.host != socket.gethostname() or alive(self.pid)


def remove_checkpoints(folder: Path) -> None:
    """Remove the checkpoints of a trial."""
    for path in folder.glob("*.safetensors"):
        path.unlink()


def run_trial(
    study: optuna.Study,
    trial: optuna.Trial,
    claim: FrozenTrial,
    choose: Callable[[], schema.Train],
    kind: Problem,
    rounds: Mapping[str, Examples],
    checkpoints: Path,
) -> None:
    """
    Run one trial, and write its result into the study.

    An error is a result too. Ctrl-C and SIGTERM are not: the trial stays RUNNING, and the next
    sweep continues it. The seconds of all processes that ran the trial add up.
    """
    before, start = claim.user_attrs.get(studies.SECONDS, 0.0), time.monotonic()

    def count_seconds() -> None:
        trial.set_user_attr(studies.SECONDS, before + time.monotonic() - start)

    try:
        cfg = choose()
        prune = make_report(study, trial, claim.intermediate_values, kind.loss, count_seconds)
        done: dict[str, dict[str, float]] = dict(claim.user_attrs.get(studies.ROUNDS, {}))
        seeds = [cfg.seed] if len(cfg.task.seeds) == 1 else cfg.task.seeds
        for number, (name, seed) in enumerate(product(rounds, seeds)):
            fit = f"{name}-{seed}"
            if fit not in done:
                # Trials are compared by the curve of their first fit.
                report = prune if number == 0 else ignore
                checkpoint = checkpoints / f"{fit}.safetensors"
                done[fit] = fit_and_score(cfg, seed, kind, rounds[name], report, checkpoint)
                trial.set_user_attr(studies.ROUNDS, done)
                count_seconds()
    except optuna.TrialPruned:
        count_seconds()
        study.tell(trial, state=TrialState.PRUNED)
    except Exception as error:
        count_seconds()
        trial.set_user_attr(studies.ERROR, reason(error))
        study.tell(trial, state=TrialState.FAIL)
    else:
        scores = pd.DataFrame(done).T.dropna(axis=1).mean().to_dict()
        trial.set_user_attr(studies.SCORES, scores)
        study.tell(trial, scores[kind.deciding.name])


def choose_settings(
    trial: optuna.Trial, space: Space, cfg: schema.Train, composed: DictConfig
) -> schema.Train:
    """
    Let the study choose a value for each parameter that applies, and set them.

    Parameters
    ----------
    trial : optuna.Trial
        The trial. It keeps the values that it already has.
    space : list of Parameter
        The search space.
    cfg : schema.Train
        The experiment without the values.
    composed : DictConfig
        The configuration that `cfg` was made of.

    Returns
    -------
    schema.Train
        The experiment with the values.
    """
    settings = {"seed": cfg.seed} | dict(leaves(cfg.model.estimator, "model"))
    values = {}
    for parameter in space:
        if parameter.applies(settings):
            values[parameter.key] = settings[parameter.key] = parameter.suggest(trial)
    seed = composed.seed = values.pop("seed", cfg.seed)
    node: Any = OmegaConf.to_container(composed.model, resolve=True)  # resolving reads the seed
    model = settle_model(node, cfg.model.name, cfg.task)
    for key, value in values.items():
        model.estimator = with_value(model.estimator, key.split(".")[1:], value)
    return replace(cfg, seed=seed, model=model)


def fit_and_score(
    cfg: schema.Train,
    seed: int,
    kind: Problem,
    examples: Examples,
    report: Report,
    checkpoint: Path,
) -> dict[str, float]:
    """
    Fit a model on a round and score it on validation.

    Returns
    -------
    dict of str to float
        The metrics of the task that are defined, and ``fit_seconds``.

    Raises
    ------
    ModelError
        When the model fails, or when the deciding metric is not defined.
    """
    model = experiment.build(cfg.model.estimator, seed)
    fitted = experiment.run(model, examples, kind, report, checkpoint)
    return experiment.scores(kind, fitted.predictions) | {"fit_seconds": fitted.spent.seconds}


def ignore(step: int, losses: Mapping[str, float]) -> None:
    """Ignore a step of a fit."""


def make_report(
    study: optuna.Study,
    trial: optuna.Trial,
    before: Mapping[int, float],
    loss: str,
    count_seconds: Callable[[], None],
) -> Report:
    """
    Return a function that reports a curve to the study, and ends the fit when it is pruned.

    Parameters
    ----------
    study : optuna.Study
        Its pruner decides by the loss on validation, whose sign is changed where higher
        values are better.
    trial : optuna.Trial
        The trial of the fit.
    before : mapping of int to float
        The points that were reported before the trial was interrupted.
    loss : str
        Name of the loss.
    count_seconds : callable
        Writes the seconds of the trial into the study.
    """
    sign = -1 if study.direction == optuna.study.StudyDirection.MAXIMIZE else 1
    last = 0

    def report(step: int, losses: Mapping[str, float]) -> None:
        nonlocal last
        if step < last * STEP_FACTOR:
            return
        last = step
        count_seconds()
        if step not in before:
            trial.report(sign * float(losses[f"validation/{loss}"]), step)
        if trial.should_prune():
            raise optuna.TrialPruned

    return report


def reason(error: Exception) -> str:
    """Return a line that describes an error."""
    lines = str(error).splitlines() or [""]
    if isinstance(error, UserError):
        return lines[0]
    return f"{type(error).__name__}: {lines[0]}".rstrip(": ")


@contextmanager
def limit_threads(workers: int) -> Iterator[None]:
    """Share the cores of this machine among the workers for the time of a block."""
    share = max(1, joblib.cpu_count() // workers)
    each = min(
        int(os.environ.get("SLURM_CPUS_PER_TASK", share)),
        int(os.environ.get("OMP_NUM_THREADS", share)),
    )
    with threadpool_limits(each), restored_variable("LOKY_MAX_CPU_COUNT"):
        # Forests ask joblib for the number of cores, and joblib reads this.
        os.environ["LOKY_MAX_CPU_COUNT"] = str(each)
        yield
