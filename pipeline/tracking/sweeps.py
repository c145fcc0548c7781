"""A sweep in MLflow: one run for the sweep, and one nested run per trial."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag

from pipeline.tracking import store
from pipeline.tracking.orphans import process_tags
from pipeline.tracking.records import recording
from pipeline.tracking.runs import Run

NUMBER = "trial"
STATE = "trial.state"
ENDED = {"complete": "FINISHED", "pruned": "KILLED", "failed": "FAILED"}


class TrialRuns:
    """
    The runs of the trials of a sweep, open for writing.

    Parameters
    ----------
    client : MlflowClient
        A client of the store.
    sweep : str
        The run of the sweep.
    experiment_id : str
        The MLflow experiment of the trials' runs.
    loss : str
        The loss whose values on validation are the curves of the trials.
    """

    def __init__(self, client: MlflowClient, sweep: str, experiment_id: str, loss: str) -> None:
        self.client = client
        self.sweep = sweep
        self.experiment_id = experiment_id
        self.loss = f"curve/validation/{loss}"
        of_this_sweep = f"tags.`mlflow.parentRunId` = '{sweep}'"
        found = client.search_runs([experiment_id], of_this_sweep, max_results=store.MOST_RUNS)
        self.trials = {int(run.data.tags[NUMBER]): run.info.run_id for run in found}
        self.ended = {int(run.data.tags[NUMBER]) for run in found if run.data.tags[STATE] in ENDED}
        self.steps: dict[int, set[int]] = {}

    def start_trial(
        self,
        number: int,
        name: str,
        params: Mapping[str, Any],
        tags: Mapping[str, str],
        start: datetime,
    ) -> None:
        """Start the run of a trial, or restart it after the trial was interrupted."""
        if number in self.trials:
            run_id = self.trials[number]
            points = self.client.get_metric_history(run_id, self.loss)
            self.steps[number] = {point.step for point in points}
            self.client.update_run(run_id, "RUNNING")
            for key, value in process_tags().items():
                self.client.set_tag(run_id, key, value)
            return
        all_tags = {
            **tags,
            **process_tags(),
            "mlflow.parentRunId": self.sweep,
            NUMBER: str(number),
            STATE: "running",
        }
        created = self.client.create_run(
            self.experiment_id, int(start.timestamp() * 1000), all_tags, name
        )
        self.trials[number] = created.info.run_id
        self.steps[number] = set()
        self.client.log_batch(
            created.info.run_id, params=[Param(key, str(value)) for key, value in params.items()]
        )

    def _new_points(self, number: int, curve: Mapping[int, float], now: datetime) -> list[Metric]:
        """Return the points of a trial's curve that its run does not have."""
        new = [step for step in curve if step not in self.steps[number]]
        self.steps[number].update(new)
        stamp = int(now.timestamp() * 1000)
        return [Metric(self.loss, curve[step], stamp, step) for step in new]

    def update_trial(self, number: int, curve: Mapping[int, float]) -> None:
        """Log the new points of the curve of a running trial."""
        points = self._new_points(number, curve, datetime.now())
        if points:
            self.client.log_batch(self.trials[number], metrics=points)

    def end_trial(
        self,
        number: int,
        state: str,
        curve: Mapping[int, float],
        scores: Mapping[str, float],
        tags: Mapping[str, str],
        end: datetime,
    ) -> None:
        """
        End the run of a trial.

        Parameters
        ----------
        number : int
            Number of the trial.
        state : str
            ``complete``, ``pruned``, ``failed`` or ``interrupted``, which becomes a tag. The
            status of the run becomes FINISHED, KILLED, FAILED or KILLED.
        curve : mapping of int to float
            Loss on validation by step.
        scores : mapping of str to float
            Metrics under their full names.
        tags : mapping of str to str
            Further tags.
        end : datetime
            When the trial ended.
        """
        run_id, stamp = self.trials[number], int(end.timestamp() * 1000)
        metrics = self._new_points(number, curve, end)
        metrics += [Metric(name, value, stamp, 0) for name, value in scores.items()]
        run_tags = [RunTag(key, value) for key, value in {STATE: state, **tags}.items()]
        self.client.log_batch(run_id, metrics=metrics, tags=run_tags)
        self.client.set_terminated(run_id, ENDED.get(state, "KILLED"), stamp)
        self.ended.add(number)


@contextmanager
def sweep_run(
    uri: str,
    root: Path,
    experiment: str,
    name: str,
    settings: Mapping[str, Any],
    tags: Mapping[str, str],
    run_id: str | None,
    loss: str,
) -> Iterator[tuple[Run, TrialRuns]]:
    """
    Start the run of a sweep, or restart the one that it has.

    Parameters
    ----------
    uri : str
        URI of the store.
    root, experiment, name, settings, tags
        As for `Recording.start_run`.
    run_id : str or None
        The run that the sweep had when it was interrupted. A new one is started when the
        store does not have it.
    loss : str
        As for `TrialRuns`.

    Yields
    ------
    run : Run
        The run of the sweep. Its status at the end is the true one.
    trials : TrialRuns
        The runs of its trials.

    Raises
    ------
    UserError
        When the store cannot be reached, or fails.
    """
    client = store.connect(uri)
    with store.reword_errors(uri), recording(uri) as records:
        experiment_id = store.experiment_id(client, uri, experiment)
        if run_id is not None and store.has_run(client, run_id):
            run_of_sweep = records.continue_run(experiment, run_id)
        else:
            run_of_sweep = records.start_run(root, experiment, name, settings, tags)
        with run_of_sweep as run:
            yield run, TrialRuns(client, run.id, experiment_id, loss)
