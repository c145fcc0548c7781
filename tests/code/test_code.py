"""What imports what: dvc.yaml names it, and it goes from top to bottom."""

import subprocess
import sys
from functools import cache

import pytest
import yaml

from pipeline.config import code
from pipeline.paths import ROOT

STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text("utf-8"))["stages"]
# What a stage of the task `table` loads beside its own code.
TABLE = ["pipeline.problems.classification"]
ADDED = {
    "compose": [],
    "ingest": [*TABLE, "pipeline.sources.table"],
    "featurize": ["pipeline.features.columns"],
    "train": [*TABLE, "sklearn.linear_model"],
    "combine": [*TABLE, "pipeline.features.columns", "sklearn.linear_model"],
    "evaluate": [*TABLE, "pipeline.features.columns", "sklearn.linear_model"],
}
UNUSED = {"torch", "lightgbm", "optuna", "ray", "dvc", "matplotlib", "pooch", "unittest.mock"}
TRACKING = {"mlflow", "sqlalchemy", "fastapi"}
HEAVY = {
    "compose": UNUSED | TRACKING | {"numpy", "pandas", "pyarrow", "scipy", "sklearn", "skops"},
    "ingest": UNUSED | TRACKING | {"sklearn.ensemble", "sklearn.linear_model", "skops"},
    "featurize": UNUSED | TRACKING,
    "train": UNUSED,
    "combine": UNUSED,
    "evaluate": UNUSED,
}
# Modules and packages of the project, from top to bottom. A module imports from its own room and
# from lower layers; rooms of one layer do not import each other.
LAYERS = (
    "compare",
    "compose ingest featurize train combine evaluate leaderboard adopt tune predict init",
    "command task_file",
    "sweep contestants",
    "experiment",
    "config",
    "evaluation predictor tracking",
    "bundle",
    "formats tasks",
    "models sources",
    "problems features storage",
    "conformal files progress requirements",
    "consent indices paths process",
    "errors",
)
ONLY_IN = {
    "mlflow": {"tracking"},
    "sqlalchemy": {"tracking"},
    "skops": {"storage"},
    "hydra": {"command", "compare", "compose", "config", "sweep"},
    "omegaconf": {"command", "config", "sweep"},
    "optuna": {"adopt", "sweep"},
    "torch": {"models", "tasks"},
    "catboost": {"models"},
    "interpret": {"models"},
    "lightgbm": {"models"},
    "tabm": {"models"},
    "xgboost": {"models"},
    "pooch": {"sources"},
    "dvc": set(),
}


def named(stage):
    """Read the project's files that a stage depends on in dvc.yaml."""
    files = set()
    for name in STAGES[stage]["deps"]:
        if name.startswith("pipeline/"):
            place = ROOT / name
            files |= set(place.rglob("*.py")) if place.is_dir() else {place}
    return {
        file
        for file in files
        if file.name != "__init__.py" or file in code.closure(["pipeline", *map(dotted, files)])
    }


def dotted(file):
    return ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def room(name):
    """Return the module or package right below the project's package."""
    return name.split(".")[1]


FILES = [file for file in (ROOT / "pipeline").rglob("*.py") if file.name != "__init__.py"]
FILES += [file for file in (ROOT / "pipeline").glob("*/__init__.py") if code._holds_code(file)]


def test_settings_are_composed_again_when_any_code_that_they_may_name_changes():
    """Otherwise `dvc repro` would not see an edit of a model, a view, a source or a metric."""
    assert "pipeline" in STAGES["compose"]["deps"]


@pytest.mark.parametrize("stage", sorted(STAGES.keys() - {"compose"}))
def test_a_stage_depends_on_the_code_that_it_imports_and_on_no_other(stage):
    names = {file.relative_to(ROOT).as_posix() for file in named(stage)}
    imported = {f.relative_to(ROOT).as_posix() for f in code.closure([f"pipeline.{stage}"])}
    assert names == imported


@cache
def loaded(stage):
    """Import a stage, then what its table task with a linear model adds; list the modules."""
    program = (
        f"import sys, pipeline.{stage}\n"
        "files = [getattr(module, '__file__', None) for module in sys.modules.values()]\n"
        "print(*filter(None, files), sep='\\n')\n"
        f"{''.join(f'import {name}; ' for name in ADDED[stage])}\n"
        "print('modules:', *sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, check=True, text=True
    )
    files, _, modules = done.stdout.partition("modules:")
    return set(files.splitlines()), set(modules.split())


@pytest.mark.parametrize("stage", STAGES)
def test_what_importing_a_stage_loads_is_in_its_closure(stage):
    """Python itself, rather than a reading of the source, decides what is imported."""
    own = {file for file in loaded(stage)[0] if file.startswith(f"{ROOT}/pipeline/")}
    assert own
    closure = {str(file) for file in code.closure([f"pipeline.{stage}"])}
    empty = {file for file in own if file.endswith("__init__.py")}
    assert own - closure <= empty


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_loads_no_heavy_package_that_it_does_not_use(stage):
    assert HEAVY[stage] & loaded(stage)[1] == set()


def test_every_import_leads_to_a_lower_layer():
    level = {room: depth for depth, rooms in enumerate(LAYERS) for room in rooms.split()}
    imports = {
        (dotted(file), dotted(other))
        for file in FILES
        for name in code._imported(file)
        for other in code._files(name)
        if other != ROOT / "pipeline/__init__.py"
    }
    upwards = [
        f"{name} imports {other}"
        for name, other in imports
        if room(other) != room(name) and level[room(other)] <= level[room(name)]
    ]
    assert upwards == []


@pytest.mark.parametrize("package", ONLY_IN)
def test_a_package_is_imported_in_its_rooms_only(package):
    rooms = {
        room(dotted(file))
        for file in FILES
        if package in {name.partition(".")[0] for name in code._imported(file)}
    }
    assert rooms == ONLY_IN[package]


def test_code_for_type_checkers_and_of_other_packages_does_not_count(tmp_path, monkeypatch):
    monkeypatch.setattr(code, "ROOT", tmp_path)
    (tmp_path / "a.py").write_text(
        "import numpy\nfrom typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n    import c\n"
        "def f():\n    from b.inner import g\n"
    )
    (tmp_path / "b").mkdir()
    (tmp_path / "b/__init__.py").write_text('"""Nothing but a docstring."""\n')
    (tmp_path / "b/inner.py").write_text("import a\n")
    (tmp_path / "c.py").write_text("")
    code._files.cache_clear()
    try:
        found = code.closure(["a.Some.thing"])
    finally:
        code._files.cache_clear()
    assert found == {tmp_path / "a.py", tmp_path / "b/inner.py"}


def test_relative_imports_count(tmp_path, monkeypatch):
    monkeypatch.setattr(code, "ROOT", tmp_path)
    (tmp_path / "b/c").mkdir(parents=True)
    (tmp_path / "b/c/own.py").write_text("from . import beside\nfrom ..above import f\n")
    (tmp_path / "b/c/beside.py").write_text("")
    (tmp_path / "b/above.py").write_text("")
    code._files.cache_clear()
    try:
        found = code.closure(["b.c.own.Estimator"])
    finally:
        code._files.cache_clear()
    names = ("b/c/own.py", "b/c/beside.py", "b/above.py")
    assert found == {tmp_path / name for name in names}


def test_targets_are_found_below_lists_and_keys():
    node = {"_target_": "a.b", "x": [{"_target_": "c"}, 1], "y": {"z": {"_target_": "d"}}}
    assert list(code.targets(node)) == ["a.b", "c", "d"]
