"""The newest board of a task in MLflow's UI: its runs are marked, and a shared view lists them."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Experiment, RunTag

from pipeline.tracking.journal import BUNDLE
from pipeline.tracking.store import MOST_RUNS, find_trained

# Tags of the runs of the newest board alone: the place on it, and what the verdict says of them.
RANK, VERDICT = "rank", "verdict"
# The name of the view, and the tag of the experiment in which the UI looks for it.
NAME = "board"
TAG = f"mlflow.sharedViewState.{NAME}"
# What the UI expects of a chart of lines.
LINE: dict[str, Any] = {
    "xAxisKey": "step",
    "xAxisScaleType": "linear",
    "yAxisKey": "metric",
    "scaleType": "linear",
    "range": {},
    "lineSmoothness": 0,
    "useGlobalXaxisKey": True,
    "useGlobalLineSmoothing": True,
}


def share_board(
    client: MlflowClient,
    experiment_id: str,
    metric: str,
    scores: Mapping[str, str],
    verdicts: Mapping[str, str],
    losses: Iterable[str],
) -> None:
    """
    Mark the runs of a board, take the marks from those of older boards, and share a view.

    Parameters
    ----------
    client : MlflowClient
        A client of the store.
    experiment_id : str
        Id of the MLflow experiment.
    metric : str
        Name of the metric, in the runs, that decides.
    scores : mapping of str to str
        By the digest of each model, best first, its score with the interval. It becomes a tag of
        the run that trained the model, with the name of the metric.
    verdicts : mapping of str to str
        By the digest of each model ``take``, ``contender`` or nothing.
    losses : iterable of str
        Names of the metrics that are the learning curves to show.
    """
    found = {digest: find_trained(client, experiment_id, digest) for digest in scores}
    runs = {digest: run.info.run_id for digest, run in found.items() if run is not None}
    # A run that recorded no trained model may have a tag of that name from somebody else.
    marked = f"tags.{RANK} LIKE '%' and tags.{BUNDLE} LIKE '%'"
    for run in client.search_runs([experiment_id], marked, max_results=MOST_RUNS):
        if run.info.run_id not in runs.values():
            for name in {RANK, VERDICT} & run.data.tags.keys():
                client.delete_tag(run.info.run_id, name)
    for place, (digest, run_id) in enumerate(runs.items(), start=1):
        # MLflow sorts tags as texts.
        tags = {RANK: f"{place:02}", VERDICT: verdicts[digest], metric: scores[digest]}
        client.log_batch(run_id, tags=[RunTag(name, value) for name, value in tags.items()])
    client.set_experiment_tag(experiment_id, TAG, json.dumps(view(metric, losses)))


def view(metric: str, losses: Iterable[str]) -> dict[str, Any]:
    """
    Return the state of the UI's page of runs, as sharing it there would keep it.

    Runs are sorted by their place on the newest board; those that are not on it come last. The
    charts begin with the metric that decides and the learning curves. The UI adds a chart of
    each further metric, in sections that are named by what is before its last slash.

    Parameters
    ----------
    metric, losses
        As for `share_board`.
    """
    columns = {
        f"tags.`{VERDICT}`": 90,
        f"tags.`{metric}`": 170,
        "tags.`family`": 90,
        "metrics.`cost/fit_seconds`": 130,
        "attributes.`Description`": 420,
    }
    sections = ["scores", "test", "validation"]
    charts: list[dict[str, Any]] = [{"type": "BAR", "metricKey": metric}]
    charts += [{"type": "LINE", "metricKey": loss, **LINE} for loss in losses]
    return {
        "orderByKey": f"tags.`{RANK}`",
        "orderByAsc": True,
        "selectedColumns": list(columns),
        "columnOrder": list(columns),
        "columnWidths": columns,
        "compareRunSections": [{"uuid": name, "name": name, "display": True} for name in sections],
        # Otherwise the UI sorts the sections by name.
        "isAccordionReordered": True,
        "compareRunCharts": [
            {"uuid": chart["metricKey"], "metricSectionId": sections[0], **chart}
            for chart in charts
        ],
    }


def page(experiment: Experiment) -> str:
    """Return where the UI shows the runs of an experiment, in the shared view if there is one."""
    # Without the query MLflow opens its page for generative AI.
    place = f"#/experiments/{experiment.experiment_id}/runs?workflowType=machine_learning"
    return f"{place}&viewStateShareKey={NAME}" if TAG in experiment.tags else place
