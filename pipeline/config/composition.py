"""
The settings of a stage, composed by Hydra.

A value comes from the model's file, unless the architecture, the task, what was adopted from
a sweep, or the command line sets it otherwise; each outranks those before it.
"""

import os
import subprocess
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import hydra
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf, open_dict

from pipeline import paths
from pipeline.config.command_line import check_overridden, overridden_keys
from pipeline.config.conf import options, params, read_yaml
from pipeline.config.schema import SCHEMAS, Train
from pipeline.config.settings import SETTINGS, leaves, merge, pick_settings
from pipeline.config.settling import settle
from pipeline.config.targets import anchor_paths, check_targets
from pipeline.errors import UserError
from pipeline.files import read_json
from pipeline.paths import CONF, ROOT

# Hydra copies its store, with all that is registered, each time that it reads conf/: hundreds of
# times for --help. What it loads from the store is a copy in any case.
ConfigStore.__deepcopy__ = lambda store, _memo: store


def register(stage: str, tasks: Mapping[str, Mapping[str, Any]] | None = None) -> None:
    """
    Register with Hydra what a stage composes beside the files of conf/.

    That is its schema, params.yaml, and for each task and model what the task's file sets
    for the model, with the architecture that it names.

    Parameters
    ----------
    stage : str
        A key of `SCHEMAS`.
    tasks : mapping of str to mapping, optional
        Tasks that have no file in conf/task/, by name: what their file would hold.
    """
    store = ConfigStore.instance()
    for name, node in (tasks or {}).items():
        store.store(name, dict(node), "task")
    store.store("schema", SCHEMAS[stage])
    store.store("params", params())
    if not issubclass(SCHEMAS[stage], Train):
        return
    architectures = {
        name: read_yaml(CONF / "architecture" / f"{name}.yaml") for name in options("architecture")
    }
    models = {name: _readable(CONF / "model" / f"{name}.yaml") for name in options("model")}
    # Of an earlier call, which may have found other files.
    store.repo.pop("set_by_task", None)
    nodes = {name: _readable(CONF / "task" / f"{name}.yaml") for name in options("task")}
    for task, task_node in (nodes | dict(tasks or {})).items():
        settings = _set_by(task_node)
        for model, node in models.items():
            # What is no mapping is reported when the schema is applied.
            own = dict(settings[model]) if isinstance(settings.get(model), Mapping) else {}
            choice = own.pop("architecture", node.get("architecture"))
            # An unknown architecture is named when the model is settled.
            named = {"architecture": choice} if "architecture" in node or choice else {}
            architecture = architectures.get(str(choice), {}) | named
            store.store(model, architecture, f"architecture/{task}", "model")
            if own:
                store.store(model, own, f"set_by_task/{task}", "model")


def _readable(path: Path) -> dict[str, Any]:
    """Read a file whose mistakes are reported when Hydra composes it."""
    try:
        return read_yaml(path)
    except UserError:
        return {}


def _set_by(node: Mapping[str, Any], folder: Path = CONF / "task") -> dict[str, Any]:
    """Return what a task's file in a folder, and those that it builds on, set for models."""
    models = dict[str, Any]()
    for base in node.get("defaults") or []:
        if isinstance(base, str) and base != "_self_":
            path = folder / f"{base}.yaml"
            models = merge(models, _set_by(_readable(path), path.parent))
    own = node.get("models")
    return merge(models, own) if isinstance(own, dict) else models


def list_options(group: str) -> str:
    """List the options of a group, in lines that are indented for the help of a command."""
    return textwrap.fill(", ".join(options(group)), 90, subsequent_indent=" " * 4)


# Here, so that the processes of a parallel sweep know them too.
OmegaConf.register_new_resolver("options", list_options, replace=True)
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
    require_git()
    check_overridden(stage)
    if stage == "featurize":
        _take_source(whole)
    cfg = settle(whole)
    check_stage(stage, cfg)
    if stage == "ingest":
        cfg.task.source = anchor_paths(cfg.task.source, "task.source", overridden_keys())
    if os.environ.get("DVC_STAGE"):
        _check_written(stage, cfg)
    return cfg


def check_stage(stage: str, cfg: Any) -> None:
    """
    Check, before a stage begins, what its settings name.

    Raises
    ------
    UserError
        If a ``_target_`` cannot be imported or does not take its keys, or if the model is not
        for the task's kind of problem.
    """
    if stage in ("train", "adopt"):
        # DVC runs each model of each task.
        if cfg.model.unsupported and not os.environ.get("DVC_STAGE"):
            raise UserError(cfg.model.unsupported)
        check_targets(cfg.model.estimator, "model")
    if stage == "ingest":
        check_targets(cfg.task.source, "task.source")
    if stage == "featurize":
        check_targets(cfg.task.views, "task.views")
    if stage == "evaluate" and not cfg.models:
        raise UserError(f"models: there is none to compare, for {cfg.task.kind}")


def _take_source(whole: DictConfig) -> None:
    """Let views refer to the source as it was ingested, perhaps set on the command line."""
    card = paths.ingested_folder(whole.task.name) / "card.json"
    if card.is_file():
        used = read_json(card, {"settings": dict})["settings"].get("task", {})
        OmegaConf.update(whole, "task.source", used.get("source", {}), force_add=True)


def _check_written(stage: str, cfg: Any) -> None:
    """Refuse to run under DVC with other settings than those that DVC watches."""
    if stage not in SETTINGS:
        return
    model = cfg.model.name if stage == "train" else None
    file = paths.composed_file(stage, cfg.task.name, model)
    written, now = dict(leaves(read_yaml(file))), dict(leaves(pick_settings(stage, cfg)))
    keys = [key for key in now if written.get(key) != now[key]]
    keys += [key for key in written if key not in now and not key.startswith("code.")]
    if keys:
        raise UserError(
            f"{file.relative_to(ROOT)} does not hold the settings of now "
            f"({', '.join(keys)}): dvc repro compose"
        )


def require_git() -> None:
    """Check that the project is a git repository with a commit."""
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
