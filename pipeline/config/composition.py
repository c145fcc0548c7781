"""
The settings of a stage: composed by Hydra, settled, checked, and written down.

A value comes from the model's file, unless the architecture, the task, what was adopted from
a sweep, or the command line sets it otherwise; each outranks those before it.
"""

import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import asdict, fields, is_dataclass
from pathlib import Path
from typing import Any

import hydra
import yaml
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict

from pipeline import paths
from pipeline.config import code
from pipeline.config.schema import FAMILIES, SCHEMAS, Kind, Model, Train
from pipeline.config.targets import anchor_paths, check_targets
from pipeline.errors import UserError, nearest
from pipeline.paths import CONF, ROOT

# What a kind of problem is given, wherever something is scored.
KIND = ("task.kind", *(f"task.{one.name}" for one in fields(Kind)))
# What a task sets for the comparison of its models.
VERDICT = tuple(f"task.{key}" for key in ("matters", "cheapest", "slice_by", "mute"))
# What a stage is made of, as written to its file: its result depends on these keys alone.
SETTINGS = {
    "ingest": ("task.name", "task.kind", "task.source", "task.split"),
    "featurize": ("task.name", "task.kind", "task.views"),
    "train": ("seed", "task.name", *KIND, "task.seeds", "model"),
    "evaluate": ("seed", "models", "task.name", *KIND, *VERDICT, "resamples", "confidence"),
}
# What else the command line of a stage may set.
BESIDE = {
    "ingest": ("split_seed",),
    "train": ("sweep", "tracking"),
    "evaluate": ("tracking",),
    "adopt": (*SETTINGS["train"], "sweep", "dry_run"),
}
PROJECT = __name__.partition(".")[0]
PARAMS: dict[str, type] = {"tasks": list, "models": list, "seed": int, "split_seed": int}
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
# What numpy's and scikit-learn's random states take.
HIGHEST_SEED = 2**32 - 1


def params() -> dict[str, Any]:
    """
    Read params.yaml.

    Raises
    ------
    UserError
        When it is missing, is not YAML, or lacks or misspells a key.
    """
    read = read_yaml(paths.PARAMS)
    file = paths.PARAMS.name
    for key in read:
        if key not in PARAMS:
            raise UserError(f"{file}: unknown key '{key}'{nearest(str(key), PARAMS)}")
    for key, kind in PARAMS.items():
        if key not in read:
            raise UserError(f"{file}: the key '{key}' is missing")
        value: Any = read[key]
        if not isinstance(value, kind) or isinstance(value, bool):
            expected = "a list of names" if kind is list else "a whole number"
            raise UserError(f"{file}: {key}: {value!r} is not {expected}")
        if kind is list:
            _check_names(f"{file}: {key}", value)
    return read


def _check_names(where: str, names: Any) -> None:
    if not names:
        raise UserError(f"{where} is empty: name at least one")
    for name in names:
        if not isinstance(name, str):
            raise UserError(f"{where}: {name!r} is not a name")
        if names.count(name) > 1:
            raise UserError(f"{where}: '{name}' is listed twice")


def read_yaml(path: Path) -> dict[str, Any]:
    """
    Read a YAML file of keys.

    Raises
    ------
    UserError
        When it is missing, is not YAML, or holds anything but keys.
    """
    name = path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else path.as_posix()
    try:
        read = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.MarkedYAMLError as error:
        place = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise UserError(f"{name}{place} cannot be read as YAML: {error.problem}") from None
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise UserError(f"{name} cannot be read: {' '.join(str(error).split())}") from None
    if not isinstance(read, dict):
        what = "is empty" if read is None else f"holds a {type(read).__name__}"
        raise UserError(f"{name} {what}: expected keys and values")
    return read


def options(group: str) -> list[str]:
    """List the names that a group of conf/ offers, such as its tasks."""
    return sorted(path.stem for path in (CONF / group).glob("*.yaml"))


