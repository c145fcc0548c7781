"""
A study that survives: any number of processes share its trials, and may be killed.

Every trial wanted is there from the start, waiting. A process that runs one holds a lock
on a file of the trial's folder, which the operating system frees however the process ends.
So a trial is to be done exactly if it is not finished and its lock is free: nobody has to
find out who died, and no trial is done twice or is one too many.
"""

import json
import sqlite3
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

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
from pipeline.config import composition, schema
from pipeline.errors import UserError, address, nearest
from pipeline.files import write_text

optuna.logging.set_verbosity(optuna.logging.WARNING)
SAMPLERS = ("tpe", "random", "grid")
PRUNERS = ("median",)
TRIED, RUN, RECORDED = "tried", "run_id", "recorded"
PLACE, SWEEP, SCORES, ERROR = "place", "sweep", "scores", "error"
SPACE = "sweep.space."
UNFINISHED = (TrialState.WAITING, TrialState.RUNNING)


class SQLiteJournal(BaseJournalBackend):
    """
    The journal of Optuna's JournalStorage in a SQLite file.

    Optuna's own journal file cannot be read any more once a process was killed
    while it wrote, and its SQLite storage takes 0.2 s a trial. SQLite keeps
    what was committed whatever is killed, and a line of journal takes it 0.1 ms.

    Parameters
    ----------
    path : Path
        The file, made when it is new.
    """

    def __init__(self, path: Path) -> None:
        # JournalStorage lets one thread in at a time. The connection stays open: closing the
        # last one makes SQLite tidy up, which takes longer than all else here.
        self.connection = sqlite3.connect(path, timeout=60, check_same_thread=False)
        # Readers and writers do not wait for each other, nor a commit for the disk: a machine
        # that loses power may lose the last trials, a process that is killed loses none.
        self.connection.execute("PRAGMA journal_mode = WAL")
        self.connection.execute("PRAGMA synchronous = NORMAL")
        with self.connection:
            self.connection.execute(
                "CREATE TABLE IF NOT EXISTS journal (id INTEGER PRIMARY KEY, log TEXT)"
            )

    def read_logs(self, log_number_from: int) -> Iterable[dict[str, Any]]:
        """Read what was written from a number on; numbers start at 0."""
        rows = self.connection.execute(
            "SELECT log FROM journal WHERE id > ? ORDER BY id", (log_number_from,)
        ).fetchall()
        return [json.loads(row[0]) for row in rows]

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Write some entries, all or none."""
        with self.connection:
            self.connection.executemany(
                "INSERT INTO journal (log) VALUES (?)", [(json.dumps(log),) for log in logs]
            )


def connect(url: str) -> BaseStorage:
    """
    Reach the storage of studies.

    Parameters
    ----------
    url : str
        ``journal:///FILE``, or a database URL as Optuna takes it.

    Raises
    ------
    UserError
        When it cannot be reached. A password in the URL is not told.
    """
    try:
        if not url.startswith(paths.JOURNAL):
            return optuna.storages.get_storage(url)
        path = Path("/", url.removeprefix(paths.JOURNAL))
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_name(f".{path.name}.lock")):
            return JournalStorage(SQLiteJournal(path))
    except Exception as error:  # whatever the database's driver raises
        # Messages of databases may hold a password; a driver that is missing is told.
        told = url.startswith(paths.JOURNAL) or isinstance(error, ImportError)
        reason = str(error).splitlines()[0] if told and str(error) else type(error).__name__
        raise UserError(
            f"sweep.storage {address(url)} cannot be reached ({reason}): start it, or name another"
        ) from None


def opened(
    cfg: schema.Train,
    tried: dict[str, Any],
    points: list[dict[str, Any]] | None,
    greater_is_better: bool,
) -> optuna.Study:
    """
    Open the study of a sweep, made when it is new, with a trial for each one wanted.

    Parameters
    ----------
    cfg : schema.Train
        A checked configuration.
    tried : dict of str to plain value
        What makes one trial comparable with another: the experiment less what
        is searched, and the space.
    points : list of dict, or None
        Values of each trial where they are known beforehand, as in a grid.
    greater_is_better : bool
        The direction of the metric that decides.

    Returns
    -------
    optuna.Study

    Raises
    ------
    UserError
        When the storage cannot be reached, or holds another search under this name.
    """
    folder = paths.sweep_folder(cfg.sweep.study)
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".lock"):
        if not (folder / PLACE).exists():
            write_text(folder / PLACE, uuid.uuid4().hex)
        storage = connect(cfg.sweep.storage)
        create = partial(
            optuna.create_study,
            storage=storage,
            study_name=cfg.sweep.study,
            direction=StudyDirection.MAXIMIZE if greater_is_better else StudyDirection.MINIMIZE,
            load_if_exists=True,
        )
        study = create()
        before = study.user_attrs.get(TRIED, tried)
        if before != tried and untouched(study):
            optuna.delete_study(study_name=cfg.sweep.study, storage=storage)
            study = create()
        elif before != tried:
            raise UserError(
                f"the sweep '{cfg.sweep.study}' searched something else: "
                f"{difference(before, tried)}. Give this one a name: "
                f"sweep.study={cfg.sweep.study}-2"
            )
        study.set_user_attr(TRIED, tried)
        for number in range(len(study.get_trials(deepcopy=False)), wanted(cfg, points)):
            study.enqueue_trial(points[number] if points is not None else {})
    return study


def untouched(study: optuna.Study) -> bool:
    """Say whether no trial was ever begun."""
    return all(t.state == TrialState.WAITING for t in study.get_trials(deepcopy=False))


def tried(cfg: schema.Train, ranges: Mapping[str, Any], about: Mapping[str, Any]) -> dict[str, Any]:
    """
    Say what makes one trial comparable with another.

    Parameters
    ----------
    cfg : schema.Train
        The experiment.
    ranges : mapping
        The space, from a key to what is written for it.
    about : mapping
        What featurize wrote about the model's view: settings and digest of the data.

    Returns
    -------
    dict of str to plain value
        The data, the experiment less what is searched, and under `SPACE` the space.
    """
    used = composition.merged(about["settings"], composition.settings("train", cfg))
    # Where the data came from may move; what was read of it is in the digest.
    settings = {
        key: value
        for key, value in composition.leaves(used)
        if key not in ranges and not key.startswith("task.source.")
    }
    space = {f"{SPACE}{key}": str(value) for key, value in ranges.items()}
    return {"data": about["digest"], **settings, **space, "sweep.sampler": cfg.sweep.sampler}


def ranges_of(tried: Mapping[str, Any]) -> dict[str, str]:
    """Read the space of a study out of what `tried` gave."""
    return {k.removeprefix(SPACE): v for k, v in tried.items() if k.startswith(SPACE)}


def wanted(cfg: schema.Train, points: list[dict[str, Any]] | None) -> int:
    """Count the trials that there shall be in all."""
    return cfg.sweep.n_trials if points is None else len(points)


def difference(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Tell the first three keys whose values are not the same, and how many more there are."""
    keys = [key for key in {**before, **now} if before.get(key) != now.get(key)]
    told = [f"{k} was {before.get(k, 'not there')}, is {now.get(k, 'not there')}" for k in keys[:3]]
    return "; ".join([*told, *([f"and {len(keys) - 3} more"] if len(keys) > 3 else [])])


