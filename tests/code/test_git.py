"""What a run records of the code: the commit, and what differs from it."""

import hashlib
import subprocess

import pytest

from pipeline.tracking import git
from pipeline.tracking.git import copy_untracked, revision


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


def run(folder, *command, **options):
    return subprocess.run(["git", "-C", folder, *command], check=True, **options)


def test_what_is_kept_gives_back_the_code(repository, tmp_path_factory):
    # A text, one that is not UTF-8, and one that git takes for binary.
    (repository / "code.py").write_bytes(b"x = '\xff'\n")
    (repository / "dvc.lock").rename(repository / "moved.lock")
    (repository / "image.bin").write_bytes(bytes(range(256)))
    run(repository, "add", "image.bin")
    (repository / "image.bin").write_bytes(bytes(range(255, -1, -1)))
    (repository / "mine").mkdir()
    (repository / "mine" / "mödel.py").write_text("y = 'ä'\n", encoding="utf-8")
    found = revision(repository)

    again = tmp_path_factory.mktemp("again")
    run(again, "clone", "-q", repository, "copy")
    (again / "some.diff").write_text(found.changes, encoding="utf-8", errors="surrogateescape")
    run(again / "copy", "checkout", "-q", found.commit)
    run(again / "copy", "apply", "../some.diff")
    assert copy_untracked(repository, found.untracked, again / "copy") == []

    for name in ("code.py", "image.bin", "mine/mödel.py", "moved.lock"):
        assert (again / "copy" / name).read_bytes() == (repository / name).read_bytes(), name


def test_ignored_files_are_not_kept(repository):
    (repository / ".gitignore").write_text("data/\n")
    (repository / "data").mkdir()
    (repository / "data" / "secret.csv").touch()

    assert revision(repository).untracked == (".gitignore",)


def test_untracked_files_are_found_where_the_user_hides_them(repository):
    run(repository, "config", "status.showUntrackedFiles", "no")
    (repository / "new.py").touch()

    assert revision(repository).untracked == ("new.py",)
    assert "?? new.py" in revision(repository).changes


def test_large_and_binary_files_are_named_with_size_and_hash(repository, tmp_path, monkeypatch):
    monkeypatch.setattr(git, "COPIED_BYTES", 10)
    monkeypatch.setattr(git, "HASHED_BYTES", 20)
    contents = {"a": b"x" * 8, "b": b"y" * 2, "c": b"z" * 9, "d": b"\0", "e": b"w" * 21}
    for name, content in contents.items():
        (repository / name).write_bytes(content)
    (repository / "link").symlink_to("/etc/passwd")
    kept = tmp_path / "kept"

    left_out = copy_untracked(repository, ("a", "b", "c", "d", "e", "gone", "link"), kept)

    assert {path.name: path.read_bytes() for path in kept.iterdir()} == {
        name: contents[name] for name in "ab"
    }
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    assert sorted(left_out) == sorted(
        [f"{hashes['c']} 9 c", f"{hashes['d']} 1 d", "- 21 e", "- - gone", "- - link"]
    )
