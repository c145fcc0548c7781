"""A sweep in MLflow: one run for the sweep, and one nested run per trial."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from mlflow import MlflowClient

from pipeline.tracking import store
from pipeline.tracking.records import Recording, recording
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
    records : Recording
        Where the runs are recorded.
    sweep : Run
        The run of the sweep.
    experiment : str
        The MLflow experiment of the runs.
    loss : str
        The loss whose values on validation are the curves of the trials.
    """

    def __init__(
        self, client: MlflowClient, records: Recording, sweep: Run, experiment: str, loss: str
    ) -> None:
        self.client = client
        self.records = records
        self.sweep = sweep
        self.experiment = experiment
        self.loss = f"curve/validation/{loss}"
        of_this_sweep = f"tags.`mlflow.parentRunId` = '{sweep.id}'"
        experiment_id = store.experiment_id(client, records.uri, experiment)
        found = client.search_runs([experiment_id], of_this_sweep, max_results=store.MOST_RUNS)
        self.known = {int(run.data.tags[NUMBER]): run.info.run_id for run in found}
        self.ended = {int(run.data.tags[NUMBER]) for run in found if run.data.tags[STATE] in ENDED}
        self.steps: dict[int, set[int]] = {}
        self.trials: dict[int, Run] = {}

    def start_trial(
        self,
        number: int,
        name: str,
        params: Mapping[str, Any],
        tags: Mapping[str, str],
        start: datetime,
    ) -> None:
        """Start the run of a trial, or restart it after the trial was interrupted."""
        of_trial = {**tags, NUMBER: str(number), STATE: "running"}
        if number in self.known:
            run = self.records.open_run(self.experiment, self.known[number])
            run.begin_again(of_trial)
            points = self.client.get_metric_history(self.known[number], self.loss)
        else:
            of_trial["mlflow.parentRunId"] = self.sweep.id
            run = self.records.begin_run(self.experiment, name, of_trial, _milliseconds(start))
            points = []
        run.log_params(params)
        self.trials[number] = run
        self.steps[number] = {point.step for point in points}

    def update_trial(self, number: int, curve: Mapping[int, float], now: datetime) -> None:
        """Log the new points of the curve of a trial."""
        for step in sorted(curve.keys() - self.steps[number]):
            self.trials[number].log_metrics({self.loss: curve[step]}, step, _milliseconds(now))
        self.steps[number].update(curve)

    def end_trial(
        self,
        number: int,
        state: str,
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
        scores : mapping of str to float
            Metrics under their full names.
        tags : mapping of str to str
            Further tags.
        end : datetime
            When the trial ended.
        """
        run = self.trials.pop(number)
        run.log_metrics(scores, 0, _milliseconds(end))
        run.log_tags({STATE: state, **tags})
        run.end(ENDED.get(state, "KILLED"), _milliseconds(end))
        self.records.release(run)
        self.ended.add(number)


def _milliseconds(time: datetime) -> int:
    return int(time.timestamp() * 1000)


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
        if run_id is not None and store.has_run(client, run_id):
            run_of_sweep = records.continue_run(experiment, run_id)
        else:
            run_of_sweep = records.start_run(root, experiment, name, settings, tags)
        with run_of_sweep as run:
            yield run, TrialRuns(client, records, run, experiment, loss)
