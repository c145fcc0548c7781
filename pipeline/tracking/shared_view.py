"""The newest board of a task in MLflow's UI: its runs are marked, and a shared view lists them."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from mlflow.entities import Experiment, RunTag

from pipeline.tracking import store
from pipeline.tracking.runs import BUNDLE, MOST_RUNS

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
    uri: str,
    experiment: str,
    metric: str,
    scores: Mapping[str, str],
    verdicts: Mapping[str, str],
    losses: Iterable[str],
) -> None:
    """
    Mark the runs of a board, take the marks from those of older boards, and share a view.

    Parameters
    ----------
    uri : str
        URI of the store.
    experiment : str
        Name of the MLflow experiment.
    metric : str
        Name of the metric, in the runs, that decides.
    scores : mapping of str to str
        By the id of each run, best first, its score with the interval. It becomes a tag that
        has the name of the metric.
    verdicts : mapping of str to str
        By the id of each run ``take``, ``contender`` or nothing.
    losses : iterable of str
        Names of the metrics that are the learning curves to show.

    Raises
    ------
    UserError
        When the store cannot be reached.
    """
    client = store.connect(uri)
    experiment_id = store.experiment_id(client, uri, experiment)
    # A run that recorded no trained model may have a tag of that name from somebody else.
    marked = f"tags.{RANK} LIKE '%' and tags.{BUNDLE} LIKE '%'"
    for run in client.search_runs([experiment_id], marked, max_results=MOST_RUNS):
        if run.info.run_id not in scores:
            for name in {RANK, VERDICT} & run.data.tags.keys():
                client.delete_tag(run.info.run_id, name)
    for place, (run_id, score) in enumerate(scores.items(), start=1):
        # MLflow sorts tags as texts.
        tags = {RANK: f"{place:02}", VERDICT: verdicts[run_id], metric: score}
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
