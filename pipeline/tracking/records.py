"""Record runs: on disk at once, and in the tracking store by a thread."""

import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mlflow import MlflowClient

from pipeline.errors import UserError, address
from pipeline.paths import spool_folder
from pipeline.tracking import orphans, store
from pipeline.tracking.git import revision
from pipeline.tracking.journal import BUNDLE, Journal, abandoned
from pipeline.tracking.orphans import process_tags
from pipeline.tracking.runs import Run, code_tags
from pipeline.tracking.sender import Sender

# What is logged is sent after so many seconds, and at the end.
SEND_SECONDS = 5.0
# How long a command waits for a store that gets no further, in the end and after Ctrl-C.
PATIENCE, HURRY = 10.0, 2.0
# The tag `kind` of a run that compares the models of a task.
COMPARISON = "comparison"
NO_ANSWER = "it does not answer"
REMEDY = "; tracking.required=false works without it and sends it later"


class Recording:
    """
    Runs that are recorded together, and those that earlier processes left in the spool.

    A thread alone talks to the store, so that neither a store that is silent nor one that is gone
    holds up the work.

    Parameters
    ----------
    uri : str
        URI of the store.
    required : bool
        Whether no work is begun without the store.
    """

    def __init__(self, uri: str, required: bool) -> None:
        self.uri = uri
        self.required = required
        self.client: MlflowClient | None = None
        self.reason: str | None = None
        self.left = [Sender(journal, is_new=False) for journal in abandoned(uri)]
        self.mine: list[Sender] = []
        # The experiments in which runs of processes that were killed are ended.
        self.cleared: set[str] = set()
        self.is_over = self.has_ended = False
        self.wake = threading.Event()
        self.news = threading.Condition()
        threading.Thread(target=self._work, daemon=True).start()
        self._wait(lambda: self.client is not None or self.reason is not None, PATIENCE)
        if required and self.client is None:
            self._end()
            raise UserError(f"{self.reason or self._address + ': ' + NO_ANSWER}{REMEDY}")

    @contextmanager
    def start_run(
        self,
        root: Path,
        experiment: str,
        name: str,
        settings: Mapping[str, Any],
        tags: Mapping[str, str],
        trained: str | None = None,
    ) -> Iterator[Run]:
        """
        Start a run, and end it with its true status when the block ends.

        Parameters
        ----------
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
        trained : str, optional
            Digest of a model that was trained before. If the store then has the run that trained
            it, no other is created.

        Yields
        ------
        Run
            The run. Its status becomes FINISHED; KILLED after Ctrl-C or SIGTERM; FAILED after an
            exception.

        Raises
        ------
        UserError
            When the store takes no run and is required.
        """
        code = revision(root)
        about = {"experiment": experiment, "name": name, "tags": code_tags(code) | dict(tags)}
        if trained is not None:
            about["trained"] = trained
        run = self._open(**about)
        with self._ended(run):
            self._check_started(run)
            run.log_settings(root, settings, code)
            yield run

    @contextmanager
    def continue_run(self, experiment: str, run_id: str) -> Iterator[Run]:
        """Go on with a run that the store has, and end it as `start_run` does."""
        run = self.open_run(experiment, run_id)
        with self._ended(run):
            run.begin_again({})
            yield run

    def open_run(self, experiment: str, run_id: str) -> Run:
        """Return a run that the store has, to log more into it."""
        return self._open(experiment=experiment, run=run_id)

    def begin_run(self, experiment: str, name: str, tags: Mapping[str, str], start: int) -> Run:
        """Return a new run of this process, which began at a time in milliseconds."""
        of_run = dict(tags) | process_tags()
        return self._open(experiment=experiment, name=name, tags=of_run, start=start)

    def release(self, run: Run) -> None:
        """Log no more into a run, whose journal can go once it is sent."""
        run.sender.is_released = True

    @contextmanager
    def _ended(self, run: Run) -> Iterator[None]:
        status = "FAILED"
        try:
            yield
            status = "FINISHED"
        except (KeyboardInterrupt, SystemExit):
            status = "KILLED"
            raise
        finally:
            run.end(status)
            self.wake.set()

    def find_run(self, experiment: str, digest: str) -> tuple[Run, dict[str, float]] | None:
        """
        Find the run that trained a model, to log more into it.

        Parameters
        ----------
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

        None is returned when neither the store nor the spool has such a run.

        Raises
        ------
        UserError
            When the store fails.
        """
        for sender in self.left:
            journal = sender.journal
            if journal.status == "FINISHED" and journal.tags().get(BUNDLE) == digest:
                return Run(sender), journal.metrics()
        if self.client is None:
            return None
        with store.reword_errors(self.uri):
            experiment_id = store.experiment_id(self.client, self.uri, experiment)
            found = store.find_trained(self.client, experiment_id, digest)
        if found is None:
            return None
        return self.open_run(experiment, found.info.run_id), found.data.metrics

    def count_comparisons(self, experiment: str, data: str) -> int | None:
        """
        Count the comparisons that were recorded on the same data, and so looked at its test.

        Parameters
        ----------
        experiment : str
            Name of the MLflow experiment.
        data : str
            Digest of the data.

        Returns
        -------
        int or None
            The number, or None without a store.

        Raises
        ------
        UserError
            When the store fails.
        """
        if self.client is None:
            return None
        with store.reword_errors(self.uri):
            experiment_id = store.experiment_id(self.client, self.uri, experiment)
            of_data = f"tags.kind = '{COMPARISON}' and tags.data = '{data}'"
            found = self.client.search_runs([experiment_id], of_data, max_results=store.MOST_RUNS)
        return len(found)

    def finish(self, patience: float) -> int:
        """
        Wait while the store takes what it lacks, and say what it did not take.

        Parameters
        ----------
        patience : float
            Seconds to wait for a store that gets no further.

        Returns
        -------
        int
            The number of runs that are kept in the spool.
        """
        self._end()
        self._wait(lambda: self.has_ended, patience)
        kept = [one for one in (*self.mine, *self.left) if one.journal.is_due]
        if kept:
            runs = "1 run" if len(kept) == 1 else f"{len(kept)} runs"
            print(
                f"{self._address} does not have all of {runs} ({self._why(kept)}): "
                f"kept in {spool_folder().name}/, sent by the next run or by "
                "python -m pipeline.tracking.sync",
                file=sys.stderr,
            )
        return len(kept)

    def _end(self) -> None:
        self.is_over = True
        self.wake.set()

    def _open(self, **head: Any) -> Run:
        sender = Sender(Journal.create(self.uri, **head), is_new="run" not in head)
        self.mine.append(sender)
        return Run(sender)

    def _check_started(self, run: Run) -> None:
        """Wait until the store has a run, unless it is neither there nor required."""
        if self.client is None:
            return
        self.wake.set()
        one = run.sender
        self._wait(lambda: bool(one.run_id or one.error or self.reason), PATIENCE)
        if self.required and one.run_id is None:
            one.journal.is_wanted = False
            if isinstance(one.error, UserError):
                raise one.error
            raise UserError(f"{self._address} takes no run ({self._why([one])}){REMEDY}")

    def _why(self, kept: list[Sender]) -> str:
        errors = [store.reason(one.error, self.uri) for one in kept if one.error is not None]
        return next(filter(None, (self.reason, *errors)), NO_ANSWER)

    @property
    def _address(self) -> str:
        return f"the tracking store {address(self.uri)}"

    def _wait(self, is_done: Callable[[], bool], patience: float) -> None:
        """Wait until something is done, or the store gets no further for too long."""
        with self.news:
            sent = self._sent()
            while not self.news.wait_for(is_done, patience):
                if self._sent() == sent and not store.answers(self.uri):
                    return
                sent = self._sent()

    def _sent(self) -> int:
        return sum(one.journal.sent for one in (*self.mine, *self.left))

    def _work(self) -> None:
        """Send what is logged until it is over, and then leave what could not be sent."""
        is_last = False
        while not is_last:
            is_last = self.is_over
            reason = None
            try:
                self._send()
            except Exception as error:  # whatever it is, the work goes on without the store
                reason = store.reason(error, self.uri)
            if is_last:
                for one in (*self.mine, *self.left):
                    one.journal.leave()
            with self.news:
                self.reason, self.has_ended = reason, is_last
                self.news.notify_all()
            if not is_last:
                self.wake.wait(SEND_SECONDS)
                self.wake.clear()

    def _send(self) -> None:
        """Send what the store lacks. A run that it does not take does not hold up the others."""
        client = self.client or store.connect(self.uri)
        for one in (*self.mine, *self.left):
            one.error = None
            try:
                self._end_orphans(client, one.journal.head["experiment"])
                one.send(client, self.uri)
            except Exception as error:
                one.error = error
                client.search_experiments(max_results=1)  # raises if it is not this run's fault
            with self.news:
                self.news.notify_all()
        self.client = client
        for one in [one for one in self.mine if one.is_released and not one.journal.is_due]:
            self.mine.remove(one)
            one.journal.leave()

    def _end_orphans(self, client: MlflowClient, experiment: str) -> None:
        if experiment not in self.cleared:
            orphans.end(client, store.experiment_id(client, self.uri, experiment))
            self.cleared.add(experiment)


@contextmanager
def recording(uri: str, required: bool = True) -> Iterator[Recording]:
    """
    Record runs while the block runs.

    Parameters
    ----------
    uri : str
        URI of the store.
    required : bool, default=True
        Whether no work is begun without the store. Work that has begun goes on without it.

    Yields
    ------
    Recording

    Raises
    ------
    UserError
        When the store cannot be reached and is required.
    """
    one = Recording(uri, required)
    patience = PATIENCE
    try:
        yield one
    except (KeyboardInterrupt, SystemExit):
        patience = HURRY
        raise
    finally:
        one.finish(patience)
