"""Runs of processes that were killed."""

import os
import socket

from mlflow import MlflowClient

from pipeline.paths import spool_folder
from pipeline.process import alive
from pipeline.tracking.journal import JOURNAL
from pipeline.tracking.store import MOST_RUNS


def process_tags() -> dict[str, str]:
    """Return host and id of this process as tags, by which the runs of a dead one are found."""
    return {"process.host": socket.gethostname(), "process.id": str(os.getpid())}


def end(client: MlflowClient, experiment_id: str) -> None:
    """
    End as KILLED the RUNNING runs of processes of this machine that are dead.

    A run whose journal is in the spool is ended by whoever sends that.
    """
    kept = {folder.name for folder in spool_folder().glob("*")}
    of_this_host = (
        f"attributes.status = 'RUNNING' and tags.`process.host` = '{socket.gethostname()}'"
    )
    for run in client.search_runs([experiment_id], of_this_host, max_results=MOST_RUNS):
        if run.data.tags.get(JOURNAL) in kept or alive(int(run.data.tags["process.id"])):
            continue
        # The process may have ended its run after the search.
        if client.get_run(run.info.run_id).info.status == "RUNNING":
            client.set_terminated(run.info.run_id, "KILLED")
