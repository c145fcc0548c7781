"""The code of a logged model: a copy under a name of its own, which runs beside others."""

import importlib
import sys

import pytest

from pipeline.tracking import logged

PACKAGE = {
    "__init__.py": "",
    "consent.py": "TRUSTED = []\n",
    "answer.py": "ANSWER = 1\n",
    "predictor.py": (
        "import pipeline.answer\n"
        "from pipeline import consent\n\n"
        "def now():\n    return pipeline.answer.ANSWER, consent.TRUSTED\n\n"
        "def late():\n    from pipeline.answer import ANSWER\n    return ANSWER\n"
    ),
}


@pytest.fixture
def package(tmp_path):
    folder = tmp_path / "pipeline"
    folder.mkdir()
    for name, source in PACKAGE.items():
        (folder / name).write_text(source)
    return folder


def copied(package, *trusted):
    """Copy the package, and return the folder of the copy."""
    target = package.parent / "copies"
    return target / logged.copy_package(target, list(trusted), package)


@pytest.fixture
def imported(monkeypatch):
    """Import the predictor of a copy, and forget it in the end."""
    before = set(sys.modules)

    def predictor(folder):
        monkeypatch.syspath_prepend(folder.parent)
        return importlib.import_module(f"{folder.name}.predictor")

    yield predictor
    for name in set(sys.modules) - before:
        del sys.modules[name]


def test_two_versions_are_imported_side_by_side(package, imported):
    first = imported(copied(package))
    (package / "answer.py").write_text("ANSWER = 2\n")
    second = imported(copied(package))
    assert (first.now(), second.now()) == ((1, []), (2, []))
    assert second.late() == 2


def test_equal_content_has_one_name(package):
    first, second = copied(package), copied(package)
    assert first.name == second.name
    assert first.name.startswith("bakeoff_")


def test_consent_is_in_the_copy_alone(package, imported):
    folder, other = copied(package, "boost.Model"), copied(package)
    assert imported(folder).now() == (1, ["boost.Model"])
    assert folder.name != other.name
    assert (package / "consent.py").read_text() == PACKAGE["consent.py"]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("from pipeline import a", "from new import a"),
        ("    from pipeline.a.b import (", "    from new.a.b import ("),
        ("import pipeline.a as b", "import new.a as b"),
        ("import pipeline", "import new; pipeline = new"),
        ("from pipelines import a", "from pipelines import a"),
        ("x = 'from pipeline import a'", "x = 'from pipeline import a'"),
    ],
)
def test_import_statements_alone_are_renamed(before, after):
    assert logged.rename_imports(before, "pipeline", "new") == after
