"""One run: plain values of the stages, written to MLflow in few calls."""

import getpass
import json
import os
import socket
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mlflow
import pandas as pd
import yaml
from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param
from mlflow.exceptions import MlflowException
from mlflow.models import Model, ModelSignature
from mlflow.types import ColSpec, DataType, Schema
from mlflow.types.schema import AnyType

from pipeline.errors import UserError, address
from pipeline.paths import ROOT
from pipeline.process import alive, restored_variable
from pipeline.tracking import environment, logged, store
from pipeline.tracking.git import Revision, copy_untracked, revision

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FLUSH_SECONDS = 5.0
LONGEST_PARAM = 6000
# The tag that holds the digest of the trained model.
BUNDLE = "bundle"
# The tag `kind` of a run that compares the models of a task.
COMPARISON = "comparison"
# The most runs that a search returns.
MOST_RUNS = 50_000
# The tag that MLflow shows as the description of a run.
DESCRIPTION = "mlflow.note.content"


class Run:
    """
    A run that is open for writing.

    Parameters
    ----------
    client : MlflowClient
        A client of the store.
    uri : str
        URI of the store.
    run_id : str
        Id of the run.
    """

    def __init__(self, client: MlflowClient, uri: str, run_id: str) -> None:
        self.client = client
        self.uri = uri
        self.id = run_id
        self.waiting: list[Metric] = []
        self.flushed = time.monotonic()

    def log_curve(self, step: int, values: Mapping[str, float]) -> None:
        """
        Add a point to curves, which are logged as ``curve/<name>``.

        Points are sent in batches, every few seconds.
        """
        now = int(time.time() * 1000)
        self.waiting += [
            Metric(f"curve/{name}", float(value), now, step) for name, value in values.items()
        ]
        if time.monotonic() - self.flushed > FLUSH_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Send the points that wait."""
        for start in range(0, len(self.waiting), 1000):
            self.client.log_batch(self.id, metrics=self.waiting[start : start + 1000])
        self.waiting = []
        self.flushed = time.monotonic()

    def log_scores(self, values: Mapping[str, float]) -> None:
        """Log final scores and costs."""
        now = int(time.time() * 1000)
        metrics = [Metric(name, float(value), now, 0) for name, value in values.items()]
        self.client.log_batch(self.id, metrics=metrics)

    def log_rounds(self, parts: Mapping[str, Sequence[Mapping[str, float]]]) -> None:
        """
        Log the scores of each round as the steps of metrics named ``rounds/<part>/<metric>``.

        Of a single round nothing is logged: its scores are those of the run.
        """
        now = int(time.time() * 1000)
        self.waiting += [
            Metric(f"rounds/{part}/{name}", float(value), now, step)
            for part, rounds in parts.items()
            if len(rounds) > 1
            for step, scores in enumerate(rounds)
            for name, value in scores.items()
        ]
        self.flush()

    def log_text(self, name: str, content: str) -> None:
        """Log a text as an artifact."""
        self.client.log_text(self.id, content, name)

    def log_figure(self, name: str, figure: "Figure") -> None:
        """Log a figure as an artifact."""
        self.client.log_figure(self.id, figure, name)

    def log_training(
        self,
        manifest: Mapping[str, Any],
        folder: Path,
        digest: str,
        costs: Mapping[str, float],
        trusted: list[str],
    ) -> None:
        """
        Log the scores, costs and data of a training, and its model.

        Parameters
        ----------
        manifest : mapping
            The manifest of the trained model, as `bundle.write` returns it.
        folder : Path
            The folder of the trained model.
        digest : str
            The digest of the manifest: the tag by which `find_run` finds the run.
        costs : mapping of str to float
            The costs of the training that are known.
        trusted : list of str
            Types of other packages that the logged model may load.
        """
        self.log_scores({f"validation/{name}": value for name, value in manifest["scores"].items()})
        self.log_rounds({"validation": [one["scores"] for one in manifest["rounds"]]})
        self.log_scores({f"cost/{name}": value for name, value in costs.items()})
        data = manifest["data"]
        dataset = Dataset(manifest["task"], data["digest"], "local", json.dumps(data["origin"]))
        training = InputTag("mlflow.data.context", "training")
        self.client.log_inputs(self.id, [DatasetInput(dataset, [training])])
        self.log_model(manifest, folder, trusted)
        fits = len(manifest["rounds"])
        rounds = "in one round" if fits == 1 else f"as the mean of {fits} fits in rounds"
        described = f"{manifest['model']} on {manifest['task']}, scored {rounds}."
        self.client.set_tag(self.id, DESCRIPTION, described)
        self.client.set_tag(self.id, BUNDLE, digest)

    def log_model(self, manifest: Mapping[str, Any], folder: Path, trusted: list[str]) -> None:
        """
        Log a trained model, which predicts from raw inputs.

        Parameters
        ----------
        manifest : mapping
            The manifest of the model: ``model`` (its name), ``inputs`` and ``outputs`` with the
            kind of each, ``example`` (a few raw examples), ``requirements``, and perhaps
            ``modules``, the project's own code beside this package.
        folder : Path
            The folder of the trained model.
        trusted : list of str
            Types of other packages that the model may load.
        """
        # Inputs are of any type: MLflow would refuse values that the model converts, such as
        # integers where training had fractions, and dates as text.
        inputs: list[Any] = [ColSpec(AnyType(), name) for name in manifest["inputs"]]
        outputs: list[Any] = [ColSpec(DataType[k], n) for n, k in manifest["outputs"].items()]
        signature = ModelSignature(Schema(inputs), Schema(outputs))
        own = [str(ROOT / name) for name in manifest.get("modules", [])]
        with (
            logged.copy_package(trusted) as code,
            logged.copy_model(folder) as model,
            _global_store(self.uri),
            _global_run(self.id),
        ):
            mlflow.pyfunc.log_model(
                # A dot is refused in this name.
                name=manifest["model"].replace(".", "_"),
                loader_module=f"{code.name}.predictor",
                data_path=str(model),
                code_paths=[str(code), *own],
                pip_requirements=manifest["requirements"],
                signature=signature,
                input_example=pd.DataFrame(manifest["example"]),
                metadata={"inputs": manifest["inputs"]},
            )

    def log_comparison(self, folder: Path, description: str) -> None:
        """
        Log the reports of a comparison.

        Parameters
        ----------
        folder : Path
            Folder of the reports.
        description : str
            The verdict as Markdown, which MLflow shows above the run.
        """
        self.client.set_tag(self.id, DESCRIPTION, description)
        self.client.log_artifacts(self.id, str(folder))

    def log_failure(self, reason: str, trace: str) -> None:
        """Log why a training failed: one line as a tag, and the traceback."""
        self.client.set_tag(self.id, "error", reason)
        self.log_text("error.txt", trace)


@contextmanager
def _global_store(uri: str) -> Iterator[None]:
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


@contextmanager
def _global_run(run_id: str) -> Iterator[None]:
    """Set the run of MLflow's global functions for the time of a block, without ending it."""
    mlflow.start_run(run_id=run_id)
    try:
        yield
    finally:
        # Otherwise a run whose process is killed next would be FINISHED for ever.
        mlflow.end_run("RUNNING")


