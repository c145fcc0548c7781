"""Send journals to the tracking store, so that it has each line once, whatever is killed when."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import mlflow
import pandas as pd
from mlflow import MlflowClient
from mlflow.entities import (
    Dataset,
    DatasetInput,
    InputTag,
    LoggedModelStatus,
    Metric,
    Param,
    Run,
    RunTag,
)
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, DataType, Schema
from mlflow.types.schema import AnyType

from pipeline.tracking import store
from pipeline.tracking.journal import JOURNAL, Journal
from pipeline.tracking.shared_view import share_board

# The most metrics, and the most parameters or tags, that MLflow takes in a call.
MOST_METRICS, MOST_PARAMS = 1000, 100


class Sender:
    """
    Send a journal.

    A connection may break, or the process be killed, after the store did something and before it
    is known here. That call is then repeated. MLflow takes parameters, metrics, tags, files and
    the end of a run twice without a trace; a run or a logged model is looked for before another
    is created.

    Parameters
    ----------
    journal : Journal
        What to send.
    is_new : bool
        Whether this process began the journal, so that the store cannot have its run.

    Attributes
    ----------
    run_id : str or None
        The run in the store, once it is there.
    error : Exception or None
        Why the journal could not be sent, the last time that it was tried.
    is_released : bool
        Whether nothing more is written into the journal.
    """

    def __init__(self, journal: Journal, is_new: bool) -> None:
        self.journal = journal
        self.is_certain = is_new
        self.run_id: str | None = journal.head.get("run")
        self.error: Exception | None = None
        self.is_released = False

    def send(self, client: MlflowClient, uri: str) -> None:
        """Send the lines that the store does not have."""
        try:
            if self.run_id is None:
                self.run_id = self._start(client, uri)
            for line, end in _joined(self.journal.lines(self.journal.sent)):
                self._send(client, uri, line)
                self.journal.confirm(end)
        except BaseException:
            self.is_certain = False
            raise

    def _start(self, client: MlflowClient, uri: str) -> str:
        """Return the id of the run of the journal, which is created where the store has none."""
        head = self.journal.head
        experiment_id = store.experiment_id(client, uri, head["experiment"])
        if "trained" in head:
            found = store.find_trained(client, experiment_id, head["trained"])
            if found is not None:  # whoever trained the model recorded it
                lines = self.journal.lines(self.journal.sent)
                self.journal.confirm(next(end for line, end in lines if "end" in line))
                return found.info.run_id
        mine = [] if self.is_certain else self._runs(client, experiment_id)
        if not mine:
            begin = time.monotonic()
            tags = head["tags"] | {JOURNAL: self.journal.name}
            mine = [client.create_run(experiment_id, head["start"], tags, head["name"])]
            if time.monotonic() - begin > store.TIMEOUT:  # MLflow asked twice
                mine = self._runs(client, experiment_id)
        for run in mine[1:]:
            client.delete_run(run.info.run_id)
        return mine[0].info.run_id

    def _runs(self, client: MlflowClient, experiment_id: str) -> list[Run]:
        return [*client.search_runs([experiment_id], f"tags.{JOURNAL} = '{self.journal.name}'")]

    def _send(self, client: MlflowClient, uri: str, line: dict[str, Any]) -> None:
        run_id = str(self.run_id)
        match line:
            case {"metrics": points}:
                metrics = [Metric(*point) for point in points]
                for some in _parts(metrics, MOST_METRICS):
                    client.log_batch(run_id, metrics=some)
            case {"params": values}:
                params = [Param(*pair) for pair in values.items()]
                for some in _parts(params, MOST_PARAMS):
                    client.log_batch(run_id, params=some)
            case {"tags": values}:
                tags = [RunTag(*pair) for pair in values.items()]
                for some in _parts(tags, MOST_PARAMS):
                    client.log_batch(run_id, tags=some)
            case {"files": name}:
                # Of a folder that is not there MLflow would send nothing without a word.
                client.log_artifacts(run_id, str(self.journal.files(name).resolve(strict=True)))
            case {"data": {"name": name, "digest": digest, "origin": origin}}:
                dataset = Dataset(name, digest, "local", json.dumps(origin))
                training = InputTag("mlflow.data.context", "training")
                client.log_inputs(run_id, [DatasetInput(dataset, [training])])
            case {"model": model}:
                self._send_model(client, uri, model)
            case {"board": board}:
                share_board(client, client.get_run(run_id).info.experiment_id, **board)
            case {"begin": status}:
                client.update_run(run_id, status)
            case {"end": status, "time": end}:
                client.set_terminated(run_id, status, end)
            case _:
                raise ValueError(f"{self.journal.folder}: unknown line {[*line]}")

    def _send_model(self, client: MlflowClient, uri: str, model: dict[str, Any]) -> None:
        """Log a model, unless the store has it, in place of what a broken call left of it."""
        run_id = str(self.run_id)
        if not self.is_certain:
            experiment_id = client.get_run(run_id).info.experiment_id
            of_run = f"source_run_id = '{run_id}'"
            for logged in client.search_logged_models([experiment_id], filter_string=of_run):
                if logged.status == LoggedModelStatus.READY:
                    return
                client.delete_logged_model(logged.model_id)
        folder = self.journal.files(model["files"])
        # Inputs are of any type: MLflow would refuse values that the model converts, such as
        # integers where training had fractions, and dates as text.
        inputs: list[Any] = [ColSpec(AnyType(), name) for name in model["inputs"]]
        outputs: list[Any] = [ColSpec(DataType[k], n) for n, k in model["outputs"].items()]
        with store.global_store(uri), _global_run(run_id):
            mlflow.pyfunc.log_model(
                name=model["name"],
                loader_module=f"{model['package']}.predictor",
                data_path=str(folder / "model"),
                code_paths=[str(path) for path in sorted((folder / "code").iterdir())],
                pip_requirements=model["requirements"],
                signature=ModelSignature(Schema(inputs), Schema(outputs)),
                input_example=pd.DataFrame(model["example"]),
                metadata={"inputs": model["inputs"]},
            )


def _joined(lines: list[tuple[dict[str, Any], int]]) -> Iterator[tuple[dict[str, Any], int]]:
    """Join successive lines of metrics to one."""
    points: list[Any] = []
    for number, (line, end) in enumerate(lines, start=1):
        points += line.get("metrics", [])
        if "metrics" not in line:
            yield line, end
        elif number == len(lines) or "metrics" not in lines[number][0]:
            yield {"metrics": points}, end
            points = []


def _parts(items: list[Any], size: int) -> Iterator[list[Any]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


@contextmanager
def _global_run(run_id: str) -> Iterator[None]:
    """Set the run of MLflow's global functions for the time of a block, without ending it."""
    mlflow.start_run(run_id=run_id)
    try:
        yield
    finally:
        # Otherwise a run whose process is killed next would be FINISHED for ever.
        mlflow.end_run("RUNNING")
