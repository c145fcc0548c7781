"""What Hydra composed, turned into the dataclasses of the schema, and checked."""

import re
from dataclasses import fields, is_dataclass
from difflib import get_close_matches
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from pipeline.config.conf import options, supports
from pipeline.config.schema import FAMILIES, Combine, Model, Train
from pipeline.errors import UserError, nearest

NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
# What numpy's and scikit-learn's random states take.
HIGHEST_SEED = 2**32 - 1
# Seconds of the units of durations.
UNITS = {"": 1, "s": 1, "m": 60, "h": 3600}
# The keys of a model's file that are no hyperparameters.
KEYS = ("family", "view", "_target_", "architecture", "trusted", "tuned")
# What pipeline.adopt writes about the search that found a model's settings.
TUNED = {"trials", "seconds"}


def settle(whole: DictConfig) -> Any:
    """
    Turn what Hydra composed into the stage's dataclass.

    Raises
    ------
    UserError
        For a key that the schema does not know, a name that is no name, and a seed out
        of range.
    """
    choices = HydraConfig.get().runtime.choices
    for group in ("task", "model"):
        if choices.get(group) is not None and not NAME.fullmatch(choices[group]):
            raise UserError(f"{group}: '{choices[group]}' is not a name of a file in conf/{group}/")
    if choices.get("task") is None:
        raise UserError(f"task: name one of {', '.join(options('task'))}")
    cfg: Any = OmegaConf.to_object(whole)
    _check_keys(cfg)
    if cfg.task is None:
        raise UserError(f"task: name one of {', '.join(options('task'))}")
    if cfg.task.name != choices["task"]:
        raise UserError("task.name cannot be set: it is the name of the task's file")
    if not cfg.task.seeds or len(set(cfg.task.seeds)) < len(cfg.task.seeds):
        raise UserError(f"task.seeds: {cfg.task.seeds} are not one or more different seeds")
    seeds = [("task.seeds", seed) for seed in cfg.task.seeds]
    for key, seed in (("seed", cfg.seed), ("split_seed", cfg.task.split.seed), *seeds):
        if not 0 <= seed <= HIGHEST_SEED:
            raise UserError(f"{key}: {seed} is not between 0 and {HIGHEST_SEED}")
    for name in cfg.task.models:
        if name not in options("model"):
            raise UserError(f"task.models: unknown model '{name}'{nearest(name, options('model'))}")
    cfg.task.time_limit = parse_duration("task.time_limit", cfg.task.time_limit)
    if isinstance(cfg, Combine):
        cfg.models = [name for name in cfg.models if supports(name, cfg.task.kind)]
    if isinstance(cfg, Train):
        if not NAME.fullmatch(cfg.sweep.study):
            raise UserError(
                f"sweep.study: '{cfg.sweep.study}' is not a name: letters, digits, . _ -"
            )
        cfg.model = settle_model(cfg.model, str(choices["model"]), cfg.task)
    return cfg


def parse_duration(key: str, duration: Any) -> float | None:
    """
    Return the seconds of a duration.

    Parameters
    ----------
    key : str
        The key that it is the value of.
    duration : number, str or None
        Seconds, or a number with a unit: ``90s``, ``10m``, ``1.5h``. None is none.

    Raises
    ------
    UserError
        If it cannot be read, or is not above 0.
    """
    if duration is None:
        return None
    read = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", str(duration))
    seconds = float(read[1]) * UNITS[read[2]] if read else 0.0
    if seconds <= 0:
        raise UserError(f"{key}: '{duration}' is no duration: expected 90s, 10m or 1.5h")
    return seconds


def _check_keys(node: Any, where: str = "") -> None:
    """Refuse what was added with ``+`` to a part that the schema knows whole."""
    known = [field.name for field in fields(node)]
    for key, value in vars(node).items():
        if key not in known:
            right = [f"{where}{name}" for name in known]
            raise UserError(f"unknown key '{where}{key}'{nearest(f'{where}{key}', right)}")
        if is_dataclass(value):
            _check_keys(value, f"{where}{key}.")


def settle_model(node: Any, name: str, task: Any) -> Model:
    """
    Turn the keys that were composed for a model into a `Model`.

    Parameters
    ----------
    node : dict
        ``family``, ``view``, ``_target_``, perhaps ``architecture``, and hyperparameters.
        ``_target_`` may be a mapping from kinds of problem to targets.
    name : str
        The name of the model's file.
    task : Task
        The task to be learned.

    Returns
    -------
    Model
        With ``_target_`` and hyperparameters alone in ``estimator``, which is empty if the model
        is not for the task's kind of problem.

    Raises
    ------
    UserError
        When a key is missing or not known, or the task lacks the model's view.
    """
    file = f"conf/model/{name}.yaml"
    if not isinstance(node, dict):
        raise UserError(f"{file}: expected the keys family, view and _target_")
    for key in node:
        if not isinstance(key, str):
            raise UserError(f"{file}: the key {key} is not a name")
    estimator = dict(node)
    choice = estimator.pop("architecture", None)
    if choice is not None and choice not in options("architecture"):
        raise UserError(
            f"model {name}, task {task.name}: unknown architecture '{choice}'"
            f"{nearest(str(choice), options('architecture'))}"
        )
    for key in ("family", "view", "_target_"):
        if estimator.get(key) is None:
            raise UserError(f"{file}: the key '{key}' is missing")
    family, view = estimator.pop("family"), estimator.pop("view")
    if family not in FAMILIES:
        raise UserError(f"model.family: unknown family '{family}'{nearest(str(family), FAMILIES)}")
    if isinstance(estimator["_target_"], dict):
        by_kind = estimator["_target_"]
        if task.kind not in by_kind:
            why = f"model {name} is for {', '.join(by_kind)}, not for {task.kind}"
            return Model(name, family, view, choice, {}, unsupported=why)
        estimator["_target_"] = by_kind[task.kind]
    if view not in list(task.views):
        raise UserError(
            f"model {name} reads the view '{view}', which task {task.name} lacks"
            + nearest(str(view), task.views)
        )
    for key in estimator.keys() - {"_target_"}:
        # Estimators that take any key would take a slip of the pen too.
        if get_close_matches(key, KEYS, n=1, cutoff=0.8) and key not in KEYS:
            raise UserError(f"{file}: unknown key '{key}'{nearest(key, KEYS)}")
    trusted = estimator.pop("trusted", [])
    if not isinstance(trusted, list) or not all(isinstance(one, str) for one in trusted):
        raise UserError(f"{file}: trusted: {trusted!r} is not a list of types")
    tuned = estimator.pop("tuned", {})
    if tuned and not (isinstance(tuned, dict) and set(tuned) == TUNED):
        raise UserError(
            f"model {name}, task {task.name}: tuned: {tuned!r} does not have the keys "
            f"{' and '.join(sorted(TUNED))}: pipeline.adopt writes it"
        )
    return Model(name, family, view, choice, estimator, trusted, tuned)
