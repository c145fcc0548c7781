"""Which process may run a trial."""

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.trial import TrialState

from pipeline.sweep.study import (
    ERROR,
    PLACE,
    SECONDS,
    Limit,
    SQLiteJournal,
    abandoned_trials,
    claim_trial,
    fail_trial,
    spent,
    trial_id,
)


@pytest.fixture
def folders(tmp_path):
    """Make two folders of locks, as of two machines."""
    for name in "ab":
        (tmp_path / name).mkdir()
        (tmp_path / name / PLACE).write_text(name)
    return tmp_path / "a", tmp_path / "b"


@pytest.fixture
def storage(tmp_path):
    return JournalStorage(SQLiteJournal(tmp_path / "journal.db"))


@pytest.fixture
def study(storage) -> optuna.Study:
    study = optuna.create_study(storage=storage)
    for _ in range(2):
        study.enqueue_trial({})
    return study


@pytest.fixture
def claim(study, storage):
    """Claim a trial as a process does that sees one of the folders."""
    return lambda folder, sweep_id="sweep": claim_trial(study, storage, folder, Limit(2), sweep_id)


def number(claim):
    with claim as trial:
        return trial and trial.number


def test_an_interrupted_trial_is_continued_where_its_lock_is_visible(claim, folders):
    here, elsewhere = folders
    assert number(claim(here)) == 0
    assert number(claim(elsewhere)) == 1
    assert number(claim(here)) == 0
    assert number(claim(elsewhere)) == 1


def test_a_trial_whose_lock_is_held_is_not_claimed_again(claim, folders):
    here, _ = folders
    with claim(here, "one") as first, claim(here, "two") as second:
        assert (first.number, second.number) == (0, 1)
        assert number(claim(here)) is None


def test_a_running_trial_whose_lock_is_free_is_abandoned_and_can_be_failed(
    study, storage, claim, folders
):
    here, _ = folders
    with claim(here, "one"):
        assert abandoned_trials(study, here, "one") == []
    (trial,) = abandoned_trials(study, here, "one")
    assert abandoned_trials(study, here, "two") == []

    fail_trial(study, storage, trial.number, "killed")

    failed = study.get_trials()[0]
    assert failed.state == TrialState.FAIL
    assert failed.user_attrs[ERROR] == "killed"
    assert abandoned_trials(study, here, "one") == []


def test_no_trial_begins_once_the_budget_is_spent_and_those_that_began_go_on(
    study, storage, folders
):
    here, _ = folders
    for _ in range(3):
        study.enqueue_trial({})

    def claimed(seconds):
        return number(claim_trial(study, storage, here, Limit(5, seconds), "sweep"))

    def spend(trial, seconds):
        storage.set_trial_user_attr(trial_id(study, storage, trial), SECONDS, seconds)

    assert claimed(10) == 0
    spend(0, 6.0)
    study.tell(0, 1.0)
    assert claimed(10) == 1
    spend(1, 5.0)  # interrupted
    assert claimed(10) == 1
    study.tell(1, state=TrialState.FAIL)
    assert claimed(10) is None
    assert claimed(11) is None
    assert claimed(11.5) == 2
    assert spent(study.get_trials()) == 11
