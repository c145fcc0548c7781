"""The MLflow store: reached before any work is done, and created once."""

import logging
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import requests
import sqlalchemy
from filelock import FileLock
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from pipeline.errors import UserError, address

SQLITE = "sqlite:///"
LOG_LEVELS = {
    "mlflow": logging.ERROR,
    "alembic": logging.ERROR,
    # It prints the traceback of what it raises.
    "mlflow.store.db.utils": logging.CRITICAL,
}
# The SQLite files that `connect` was asked for.
_reached: set[Path] = set()


def connect(uri: str) -> MlflowClient:
    """
    Reach a tracking store, creating it when it is a SQLite file that does not exist.

    Parameters
    ----------
    uri : str
        What MLflow takes as a tracking URI.

    Returns
    -------
    MlflowClient
        Bound to that store.

    Raises
    ------
    UserError
        When the store cannot be reached. A password in the URI is not told.
    """
    for name, level in LOG_LEVELS.items():
        logging.getLogger(name).setLevel(level)
    try:
        if uri.startswith(("http://", "https://")):
            requests.get(f"{uri.rstrip('/')}/health", timeout=5).raise_for_status()
        elif uri.startswith(SQLITE):
            path = Path(uri.removeprefix(SQLITE))
            _create(path)
            _reached.add(path.resolve())
            if not sqlalchemy.event.contains(sqlalchemy.Engine, "connect", _without_waiting):
                sqlalchemy.event.listen(sqlalchemy.Engine, "connect", _without_waiting)
        else:
            sqlalchemy.create_engine(uri).connect().close()
        client = MlflowClient(uri)
        client.search_experiments(max_results=1)
    except (
        requests.RequestException,
        sqlalchemy.exc.SQLAlchemyError,
        ImportError,
    ) as error:
        # Messages of other databases may hold a password; a driver that is missing is told.
        told = uri.startswith(SQLITE) or isinstance(error, ImportError)
        reason = _root(error) if told else type(error).__name__
        raise _unreachable(uri, reason) from None
    except MlflowException as error:
        raise _unreachable(uri, _root(error)) from None
    return client


@contextmanager
def told() -> Iterator[None]:
    """
    Tell failures of the store as mistakes that a user can mend.

    Raises
    ------
    UserError
        With the reason, such as a full disk.
    """
    try:
        yield
    except (MlflowException, sqlalchemy.exc.SQLAlchemyError) as error:
        raise UserError(f"the tracking store failed: {_root(error)}") from error


def experiment(client: MlflowClient, uri: str, name: str) -> str:
    """
    Find or make the MLflow experiment of a task.

    Returns
    -------
    str
        Its id. Artifacts of a SQLite store lie in ``mlruns/<name>`` beside it.

    Raises
    ------
    UserError
        When the experiment was deleted in MLflow.
    """
    found = client.get_experiment_by_name(name)
    if found is None:
        place = None
        if uri.startswith(SQLITE):
            place = Path(uri.removeprefix(SQLITE)).absolute().with_name("mlruns") / name
        try:
            return client.create_experiment(name, place.as_uri() if place else None)
        except MlflowException:  # another process was faster
            found = client.get_experiment_by_name(name)
            if found is None:
                raise
    if found.lifecycle_stage != "active":
        raise UserError(
            f"the MLflow experiment '{name}' was deleted: "
            f"`mlflow experiments restore --experiment-id {found.experiment_id}`"
        )
    return str(found.experiment_id)


def _create(path: Path) -> None:
    """Make the tables aside, under a lock: two first writers would break a new SQLite file."""
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_name(f".{path.name}.lock")):
        if path.exists():
            return
        made, aside = (path.with_name(f".{path.name}.{name}") for name in ("made", "new"))
        for left_over in (made, aside):
            left_over.unlink(missing_ok=True)
        MlflowClient(f"{SQLITE}{made.as_posix()}").search_experiments(max_results=1)
        with closing(sqlite3.connect(made)) as tables, closing(sqlite3.connect(aside)) as store:
            tables.backup(store)
            store.execute("PRAGMA journal_mode = WAL")
        made.unlink()
        aside.rename(path)


def _root(error: BaseException) -> str:
    """Take the first line of what caused an error in the first place."""
    while error.__cause__ is not None:
        error = error.__cause__
    return str(error).splitlines()[0]


def _without_waiting(connection: Any, _: object) -> None:
    """
    Have no commit to a store of this project's wait for the disk.

    With its write-ahead log, a SQLite file stays whole whatever happens, and keeps what was
    committed by a process that is killed; a machine that loses power may lose the last
    seconds. A run is written six times as fast. MLflow makes its engines itself and SQLite
    keeps this setting per connection, so that every engine is listened to; connections to
    other files are left as they are.
    """
    if isinstance(connection, sqlite3.Connection):
        with suppress(sqlite3.DatabaseError):  # not a database, which MLflow tells
            _, _, file = connection.execute("PRAGMA database_list").fetchone()
            journal = connection.execute("PRAGMA journal_mode").fetchone()[0]
            if journal == "wal" and Path(file).resolve() in _reached:
                connection.execute("PRAGMA synchronous = NORMAL")


def _unreachable(uri: str, reason: str) -> UserError:
    return UserError(
        f"the tracking store {address(uri)} cannot be reached ({reason}): "
        "start it, or set MLFLOW_TRACKING_URI to another"
    )
