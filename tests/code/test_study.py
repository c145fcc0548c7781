"""Who may run a trial."""

import optuna
import pytest

from pipeline.sweep.study import PLACE, claimed


@pytest.fixture
def folders(tmp_path):
    """Give two folders of locks, as of two machines."""
    for name in "ab":
        (tmp_path / name).mkdir()
        (tmp_path / name / PLACE).write_text(name)
    return tmp_path / "a", tmp_path / "b"


@pytest.fixture
def study() -> optuna.Study:
    study = optuna.create_study()
    for _ in range(2):
        study.enqueue_trial({})
    return study


def numbers(study, folder):
    with claimed(study, folder, 2, "sweep") as trial:
        return trial and trial.number


def test_an_interrupted_trial_is_gone_on_with_where_its_lock_is_seen(study, folders):
    here, elsewhere = folders
    assert numbers(study, here) == 0
    assert numbers(study, elsewhere) == 1
    assert numbers(study, here) == 0
    assert numbers(study, elsewhere) == 1


def test_a_trial_that_is_held_is_not_given_again(study, folders):
    here, _ = folders
    with claimed(study, here, 2, "one") as first, claimed(study, here, 2, "two") as second:
        assert (first.number, second.number) == (0, 1)
        assert numbers(study, here) is None
