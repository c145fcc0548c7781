"""Begin a project in a new folder, for an installed package: python -m pipeline.init my-project."""

import argparse
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from pipeline.errors import UserError
from pipeline.files import new_folder
from pipeline.paths import SOURCE

# What a project begins with. The wheel has it beside this file, see pyproject.toml.
BUNDLED = Path(__file__).with_name("project")
FILES = (
    ".dvc/config",
    ".dvc/plots/*.json",
    ".dvcignore",
    ".gitignore",
    "conf/**/*.yaml",
    "data/*/README.md",
    "data/*/manifest.csv",
    "data/genre/*/*/*.txt",
    "dvc.yaml",
    "params.yaml",
)
# What was adopted from the sweeps of a checkout.
LEFT_OUT = "conf/adopted"
# A dependency on code of this package, and the comment on it.
OWN_CODE = re.compile(r"(^ *#.*\n)?^ *- pipeline(/.*)?\n", re.MULTILINE)
COMPOSE = "    cmd: python -m pipeline.compose\n"
ALWAYS = """\
    # It takes a second, and sees what changed that no dependency tells: another version of
    # Bakeoff, and code of your own. What it writes decides what else is run.
    always_changed: true
"""
README = """\
# {name}

A project of Bakeoff: which model, classical or deep, and at what price?

```console
$ dvc repro                        # train the models of params.yaml on its tasks
$ python -m pipeline.leaderboard   # their boards; in a browser: reports/index.html
$ python -m pipeline.train --help
$ python -m pipeline.tracking.ui   # the runs, in MLflow
```

`params.yaml` names tasks and models, `conf/` has a file for each, and `data/<task>/` what a task
ships with. All of it is yours: a newer version of Bakeoff changes none of these files, and
`dvc repro` then trains again.

Code of your own, such as a network, goes into a package beside `conf/`, as in `mine/wide.py`,
and is named by a file of `conf/` as `_target_: mine.wide.Wide`.
"""


def main(arguments: list[str] | None = None) -> None:
    """
    Write a project into a new folder, and commit it.

    Parameters
    ----------
    arguments : list of str, optional
        The command line, by default that of the process.

    Raises
    ------
    SystemExit
        With code 1 and a line that says why, if the project cannot be made.
    """
    parser = argparse.ArgumentParser(
        "bakeoff init", description="Write a project into a new folder, with git and DVC."
    )
    parser.add_argument("folder", type=Path, help="the folder, which is not there yet or empty")
    target: Path = parser.parse_args(arguments).folder
    try:
        check(target)
        with new_folder(target) as folder:
            fill(folder, target.absolute().name)
    except (UserError, OSError) as error:
        sys.exit(f"error: {error}")
    print(f"{target} is a project: cd {target}, then dvc repro and python -m pipeline.leaderboard")


def check(target: Path) -> None:
    """
    Check that a project can be made, before anything is written.

    Raises
    ------
    UserError
        If the folder is in use, or git does not know who commits.
    """
    if target.is_file() or (target.is_dir() and any(target.iterdir())):
        raise UserError(f"{target} is in use: name a new folder; what is there is left as it is")
    if subprocess.run(
        ["git", "var", "GIT_COMMITTER_IDENT"], capture_output=True, check=False
    ).returncode:
        raise UserError(
            "git does not know who commits: git config --global user.name 'Your Name' && "
            "git config --global user.email you@example.org"
        )


def fill(folder: Path, name: str) -> None:
    """
    Write a project into an empty folder, and commit it.

    Parameters
    ----------
    folder : Path
        An empty folder.
    name : str
        The name of the project.
    """
    run(folder, "git", "init", "--quiet")
    run(folder, sys.executable, "-m", "dvc", "init", "--quiet")
    source = BUNDLED if BUNDLED.is_dir() else SOURCE
    for file in sorted(file for pattern in FILES for file in source.glob(pattern)):
        place = file.relative_to(source)
        if not place.is_relative_to(LEFT_OUT):
            (folder / place).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, folder / place)
    stages = (folder / "dvc.yaml").read_text(encoding="utf-8")
    (folder / "dvc.yaml").write_text(adapt(stages), encoding="utf-8")
    (folder / "README.md").write_text(README.format(name=name), encoding="utf-8")
    run(folder, "git", "add", "--all")
    run(folder, "git", "commit", "--quiet", "--message", "Begin a project of Bakeoff")


def adapt(stages: str) -> str:
    """Return the ``dvc.yaml`` of a checkout for a project that has no code of this package."""
    return OWN_CODE.sub("", stages).replace(COMPOSE, COMPOSE + ALWAYS)


def run(folder: Path, *command: str) -> None:
    """
    Run a command in a folder.

    Raises
    ------
    UserError
        If it fails. The message has its last line.
    """
    done = subprocess.run(
        command,
        cwd=folder,
        env=os.environ | {"DVC_NO_ANALYTICS": "true"},
        capture_output=True,
        check=False,
        text=True,
    )
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines() or ["it says nothing"]
        raise UserError(f"{' '.join(command[:2])} failed: {said[-1]}")


if __name__ == "__main__":
    main()
