"""Copies of the project to run commands in, shared where they are slow to make."""

import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from filelock import FileLock

from pipeline.config.targets import EXTRAS

if TYPE_CHECKING:
    import pandas as pd

ROOT = Path(__file__).resolve().parents[1]
# Whoever deletes a task need not delete its tests as well.
collect_ignore = [
    f"tasks/{folder.name}"
    for folder in (ROOT / "tests/tasks").iterdir()
    if not [*(ROOT / "conf/task").glob(f"{folder.name}*.yaml")]
]
GIT_IDENTITY = {
    f"GIT_{who}_{what}": value
    for who in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "Tester"), ("EMAIL", "tester@example.org"))
}
# What the shell that starts the tests may hold, and must not decide what they find.
LEAKING = ("BAKEOFF_", "DVC_", "GIT_", "HYDRA_", "MLFLOW_", "PYTHON")
# Nothing listens on port 9: what would go to the network fails at once.
NOWHERE = "http://127.0.0.1:9"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start with files that take long, so that in the end no worker waits for another's."""
    items.sort(key=lambda item: item.path.parent.name not in ("tracking", "cli"))


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test of an extra whose package is not installed."""
    packages = {extra: package for package, extra in EXTRAS.items()} | {"excel": "openpyxl"}
    for marker in item.iter_markers("extra"):
        (extra,) = marker.args
        if find_spec(packages[extra]) is None:
            pytest.skip(f"needs pip install -e '.[{extra}]'")


def _heed_ctrl_c() -> None:
    # A shell starts what it runs in the background, these tests perhaps, deaf to SIGINT.
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@dataclass(frozen=True)
class Project:
    """A copy of the project, with a git commit, an MLflow store and a DVC of its own."""

    root: Path

    @property
    def store(self) -> str:
        return f"sqlite:///{self.root.as_posix()}/mlflow.db"

    @property
    def client(self):
        from mlflow import MlflowClient  # here, since unit tests need not wait for it

        return MlflowClient(self.store)

    def parts(self, task: str, name: str = "0") -> dict[str, "pd.DataFrame"]:
        """Read the train, validation and test examples of a round."""
        import pandas as pd  # here, since most tests need not wait for it

        folder = self.root / "data" / "ingested" / task
        examples, rounds = (
            pd.read_parquet(folder / f"{file}.parquet") for file in ("examples", "rounds")
        )
        found = {
            part: examples[(rounds[name] == part).to_numpy()].reset_index(drop=True)
            for part in ("train", "validation", "test")
        }
        own = folder / "test.parquet"
        return found | ({"test": pd.read_parquet(own)} if own.is_file() else {})

    def environment(self, **variables: str) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(LEAKING)}
        programs = Path(sys.executable).parent
        return (
            kept
            | GIT_IDENTITY
            | {
                "PATH": f"{programs}{os.pathsep}{kept['PATH']}",
                "MLFLOW_DISABLE_TELEMETRY": "true",
                "XDG_CACHE_HOME": str(self.root.with_name(f"{self.root.name}-cache")),
                "http_proxy": NOWHERE,
                "https_proxy": NOWHERE,
                "no_proxy": "127.0.0.1,localhost",
            }
            | variables
        )

    def start(self, *command: str, cwd: Path | None = None, **variables: str) -> subprocess.Popen:
        return subprocess.Popen(
            command,
            cwd=cwd or self.root,
            env=self.environment(**variables),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=_heed_ctrl_c,
        )

    def run(
        self, *command: str, cwd: Path | None = None, **variables: str
    ) -> subprocess.CompletedProcess:
        with self.start(*command, cwd=cwd, **variables) as process:
            try:
                out, err = process.communicate(timeout=900)
            except BaseException:
                process.kill()
                raise
        return subprocess.CompletedProcess(command, process.returncode, out, err)

    def stage(
        self, name: str, *overrides: str, cwd: Path | None = None, **variables: str
    ) -> subprocess.CompletedProcess:
        """Run a stage as a user does, from another folder when `cwd` is given."""
        if cwd is not None:
            variables["PYTHONPATH"] = str(self.root)
        return self.run("python", "-m", f"pipeline.{name}", *overrides, cwd=cwd, **variables)

    def warm(
        self, python: str, module: str, *arguments: str, **variables: str
    ) -> subprocess.CompletedProcess:
        """Run ``python -m module`` in a process that has imported the libraries already."""
        return self.run(python, "-m", module, *arguments, **variables)

    def dvc(self, python: str, *arguments: str) -> subprocess.CompletedProcess:
        """Run DVC, and the stages that it starts, as `warm` does."""
        path = os.pathsep.join([str(Path(python).parent), self.environment()["PATH"]])
        return self.warm(python, "dvc", *arguments, PATH=path)

    def must_dvc(self, python: str, *arguments: str) -> str:
        """Run a command of DVC that has to succeed, and give what it printed."""
        done = self.dvc(python, *arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def must_warm(self, python: str, module: str, *arguments: str, **variables: str) -> str:
        """Run a module that has to succeed without a warning, and give what it printed."""
        done = self.warm(python, module, *arguments, **variables)
        assert done.returncode == 0, done.stderr
        assert "Warning" not in done.stderr
        return done.stdout

    def must(self, *command: str, **variables: str) -> str:
        """Run a command that has to succeed, and give what it printed."""
        done = self.run(*command, **variables)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def commit(self) -> str:
        self.must("git", "add", "--all")
        self.must("git", "commit", "--quiet", "--message", "test")
        return self.must("git", "rev-parse", "HEAD").strip()

    def edit(self, path: str, old: str, new: str) -> None:
        file = self.root / path
        text = file.read_text(encoding="utf-8")
        assert text.count(old) == 1, f"{path} holds {old!r} {text.count(old)} times"
        file.write_text(text.replace(old, new), encoding="utf-8")

    def runs(self, experiment: str) -> list:
        """Every run of a task, the newest first."""
        found = self.client.get_experiment_by_name(experiment)
        return list(self.client.search_runs([found.experiment_id])) if found else []

    def copy(self, root: Path, store: Path) -> "Project":
        """Copy all but DVC's cache and the runs, which would point back here."""
        kept_out = shutil.ignore_patterns("cache", "tmp", "mlruns", "multirun", "*mlflow.db*")
        shutil.copytree(self.root, root, ignore=kept_out, symlinks=True)
        shutil.copy(store, root / "mlflow.db")
        return Project(root)


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Make a folder once, whichever worker of pytest-xdist asks first."""
    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent

    def made(name: str, make: Callable[[Path], None]) -> Path:
        folder, done = base / name, base / f"{name}.done"
        with FileLock(base / f"{name}.lock"):
            if not done.exists():
                shutil.rmtree(folder, ignore_errors=True)  # of a worker that failed to make it
                folder.mkdir()
                make(folder)
                done.touch()
        return folder

    return made


@pytest.fixture(scope="session")
def clone(shared: Callable[..., Path]) -> Project:
    """Return the project as it is in the working tree, committed; leave it as it is."""
    return Project(shared("clone", _clone) / "bakeoff")


def _clone(folder: Path) -> None:
    project = Project(folder / "bakeoff")
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
        text=True,
    ).stdout
    for name in sorted(set(listed.rstrip("\0").split("\0"))):
        source, target = ROOT / name, project.root / name
        if source.is_file() and not name.startswith((".venv/", "tests/")):
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)
    # The first `dvc repro` of a fresh clone, not one that knows the results.
    (project.root / "dvc.lock").unlink(missing_ok=True)
    project.must("git", "init", "--quiet")
    project.commit()
    project.must("git", "gc", "--quiet")  # one file to copy instead of hundreds
    imported = project.must("python", "-c", "import pipeline; print(pipeline.__file__)")
    assert Path(imported.strip()).parent == project.root / "pipeline"
    # Otherwise the first command in each copy compiles what it imports.
    project.must("python", "-m", "compileall", "-q", "pipeline", "hydra_plugins")


@pytest.fixture(scope="session")
def empty_store(shared: Callable[..., Path]) -> Path:
    """Return the SQLite file of a store without runs: making one takes MLflow 8 s."""

    def make(folder: Path) -> None:
        from pipeline.tracking import store

        store.connect(f"sqlite:///{folder.as_posix()}/mlflow.db")

    return shared("store", make) / "mlflow.db"


@pytest.fixture
def project(clone: Project, empty_store: Path, tmp_path: Path) -> Project:
    """Return a copy to write in, with an empty store."""
    return clone.copy(tmp_path / "bakeoff", empty_store)


SMALL = """\
tasks:
  - breast_cancer
  - genre
