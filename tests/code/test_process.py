"""What holds for the process of any command."""

import gc
import getpass
import os
import pwd
import subprocess
import sys
import weakref
from pathlib import Path

import pytest

from pipeline.process import ensure_user, importing


class Cycle:
    """An object that only the garbage collector frees."""

    def __init__(self):
        self.itself = self


def test_garbage_is_looked_for_after_an_import_even_one_that_fails():
    with pytest.raises(ImportError), importing():
        assert not gc.isenabled()
        raise ImportError

    assert gc.isenabled()
    later = weakref.ref(Cycle())
    gc.collect()
    assert later() is None


START = """
import gc, sys
sys.argv = {words}
import pipeline
print(gc.isenabled())
from pipeline import command
with command.reporting("train"):
    print(gc.isenabled(), gc.get_freeze_count() > 10_000)
"""


@pytest.mark.parametrize(("words", "at_first"), [(["-m"], "False"), (["notebook"], "True")])
def test_a_command_imports_without_looking_for_garbage_and_then_looks(clone, words, at_first):
    """Python has `-m` there while it looks for the module of `python -m`."""
    said = clone.must(sys.executable, "-c", START.format(words=words))

    assert said.split() == [at_first, "True", "True"]


def test_python_says_that_it_starts_a_module_while_it_imports_its_package(tmp_path):
    (tmp_path / "some").mkdir()
    (tmp_path / "some/__init__.py").write_text("import sys; print(sys.argv)\n")
    (tmp_path / "some/module.py").write_text("")
    command = [sys.executable, "-m", "some.module", "word"]

    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)

    assert done.stdout == "['-m', 'word']\n"


def test_a_user_without_an_entry_in_passwd_gets_a_home_and_a_name(monkeypatch):
    def unknown(uid):
        raise KeyError(uid)

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    for name in ("HOME", "LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)

    ensure_user()

    assert Path.home().is_dir()
    assert getpass.getuser() == str(os.getuid())


def test_a_home_that_is_there_stays(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))

    ensure_user()

    assert os.environ["HOME"] == str(tmp_path)