def check(sweep: schema.Sweep) -> None:
    """
    Check how a sweep shall go.

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
    if not 0 <= sweep.max_failure_rate <= 1:
        raise UserError(f"sweep.max_failure_rate: {sweep.max_failure_rate} is not between 0 and 1")


def sampler(name: str, seed: int, number: int) -> BaseSampler:
    """Give what chooses the values of a trial, the same whichever process runs it."""
    own = int(np.random.SeedSequence([seed, number]).generate_state(1)[0])
    return TPESampler(seed=own, constant_liar=True) if name == "tpe" else RandomSampler(seed=own)


def pruner(sweep: schema.Sweep) -> BasePruner:
    """Give what ends hopeless trials."""
    return MedianPruner(n_warmup_steps=sweep.warmup) if sweep.pruner else NopPruner()


@contextmanager
def claimed(
    study: optuna.Study, folder: Path, n_trials: int, sweep_id: str
) -> Iterator[FrozenTrial | None]:
    """
    Take the first trial that is to be done, and hold it.

    Parameters
    ----------
    study : optuna.Study
        With its trials waiting.
    folder : Path
        Of the study.
    n_trials : int
        Trials of this number and above are left alone.
    sweep_id : str
        The command that asks; recorded with the trial.

    Yields
    ------
    FrozenTrial or None
        RUNNING, with the values it had if it was interrupted before; None when
        no trial is left.
    """
    for known in study.get_trials(deepcopy=False, states=UNFINISHED):
        if known.number >= n_trials:
            continue
        lock = lock_of(folder, known.number)
        if not taken(lock):
            continue
        try:
            if _began(study, known._trial_id, sweep_id, (folder / PLACE).read_text()):
                yield known
                return
        finally:
            lock.release()
    yield None


def lock_of(folder: Path, number: int) -> FileLock:
    """Give the lock that whoever runs a trial holds."""
    place = folder / str(number)
    place.mkdir(parents=True, exist_ok=True)
    return FileLock(place / ".lock")


def taken(lock: FileLock) -> bool:
    """Take a lock if it is free, and say whether it was."""
    try:
        lock.acquire(blocking=False)
    except Timeout:
        return False
    return True


def _began(study: optuna.Study, trial_id: int, sweep_id: str, place: str) -> bool:
    """Set a trial RUNNING whose lock is held; say whether it was to be done."""
    storage = study._storage
    found = storage.get_trial(trial_id)
    if found.state.is_finished():
        return False
    # The locks of another folder, perhaps of another machine, are not seen here.
    if found.state == TrialState.RUNNING and found.user_attrs.get(PLACE, place) != place:
        return False
    if found.state == TrialState.WAITING and not storage.set_trial_state_values(
        trial_id, TrialState.RUNNING
    ):
        return False
    storage.set_trial_user_attr(trial_id, PLACE, place)
    storage.set_trial_user_attr(trial_id, SWEEP, sweep_id)
    return True


def fail(study: optuna.Study, trial: FrozenTrial, reason: str) -> None:
    """End a trial whose process cannot."""
    study._storage.set_trial_user_attr(trial._trial_id, ERROR, reason)
    study._storage.set_trial_state_values(trial._trial_id, TrialState.FAIL)


def abandoned(study: optuna.Study, folder: Path, sweep_id: str) -> list[FrozenTrial]:
    """List the trials of this command whose process has died."""
    found = []
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        if trial.user_attrs.get(SWEEP) != sweep_id:
            continue
        lock = lock_of(folder, trial.number)
        if taken(lock):
            lock.release()
            found.append(trial)
    return found
