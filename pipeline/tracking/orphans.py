"""Runs of processes that were killed."""

import os
import socket

from mlflow import MlflowClient

from pipeline.process import alive
from pipeline.tracking.store import MOST_RUNS


def process_tags() -> dict[str, str]:
    """Return host and id of this process as tags, by which the runs of a dead one are found."""
    return {"process.host": socket.gethostname(), "process.id": str(os.getpid())}


def end(client: MlflowClient, experiment_id: str) -> None:
    """End as KILLED the RUNNING runs of processes of this machine that are dead."""
    of_this_host = (
        f"attributes.status = 'RUNNING' and tags.`process.host` = '{socket.gethostname()}'"
    )
    for run in client.search_runs([experiment_id], of_this_host, max_results=MOST_RUNS):
        if not alive(int(run.data.tags["process.id"])):
            client.set_terminated(run.info.run_id, "KILLED")
