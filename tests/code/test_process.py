"""What holds for the process of any command."""

import getpass
import os
import pwd
from pathlib import Path

from pipeline.process import ensure_user


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