@contextmanager
def start_run(
    uri: str,
    root: Path,
    experiment: str,
    name: str,
    settings: Mapping[str, Any],
    tags: Mapping[str, str],
) -> Iterator[Run]:
    """
    Start a run, and end it with its true status when the block ends.

    Parameters
    ----------
    uri : str
        URI of the store.
    root : Path
        The folder of the project, whose commit and changes are recorded.
    experiment : str
        Name of the MLflow experiment. It is created when it does not exist.
    name : str
        Name of the run.
    settings : mapping
        Nested plain values. They are logged flat as parameters, and nested as
        ``config.yaml``.
    tags : mapping of str to str
        Tags of the run.

    Yields
    ------
    Run
        The run. Its status becomes FINISHED; KILLED after Ctrl-C or SIGTERM; FAILED after an
        exception.

    Raises
    ------
    UserError
        When the store cannot be reached.
    """
    with store.reword_errors():
        client = store.connect(uri)
        experiment_id = store.experiment_id(client, uri, experiment)
        _end_orphans(client, experiment_id)
        code = revision(root)
        created = client.create_run(experiment_id, run_name=name, tags={**_code_tags(code), **tags})
        run = Run(client, uri, created.info.run_id)
        with end_run(run):
            params = [Param(key, value[:LONGEST_PARAM]) for key, value in _flatten(settings)]
            client.log_batch(run.id, params=params)
            with tempfile.TemporaryDirectory() as folder:
                _write_environment(Path(folder), root, settings, code)
                client.log_artifacts(run.id, folder)
            yield run


