"""A sweep in MLflow: one run for it, and one nested below for each of its trials."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag
from mlflow.exceptions import MlflowException

from pipeline.tracking import store
from pipeline.tracking.runs import Run, ending, process, started

NUMBER = "trial"
STATE = "trial.state"
ENDED = {"complete": "FINISHED", "pruned": "KILLED", "failed": "FAILED"}
MOST_TRIALS = 50_000


class SweepRun(Run):
    """
    The run of a sweep, open for writing, with those of its trials.

    Parameters
    ----------
    client, uri, run_id
        As for `Run`.
    experiment_id : str
        Where the trials' runs are made.
    loss : str
        The loss whose values on validation are the trials' curves.
    """

    def __init__(
        self, client: MlflowClient, uri: str, run_id: str, experiment_id: str, loss: str
    ) -> None:
        super().__init__(client, uri, run_id)
        self.experiment_id = experiment_id
        self.loss = f"curve/validation/{loss}"
        below = f"tags.`mlflow.parentRunId` = '{run_id}'"
        found = client.search_runs([experiment_id], below, max_results=MOST_TRIALS)
        self.trials = {int(run.data.tags[NUMBER]): run.info.run_id for run in found}
        self.ended = {int(run.data.tags[NUMBER]) for run in found if run.data.tags[STATE] in ENDED}
        self.steps: dict[int, set[int]] = {}

    def begin(
        self,
        number: int,
        name: str,
        params: Mapping[str, Any],
        tags: Mapping[str, str],
        start: datetime,
    ) -> None:
        """Make the run of a trial, or open it again where the trial was interrupted."""
        if number in self.trials:
            run_id = self.trials[number]
            points = self.client.get_metric_history(run_id, self.loss)
            self.steps[number] = {point.step for point in points}
            self.client.update_run(run_id, "RUNNING")
            for key, value in process().items():
                self.client.set_tag(run_id, key, value)
            return
        facts = {
            **tags,
            **process(),
            "mlflow.parentRunId": self.id,
            NUMBER: str(number),
            STATE: "running",
        }
        created = self.client.create_run(
            self.experiment_id, int(start.timestamp() * 1000), facts, name
        )
        self.trials[number] = created.info.run_id
        self.steps[number] = set()
        self.client.log_batch(
            created.info.run_id, params=[Param(key, str(value)) for key, value in params.items()]
        )

    def points(self, number: int, curve: Mapping[int, float], now: datetime) -> list[Metric]:
        """Give the points of a trial's curve that its run lacks."""
        new = [step for step in curve if step not in self.steps[number]]
        self.steps[number].update(new)
        stamp = int(now.timestamp() * 1000)
        return [Metric(self.loss, curve[step], stamp, step) for step in new]

    def advance(self, number: int, curve: Mapping[int, float]) -> None:
        """Write what a running trial's curve has got."""
        points = self.points(number, curve, datetime.now())
        if points:
            self.client.log_batch(self.trials[number], metrics=points)

    def end(
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
            The trial.
        state : str
            ``complete``, ``pruned``, ``failed`` or ``interrupted``: a tag; the run's status is
            FINISHED, KILLED, FAILED or KILLED.
        curve : mapping of int to float
            Loss on validation by step.
        scores : mapping of str to float
            Metrics under their full names.
        tags : mapping of str to str
            What else is to be said.
        end : datetime
            When it ended.
        """
        run_id, stamp = self.trials[number], int(end.timestamp() * 1000)
        metrics = self.points(number, curve, end)
        metrics += [Metric(name, value, stamp, 0) for name, value in scores.items()]
        told = {STATE: state, **tags}
        self.client.log_batch(
            run_id, metrics=metrics, tags=[RunTag(key, value) for key, value in told.items()]
        )
        self.client.set_terminated(run_id, ENDED.get(state, "KILLED"), stamp)
        self.ended.add(number)

    def tags(self, values: Mapping[str, str]) -> None:
        """Write tags of the sweep's own run."""
        self.client.log_batch(self.id, tags=[RunTag(key, value) for key, value in values.items()])


@contextmanager
def sweeping(
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
    Start the run of a sweep, or open the one that it has.

    Parameters
    ----------
    uri, root, experiment, name, settings, tags
        As for `started`.
    run_id : str or None
        The run that the sweep had when it was interrupted. One that the store
        lacks is made anew.
    loss : str
        As for `SweepRun`.

    Yields
    ------
    SweepRun
        With a true status at the end, as by `started`.
    """
    with store.told():
        client = store.connect(uri)
        found = _found(client, run_id) if run_id else None
        if found is None:
            with started(uri, root, experiment, name, settings, tags) as run:
                home = store.experiment(client, uri, experiment)
                yield SweepRun(client, uri, run.id, home, loss)
            return
        client.update_run(found.info.run_id, "RUNNING")
        for key, value in process().items():
            client.set_tag(found.info.run_id, key, value)
        again = SweepRun(client, uri, found.info.run_id, found.info.experiment_id, loss)
        with ending(again):
            yield again


def _found(client: MlflowClient, run_id: str) -> Any:
    try:
        found = client.get_run(run_id)
    except MlflowException:
        return None
    return found if found.info.lifecycle_stage == "active" else None
