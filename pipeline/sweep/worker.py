"""What a launcher runs: trials of one study, one after another, until none is left."""

import os
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import joblib
import optuna
from omegaconf import DictConfig, OmegaConf
from optuna.trial import FrozenTrial, TrialState
from threadpoolctl import threadpool_limits

from pipeline import experiment, paths
from pipeline.config import composition, schema, targets
from pipeline.errors import UserError
from pipeline.experiment import Examples, Report
from pipeline.problems import Problem
from pipeline.process import alive
from pipeline.sweep import study as studies
from pipeline.sweep.space import Space

# A curve is reported to the study at steps that are this much further than the last, 1, 2, 3, 5,
# 8, 12, ...: every trial at the same ones, and reporting costs next to nothing.
FURTHER = 1.5


@dataclass(frozen=True)
class Worker:
    """
    A job of a launcher, which may run in another process or on another machine.

    Parameters
    ----------
    space : list of Parameter
        What is searched.
    n_trials : int
        Trials wanted in all.
    sweep_id : str
        The command that it belongs to.
    pid : int
        The command's process, without which it stops after the trial at hand.
    workers : int
        How many share the cores.
    """

    space: Space
    n_trials: int
    sweep_id: str
    pid: int
    workers: int
    host: str

    def __call__(self, composed: DictConfig) -> None:
        """Run trials until none is left."""
        cfg = composition.checked(composed.copy())
        study = optuna.load_study(
            study_name=cfg.sweep.study,
            storage=studies.connect(cfg.sweep.storage),
            pruner=studies.pruner(cfg.sweep),
        )
        folder = paths.sweep_folder(cfg.sweep.study)
        view = paths.features_folder(cfg.task.name) / cfg.model.view
        examples = experiment.load(view, paths.ingested_folder(cfg.task.name))
        kind = experiment.problem_of(cfg.task, examples.about["target"])
        with threads(self.workers):
            while self.wanted():
                with studies.claimed(study, folder, self.n_trials, self.sweep_id) as known:
                    if known is None:
                        return
                    study.sampler = studies.sampler(cfg.sweep.sampler, cfg.seed, known.number)
                    trial = optuna.Trial(study, known._trial_id)
                    choose = partial(chosen, trial, self.space, cfg, composed)
                    checkpoint = folder / str(known.number) / "checkpoint.pt"
                    if not known.params:  # what is there is another study's
                        checkpoint.unlink(missing_ok=True)
                    run(study, trial, known, choose, kind, examples, checkpoint)
                    checkpoint.unlink(missing_ok=True)

    def wanted(self) -> bool:
        """Say whether the command is still there, as far as it can be seen from here."""
        return self.host != socket.gethostname() or alive(self.pid)


def run(
    study: optuna.Study,
    trial: optuna.Trial,
    known: FrozenTrial,
    choose: Callable[[], schema.Train],
    kind: Problem,
    examples: Examples,
    checkpoint: Path,
) -> None:
    """
    Run one trial, and report to its study how it ended.

    What it raises is a result like another. Ctrl-C and SIGTERM are not: the trial stays
    as it is, to be gone on with.
    """
    try:
        cfg = choose()
        report = reporting(study, trial, known.intermediate_values, kind.loss)
        scores, seconds = scored(cfg, kind, examples, report, checkpoint)
    except optuna.TrialPruned:
        study.tell(trial, state=TrialState.PRUNED)
    except Exception as error:
        trial.set_user_attr(studies.ERROR, reason(error))
        study.tell(trial, state=TrialState.FAIL)
    else:
        trial.set_user_attr(studies.SCORES, scores | {"fit_seconds": seconds})
        study.tell(trial, scores[kind.deciding.name])


def chosen(
    trial: optuna.Trial, space: Space, cfg: schema.Train, composed: DictConfig
) -> schema.Train:
    """
    Let the study choose a value for each parameter that applies.

    Parameters
    ----------
    trial : optuna.Trial
        That asks; values that it has already are kept.
    space : list of Parameter
        What is searched.
    cfg : schema.Train
        The experiment without them.
    composed : DictConfig
        What `cfg` was made of.

    Returns
    -------
    schema.Train
        The experiment with them.
    """
    known = {"seed": cfg.seed} | dict(composition.leaves(cfg.model.estimator, "model"))
    values = {}
    for parameter in space:
        if parameter.applies(known):
            values[parameter.key] = known[parameter.key] = parameter.suggested(trial)
    seed = composed.seed = values.pop("seed", cfg.seed)
    node: Any = OmegaConf.to_container(composed.model, resolve=True)  # which reads the seed
    model = composition.settled_model(node, cfg.model.name, cfg.task)
    for key, value in values.items():
        model.estimator = composition.with_value(model.estimator, key.split(".")[1:], value)
    return replace(cfg, seed=seed, model=model)


def scored(
    cfg: schema.Train, kind: Problem, examples: Examples, report: Report, checkpoint: Path
) -> tuple[dict[str, float], float]:
    """
    Fit a model and score it on validation.

    Returns
    -------
    scores : dict of str to float
        In the task's metrics, as far as these are defined.
    seconds : float
        What the fit took.

    Raises
    ------
    ModelError
        When the model fails, or the deciding metric is not defined.
    """
    model = targets.build(cfg.model.estimator)
    fitted = experiment.run(model, examples, kind, report, checkpoint)
    return experiment.scores(kind, fitted.predictions), fitted.fit_seconds


def reporting(
    study: optuna.Study, trial: optuna.Trial, before: Mapping[int, float], loss: str
) -> Report:
    """
    Return what passes a fit's curve to the study, and ends the fit when it is hopeless.

    Parameters
    ----------
    study : optuna.Study
        Decides by the loss on validation, negative where higher is better.
    trial : optuna.Trial
        Whose curve it is.
    before : mapping of int to float
        What was reported before the trial was interrupted.
    loss : str
        Name of the loss.
    """
    sign = -1 if study.direction == optuna.study.StudyDirection.MAXIMIZE else 1
    last = 0

    def report(step: int, losses: Mapping[str, float]) -> None:
        nonlocal last
        if step < last * FURTHER:
            return
        last = step
        if step not in before:
            trial.report(sign * float(losses[f"validation/{loss}"]), step)
        if trial.should_prune():
            raise optuna.TrialPruned

    return report


def reason(error: Exception) -> str:
    """Tell in a line what went wrong."""
    lines = str(error).splitlines() or [""]
    if isinstance(error, UserError):
        return lines[0]
    return f"{type(error).__name__}: {lines[0]}".rstrip(": ")


@contextmanager
def threads(workers: int) -> Iterator[None]:
    """Share the cores of this machine out, so that models and workers never ask for more."""
    share = max(1, joblib.cpu_count() // workers)
    each = min(
        int(os.environ.get("SLURM_CPUS_PER_TASK", share)),
        int(os.environ.get("OMP_NUM_THREADS", share)),
    )
    # Forests ask joblib how many there are.
    asked = mock.patch.dict(os.environ, LOKY_MAX_CPU_COUNT=str(each))
    with threadpool_limits(each), asked:
        yield
