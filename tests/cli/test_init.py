"""A project that is begun from the installed wheel, in which there is no code of the package."""

import subprocess
import sys
import venv
from pathlib import Path

import mlflow
import pandas as pd
import pytest
import yaml

from pipeline import init, paths

ROOT = Path(__file__).resolve().parents[2]
PARAMS = "tasks: [breast_cancer]\nmodels: [plain]\nseed: 0\nsplit_seed: 0\n"
ESTIMATOR = """\
from sklearn.linear_model import LogisticRegression

class Plain(LogisticRegression):
    '''A model of the user's own.'''
"""
MODEL = """\
family: classical
view: engineered
_target_: mine.plain.Plain
C: 1.0
trusted: [mine.plain.Plain]
"""
TASK = """\
defaults:
  - base/classification
  - base/table

metric: accuracy
metrics: [accuracy]
split:
  folds: null
source:
  _target_: pipeline.tasks.breast_cancer.source.read
"""


def test_the_stages_of_a_project_depend_on_no_code_of_the_package():
    checkout = yaml.safe_load((ROOT / "dvc.yaml").read_text("utf-8"))["stages"]

    stages = yaml.safe_load(init.adapt((ROOT / "dvc.yaml").read_text("utf-8")))["stages"]

    assert stages.pop("compose")["always_changed"] is True
    assert checkout.pop("compose")["deps"] == ["conf", "pipeline"]
    assert list(stages) == list(checkout)
    for name, stage in stages.items():
        own = [one for one in checkout[name]["deps"] if not one.startswith("pipeline/")]
        assert len(own) < len(checkout[name]["deps"])
        assert stage == checkout[name] | {"deps": own}


def test_the_project_is_the_nearest_one_above(tmp_path, monkeypatch):
    for name in ("outer", "outer/inner"):
        (tmp_path / name / "conf/model").mkdir(parents=True)
        for file in ("params.yaml", "dvc.yaml"):
            (tmp_path / name / file).touch()
    (tmp_path / "outer/data").mkdir()

    found = {}
    for name in ("outer", "outer/data", "outer/inner/conf/model", "."):
        monkeypatch.chdir(tmp_path / name)
        found[name] = paths.find_root()

    assert found == {
        "outer": tmp_path / "outer",
        "outer/data": tmp_path / "outer",
        "outer/inner/conf/model": tmp_path / "outer/inner",
        ".": paths.SOURCE,  # the checkout that these tests import
    }


@pytest.mark.parametrize(
    ("there", "said"),
    [
        ("full/file", "full is in use: name a new folder"),
        ("full", "full is in use: name a new folder"),
    ],
)
def test_what_is_there_is_left_as_it_is(tmp_path, monkeypatch, there, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / there).parent.mkdir(exist_ok=True)
    (tmp_path / there).write_text("mine")

    with pytest.raises(SystemExit, match=said):
        init.main(["full"])

    assert (tmp_path / there).read_text() == "mine"


def test_without_a_name_for_git_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM"):
        monkeypatch.setenv(name, "/dev/null")
    for who in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{who}_NAME", "")

    with pytest.raises(SystemExit, match=r"git does not know who commits: git config --global"):
        init.main(["mine"])

    assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def installed(clone, tmp_path_factory):
    """Build the wheel, and install it where the other packages are found; give its `python`."""
    place = tmp_path_factory.mktemp("installed")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(place)]
    subprocess.run(build, cwd=clone.root, check=True, capture_output=True)
    (wheel,) = place.glob("*.whl")
    venv.create(place / "venv", with_pip=False)
    programs = place / "venv/bin"
    (site,) = (place / "venv").glob("lib/python*/site-packages")
    others = [*dict.fromkeys(path for path in sys.path if path.endswith("site-packages"))]
    (site / "others.pth").write_text("\n".join(others))
    # The name that DVC's own stages are run by.
    (programs / "dvc").write_text(
        f"#!{programs}/python\nfrom dvc.cli import main\nraise SystemExit(main())\n"
    )
    (programs / "dvc").chmod(0o755)
    uv = [
        "uv",
        "pip",
        "install",
        "--quiet",
        "--offline",
        "--no-deps",
        "--python",
        programs / "python",
    ]
    subprocess.run([*uv, wheel], check=True, env=clone.environment())
    return programs


