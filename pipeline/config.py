"""The schema of conf/ and params.yaml, what is checked of them, and where things lie."""

import inspect
import os
import subprocess
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, get_args, get_origin

import hydra
import yaml
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from hydra.errors import InstantiationException
from hydra.types import RunMode
from omegaconf import MISSING, DictConfig, OmegaConf

from hydra_plugins.bakeoff.ray_launcher import RayLauncherConf
from pipeline.errors import UserError, nearest

ROOT = Path(__file__).resolve().parents[1]
CONF = ROOT / "conf"
PARAMS = ROOT / "params.yaml"
# A study in a SQLite file, kept as the journal of what happened to it.
JOURNAL = "journal:///"


@dataclass
class Split:
    """Which share of the examples is held out; groups stay whole."""

    test: float = 0.2
    validation: float = 0.2


@dataclass
class Variants:
    """Which variant of the models that have several suits the task."""

    baseline: str = "majority_class"
    neural_net: str = MISSING


@dataclass
class Task:
    """One prediction problem: one file in conf/task/."""

    name: str = "${hydra:runtime.choices.task}"
    source: dict[str, Any] = MISSING
    split: Split = MISSING
    views: dict[str, dict[str, Any]] = MISSING
    metric: str = MISSING
    metrics: list[str] = MISSING
    positive: str | None = None
    threshold: str | None = None
    variants: Variants = MISSING
    models: dict[str, dict[str, Any]] = field(default_factory=dict)


@dataclass
class Tracking:
    """Where runs are recorded."""

    uri: str = MISSING


@dataclass
class Stage:
    """What every stage knows: params.yaml and one task."""

    tasks: list[str] = MISSING
    models: list[str] = MISSING
    seed: int = MISSING
    task: Task = MISSING


@dataclass
class Model:
    """What makes predictions: one file in conf/model/, settled on the task's variant."""

    name: str
    family: str
    view: str
    estimator: dict[str, Any]


@dataclass
class Sweep:
    """A search for a model's best settings: conf/train.yaml, and the space in conf/sweep/."""

    space: dict[str, Any] = field(default_factory=dict)
    n_trials: int = MISSING
    sampler: str = MISSING
    pruner: str | None = None
    warmup: int = MISSING
    workers: int | None = None
    max_failure_rate: float = MISSING
    study: str = MISSING
    storage: str = MISSING


@dataclass
class Train(Stage):
    """One experiment: a task, a model, and where its run is recorded."""

    model: Any = MISSING
    tracking: Tracking = MISSING
    sweep: Sweep = MISSING


@dataclass
class Adopt(Train):
    """The best settings of a sweep, to be taken into the configuration."""

    dry_run: bool = False


@dataclass
class Evaluate(Stage):
    """The comparison of every model of a task."""

    resamples: int = MISSING
    confidence: float = MISSING
    tracking: Tracking = MISSING


SCHEMAS = {
    "ingest": Stage,
    "featurize": Stage,
    "train": Train,
    "evaluate": Evaluate,
    "adopt": Adopt,
}


