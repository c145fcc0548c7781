"""dvc.yaml names exactly the code that a stage runs."""

import subprocess
import sys

import pytest
import yaml

from pipeline.config import code
from pipeline.paths import ROOT

STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text("utf-8"))["stages"]


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


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_depends_on_the_code_that_it_imports_and_on_no_other(stage):
    names = {file.relative_to(ROOT).as_posix() for file in named(stage)}
    imported = {f.relative_to(ROOT).as_posix() for f in code.closure([f"pipeline.{stage}"])}
    assert names == imported


@pytest.mark.parametrize("stage", STAGES)
def test_what_importing_a_stage_loads_is_in_its_closure(stage):
    """Python itself, rather than a reading of the source, says what is imported."""
    program = (
        f"import sys, pipeline.{stage}\n"
        "files = [getattr(module, '__file__', None) for module in sys.modules.values()]\n"
        "print(*filter(None, files), sep='\\n')"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, check=True, text=True
    ).stdout.splitlines()
    own = {line for line in loaded if line.startswith(f"{ROOT}/pipeline/")}
    assert own
    closure = {str(file) for file in code.closure([f"pipeline.{stage}"])}
    empty = {line for line in own if line.endswith("__init__.py")}
    assert own - closure <= empty


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


def test_targets_are_found_below_lists_and_keys():
    node = {"_target_": "a.b", "x": [{"_target_": "c"}, 1], "y": {"z": {"_target_": "d"}}}
    assert list(code.targets(node)) == ["a.b", "c", "d"]