def register(stage: str) -> None:
    """
    Register with Hydra what a stage composes beside the files of conf/.

    That is its schema, params.yaml, and for each task and model what the task's file sets
    for the model, with the architecture that it names.
    """
    store = ConfigStore.instance()
    store.store("schema", SCHEMAS[stage])
    store.store("params", params())
    if not issubclass(SCHEMAS[stage], Train):
        return
    architectures = {
        name: _readable(CONF / "architecture" / f"{name}.yaml") for name in options("architecture")
    }
    models = {name: _readable(CONF / "model" / f"{name}.yaml") for name in options("model")}
    for task in options("task"):
        settings = _set_by(CONF / "task" / f"{task}.yaml")
        for model, node in models.items():
            # What is no mapping is reported when the schema is applied.
            own = dict(settings[model]) if isinstance(settings.get(model), Mapping) else {}
            choice = own.pop("architecture", node.get("architecture"))
            # An unknown architecture is named when the model is settled.
            named = {"architecture": choice} if "architecture" in node or choice else {}
            architecture = architectures.get(choice, {}) | named
            store.store(model, architecture, f"architecture/{task}", "model")
            store.store(model, own, f"set_by_task/{task}", "model")


def _readable(path: Path) -> dict[str, Any]:
    """Read a file whose mistakes are reported when Hydra composes it."""
    try:
        return read_yaml(path)
    except UserError:
        return {}


def _set_by(path: Path) -> dict[str, Any]:
    """Return what a task's file, and those that it builds on, set for models."""
    node, models = _readable(path), dict[str, Any]()
    for base in node.get("defaults") or []:
        if isinstance(base, str) and base != "_self_":
            models = merge(models, _set_by(path.parent / f"{base}.yaml"))
    own = node.get("models")
    return merge(models, own) if isinstance(own, dict) else models


# Here, so that the processes of a parallel sweep know them too.
OmegaConf.register_new_resolver("options", lambda group: ", ".join(options(group)), replace=True)
OmegaConf.register_new_resolver("root", lambda: str(ROOT), replace=True)
OmegaConf.register_new_resolver("store_uri", paths.store_uri, replace=True)
OmegaConf.register_new_resolver("study_storage", paths.study_storage, replace=True)


def compose_settings(stage: str, overrides: list[str]) -> Any:
    """
    Compose the settings that a stage's command would have.

    Parameters
    ----------
    stage : str
        A key of `SCHEMAS`, registered.
    overrides : list of str
        As on the command line.

    Returns
    -------
    Stage
        Settled.
    """
    whole = hydra.compose(stage, overrides, return_hydra_config=True)
    HydraConfig.instance().set_config(whole)
    with open_dict(whole):
        del whole["hydra"]
    return settle(whole)


def check_and_settle(whole: DictConfig) -> Any:
    """
    Turn what Hydra composed for a command into a stage's settings.

    Raises
    ------
    UserError
        For a key that nothing takes, a value of a wrong type, a key that another stage
        uses, a project without a commit, and under DVC for settings that are not those
        that were written.
    """
    stage = str(HydraConfig.get().job.config_name)
    _require_git()
    _check_overridden(stage)
    cfg = settle(whole)
    if isinstance(cfg, Train):
        check_targets(cfg.model.estimator, "model")
    if stage == "ingest":
        check_targets(cfg.task.source, "task.source")
        cfg.task.source = anchor_paths(cfg.task.source, "task.source", overridden_keys())
    if stage == "featurize":
        check_targets(cfg.task.views, "task.views")
    if os.environ.get("DVC_STAGE"):
        _check_written(stage, cfg)
    return cfg


