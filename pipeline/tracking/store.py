"""The MLflow store: connected to before any work is done, and created once."""

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
    # This one logs the traceback of every error that it raises.
    "mlflow.store.db.utils": logging.CRITICAL,
}
# The SQLite files that `connect` connected to.
_connected: set[Path] = set()


def connect(uri: str) -> MlflowClient:
    """
    Connect to a tracking store. A SQLite file that does not exist is created.

    Parameters
    ----------
    uri : str
        A tracking URI, as MLflow takes it.

    Returns
    -------
    MlflowClient
        A client of the store.

    Raises
    ------
    UserError
        When the store cannot be reached. The message holds no password of the URI.
    """
    for name, level in LOG_LEVELS.items():
        logging.getLogger(name).setLevel(level)
    try:
        if uri.startswith(("http://", "https://")):
            requests.get(f"{uri.rstrip('/')}/health", timeout=5).raise_for_status()
        elif uri.startswith(SQLITE):
            path = Path(uri.removeprefix(SQLITE))
            _create(path)
            _connected.add(path.resolve())
            if not sqlalchemy.event.contains(sqlalchemy.Engine, "connect", _set_synchronous):
                sqlalchemy.event.listen(sqlalchemy.Engine, "connect", _set_synchronous)
        else:
            sqlalchemy.create_engine(uri).connect().close()
        client = MlflowClient(uri)
        client.search_experiments(max_results=1)
    except (
        requests.RequestException,
        sqlalchemy.exc.SQLAlchemyError,
        ImportError,
    ) as error:
        # Messages of other databases may hold a password; that a driver is missing holds none.
        is_safe = uri.startswith(SQLITE) or isinstance(error, ImportError)
        reason = _root_cause(error) if is_safe else type(error).__name__
        raise _unreachable(uri, reason) from None
    except MlflowException as error:
        raise _unreachable(uri, _root_cause(error)) from None
    return client


@contextmanager
def reword_errors() -> Iterator[None]:
    """
    Raise errors of the store as errors that a user can mend.

    Raises
    ------
    UserError
        The message holds the reason, such as a full disk.
    """
    try:
        yield
    except (MlflowException, sqlalchemy.exc.SQLAlchemyError) as error:
        raise UserError(f"the tracking store failed: {_root_cause(error)}") from error


def experiment_id(client: MlflowClient, uri: str, name: str) -> str:
    """
    Return the id of an MLflow experiment. It is created when it does not exist.

    Returns
    -------
    str
        The id. The artifacts of a SQLite store lie in ``mlruns/<name>`` beside the file.

    Raises
    ------
    UserError
        When the experiment was deleted in MLflow.
    """
    found = client.get_experiment_by_name(name)
    if found is None:
        artifacts = None
        if uri.startswith(SQLITE):
            artifacts = Path(uri.removeprefix(SQLITE)).absolute().with_name("mlruns") / name
        try:
            return client.create_experiment(name, artifacts.as_uri() if artifacts else None)
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
    """Create a SQLite store in a second file, under a lock: two first writers would break it."""
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


def _root_cause(error: BaseException) -> str:
    """Return the first line of the error that caused an error."""
    while error.__cause__ is not None:
        error = error.__cause__
    return str(error).splitlines()[0]


def _set_synchronous(connection: Any, _: object) -> None:
    """
    Let commits to a store of this project not wait for the disk.

    With its write-ahead log, a SQLite file is never damaged, and keeps what a killed process
    committed. A power failure may lose the last seconds. Writing a run is six times as fast.
    MLflow creates its engines itself, and SQLite has this setting per connection. So the
    listener is on all engines, and leaves connections to other files unchanged.
    """
    if isinstance(connection, sqlite3.Connection):
        with suppress(sqlite3.DatabaseError):  # the file is no database, which MLflow reports
            _, _, file = connection.execute("PRAGMA database_list").fetchone()
            journal = connection.execute("PRAGMA journal_mode").fetchone()[0]
            if journal == "wal" and Path(file).resolve() in _connected:
                connection.execute("PRAGMA synchronous = NORMAL")


def _unreachable(uri: str, reason: str) -> UserError:
    return UserError(
        f"the tracking store {address(uri)} cannot be reached ({reason}): "
        "start it, or set MLFLOW_TRACKING_URI to another"
    )
