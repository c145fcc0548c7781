"""
A study that survives kills: any number of processes share its trials.

All trials are in the study from the start, in the state WAITING. A process that runs a trial
holds a lock on a file in the trial's folder. The operating system frees the lock however the
process ends. So a trial has to be run exactly if it is not finished and its lock is free:
nobody has to find out which process died, no trial is run twice, and the number is exact.

With a budget there are more trials than it can pay for. When the finished ones have spent it, no
further one begins, and those that began are run to their end.
"""

import json
import sqlite3
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import optuna
from filelock import FileLock, Timeout
from optuna.pruners import BasePruner, MedianPruner, NopPruner
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.storages import BaseStorage, JournalStorage
from optuna.storages.journal import BaseJournalBackend
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from pipeline import paths
from pipeline.config import schema
from pipeline.config.settings import leaves, merge, pick_settings
from pipeline.config.settling import parse_duration
from pipeline.errors import UserError, address, nearest
from pipeline.files import write_text

optuna.logging.set_verbosity(optuna.logging.WARNING)
SAMPLERS = ("tpe", "random", "grid")
PRUNERS = ("median",)
# Attributes of a study and of its trials.
SETTINGS, RUN, RECORDED = "tried", "run_id", "recorded"
PLACE, SWEEP, ROUNDS, SCORES, ERROR = "place", "sweep", "rounds", "scores", "error"
SECONDS = "seconds"
SPACE = "sweep.space."
UNFINISHED = (TrialState.WAITING, TrialState.RUNNING)
# Trials of a sweep with a budget.
MOST_TRIALS = 1000


class Limit(NamedTuple):
    """
    The end of a sweep.

    Attributes
    ----------
    n_trials : int
        Trials with this number or a higher one are not run.
    seconds : float, optional
        Seconds of fitting after which no further trial begins.
    """

    n_trials: int
    seconds: float | None = None


class SQLiteJournal(BaseJournalBackend):
    """
    The journal of Optuna's JournalStorage in a SQLite file.

    Optuna's own journal file is unreadable after a process was killed while writing, and
    its SQLite storage takes 0.2 s per trial. Here, what was committed survives any kill, and
    a line of the journal takes 0.1 ms.

    Parameters
    ----------
    path : Path
        The file. It is created when it does not exist.
    """

    def __init__(self, path: Path) -> None:
        # JournalStorage admits one thread at a time. The connection stays open, because closing
        # the last one makes SQLite clean up, which takes longer than everything else here.
        self.connection = sqlite3.connect(path, timeout=60, check_same_thread=False)
        # Readers and writers do not wait for each other, and a commit does not wait for the
        # disk. A power failure may lose the last trials; a killed process loses none.
        self.connection.execute("PRAGMA journal_mode = WAL")
        self.connection.execute("PRAGMA synchronous = NORMAL")
        with self.connection:
            self.connection.execute(
                "CREATE TABLE IF NOT EXISTS journal (id INTEGER PRIMARY KEY, log TEXT)"
            )

    def read_logs(self, log_number_from: int) -> Iterable[dict[str, Any]]:
        """Return the entries from a number on; numbers start at 0."""
        rows = self.connection.execute(
            "SELECT log FROM journal WHERE id > ? ORDER BY id", (log_number_from,)
        ).fetchall()
        return [json.loads(row[0]) for row in rows]

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Write entries in one transaction."""
        with self.connection:
            self.connection.executemany(
                "INSERT INTO journal (log) VALUES (?)", [(json.dumps(log),) for log in logs]
            )


def connect(url: str) -> BaseStorage:
    """
    Connect to the storage of studies.

    Parameters
    ----------
    url : str
        ``journal:///FILE``, or a database URL as Optuna takes it.

    Raises
    ------
    UserError
        When it cannot be reached. The message holds no password of the URL.
    """
    try:
        path = _journal(url)
        if path is None:
            return optuna.storages.get_storage(url)
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_name(f".{path.name}.lock")):
            return JournalStorage(SQLiteJournal(path))
    except Exception as error:  # drivers of databases raise their own types
        # Messages of databases may hold a password; that a driver is missing holds none.
        is_safe = _journal(url) is not None or isinstance(error, ImportError)
        reason = str(error).splitlines()[0] if is_safe and str(error) else type(error).__name__
        raise UserError(
            f"sweep.storage {address(url)} cannot be reached ({reason}): start it, or name another"
        ) from None


def load(sweep: schema.Sweep) -> optuna.Study:
    """
    Load the study of a sweep, and write nothing.

    Raises
    ------
    KeyError
        When there is none.
    UserError
        When the storage cannot be reached.
    """
    file = _journal(sweep.storage)
    if file is not None and not file.is_file():
        raise KeyError(sweep.study)
    return optuna.load_study(study_name=sweep.study, storage=connect(sweep.storage))


def _journal(url: str) -> Path | None:
    """Return the file of ``journal:///FILE``, or None for a database."""
    is_file = url.startswith(paths.JOURNAL)
    return Path("/", url.removeprefix(paths.JOURNAL)) if is_file else None


