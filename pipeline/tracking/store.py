"""The MLflow store: connected to before any work is done, and created once."""

import errno
import logging
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import mlflow
import requests
import sqlalchemy
from filelock import FileLock
from mlflow import MlflowClient
from mlflow.entities import LoggedModelStatus, Run
from mlflow.exceptions import MlflowException
from mlflow.models import Model

from pipeline.errors import UserError, address
from pipeline.process import restored_variable
from pipeline.tracking.journal import BUNDLE

SQLITE = "sqlite:///"
SERVERS = ("http://", "https://")
DATABASES = ("sqlite", "postgresql", "mysql", "mssql")
# Seconds that a request may take.
TIMEOUT = float(os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"])
# The most runs that a search returns.
MOST_RUNS = 50_000
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
        if uri.startswith(SQLITE):
            path = Path(uri.removeprefix(SQLITE))
            if path.is_dir():  # or nothing, which SQLite takes for a file in memory
                raise IsADirectoryError(errno.EISDIR, "it names a folder")
            _create(path)
            _connected.add(path.resolve())
            if not sqlalchemy.event.contains(sqlalchemy.Engine, "connect", _set_synchronous):
                sqlalchemy.event.listen(sqlalchemy.Engine, "connect", _set_synchronous)
        if uri.startswith(DATABASES):
            # MLflow itself tries for 100 s.
            sqlalchemy.create_engine(uri).connect().close()
        client = MlflowClient(uri)
        client.search_experiments(max_results=1)
    except (MlflowException, sqlalchemy.exc.SQLAlchemyError, ImportError, OSError) as error:
        raise UserError(
            f"the tracking store {address(uri)} cannot be reached ({reason(error, uri)}): "
            "start it, or set MLFLOW_TRACKING_URI to another"
        ) from None
    return client


def reason(error: Exception, uri: str) -> str:
    """
    Return in a line, without a password, why the store failed.

    Parameters
    ----------
    error : Exception
        What a call of MLflow's raised.
    uri : str
        URI of the store.
    """
    if isinstance(error, UserError):
        return str(error)
    while (cause := _cause(error, uri)) is not None:
        error = cause
    if isinstance(error, sqlalchemy.exc.SQLAlchemyError) and not uri.startswith(SQLITE):
        return type(error).__name__  # the message of another database may hold a password
    if getattr(error, "error_code", None) == "INVALID_PARAMETER_VALUE" and "filesystem" in str(
        error
    ):
        return "MLflow keeps no runs in folders any more, but in sqlite:///FILE.db or on a server"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    first, *_ = str(error).strip().splitlines() or [type(error).__name__]
    return first.replace(uri, address(uri))


def _cause(error: Exception, uri: str) -> Exception | None:
    """Return the error that an error comes from."""
    found: list[Any] = [error.__cause__]
    if uri.startswith(SERVERS):
        # MLflow's errors are raised while another one is handled, and those of urllib3 hold one.
        found += [error.__context__, *error.args]
    return next((one for one in found if isinstance(one, Exception)), None)


def answers(uri: str) -> bool:
    """Return whether a store that takes long is there: a file, or a server that says anything."""
    if not uri.startswith(SERVERS):
        return uri.startswith(SQLITE)
    try:
        requests.get(f"{uri.rstrip('/')}/health", timeout=3)
    except requests.RequestException:
        return False
    return True


@contextmanager
def reword_errors(uri: str) -> Iterator[None]:
    """
    Raise errors of a store as errors that a user can mend.

    Raises
    ------
    UserError
        The message holds the reason, such as a full disk.
    """
    try:
        yield
    except (MlflowException, sqlalchemy.exc.SQLAlchemyError) as error:
        raise UserError(f"the tracking store failed: {reason(error, uri)}") from error


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


def find_trained(client: MlflowClient, experiment_id: str, digest: str) -> Run | None:
    """
    Return the latest run that finished and trained a model.

    Parameters
    ----------
    client : MlflowClient
        A client of the store.
    experiment_id : str
        Id of the MLflow experiment.
    digest : str
        The digest of the manifest of the model.
    """
    found = client.search_runs(
        [experiment_id],
        f"tags.{BUNDLE} = '{digest}' and attributes.status = 'FINISHED'",
        order_by=["attributes.start_time DESC"],
        max_results=1,
    )
    return found[0] if found else None


def has_run(client: MlflowClient, run_id: str) -> bool:
    """Return whether the store has a run that was not deleted."""
    try:
        return str(client.get_run(run_id).info.lifecycle_stage) == "active"
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return False
        raise


def download_model(uri: str, run_id: str, folder: Path) -> Path:
    """
    Copy the trained model that a run logged.

    Parameters
    ----------
    uri : str
        URI of the store.
    run_id : str
        Id of the run.
    folder : Path
        Where to copy to.

    Returns
    -------
    Path
        The folder of the trained model within `folder`.

    Raises
    ------
    UserError
        When the store cannot be reached, or has no such run, or the run logged no model.
    """
    client = connect(uri)
    with reword_errors(uri):
        if not has_run(client, run_id):
            raise UserError(f"run: there is no run '{run_id}' in {address(uri)}")
        outputs = client.get_run(run_id).outputs
        logged = [one.model_id for one in outputs.model_outputs] if outputs else []
        ready = [one for one in logged if _is_ready(client, one)]
        if not ready:
            raise UserError(f"run: '{run_id}' logged no model")
        with global_store(uri):
            copy = mlflow.artifacts.download_artifacts(f"models:/{ready[0]}", dst_path=str(folder))
    flavor = Model.load(copy).flavors["python_function"]
    return Path(copy, flavor["data"])


def _is_ready(client: MlflowClient, model_id: str) -> bool:
    try:
        return client.get_logged_model(model_id).status == LoggedModelStatus.READY
    except MlflowException:  # it was deleted, because its upload broke
        return False


@contextmanager
def global_store(uri: str) -> Iterator[None]:
    """Set the store of MLflow's global functions for the time of a block."""
    before = mlflow.get_tracking_uri()
    try:
        # MLflow sets and removes the variable too, which the next job of a sweep would read.
        with restored_variable("MLFLOW_TRACKING_URI"):
            try:
                mlflow.set_tracking_uri(uri)
                yield
            finally:
                mlflow.set_tracking_uri(None)  # type: ignore[arg-type] # the environment decides
    finally:
        if mlflow.get_tracking_uri() != before:  # unless a program had set the store
            with restored_variable("MLFLOW_TRACKING_URI"):
                mlflow.set_tracking_uri(before)


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
