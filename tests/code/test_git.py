"""What a run is told of the code: the commit, and what differs from it."""

import subprocess

import pytest

from pipeline.tracking.git import revision


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """Make a repository with one commit, which no setting of this machine reaches."""
    for name in ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM"):
        monkeypatch.setenv(name, "/dev/null")
    for who in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{who}_NAME", "a")
        monkeypatch.setenv(f"GIT_{who}_EMAIL", "a@example.org")
    (tmp_path / "code.py").write_text("x = 1\n")
    (tmp_path / "dvc.lock").write_text("stages: {}\n")
    for command in (["init", "-q"], ["add", "--all"], ["commit", "-q", "-m", "first"]):
        subprocess.run(["git", "-C", tmp_path, *command], check=True)
    return tmp_path


def test_commit_is_the_one_checked_out(repository):
    head = subprocess.run(
        ["git", "-C", repository, "rev-parse", "HEAD"], capture_output=True, text=True, check=True
    )

    assert revision(repository).commit == head.stdout.strip()


def test_a_clean_tree_has_no_changes(repository):
    assert revision(repository).changes == ""


def test_an_edit_is_told_with_its_diff(repository):
    (repository / "code.py").write_text("x = 2\n")

    changes = revision(repository).changes

    assert " M code.py" in changes
    assert "-x = 1\n+x = 2\n" in changes


def test_a_staged_edit_is_told_too(repository):
    (repository / "code.py").write_text("x = 2\n")
    subprocess.run(["git", "-C", repository, "add", "code.py"], check=True)

    assert "-x = 1\n+x = 2\n" in revision(repository).changes


def test_a_new_file_is_told_by_name(repository):
    (repository / "new.py").touch()

    assert "?? new.py" in revision(repository).changes


def test_the_lock_that_dvc_rewrites_is_no_change(repository):
    (repository / "dvc.lock").write_text("stages: {train: {}}\n")

    assert revision(repository).changes == ""


def test_bytes_that_are_no_text_do_not_break_it(repository):
    (repository / "code.py").write_bytes(b"x = '\xff\xfe'\n")

    assert " M code.py" in revision(repository).changes


def test_a_repository_without_a_commit_is_an_error(tmp_path):
    subprocess.run(["git", "init", "-q", tmp_path], check=True)

    with pytest.raises(subprocess.CalledProcessError):
        revision(tmp_path)