def open_study(
    cfg: schema.Train,
    settings: dict[str, Any],
    points: list[dict[str, Any]] | None,
    first: dict[str, Any],
    greater_is_better: bool,
) -> optuna.Study:
    """
    Open or create the study of a sweep, with all its trials.

    Parameters
    ----------
    cfg : schema.Train
        A checked configuration.
    settings : dict of str to plain value
        What `trial_settings` returns: trials are comparable when it is equal.
    points : list of dict, or None
        The parameters of each trial of a grid; None for a search.
    first : dict
        The parameters of the first trial of a search. Others are up to the sampler.
    greater_is_better : bool
        The direction of the deciding metric.

    Returns
    -------
    optuna.Study

    Raises
    ------
    UserError
        When the storage cannot be reached, or holds another search under this name.
    """
    storage = connect(cfg.sweep.storage)
    folder = paths.sweep_folder(cfg.sweep.study)
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".lock"):
        if not (folder / PLACE).exists():
            write_text(folder / PLACE, uuid.uuid4().hex)
        create = partial(
            optuna.create_study,
            storage=storage,
            study_name=cfg.sweep.study,
            direction=StudyDirection.MAXIMIZE if greater_is_better else StudyDirection.MINIMIZE,
            load_if_exists=True,
        )
        study = create()
        before = study.user_attrs.get(SETTINGS, settings)
        if before != settings and all_waiting(study):
            optuna.delete_study(study_name=cfg.sweep.study, storage=storage)
            study = create()
        elif before != settings:
            raise UserError(
                f"the sweep '{cfg.sweep.study}' searched something else: "
                f"{describe_difference(before, settings)}. Give this one a name: "
                f"sweep.study={cfg.sweep.study}-2"
            )
        study.set_user_attr(SETTINGS, settings)
        n_trials = limit(cfg, points).n_trials
        given = [first] if points is None else points
        for number in range(len(study.get_trials(deepcopy=False)), n_trials):
            study.enqueue_trial(given[number] if number < len(given) else {})
    return study


def all_waiting(study: optuna.Study) -> bool:
    """Return whether no trial was ever started."""
    return all(t.state == TrialState.WAITING for t in study.get_trials(deepcopy=False))


def trial_settings(
    cfg: schema.Train, ranges: Mapping[str, Any], about: Mapping[str, Any]
) -> dict[str, Any]:
    """
    Return the settings that all trials of a study share.

    Parameters
    ----------
    cfg : schema.Train
        The experiment.
    ranges : mapping
        The search space: from a key to its range as the user wrote it.
    about : mapping
        What featurize wrote about the view of the model: settings and digest of the data.

    Returns
    -------
    dict of str to plain value
        The data, the experiment without the searched keys, and the ranges under `SPACE`.
    """
    merged = merge(about["settings"], pick_settings("train", cfg))
    # The source of the data may move; their content is in the digest. How settings were found
    # that are searched now decides nothing.
    settings = {
        key: value
        for key, value in leaves(merged)
        if key not in ranges and not key.startswith(("task.source.", "model.tuned."))
    }
    space = {f"{SPACE}{key}": str(value) for key, value in ranges.items()}
    return {"data": about["digest"], **settings, **space, "sweep.sampler": cfg.sweep.sampler}


def searched_ranges(settings: Mapping[str, Any]) -> dict[str, str]:
    """Return the search space of a study from the settings of its trials."""
    return {k.removeprefix(SPACE): v for k, v in settings.items() if k.startswith(SPACE)}


def limit(cfg: schema.Train, points: list[dict[str, Any]] | None) -> Limit:
    """Return the end of the whole sweep. With a budget, `sweep.n_trials` does not count."""
    seconds = parse_duration("sweep.budget", cfg.sweep.budget)
    most = cfg.sweep.n_trials if seconds is None else MOST_TRIALS
    return Limit(most if points is None else len(points), seconds)


def begun_trials(study: optuna.Study, n_trials: int | None = None) -> list[FrozenTrial]:
    """Return the trials that have begun, of the first `n_trials`."""
    trials = study.get_trials(deepcopy=False)[:n_trials]
    return [trial for trial in trials if trial.state != TrialState.WAITING]


def spent(trials: Iterable[FrozenTrial]) -> float:
    """Return the seconds that processes have spent on trials."""
    return float(sum(trial.user_attrs.get(SECONDS, 0.0) for trial in trials))


def trials_to_run(study: optuna.Study, limit: Limit) -> list[FrozenTrial]:
    """Return the trials that have to be run, also those that a process is running."""
    trials = study.get_trials(deepcopy=False)
    in_budget = limit.seconds is None or spent(trials) < limit.seconds
    states = UNFINISHED if in_budget else (TrialState.RUNNING,)
    return [trial for trial in trials[: limit.n_trials] if trial.state in states]


