"""The command that runs: what its command line sets, and where its results go."""

import os
import shlex
import sys
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode

from pipeline.config.conf import options
from pipeline.config.settings import BESIDE, SETTINGS
from pipeline.errors import UserError
from pipeline.paths import CONF, ROOT


def overridden_keys() -> list[str]:
    """List the keys that the command line sets."""
    return [text.partition("=")[0].lstrip("+~") for text in HydraConfig.get().overrides.task]


def publishes() -> bool:
    """
    Return whether this training makes the model that is compared and that DVC keeps.

    A stage of DVC does, and a training by hand whose command line names task, model and store
    alone. One job of a multirun does not, nor does a training with settings of its own.
    """
    if HydraConfig.get().mode == RunMode.MULTIRUN:
        return False
    own = [
        key
        for key in overridden_keys()
        if key not in ("task", "model") and key.partition(".")[0] != "tracking"
    ]
    return "DVC_STAGE" in os.environ or not own


def repeats(task: str) -> str:
    """Return the command that compares a task again: DVC's, or this one if the task has no file."""
    if task in options("task"):
        return f"dvc repro evaluate@{task}"
    return shlex.join(["bakeoff", *sys.argv[1:]])


def run_folder(task: str, model: str, run_id: str) -> Path:
    """Folder of a training with settings of its own: in a multirun the job's."""
    if HydraConfig.get().mode == RunMode.MULTIRUN:
        folder = Path(HydraConfig.get().runtime.output_dir)
        if not folder.is_relative_to(ROOT):
            raise UserError(f"hydra.sweep.dir: {folder} is not in the project, {ROOT}")
        return folder
    return ROOT / "runs" / task / model / run_id


def check_overridden(stage: str) -> None:
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
