"""A folder of a git repository at a commit: only that, all of it, and again only what lacks."""

import subprocess

import pytest

from pipeline.errors import UserError
from pipeline.sources import git_folder
from pipeline.sources.git_folder import fetch_folder


def git(place, *arguments):
    author = ["-c", "user.name=Tester", "-c", "user.email=tester@example.org"]
    done = subprocess.run(
        ["git", "-C", str(place), *author, *arguments], capture_output=True, check=True, text=True
    )
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """Make a repository whose folder changed after the commit that is asked for."""
    place = tmp_path / "repository"
    for name in ("data/train/cbb/1.jpg", "data/train/cmd/ü 2.jpg", "data/test/3.jpg", "README"):
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(f"{name} of the commit")
    git(tmp_path, "init", "--quiet", str(place))
    git(place, "config", "uploadpack.allowFilter", "true")
    git(place, "config", "uploadpack.allowAnySHA1InWant", "true")
    git(place, "add", ".")
    git(place, "commit", "--quiet", "--message", "first")
    commit = git(place, "rev-parse", "HEAD")
    (place / "data/train/cbb/1.jpg").write_text("changed later")
    git(place, "commit", "--quiet", "--all", "--message", "second")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return place.as_uri(), commit


def contents(folder):
    return {
        file.relative_to(folder).as_posix(): file.read_text()
        for file in folder.rglob("*")
        if file.is_file()
    }


EXPECTED = {
    "cbb/1.jpg": "data/train/cbb/1.jpg of the commit",
    "cmd/ü 2.jpg": "data/train/cmd/ü 2.jpg of the commit",
}


def test_the_folder_is_that_of_the_commit_and_nothing_else_is_brought(repository):
    folder = fetch_folder(*repository, "data/train")

    assert contents(folder) == EXPECTED
    assert not (folder.parents[1] / "README").exists()
    assert not (folder.parents[1] / "data/test").exists()
    stored = git(folder, "cat-file", "--batch-all-objects", "--batch-check")
    assert stored.count(" blob ") == 2
    assert stored.count(" commit ") == 1


def test_what_lacks_is_brought_by_the_same_command(repository, monkeypatch):
    monkeypatch.setattr(git_folder, "AT_ONCE", 1)
    run, asked = git_folder._git, []

    def failing(place, *arguments, names=None):
        if names:
            asked.append(names)
            if len(asked) == 2:
                raise KeyboardInterrupt
        return run(place, *arguments, names=names)

    monkeypatch.setattr(git_folder, "_git", failing)
    with pytest.raises(KeyboardInterrupt):
        fetch_folder(*repository, "data/train")

    folder = fetch_folder(*repository, "data/train")

    assert contents(folder) == EXPECTED
    assert asked[0] == ["data/train/cbb/1.jpg"]
    assert asked[1] == asked[2] == ["data/train/cmd/ü 2.jpg"]
    assert len(asked) == 3


def test_once_there_it_needs_no_network(repository, tmp_path):
    folder = fetch_folder(*repository, "data/train")
    (tmp_path / "repository").rename(tmp_path / "gone")

    assert fetch_folder(*repository, "data/train") == folder


def test_a_file_that_was_changed_is_made_right(repository):
    folder = fetch_folder(*repository, "data/train")
    (folder / "cbb/1.jpg").write_text("by hand")
    (folder / "cmd/ü 2.jpg").unlink()
    (folder.parents[1] / ".git/index.lock").write_text("of a process that was killed")

    assert contents(fetch_folder(*repository, "data/train")) == EXPECTED


def test_a_mirror_comes_before_the_network(repository, tmp_path, monkeypatch):
    (tmp_path / "mirror/git.invalid/owner").mkdir(parents=True)
    (tmp_path / "repository").rename(tmp_path / "mirror/git.invalid/owner/name")
    monkeypatch.setenv("BAKEOFF_MIRROR", str(tmp_path / "mirror"))

    folder = fetch_folder("https://git.invalid/owner/name", repository[1], "data/train")

    assert contents(folder) == EXPECTED


def test_what_is_wrong_is_said(repository, tmp_path):
    address, commit = repository
    with pytest.raises(UserError, match=r"task\.source\.commit: 'main' is not the full hash"):
        fetch_folder(address, "main", "data/train")
    with pytest.raises(UserError, match="has no folder 'data/trian' at"):
        fetch_folder(address, commit, "data/trian")
    nowhere = (tmp_path / "nowhere").as_uri()
    with pytest.raises(UserError, match=r"git fetch failed .*: check the network"):
        fetch_folder(nowhere, "0" * 40, "data/train")