def describe_difference(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Describe the first three keys whose values differ, and count the others."""
    keys = [key for key in {**before, **now} if before.get(key) != now.get(key)]
    first = [
        f"{k} was {before.get(k, 'not there')}, is {now.get(k, 'not there')}" for k in keys[:3]
    ]
    return "; ".join([*first, *([f"and {len(keys) - 3} more"] if len(keys) > 3 else [])])


def check(sweep: schema.Sweep) -> None:
    """
    Check the settings of a sweep.

    Raises
    ------
    UserError
        For a number out of range, or an unknown sampler or pruner.
    """
    if sweep.sampler not in SAMPLERS:
        raise UserError(
            f"sweep.sampler: unknown '{sweep.sampler}'{nearest(sweep.sampler, SAMPLERS)}"
        )
    if sweep.pruner is not None and sweep.pruner not in PRUNERS:
        raise UserError(f"sweep.pruner: unknown '{sweep.pruner}'{nearest(sweep.pruner, PRUNERS)}")
    for name, least in (("n_trials", 1), ("warmup", 0), ("workers", 1)):
        value = getattr(sweep, name)
        if value is not None and value < least:
            raise UserError(f"sweep.{name}: {value} is not at least {least}")
    parse_duration("sweep.budget", sweep.budget)
    if not 0 <= sweep.max_failure_rate <= 1:
        raise UserError(f"sweep.max_failure_rate: {sweep.max_failure_rate} is not between 0 and 1")


def make_sampler(name: str, seed: int, number: int) -> BaseSampler:
    """Return the sampler of a trial. It does not depend on the process that runs the trial."""
    own = int(np.random.SeedSequence([seed, number]).generate_state(1)[0])
    return TPESampler(seed=own, constant_liar=True) if name == "tpe" else RandomSampler(seed=own)


def make_pruner(sweep: schema.Sweep) -> BasePruner:
    """Return the pruner of a sweep."""
    return MedianPruner(n_warmup_steps=sweep.warmup) if sweep.pruner else NopPruner()


@contextmanager
def claim_trial(
    study: optuna.Study, storage: BaseStorage, folder: Path, limit: Limit, sweep_id: str
) -> Iterator[FrozenTrial | None]:
    """
    Claim the first trial that has to be run, and hold its lock during the block.

    Parameters
    ----------
    study : optuna.Study
        The study of the sweep.
    storage : BaseStorage
        The storage of the study.
    folder : Path
        The folder of the study.
    limit : Limit
        The end of the sweep.
    sweep_id : str
        The command that runs the trial, which is written into the study.

    Yields
    ------
    FrozenTrial or None
        The trial, now RUNNING, with the parameters and the curve that it got before it was
        interrupted. None when no trial is left.
    """
    place = (folder / PLACE).read_text()
    for trial in trials_to_run(study, limit):
        lock = trial_lock(folder, trial.number)
        if not try_lock(lock):
            continue
        try:
            key = trial_id(study, storage, trial.number)
            if _start_trial(storage, key, sweep_id, place):
                yield trial
                return
        finally:
            lock.release()
    yield None


def trial_lock(folder: Path, number: int) -> FileLock:
    """Return the lock that a process holds while it runs a trial."""
    place = folder / str(number)
    place.mkdir(parents=True, exist_ok=True)
    return FileLock(place / ".lock")


def try_lock(lock: FileLock) -> bool:
    """Acquire a lock if it is free, and return whether it was."""
    try:
        lock.acquire(blocking=False)
    except Timeout:
        return False
    return True


def _start_trial(storage: BaseStorage, key: int, sweep_id: str, place: str) -> bool:
    """Set a trial RUNNING whose lock is held; return False when it must not be run here."""
    found = storage.get_trial(key)
    if found.state.is_finished():
        return False
    # The locks in a folder of another machine are not visible here.
    if found.state == TrialState.RUNNING and found.user_attrs.get(PLACE, place) != place:
        return False
    if found.state == TrialState.WAITING and not storage.set_trial_state_values(
        key, TrialState.RUNNING
    ):
        return False
    storage.set_trial_user_attr(key, PLACE, place)
    storage.set_trial_user_attr(key, SWEEP, sweep_id)
    return True


def trial_id(study: optuna.Study, storage: BaseStorage, number: int) -> int:
    """Return the id of a trial in the storage of its study, which Optuna's trials keep private."""
    study_id = storage.get_study_id_from_name(study.study_name)
    return storage.get_trial_id_from_study_id_trial_number(study_id, number)


def fail_trial(study: optuna.Study, storage: BaseStorage, number: int, reason: str) -> None:
    """End a running trial whose process died."""
    storage.set_trial_user_attr(trial_id(study, storage, number), ERROR, reason)
    study.tell(number, state=TrialState.FAIL)


def abandoned_trials(study: optuna.Study, folder: Path, sweep_id: str) -> list[FrozenTrial]:
    """Return the trials of this command whose process died."""
    found = []
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        if trial.user_attrs.get(SWEEP) != sweep_id:
            continue
        lock = trial_lock(folder, trial.number)
        if try_lock(lock):
            lock.release()
            found.append(trial)
    return found
