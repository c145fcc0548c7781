"""A sweep in MLflow: one run for the sweep, and one nested run per trial."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag
from mlflow.exceptions import MlflowException

from pipeline.tracking import store
from pipeline.tracking.runs import Run, end_run, process_tags, start_run

NUMBER = "trial"
STATE = "trial.state"
ENDED = {"complete": "FINISHED", "pruned": "KILLED", "failed": "FAILED"}
MOST_TRIALS = 50_000


class SweepRun(Run):
    """
    The run of a sweep, with the runs of its trials, open for writing.

    Parameters
    ----------
    client, uri, run_id
        As for `Run`.
    experiment_id : str
        The MLflow experiment of the trials' runs.
    loss : str
        The loss whose values on validation are the curves of the trials.
    """

    def __init__(
        self, client: MlflowClient, uri: str, run_id: str, experiment_id: str, loss: str
    ) -> None:
        super().__init__(client, uri, run_id)
        self.experiment_id = experiment_id
        self.loss = f"curve/validation/{loss}"
        of_this_sweep = f"tags.`mlflow.parentRunId` = '{run_id}'"
        found = client.search_runs([experiment_id], of_this_sweep, max_results=MOST_TRIALS)
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
            "mlflow.parentRunId": self.id,
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

    def log_tags(self, values: Mapping[str, str]) -> None:
        """Log tags of the sweep's own run."""
        self.client.log_batch(self.id, tags=[RunTag(key, value) for key, value in values.items()])


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
) -> Iterator[SweepRun]:
    """
    Start the run of a sweep, or restart the one that it has.

    Parameters
    ----------
    uri, root, experiment, name, settings, tags
        As for `start_run`.
    run_id : str or None
        The run that the sweep had when it was interrupted. A new one is started when the
        store does not have it.
    loss : str
        As for `SweepRun`.

    Yields
    ------
    SweepRun
        The run. Its status at the end is the true one, as with `start_run`.
    """
    with store.reword_errors():
        client = store.connect(uri)
        found = _find_active_run(client, run_id) if run_id else None
        if found is None:
            with start_run(uri, root, experiment, name, settings, tags) as run:
                experiment_id = store.experiment_id(client, uri, experiment)
                yield SweepRun(client, uri, run.id, experiment_id, loss)
            return
        client.update_run(found.info.run_id, "RUNNING")
        for key, value in process_tags().items():
            client.set_tag(found.info.run_id, key, value)
        run = SweepRun(client, uri, found.info.run_id, found.info.experiment_id, loss)
        with end_run(run):
            yield run


def _find_active_run(client: MlflowClient, run_id: str) -> Any:
    try:
        found = client.get_run(run_id)
    except MlflowException:
        return None
    return found if found.info.lifecycle_stage == "active" else None