def _write_environment(
    folder: Path, root: Path, settings: Mapping[str, Any], code: Revision
) -> None:
    """Write the settings, the installed packages, and the changes to the code as files."""

    def write(name: str, content: str) -> None:
        (folder / name).write_text(content, encoding="utf-8", errors="surrogateescape")

    write("config.yaml", yaml.safe_dump(dict(settings), sort_keys=False))
    write("requirements.txt", "".join(f"{line}\n" for line in environment.installed_packages()))
    if code.changes:
        write("uncommitted.diff", code.changes)
    left_out = copy_untracked(root, code.untracked, folder / "untracked")
    if left_out:
        write("untracked.txt", "".join(f"{line}\n" for line in left_out))


def process_tags() -> dict[str, str]:
    """Return host and id of this process as tags, by which the runs of a dead one are found."""
    return {"process.host": socket.gethostname(), "process.id": str(os.getpid())}


@contextmanager
def end_run(run: Run) -> Iterator[None]:
    """End a run as FINISHED, KILLED or FAILED when the block ends."""
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


def count_comparisons(uri: str, experiment: str, data: str) -> int:
    """
    Count the comparisons that were recorded on the same data, and so looked at its test.

    Parameters
    ----------
    uri : str
        URI of the store.
    experiment : str
        Name of the MLflow experiment.
    data : str
        Digest of the data.

    Raises
    ------
    UserError
        When the store cannot be reached.
    """
    client = store.connect(uri)
    experiment_id = store.experiment_id(client, uri, experiment)
    of_data = f"tags.kind = '{COMPARISON}' and tags.data = '{data}'"
    return len(client.search_runs([experiment_id], of_data, max_results=MOST_RUNS))


def find_run(uri: str, experiment: str, digest: str) -> tuple[Run, dict[str, float]] | None:
    """
    Find the run that trained a model, to log more into it.

    Parameters
    ----------
    uri : str
        URI of the store.
    experiment : str
        Name of the MLflow experiment.
    digest : str
        The digest of the manifest of the model.

    Returns
    -------
    run : Run
        The latest run that finished.
    metrics : dict of str to float
        The last value of each of its metrics.

    None is returned when the store has no such run.

    Raises
    ------
    UserError
        When the store cannot be reached.
    """
    client = store.connect(uri)
    found = client.search_runs(
        [store.experiment_id(client, uri, experiment)],
        f"tags.{BUNDLE} = '{digest}' and attributes.status = 'FINISHED'",
        order_by=["attributes.start_time DESC"],
        max_results=1,
    )
    return (Run(client, uri, found[0].info.run_id), found[0].data.metrics) if found else None


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
    client = store.connect(uri)
    try:
        outputs = client.get_run(run_id).outputs
    except MlflowException:
        raise UserError(f"run: there is no run '{run_id}' in {address(uri)}") from None
    if not outputs or not outputs.model_outputs:
        raise UserError(f"run: '{run_id}' logged no model")
    with store.reword_errors(), _global_store(uri):
        copy = mlflow.artifacts.download_artifacts(
            f"models:/{outputs.model_outputs[0].model_id}", dst_path=str(folder)
        )
    flavor = Model.load(copy).flavors["python_function"]
    return Path(copy, flavor["data"])


def _code_tags(code: Revision) -> dict[str, str]:
    """Return the program, the commit, the process and the machine as tags."""
    tags = {
        "mlflow.source.name": Path(sys.argv[0]).stem,
        "mlflow.source.type": "LOCAL",
        "mlflow.source.git.commit": code.commit,
        "mlflow.user": getpass.getuser(),
        "git.dirty": str(bool(code.changes)).lower(),
        "dvc.stage": os.environ.get("DVC_STAGE", ""),
        "dvc.exp_name": os.environ.get("DVC_EXP_NAME", ""),
        **process_tags(),
        **environment.machine(),
    }
    return {key: value for key, value in tags.items() if value}


def _flatten(nested: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(nested, Mapping):
        for key, value in nested.items():
            yield from _flatten(value, f"{prefix}.{key}" if prefix else str(key))
    else:
        yield prefix, str(nested)


def _end_orphans(client: MlflowClient, experiment_id: str) -> None:
    """End as KILLED the RUNNING runs of processes of this machine that are dead."""
    of_this_host = (
        f"attributes.status = 'RUNNING' and tags.`process.host` = '{socket.gethostname()}'"
    )
    for run in client.search_runs([experiment_id], of_this_host):
        if not alive(int(run.data.tags["process.id"])):
            client.set_terminated(run.info.run_id, "KILLED")
