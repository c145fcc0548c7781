"""
A task can be deleted: its code, its data and its file in conf/task/ are all that there is.

A folder of code may serve several tasks, whose names begin with its own.
"""

import shutil
import subprocess

import yaml

from pipeline.paths import ROOT

KEPT = yaml.safe_load((ROOT / "params.yaml").read_text("utf-8"))["tasks"]
TASKS = {
    path.parent.name
    for path in (ROOT / "pipeline/tasks").glob("*/__init__.py")
    if path.parent.name not in KEPT
}


# A warm process has imported libraries whose own plugins pytest would rewrite.
IMPORTED = ["-W", "ignore:Module already imported:pytest.PytestAssertRewriteWarning"]


def test_no_code_outside_of_a_task_names_it():
    """What `make` runs by default is left out: the tests of all stages run on these tasks."""
    assert TASKS
    found = [
        f"{file.relative_to(ROOT)} names {task}"
        for folder in ("pipeline", "hydra_plugins", "tests", "benchmarks")
        for file in (ROOT / folder).rglob("*.py")
        for task in TASKS
        if f"tasks/{task}" not in file.as_posix() and task in file.read_text("utf-8")
    ]
    assert found == []


def test_without_the_three_things_of_each_task_all_other_tests_are_collected(warm, tmp_path):
    names = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
        text=True,
    ).stdout.splitlines()
    for name in names:
        if (ROOT / name).is_file():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, tmp_path / name)
    for task in TASKS:
        shutil.rmtree(tmp_path / "pipeline/tasks" / task)
        for folder in (tmp_path / "data").glob(f"{task}*"):
            shutil.rmtree(folder)
        for file in (tmp_path / "conf/task").glob(f"{task}*.yaml"):
            file.unlink()

    done = subprocess.run(
        [warm, "-m", "pytest", "--collect-only", "--quiet", "-p", "no:cacheprovider", *IMPORTED],
        cwd=tmp_path,
        capture_output=True,
        check=False,
        text=True,
    )

    assert done.returncode == 0, done.stdout[-2000:]
    assert "tests/code/test_composition.py::" in done.stdout
    assert "tests/tasks/" not in done.stdout