models:
  - baseline
  - logistic_regression
  - neural_net
seed: 0
split_seed: 0
"""


@pytest.fixture(scope="session")
def repro(warm: str, clone: Project, empty_store: Path, shared: Callable[..., Path]) -> Project:
    """Return the project after `dvc repro` on two tasks and three models; leave it as it is."""

    def make(folder: Path) -> None:
        project = clone.copy(folder / "bakeoff", empty_store)
        (project.root / "params.yaml").write_text(SMALL, encoding="utf-8")
        project.edit("conf/model/neural_net.yaml", "max_epochs: 200", "max_epochs: 25")
        project.commit()
        project.must_dvc(warm, "repro", "--quiet")

    return Project(shared("repro", make) / "bakeoff")


@pytest.fixture
def reproduced(repro: Project, empty_store: Path, tmp_path: Path) -> Project:
    """Return a copy of the reproduced project to write in, with an empty store."""
    return repro.copy(tmp_path / "bakeoff", empty_store)


@pytest.fixture(scope="session")
def warm() -> Iterator[str]:
    """Return a `python` that runs modules in forks of a process; see cli/warm.py."""
    # A socket's path may not be longer than some 100 characters.
    with tempfile.TemporaryDirectory() as folder:
        address, python = Path(folder, "socket"), Path(folder, "python")
        beside = ROOT / "tests" / "cli"
        start = shlex.join([sys.executable, "-IS", str(beside / "warm_python.py"), str(address)])
        python.write_text(f'#!/bin/sh\nexec {start} "$@"\n', encoding="utf-8")
        python.chmod(0o755)
        command = [sys.executable, beside / "warm.py", address]
        environment = {k: v for k, v in os.environ.items() if not k.startswith(LEAKING)}
        environment |= {
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
        }
        with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as server:
            assert server.stdout.readline() == b"ready\n"
            yield str(python)
            server.kill()


@pytest.fixture(scope="session")
def mirror() -> Path:
    """Return the folder that holds the files of the network."""
    named = os.environ.get("BAKEOFF_MIRROR")
    folder = Path(named) if named else ROOT.parent / "shared" / "mirror"
    if not folder.is_dir():
        pytest.skip("needs the downloads: set BAKEOFF_MIRROR to a mirror of their hosts")
    return folder


@pytest.fixture(scope="session")
def swept(warm: str, repro: Project, empty_store: Path, shared: Callable[..., Path]) -> Project:
    """Return the project after a parallel sweep of four models into a store that it had to make."""

    def make(folder: Path) -> None:
        project = repro.copy(folder / "bakeoff", empty_store)
        (project.root / "mlflow.db").unlink()
        done = project.warm(
            warm,
            "pipeline.train",
            "--multirun",
            "hydra/launcher=joblib",
            "hydra.launcher.n_jobs=2",
            "model=logistic_regression,random_forest,lightgbm,neural_net",
        )
        assert done.returncode == 0, done.stderr

    return Project(shared("swept", make) / "bakeoff")


@pytest.fixture(scope="session")
def downloaded(
    mirror: Path, warm: str, clone: Project, empty_store: Path, shared, tmp_path_factory
) -> Callable[..., Project]:
    """Make projects to write in with the downloads of a task ingested."""

    def ingested(task: str, *overrides: str) -> Project:
        def make(folder: Path) -> None:
            project = clone.copy(folder / "bakeoff", empty_store)
            asked = [f"task={task}", *overrides]
            project.must_warm(warm, "pipeline.ingest", *asked, BAKEOFF_MIRROR=str(mirror))

        made = Project(shared("-".join([task, *overrides]), make) / "bakeoff")
        return made.copy(tmp_path_factory.mktemp(task) / "bakeoff", empty_store)

    return ingested


@pytest.fixture(scope="session")
def files() -> Callable[[Path], list[str]]:
    """List what is under a folder, but for caches and the store."""

    def listed(folder: Path) -> list[str]:
        beside = {".git", ".dvc", "__pycache__", "mlruns"}
        return sorted(
            path.relative_to(folder).as_posix()
            for path in folder.rglob("*")
            if not beside.intersection(path.relative_to(folder).parts)
            and not path.name.startswith(("mlflow.db", ".mlflow.db"))
            and path != folder / ".tmp"  # but for what is left in it
        )

    return listed
