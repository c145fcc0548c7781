"""One run: what the stages know as plain values, written to MLflow in few calls."""

import getpass
import json
import os
import socket
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mlflow
import pandas as pd
import yaml
from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, DataType, Schema
from mlflow.types.schema import AnyType

from pipeline.process import alive
from pipeline.tracking import environment, logged, store
from pipeline.tracking.git import Revision, copy_untracked, revision

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FLUSH_SECONDS = 5.0
LONGEST_PARAM = 6000
# The tag that holds the digest of the model that a run trained.
BUNDLE = "bundle"


class Run:
    """
    A run that is open for writing.

    Parameters
    ----------
    client : MlflowClient
        Bound to the store.
    uri : str
        The store.
    run_id : str
        The run.
    """

    def __init__(self, client: MlflowClient, uri: str, run_id: str) -> None:
        self.client = client
        self.uri = uri
        self.id = run_id
        self.waiting: list[Metric] = []
        self.flushed = time.monotonic()

    def curve(self, step: int, values: Mapping[str, float]) -> None:
        """
        Add a point to curves, which are recorded as ``curve/<name>``.

        Points are sent together, every few seconds.
        """
        now = int(time.time() * 1000)
        self.waiting += [
            Metric(f"curve/{name}", float(value), now, step) for name, value in values.items()
        ]
        if time.monotonic() - self.flushed > FLUSH_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Send the points that are waiting."""
        for start in range(0, len(self.waiting), 1000):
            self.client.log_batch(self.id, metrics=self.waiting[start : start + 1000])
        self.waiting = []
        self.flushed = time.monotonic()

    def scores(self, values: Mapping[str, float]) -> None:
        """Write final scores and costs."""
        now = int(time.time() * 1000)
        metrics = [Metric(name, float(value), now, 0) for name, value in values.items()]
        self.client.log_batch(self.id, metrics=metrics)

    def text(self, name: str, content: str) -> None:
        """Write a text file among the run's artifacts."""
        self.client.log_text(self.id, content, name)

    def figure(self, name: str, drawn: "Figure") -> None:
        """Write a picture among the run's artifacts."""
        self.client.log_figure(self.id, drawn, name)

    def trained(
        self,
        manifest: Mapping[str, Any],
        folder: Path,
        digest: str,
        costs: Mapping[str, float],
        trusted: list[str],
    ) -> None:
        """
        Write what is known once a model is trained, and the model.

        Parameters
        ----------
        manifest : mapping
            Of the trained model, as `bundle.write` returns it.
        folder : Path
            The trained model.
        digest : str
            Of the manifest: the tag by which the run of a model is found.
        costs : mapping of str to float
            What training took, as far as it is known.
        trusted : list of str
            Types of other packages that the logged model may load.
        """
        self.scores({f"validation/{name}": value for name, value in manifest["scores"].items()})
        self.scores({f"cost/{name}": value for name, value in costs.items()})
        known = manifest["data"]
        data = Dataset(manifest["task"], known["digest"], "local", json.dumps(known["origin"]))
        training = InputTag("mlflow.data.context", "training")
        self.client.log_inputs(self.id, [DatasetInput(data, [training])])
        self.model(manifest, folder, trusted)
        self.client.set_tag(self.id, BUNDLE, digest)

    def model(self, manifest: Mapping[str, Any], folder: Path, trusted: list[str]) -> None:
        """
        Log a trained model that predicts from raw input.

        Parameters
        ----------
        manifest : mapping
            Its ``inputs`` and ``outputs``, the kind of each; ``example``, a few raw examples;
            ``requirements``.
        folder : Path
            The trained model with its featurizer.
        trusted : list of str
            Types of other packages that it may load.
        """
        # Of any type, since MLflow refuses what the model converts: whole numbers where there
        # were fractions in training, and dates as text.
        inputs: list[Any] = [ColSpec(AnyType(), name) for name in manifest["inputs"]]
        outputs: list[Any] = [ColSpec(DataType[k], n) for n, k in manifest["outputs"].items()]
        signature = ModelSignature(Schema(inputs), Schema(outputs))
        with (
            logged.code(trusted) as code,
            _fluent(self.uri),
            mlflow.start_run(run_id=self.id),
        ):
            mlflow.pyfunc.log_model(
                name="model",
                loader_module=f"{code.name}.predictor",
                data_path=str(folder),
                code_paths=[str(code)],
                pip_requirements=manifest["requirements"],
                signature=signature,
                input_example=pd.DataFrame(manifest["example"]),
                metadata={"inputs": manifest["inputs"]},
            )

    def failed(self, reason: str, trace: str) -> None:
        """Write why a training failed: a line as a tag, and the traceback."""
        self.client.set_tag(self.id, "error", reason)
        self.text("error.txt", trace)


@contextmanager
def _fluent(uri: str) -> Iterator[None]:
    """Point MLflow's global functions at a store, and leave no trace of it."""
    # MLflow also writes the environment, from which the next job of a sweep would read.
    name = "MLFLOW_TRACKING_URI"
    asked, before = os.environ.get(name), mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(uri)
    try:
        yield
    finally:
        mlflow.set_tracking_uri(before)
        os.environ.pop(name, None)
        if asked is not None:
            os.environ[name] = asked


