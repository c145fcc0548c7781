"""Files that are whole or absent, and DVC's hash of a folder."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from pipeline import files
from pipeline.errors import UserError


@pytest.fixture
def old(tmp_path):
    """Make a folder that an earlier run has written."""
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "weights").write_text("old")
    (folder / "only in the old one").touch()
    return folder


def test_new_folder_appears_with_the_folders_above_it(tmp_path):
    target = tmp_path / "models" / "genre" / "baseline"

    with files.new_folder(target) as folder:
        (folder / "weights").write_text("new")
        assert not target.exists()

    assert [path.name for path in target.iterdir()] == ["weights"]
    assert [path.name for path in target.parent.iterdir()] == ["baseline"]


def test_new_folder_replaces_the_old_one(old):
    with files.new_folder(old) as folder:
        (folder / "weights").write_text("new")
        assert (old / "weights").read_text() == "old"

    assert [(path.name, path.read_text()) for path in old.iterdir()] == [("weights", "new")]
    assert list(old.parent.iterdir()) == [old]


@pytest.mark.parametrize("raised", [ValueError, KeyboardInterrupt, SystemExit])
def test_new_folder_leaves_the_old_one_when_the_block_raises(old, raised):
    with pytest.raises(raised), files.new_folder(old) as folder:
        (folder / "weights").write_text("half")
        raise raised

    assert (old / "weights").read_text() == "old"
    assert list(old.parent.iterdir()) == [old]


def test_new_folder_leaves_nothing_when_the_first_block_raises(tmp_path):
    with pytest.raises(ValueError, match="no"), files.new_folder(tmp_path / "model"):
        raise ValueError("no")

    assert list(tmp_path.iterdir()) == []


def test_new_folder_brings_the_old_one_back_when_the_new_one_cannot_be_put(old, monkeypatch):
    rename = Path.rename

    def failing(self, target):
        if self.name == "new":
            raise OSError("the disk is gone")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(OSError, match="the disk is gone"), files.new_folder(old):
        pass

    assert (old / "weights").read_text() == "old"


def test_what_a_killed_process_left_is_removed_by_the_next_call(tmp_path):
    script = (
        "import os, signal, sys; from pathlib import Path; from pipeline import files\n"
        "with files.new_folder(Path(sys.argv[1])) as folder:\n"
        "    (folder / 'half').touch(); os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    command = [sys.executable, "-c", script, tmp_path / "model"]
    subprocess.run(command, cwd=Path(files.__file__).parents[1], check=False)
    (left_over,) = tmp_path.iterdir()
    elsewhere = tmp_path / f".of-another-host-{os.getpid()}-x"
    elsewhere.mkdir()

    files.write_text(tmp_path / "card.json", "{}")

    assert not left_over.exists()
    assert {path.name for path in tmp_path.iterdir()} == {"card.json", elsewhere.name}


def test_what_is_filled_for_the_project_lies_outside_of_what_dvc_hashes(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "ROOT", tmp_path)

    with files.new_folder(tmp_path / "models" / "genre" / "baseline") as folder:
        assert folder.is_relative_to(tmp_path / ".tmp")
        assert not (tmp_path / "models").exists()


def test_a_reader_always_finds_a_whole_file_in_a_folder_that_writers_replace(old):
    """Two writers, 150 times each."""
    script = (
        "import sys; from pathlib import Path; from pipeline import files\n"
        "for number in range(150):\n"
        "    with files.new_folder(Path(sys.argv[1])) as folder:\n"
        "        (folder / 'weights').write_text(sys.argv[2] * 50_000)\n"
    )
    (old / "weights").write_text("0" * 50_000)
    place = Path(files.__file__).parents[1]
    command = [sys.executable, "-c", script, old]
    writers = [subprocess.Popen([*command, letter], cwd=place) for letter in "12"]
    found = []
    while any(writer.poll() is None for writer in writers):
        found.append((old / "weights").read_text())

    assert [writer.returncode for writer in writers] == [0, 0]
    assert len(set(found)) > 1
    assert set(found) <= {letter * 50_000 for letter in "012"}
    assert list(old.parent.iterdir()) == [old]


def test_new_folder_replaces_the_old_one_where_folders_cannot_be_exchanged(old, monkeypatch):
    monkeypatch.setattr(files, "_exchange", lambda new, target: False)

    with files.new_folder(old) as folder:
        (folder / "weights").write_text("new")

    assert [(path.name, path.read_text()) for path in old.iterdir()] == [("weights", "new")]
    assert list(old.parent.iterdir()) == [old]


def test_new_folder_may_be_read_by_others_as_any_folder(tmp_path):
    with files.new_folder(tmp_path / "model"):
        pass
    (tmp_path / "ordinary").mkdir()

    modes = {path.name: path.stat().st_mode for path in tmp_path.iterdir()}
    assert modes["model"] == modes["ordinary"]


def test_write_json_is_readable_and_ends_with_a_line_end(tmp_path):
    path = tmp_path / "metrics" / "genre" / "baseline.json"

    files.write_json(path, {"author": "Brontë", "f1": 0.5})

    assert path.read_text(encoding="utf-8") == '{\n  "author": "Brontë",\n  "f1": 0.5\n}\n'
    assert [p.name for p in path.parent.iterdir()] == ["baseline.json"]
    assert files.read_json(path) == {"author": "Brontë", "f1": 0.5}


def test_write_json_leaves_the_old_file_when_the_value_is_no_json(tmp_path):
    path = tmp_path / "card.json"
    path.write_text("{}")

    with pytest.raises(TypeError):
        files.write_json(path, {"set": {1}})

    assert path.read_text() == "{}"
    assert list(tmp_path.iterdir()) == [path]


def test_write_json_leaves_the_old_file_when_writing_breaks_off(tmp_path, monkeypatch):
    path = tmp_path / "card.json"
    path.write_text("{}")

    def half(self, text, **options):
        self.write_bytes(text.encode()[:3])
        raise OSError("disk full")

    monkeypatch.setattr(Path, "write_text", half)
    with pytest.raises(OSError, match="disk full"):
        files.write_json(path, {"a": 1})

    assert path.read_bytes() == b"{}"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("content", [b"", b"{", b'{"a": 1}}', b"\xff\xfe", b"[" * 100_000])
def test_read_json_names_a_damaged_file(tmp_path, content):
    path = tmp_path / "run.json"
    path.write_bytes(content)

    with pytest.raises(UserError, match=f"{re.escape(str(path))} is damaged"):
        files.read_json(path)


def test_read_table_reads_what_was_written(tmp_path):
    table = pd.DataFrame({"text": ["a", "b"], "n": [1, 2]})
    table.to_parquet(tmp_path / "train.parquet", index=False)

    pd.testing.assert_frame_equal(files.read_table(tmp_path / "train.parquet"), table)


@pytest.mark.parametrize("kept", [0, 3, 200])
def test_read_table_names_a_damaged_file(tmp_path, kept):
    path = tmp_path / "train.parquet"
    pd.DataFrame({"text": ["a", "b"]}).to_parquet(path)
    path.write_bytes(path.read_bytes()[:kept])

    with pytest.raises(UserError, match=f"{re.escape(str(path))} is damaged"):
        files.read_table(path)


@pytest.mark.parametrize("read", [files.read_json, files.read_table])
def test_a_missing_file_is_reported_by_name(read, tmp_path):
    with pytest.raises(UserError, match=f"{re.escape(str(tmp_path / 'it'))} does not exist"):
        read(tmp_path / "it")


def test_dvc_digest_is_what_dvc_records(tmp_path):
    folder = tmp_path / "out"
    # Names that sort otherwise as paths than as strings, and beyond ASCII.
    for name in ("a/b.txt", "a-b.txt", "a.txt", "Zoë/é ü.bin", "empty", ".hidden", "a/c/d"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"" if name == "empty" else name.encode() + b"\r\n\x00")
    environment = os.environ | {
        "DVC_NO_ANALYTICS": "1",
        "DVC_SITE_CACHE_DIR": str(tmp_path / "site"),
        "DVC_GLOBAL_CONFIG_DIR": str(tmp_path / "global"),
        "DVC_SYSTEM_CONFIG_DIR": str(tmp_path / "system"),
    }
    for command in (["git", "init", "-q"], [*DVC, "init", "-q"], [*DVC, "add", "-q", "out"]):
        subprocess.run(command, cwd=tmp_path, env=environment, check=True)

    found = files.dvc_digest(folder)

    assert f"md5: {found}\n" in (tmp_path / "out.dvc").read_text()


DVC = [sys.executable, "-m", "dvc"]


def test_dvc_digest_of_an_empty_folder(tmp_path):
    # md5 of "[]", as in many a dvc.lock
    assert files.dvc_digest(tmp_path) == "d751713988987e9331980363e24189ce.dir"


def test_size_adds_up_the_files_of_all_levels(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b").write_bytes(b"12345")
    (tmp_path / "c").write_bytes(b"123")

    assert files.size(tmp_path) == 8


def test_damaged_keeps_to_the_first_line_of_the_reason():
    message = str(files.damaged(Path("run.json"), ValueError("first\nsecond")))

    assert "run.json is damaged (first)" in message
    assert "\n" not in message


def test_damaged_names_the_kind_of_an_error_without_words():
    assert "(EOFError)" in str(files.damaged(Path("run.json"), EOFError()))


def test_json_of_a_record_survives(tmp_path):
    record = {"curve": [{"step": 1, "train/log_loss": 0.1}], "about": None, "list": [True, 1e-9]}
    files.write_json(tmp_path / "run.json", record)

    assert files.read_json(tmp_path / "run.json") == record
    assert json.loads((tmp_path / "run.json").read_text()) == record


@pytest.mark.parametrize("content", ["{}", "[]", "5", "null", '{"digest": 3}'])
def test_json_that_lacks_a_key_is_damaged(tmp_path, content):
    path = tmp_path / "view.json"
    path.write_text(content)
    with pytest.raises(UserError, match=r"view.json is damaged \('digest' is missing"):
        files.read_json(path, {"digest": str})