def settle(whole: DictConfig) -> Any:
    """
    Turn what Hydra composed into the stage's dataclass.

    Raises
    ------
    UserError
        For a key that the schema does not know, a name that is no name, and a seed out
        of range.
    """
    cfg: Any = OmegaConf.to_object(whole)
    choices = HydraConfig.get().runtime.choices
    for group in ("task", "model"):
        if choices.get(group) is not None and not NAME.fullmatch(choices[group]):
            raise UserError(f"{group}: '{choices[group]}' is not a name of a file in conf/{group}/")
    _check_keys(cfg)
    if cfg.task is None or choices["task"] is None:
        raise UserError(f"task: name one of {', '.join(options('task'))}")
    if cfg.task.name != choices["task"]:
        raise UserError("task.name cannot be set: it is the name of the task's file")
    for key, seed in (("seed", cfg.seed), ("split_seed", cfg.task.split.seed)):
        if not 0 <= seed <= HIGHEST_SEED:
            raise UserError(f"{key}: {seed} is not between 0 and {HIGHEST_SEED}")
    for name in cfg.task.models:
        if name not in options("model"):
            raise UserError(f"task.models: unknown model '{name}'{nearest(name, options('model'))}")
    if isinstance(cfg, Train):
        if not NAME.fullmatch(cfg.sweep.study):
            raise UserError(
                f"sweep.study: '{cfg.sweep.study}' is not a name: letters, digits, . _ -"
            )
        cfg.model = settle_model(cfg.model, str(choices["model"]), cfg.task)
    return cfg


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
        With ``_target_`` and hyperparameters alone in ``estimator``.

    Raises
    ------
    UserError
        When a key is missing or not known, or the task lacks the model's view.
    """
    file = f"conf/model/{name}.yaml"
    if not isinstance(node, dict):
        raise UserError(f"{file}: expected the keys family, view and _target_")
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
    if view not in list(task.views):
        raise UserError(
            f"model {name} reads the view '{view}', which task {task.name} lacks"
            + nearest(str(view), task.views)
        )
    if isinstance(estimator["_target_"], dict):
        by_kind = estimator["_target_"]
        if task.kind not in by_kind:
            raise UserError(f"model {name} is for {', '.join(by_kind)}, not for {task.kind}")
        estimator["_target_"] = by_kind[task.kind]
    trusted = estimator.pop("trusted", [])
    if not isinstance(trusted, list) or not all(isinstance(one, str) for one in trusted):
        raise UserError(f"{file}: trusted: {trusted!r} is not a list of types")
    return Model(name, family, view, choice, estimator, trusted)


def settings(stage: str, cfg: Any) -> dict[str, Any]:
    """
    Pick the settings that decide what a stage makes.

    Parameters
    ----------
    stage : str
        A key of `SETTINGS`.
    cfg : Stage
        Settled. Where runs are recorded is left out: it decides nothing, and may hold a
        password.

    Returns
    -------
    dict
        Nested plain values; a model's hyperparameters stand beside its name.
    """
    plain = asdict(cfg)
    if "model" in plain:
        estimator, trusted = (plain["model"].pop(key) for key in ("estimator", "trusted"))
        plain["model"] |= estimator | ({"trusted": trusted} if trusted else {})
    picked: dict[str, Any] = {}
    for key in SETTINGS[stage]:
        *above, last = key.split(".")
        source, place = plain, picked
        for part in above:
            source, place = source[part], place.setdefault(part, {})
        place[last] = source[last]
    return picked


def merge(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """Return nested settings together. Where both have a value, that of the second is taken."""
    both = {
        key: merge(first[key], value)
        if isinstance(value, Mapping) and isinstance(first.get(key), Mapping)
        else value
        for key, value in second.items()
    }
    return {**first, **both}


def only_view(settings: dict[str, Any], view: str) -> dict[str, Any]:
    """Keep of the views in settings the one that a model sees."""
    views = {view: settings["task"]["views"][view]}
    return settings | {"task": settings["task"] | {"views": views}}


def code_of(stage: str, cfg: Any) -> list[str]:
    """List the dotted names that a stage runs because its settings say so."""
    kind = f"{PROJECT}.problems.{cfg.task.kind}"
    if stage == "ingest":
        return [kind, *code.targets(cfg.task.source)]
    if stage == "featurize":
        return list(code.targets(cfg.task.views))
    metrics = [name for name in [cfg.task.metric, *cfg.task.metrics] if "." in name]
    return [kind, *metrics, *(code.targets(cfg.model.estimator) if stage == "train" else ())]


def model_file(model: str) -> dict[str, Any]:
    """
    Read a file of conf/model/ as it is; empty when there is none.

    Raises
    ------
    UserError
        When it cannot be read, or holds anything but keys.
    """
    path = CONF / "model" / f"{model}.yaml"
    return read_yaml(path) if path.is_file() else {}


def publishes() -> bool:
    """
    Return whether this training makes the model that is compared and that DVC keeps.

    A stage of DVC does, and a training by hand whose command line names task, model and store
    alone. One job of a multirun does not, nor does a training with settings of its own.
    """
    if HydraConfig.get().mode == RunMode.MULTIRUN:
        return False
    own = [
        key for key in overridden_keys() if key not in ("task", "model", "tracking", "tracking.uri")
    ]
    return "DVC_STAGE" in os.environ or not own


def run_folder(task: str, model: str, run_id: str) -> Path:
    """Folder of a training with settings of its own: in a multirun the job's."""
    if HydraConfig.get().mode == RunMode.MULTIRUN:
        return Path(HydraConfig.get().runtime.output_dir)
    return ROOT / "runs" / task / model / run_id