def params() -> dict[str, Any]:
    """
    Read params.yaml.

    Raises
    ------
    UserError
        When it is missing or is not YAML.
    """
    try:
        read = yaml.safe_load(PARAMS.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise UserError(f"{PARAMS} cannot be read: {' '.join(str(error).split())}") from None
    if not isinstance(read, dict):
        raise UserError(f"{PARAMS} must hold the keys tasks, models and seed")
    return read


def store_uri() -> str:
    """
    Say where runs are recorded when conf/ is not composed.

    The environment decides, otherwise it is a SQLite file at the root of the
    project, not of the copy that a DVC experiment runs in.
    """
    root = Path(os.environ.get("DVC_ROOT", ROOT))
    return os.environ.get("MLFLOW_TRACKING_URI", f"sqlite:///{root.as_posix()}/mlflow.db")


def study_storage() -> str:
    """Say where sweeps are kept: a folder beside the runs, of SQLite files."""
    root = Path(os.environ.get("DVC_ROOT", ROOT))
    return f"{JOURNAL}{root.as_posix()}/sweeps"


def swept(study: str) -> Path:
    """Folder of a sweep, with one for each of its trials."""
    return ROOT / "multirun" / study


def ingested(task: str) -> Path:
    """Folder of a task's checked and split examples."""
    return ROOT / "data" / "ingested" / task


def features(task: str) -> Path:
    """Folder of a task's views, a folder each."""
    return ROOT / "data" / "features" / task


def trained(task: str, model: str) -> Path:
    """Folder of a trained model: the project's, or in a multirun the job's own."""
    if HydraConfig.initialized() and HydraConfig.get().mode == RunMode.MULTIRUN:
        return Path(HydraConfig.get().runtime.output_dir) / "model"
    return ROOT / "models" / task / model


def validation_metrics(task: str, model: str) -> Path:
    """File of a trained model's scores on validation."""
    if HydraConfig.initialized() and HydraConfig.get().mode == RunMode.MULTIRUN:
        return Path(HydraConfig.get().runtime.output_dir) / "metrics.json"
    return ROOT / "metrics" / task / f"{model}.json"


def reports(task: str) -> Path:
    """Folder of a task's leaderboard, predictions and plots."""
    return ROOT / "reports" / task


def recorded(cfg: Train) -> dict[str, Any]:
    """
    Pick what decides an experiment's result, to be recorded with its run.

    Parameters
    ----------
    cfg : Train
        A checked configuration.

    Returns
    -------
    dict
        Plain values: seed, task with the model's view alone, and model. Where
        runs are recorded is left out: it decides nothing, and may hold a password.
    """
    settings = asdict(cfg.task) | {"views": {cfg.model.view: cfg.task.views[cfg.model.view]}}
    del settings["models"]  # which is in the model's own settings
    model = asdict(cfg.model)
    return {"seed": cfg.seed, "task": settings, "model": model.pop("estimator") | model}


def build(node: dict[str, Any]) -> Any:
    """
    Build what a node of the configuration names by its ``_target_``.

    Raises
    ------
    UserError
        When the target refuses a value.
    """
    try:
        return hydra.utils.instantiate(node, _convert_="all")
    except InstantiationException as error:
        cause = error.__cause__
        if isinstance(cause, UserError | OSError):
            raise cause from None
        raise


def settled_model(
    node: dict[str, Any], name: str, task: Task, given: Collection[str] = ()
) -> Model:
    """
    Settle a file of conf/model/ on a task: on its variant, and on what it sets otherwise.

    Parameters
    ----------
    node : dict
        The file's content: ``family``, ``view``, ``_target_``, hyperparameters,
        and perhaps ``variants``, each of which adds or replaces keys.
    name : str
        The file's name.
    task : Task
        The task to be learned.
    given : collection of str
        Keys such as ``model.lr`` whose values stand, whatever the variant or the task sets.

    Returns
    -------
    Model
        With ``_target_`` and hyperparameters alone in ``estimator``.

    Raises
    ------
    UserError
        When the task names an unknown variant or lacks the model's view.
    """
    estimator = {key: value for key, value in node.items() if key != "variants"}
    if "variants" in node:
        choice = str(getattr(task.variants, name, None))
        if choice not in node["variants"]:
            raise UserError(
                f"task.variants.{name}: unknown variant '{choice}'"
                + nearest(choice, node["variants"])
            )
        variant = node["variants"][choice]
        estimator |= {key: variant[key] for key in variant if f"model.{key}" not in given}
    known = {own_key(key) for key in given}
    for key, value in leaves(task.models.get(name, {}), "model"):
        if key not in known:
            estimator = with_value(estimator, key.split(".")[1:], value)
    family, view = estimator.pop("family"), estimator.pop("view")
    if view not in task.views:
        raise UserError(
            f"model {name} reads the view '{view}', which task {task.name} lacks"
            + nearest(view, task.views)
        )
    return Model(name, family, view, estimator)


def own_key(key: str) -> str:
    """Leave out of a model's key the variant that it belongs to: ``model.network.dropout``."""
    parts = key.split(".")
    return ".".join(["model", *parts[3:]]) if parts[:2] == ["model", "variants"] else key


def with_value(node: dict[str, Any], path: list[str], value: Any) -> dict[str, Any]:
    """Set a value below a node, which stays as it is."""
    first, *rest = path
    return node | {first: with_value(node.get(first) or {}, rest, value) if rest else value}


def register(name: str) -> None:
    """Give Hydra the schema of a stage and params.yaml, whatever the working directory."""
    store = ConfigStore.instance()
    Plugins.instance()  # first, since hydra-ray-launcher would take the name
    store.store("ray", RayLauncherConf, group="hydra/launcher")
    store.store("schema", SCHEMAS[name])
    store.store("params", params())


# Here, so that the processes of a parallel sweep know them too.
OmegaConf.register_new_resolver("root", lambda: str(ROOT), replace=True)
OmegaConf.register_new_resolver("store_uri", store_uri, replace=True)
OmegaConf.register_new_resolver("study_storage", study_storage, replace=True)


def checked(composed: DictConfig) -> Any:
    """
    Turn what Hydra composed into a stage's configuration.

    Raises
    ------
    UserError
        For a key that nothing takes, a value of a wrong type, or a project
        without a commit.
    """
    _require_git()
    cfg = settled(composed)
    _check_keys(cfg)
    if cfg.seed < 0:
        raise UserError(f"seed: {cfg.seed} is below 0")
    if isinstance(cfg, Train):
        check_targets(cfg.model.estimator, "model")
    files = [path.stem for path in (CONF / "model").glob("*.yaml")]
    for name in cfg.task.models:
        if name not in files:
            raise UserError(f"task.models: unknown model '{name}'{nearest(name, files)}")
    check_targets(cfg.task.source, "task.source")
    check_targets(cfg.task.views, "task.views")
    return cfg


def settled(composed: DictConfig) -> Any:
    """Turn what Hydra composed into the stage's dataclass, its model settled on the task."""
    cfg: Any = OmegaConf.to_object(composed)
    if isinstance(cfg, Train):
        name = str(HydraConfig.get().runtime.choices["model"])
        cfg.model = settled_model(cfg.model, name, cfg.task, written())
    return cfg


def written() -> list[str]:
    """List the keys that the command line sets."""
    return [text.partition("=")[0].lstrip("+~") for text in HydraConfig.get().overrides.task]


def _check_keys(node: Any, where: str = "") -> None:
    """Refuse what was added with ``+`` to a part that the schema knows whole."""
    known = [field.name for field in fields(node)]
    for key, value in vars(node).items():
        if key not in known:
            right = [f"{where}{name}" for name in known]
            raise UserError(f"unknown key '{where}{key}'{nearest(f'{where}{key}', right)}")
        if is_dataclass(value):
            _check_keys(value, f"{where}{key}.")


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


def check_targets(node: Any, where: str) -> None:
    """
    Check every ``_target_`` below a node: it exists and takes the keys beside it.

    Parameters
    ----------
    node : dict, list or scalar
        A part of the composed configuration.
    where : str
        Its dotted place, for the error.

    Raises
    ------
    UserError
        For a target that cannot be imported, a key that it does not take
        (with the nearest that it takes), or a value of another type than its
        annotation says.
    """
    if isinstance(node, list):
        for index, item in enumerate(node):
            check_targets(item, f"{where}.{index}")
    if not isinstance(node, dict):
        return
    if "_target_" in node:
        _check_call(node, where)
    for key, value in node.items():
        check_targets(value, f"{where}.{key}")


def _check_call(node: dict[str, Any], where: str) -> None:
    try:
        target = hydra.utils.get_object(node["_target_"])
    except (ImportError, ValueError, AttributeError) as error:
        raise UserError(
            f"{where}._target_: '{node['_target_']}' cannot be imported "
            f"({' '.join(str(error).split())})"
        ) from None
    if not callable(target):
        raise UserError(f"{where}._target_: '{node['_target_']}' is not a class or function")
    parameters, open_ended = _parameters(target)
    for key, value in node.items():
        if key in ("_target_", "_partial_"):
            continue
        if key not in parameters:
            if open_ended and "did you mean" not in nearest(key, parameters):
                continue
            raise UserError(f"unknown key '{where}.{key}'{nearest(key, parameters)}")
        annotation = parameters[key].annotation
        kinds = set(get_args(annotation)) - {NoneType}
        if isinstance(annotation, UnionType) and value is not None and len(kinds) == 1:
            (annotation,) = kinds
        if get_origin(annotation) in (tuple, list) and not isinstance(value, list):
            raise UserError(f"{where}.{key}: {value!r} is not a list")
        allowed = {int: (int,), float: (int, float), bool: (bool,), str: (str,)}.get(annotation)
        if allowed and (
            not isinstance(value, allowed) or (isinstance(value, bool) and annotation is not bool)
        ):
            raise UserError(f"{where}.{key}: {value!r} is not of type {annotation.__name__}")


def _parameters(target: Any) -> tuple[dict[str, inspect.Parameter], bool]:
    """Name what a target takes, and say whether it takes other keys too."""
    calls = [target]
    if isinstance(target, type):  # which passes **kwargs on to the next in line
        calls = [vars(base)["__init__"] for base in target.__mro__[:-1] if "__init__" in vars(base)]
    known: dict[str, inspect.Parameter] = {}
    for call in calls:
        try:
            parameters = dict(inspect.signature(call).parameters)
        except ValueError:  # not written in Python
            return known, True
        parameters.pop("self", None)
        known = parameters | known
        if not any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
            return known, False
    return known, bool(calls)


def leaves(node: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Give every value below a node with its dotted key."""
    if isinstance(node, Mapping):
        for key, value in node.items():
            yield from leaves(value, f"{prefix}.{key}" if prefix else str(key))
    else:
        yield prefix, node