@contextmanager
def started(
    uri: str,
    root: Path,
    experiment: str,
    name: str,
    settings: Mapping[str, Any],
    tags: Mapping[str, str],
) -> Iterator[Run]:
    """
    Start a run, and end it with a status that is true.

    Parameters
    ----------
    uri : str
        The store.
    root : Path
        The project, whose commit and changes are recorded.
    experiment : str
        MLflow experiment, made when it is new.
    name : str
        Name of the run.
    settings : mapping
        Nested plain values: recorded flat as parameters, and whole as
        ``config.yaml``.
    tags : mapping of str to str
        What to search by.

    Yields
    ------
    Run
        Ended as FINISHED; KILLED by Ctrl-C or SIGTERM; FAILED by an exception.

    Raises
    ------
    UserError
        When the store cannot be reached.
    """
    with store.told():
        client = store.connect(uri)
        experiment_id = store.experiment(client, uri, experiment)
        _bury(client, experiment_id)
        code = revision(root)
        created = client.create_run(experiment_id, run_name=name, tags={**_facts(code), **tags})
        run = Run(client, uri, created.info.run_id)
        with ending(run):
            params = [Param(key, value[:LONGEST_PARAM]) for key, value in _flat(settings)]
            client.log_batch(run.id, params=params)
            with tempfile.TemporaryDirectory() as folder:
                _describe(Path(folder), root, settings, code)
                client.log_artifacts(run.id, folder)
            yield run


def _describe(folder: Path, root: Path, settings: Mapping[str, Any], code: Revision) -> None:
    """Write the settings, the installed versions, and what gives back the code, as files."""

    def write(name: str, content: str) -> None:
        (folder / name).write_text(content, encoding="utf-8", errors="surrogateescape")

    write("config.yaml", yaml.safe_dump(dict(settings), sort_keys=False))
    write("requirements.txt", "".join(f"{line}\n" for line in environment.installed()))
    if code.changes:
        write("uncommitted.diff", code.changes)
    left_out = copy_untracked(root, code.untracked, folder / "untracked")
    if left_out:
        write("untracked.txt", "".join(f"{line}\n" for line in left_out))


def process() -> dict[str, str]:
    """Name the process that writes a run, by tags; one that is gone cannot end its runs."""
    return {"process.host": socket.gethostname(), "process.id": str(os.getpid())}


@contextmanager
def ending(run: Run) -> Iterator[None]:
    """End a run as FINISHED, KILLED or FAILED, as its block ends."""
    status = "FAILED"
    try:
        yield
        status = "FINISHED"
    except (KeyboardInterrupt, SystemExit):
        status = "KILLED"
        raise
    finally:
        try:
            run.flush()
        finally:
            run.client.set_terminated(run.id, status)


def trainer(uri: str, experiment: str, digest: str) -> tuple[Run, dict[str, float]] | None:
    """
    Find the run that trained a model, to add to it.

    Parameters
    ----------
    uri : str
        The store.
    experiment : str
        MLflow experiment.
    digest : str
        Of the model's manifest.

    Returns
    -------
    run : Run
        The newest that finished.
    metrics : dict of str to float
        The last value of each metric that it has.

    None is returned when the store knows no such run.

    Raises
    ------
    UserError
        When the store cannot be reached.
    """
    client = store.connect(uri)
    found = client.search_runs(
        [store.experiment(client, uri, experiment)],
        f"tags.{BUNDLE} = '{digest}' and attributes.status = 'FINISHED'",
        order_by=["attributes.start_time DESC"],
        max_results=1,
    )
    return (Run(client, uri, found[0].info.run_id), found[0].data.metrics) if found else None


def _facts(code: Revision) -> dict[str, str]:
    """Say what runs where, and from which commit."""
    facts = {
        "mlflow.source.name": Path(sys.argv[0]).stem,
        "mlflow.source.type": "LOCAL",
        "mlflow.source.git.commit": code.commit,
        "mlflow.user": getpass.getuser(),
        "git.dirty": str(bool(code.changes)).lower(),
        "dvc.stage": os.environ.get("DVC_STAGE", ""),
        "dvc.exp_name": os.environ.get("DVC_EXP_NAME", ""),
        **process(),
        **environment.machine(),
    }
    return {key: value for key, value in facts.items() if value}


def _flat(nested: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(nested, Mapping):
        for key, value in nested.items():
            yield from _flat(value, f"{prefix}.{key}" if prefix else str(key))
    else:
        yield prefix, str(nested)


def _bury(client: MlflowClient, experiment_id: str) -> None:
    """Mark as KILLED what is RUNNING in the name of a process of this machine that is gone."""
    here = f"attributes.status = 'RUNNING' and tags.`process.host` = '{socket.gethostname()}'"
    for run in client.search_runs([experiment_id], here):
        if not alive(int(run.data.tags["process.id"])):
            client.set_terminated(run.info.run_id, "KILLED")