def overridden_keys() -> list[str]:
    """List the keys that the command line sets."""
    return [text.partition("=")[0].lstrip("+~") for text in HydraConfig.get().overrides.task]


def _check_overridden(stage: str) -> None:
    """Refuse a key that another stage uses, and name the command that applies it."""
    own = (*SETTINGS.get(stage, ()), *BESIDE.get(stage, ()))
    groups = {path.name for path in CONF.iterdir() if path.is_dir()}
    for text in HydraConfig.get().overrides.task:
        key, _, value = text.lstrip("+~").partition("=")
        if _below(key, ("model.architecture",)):
            raise UserError(f"{key} says which architecture was composed: set architecture={value}")
        if _below(key, own) or key.partition("@")[0] in groups:
            continue
        if _below(key, ("task.models",)):
            model = ".".join(["model", *key.split(".")[3:]])
            raise UserError(f"{key} is read from the task's file only: set {model}")
        for other, keys in SETTINGS.items():
            if _below(key, (*keys, *BESIDE.get(other, ()))):
                task = HydraConfig.get().runtime.choices.task
                raise UserError(
                    f"{key} is used by {other}, not by {stage}: "
                    f"python -m pipeline.{other} task={task} {key}={value}, "
                    f"then the stages that follow"
                )


def _below(key: str, keys: tuple[str, ...]) -> bool:
    return any(f"{key}.".startswith(f"{one}.") for one in keys)


def _check_keys(node: Any, where: str = "") -> None:
    """Refuse what was added with ``+`` to a part that the schema knows whole."""
    known = [field.name for field in fields(node)]
    for key, value in vars(node).items():
        if key not in known:
            right = [f"{where}{name}" for name in known]
            raise UserError(f"unknown key '{where}{key}'{nearest(f'{where}{key}', right)}")
        if is_dataclass(value):
            _check_keys(value, f"{where}{key}.")


def _check_written(stage: str, cfg: Any) -> None:
    """Refuse to run under DVC with other settings than those that DVC watches."""
    if stage not in SETTINGS:
        return
    model = cfg.model.name if stage == "train" else None
    file = paths.composed_file(stage, cfg.task.name, model)
    written, now = dict(leaves(read_yaml(file))), dict(leaves(settings(stage, cfg)))
    keys = [key for key in now if written.get(key) != now[key]]
    keys += [key for key in written if key not in now and not key.startswith("code.")]
    if keys:
        raise UserError(
            f"{file.relative_to(ROOT)} does not hold the settings of now "
            f"({', '.join(keys)}): dvc repro compose"
        )


def _require_git() -> None:
    found = subprocess.run(
        ["git", "-C", str(ROOT), "rev-parse", "--verify", "HEAD"],
        capture_output=True,
        check=False,
    )
    if found.returncode:
        raise UserError(
            f"{ROOT} is not a git repository with a commit: every run is recorded with its commit. "
            "Clone the project, or `git init && git add --all && git commit`"
        )


def leaves(node: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every value below a node with its dotted key."""
    if isinstance(node, Mapping):
        for key, value in node.items():
            yield from leaves(value, f"{prefix}.{key}" if prefix else str(key))
    else:
        yield prefix, node


def with_value(node: dict[str, Any], path: list[str], value: Any) -> dict[str, Any]:
    """Set a value below a node, which stays as it is."""
    first, *rest = path
    return node | {first: with_value(node.get(first) or {}, rest, value) if rest else value}
