"""Search the settings of each model of a task with the same effort, and adopt the best of each."""

import subprocess
import sys

from pipeline import command
from pipeline.config import command_line, schema
from pipeline.config.conf import options, supports
from pipeline.errors import UserError
from pipeline.progress import console
from pipeline.sweep import study as studies


def main(cfg: schema.Train) -> None:
    """
    Sweep each model that has a space in conf/sweep/, and adopt its best settings.

    Each sweep is a command of its own, so that one that fails does not end the others, and
    that all go on after a kill.

    Raises
    ------
    UserError
        At the end, if a sweep failed.
    """
    studies.check(cfg.sweep)
    for key in command_line.overridden_keys():
        if key == "model" or key.startswith("model."):
            raise UserError(
                f"{key}: all models of params.yaml are tuned; 'models=[lightgbm]' picks some"
            )
    failed = []
    for model in cfg.models:
        name = f"{cfg.task.name} {model}"
        if not supports(model, cfg.task.kind):
            continue
        if model not in options("sweep"):
            console.print(f"{name}: no space in conf/sweep/, its settings stay")
            continue
        console.print(f"{name}: searching")
        if not tune(cfg, model):
            failed.append(model)
    if failed:
        raise UserError(f"not tuned, see above: {', '.join(failed)}")


def tune(cfg: schema.Train, model: str) -> bool:
    """Sweep a model and adopt its best settings, and return whether both succeeded."""
    given = [text for text in sys.argv[1:] if not text.startswith("models=")]
    given += [f"model={model}", f"sweep.n_trials={cfg.sweep.n_trials}"]
    commands = [
        ["pipeline.train", "--multirun", f"+sweep={model}", *given],
        ["pipeline.adopt", *given],
    ]
    return all(
        subprocess.run([sys.executable, "-m", "pipeline.process", *one], check=False).returncode
        == 0
        for one in commands
    )


if __name__ == "__main__":
    command.run("tune")