@pytest.mark.slow
def test_a_project_begun_from_the_wheel_runs_every_command(
    installed, clone, tmp_path, empty_store, monkeypatch
):
    path = {"PATH": f"{installed}:{clone.environment()['PATH']}"}
    project = type(clone)(tmp_path / "my-project")

    def must(*command: str, cwd: Path = project.root) -> str:
        done = project.run(*command, cwd=cwd, **path)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    outside = project.run("python", "-m", "pipeline.leaderboard", cwd=tmp_path, **path)
    assert (
        outside.stderr == f"error: no project in {tmp_path} or above it: bakeoff init my-project\n"
    )
    must("python", "-m", "pipeline.init", "my-project", cwd=tmp_path)
    assert sorted(file.name for file in project.root.iterdir()) == [
        *(".dvc", ".dvcignore", ".git", ".gitignore", "README.md"),
        *("conf", "data", "dvc.yaml", "params.yaml"),
    ]
    assert must("git", "status", "--porcelain") == ""
    tracked = must("git", "ls-files").splitlines()
    assert {file for file in tracked if file.startswith(("conf/", "data/"))} == {
        file
        for file in clone.must("git", "ls-files", "conf", "data").splitlines()
        if not file.startswith("conf/adopted/")
    }
    assert len([*project.root.glob("data/genre/*/*/*.txt")]) == 120

    # One round of a model of the user's own.
    (project.root / "params.yaml").write_text(PARAMS)
    (project.root / "conf/task/breast_cancer.yaml").write_text(TASK)
    (project.root / "conf/model/plain.yaml").write_text(MODEL)
    (project.root / "mine").mkdir()
    (project.root / "mine/plain.py").write_text(ESTIMATOR)
    (project.root / "mlflow.db").write_bytes(empty_store.read_bytes())
    must("dvc", "repro", "--quiet")
    assert "breast_cancer" in must(
        "python", "-m", "pipeline.leaderboard", cwd=project.root / "data"
    )
    assert "architecture=: " in must("python", "-m", "pipeline.train", "--help")

    # The project's own code is watched, and so is the version of the package.
    (project.root / "mine/plain.py").write_text(f"{ESTIMATOR}    lines = 2\n")
    must("python", "-m", "pipeline.compose", cwd=project.root / "conf")
    changed = must("dvc", "status")
    assert "train@breast_cancer-plain" in changed
    assert "ingest@breast_cancer" not in changed
    file = project.root / "composed/ingest/breast_cancer.yaml"
    assert list(yaml.safe_load(file.read_text())["code"]) == ["bakeoff"]

    # From raw rows to answers, from a folder below; and where there is neither project nor package.
    rows = project.parts("breast_cancer")["test"]
    inputs = rows.drop(columns=["example_id", "label", "group"])
    inputs.to_csv(project.root / "data/new.csv", index=False)
    asked = ["task=breast_cancer", "model=plain", "file=new.csv", "output=answers.csv"]
    must("python", "-m", "pipeline.predict", *asked, cwd=project.root / "data")
    found = pd.read_csv(project.root / "data/answers.csv")["label"]
    scored = pd.read_parquet(project.root / "reports/breast_cancer/predictions.parquet")
    assert found.tolist() == scored[scored["model"] == "plain"]["predicted"].tolist()
    (run,) = (run for run in project.runs("breast_cancer") if run.info.run_name == "plain")
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.chdir(tmp_path)
    mlflow.set_tracking_uri(project.store)
    try:
        logged = mlflow.pyfunc.load_model(f"runs:/{run.info.run_id}/plain")
    finally:
        mlflow.set_tracking_uri(None)
    assert logged.predict(inputs)["label"].tolist() == found.tolist()
