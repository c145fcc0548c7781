"""The tracking store, and that it changes no other database."""

import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import sqlalchemy

from pipeline.errors import UserError
from pipeline.tracking import store, ui

FULL, NORMAL = 2, 1


def synchronous(path) -> int:
    """Open a SQLite file as anybody would, and read whether commits wait for the disk."""
    engine = sqlalchemy.create_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        found = connection.exec_driver_sql("PRAGMA synchronous").scalar()
    engine.dispose()
    return found


@pytest.fixture
def stranger(tmp_path):
    """Make a SQLite file with a write-ahead log that is no store."""
    path = tmp_path / "stranger.db"
    engine = sqlalchemy.create_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA journal_mode = WAL")
    engine.dispose()
    return path


def test_a_store_is_made_without_a_word_and_only_it_does_not_wait_for_the_disk(
    tmp_path, stranger, capfd
):
    store.connect(f"sqlite:///{tmp_path}/mlflow.db")

    output = capfd.readouterr()
    assert output.out + output.err == ""
    assert synchronous(tmp_path / "mlflow.db") == NORMAL
    assert synchronous(stranger) == FULL


def test_importing_it_changes_no_log_level_and_no_engine(stranger):
    code = """
import logging, sys, mlflow, sqlalchemy
from alembic import command
names = ["mlflow", "alembic", "mlflow.store.db.utils"]
before = [logging.getLogger(name).level for name in names]
from pipeline.tracking import store, ui
assert [logging.getLogger(name).level for name in names] == before
with sqlalchemy.create_engine(f"sqlite:///{sys.argv[1]}").connect() as connection:
    print(connection.exec_driver_sql("PRAGMA synchronous").scalar())
"""
    done = subprocess.run(
        [sys.executable, "-c", code, stranger], capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stdout) == (0, f"{FULL}\n"), done.stderr


class Guarded(BaseHTTPRequestHandler):
    """A server of MLflow's that has no experiments, and answers who knows the token."""

    def do_POST(self):
        is_known = self.headers["Authorization"] == "Bearer open sesame"
        self.send_response(200 if is_known else 401)
        self.end_headers()
        self.wfile.write(b"{}" if is_known else b"You are not authenticated.")

    def log_message(self, *_):
        pass


@pytest.fixture
def guarded():
    with ThreadingHTTPServer(("127.0.0.1", 0), Guarded) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_server_behind_a_token_is_reached_with_it(guarded, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "open sesame")
    store.connect(guarded)
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "wrong")
    with pytest.raises(UserError, match="401") as raised:
        store.connect(guarded)
    assert "wrong" not in str(raised.value)


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("file:///somewhere", "file:///somewhere cannot be reached (MLflow keeps no runs in fold"),
        ("mlruns", "mlruns cannot be reached (MLflow keeps no runs in folders any more"),
        ("sqlite:///", "sqlite:/// cannot be reached (it names a folder)"),
        ("sqlite:////", "sqlite://// cannot be reached (it names a folder)"),
        ("ftp://somewhere", "unsupported URI 'ftp://somewhere'"),
        ("http://me:secret@127.0.0.1:9", "http://127.0.0.1:9 cannot be reached (Connection refus"),
    ],
)
def test_a_store_that_is_none_is_told_in_a_line_without_a_password(uri, said):
    with pytest.raises(UserError) as raised:
        store.connect(uri)
    message = str(raised.value)
    assert said in message
    assert "secret" not in message
    assert "\n" not in message


@pytest.mark.parametrize("text", ["abc", "0", "65536", "-1", "", "5000.0"])
def test_a_port_that_is_none_is_refused(text):
    with pytest.raises(UserError, match=f"PORT: '{text}' is no port: expected a number from 1"):
        ui.read_port(text)


def test_a_port_is_read():
    assert ui.read_port("5001") == 5001
