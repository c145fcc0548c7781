"""What a trial reports to its study, and how many threads it may have."""

import joblib
import optuna
import pytest
import threadpoolctl

from pipeline.errors import UserError
from pipeline.sweep.worker import limit_threads, make_report, reason


@pytest.fixture
def study() -> optuna.Study:
    return optuna.create_study(direction="maximize", pruner=optuna.pruners.NopPruner())


def test_a_long_curve_is_reported_at_few_steps_the_same_for_every_trial(study):
    first, second = study.ask(), study.ask()
    for trial, last in ((first, 500), (second, 100)):
        report = make_report(study, trial, {}, "some_loss", lambda: None)
        for step in range(1, last + 1):
            report(step, {"validation/some_loss": 1 / step})
    long, short = (trial.intermediate_values for trial in study.get_trials())
    assert list(long)[:6] == [1, 2, 3, 5, 8, 12]
    assert len(long) < 20
    assert short == {step: value for step, value in long.items() if step <= 100}
    # Higher is better for this study, and lower for a loss.
    assert long[8] == -0.125


def test_what_was_reported_before_an_interruption_is_not_reported_again(study):
    trial = study.ask()
    trial.report(-0.5, 1)
    counted = []
    report = make_report(study, trial, {1: -0.5}, "some_loss", lambda: counted.append(True))
    for step in (1, 2):
        report(step, {"validation/some_loss": 0.25})
    assert study.get_trials()[0].intermediate_values == {1: -0.5, 2: -0.25}
    assert len(counted) == 2


@pytest.mark.parametrize("workers", [1, 2, 64])
def test_workers_and_their_threads_keep_to_the_cores(monkeypatch, workers):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.delenv("SLURM_CPUS_PER_TASK", raising=False)
    cores = joblib.cpu_count()
    with limit_threads(workers):
        pools = [pool["num_threads"] for pool in threadpoolctl.threadpool_info()]
        asked = joblib.cpu_count()
    assert pools
    assert all(number == max(1, cores // workers) for number in [*pools, asked])


def test_fewer_threads_are_used_where_the_environment_sets_fewer(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    with limit_threads(1):
        assert {pool["num_threads"] for pool in threadpoolctl.threadpool_info()} == {1}


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("first\nsecond"), "ValueError: first"),
        (MemoryError(), "MemoryError"),
        (UserError("model.C: 3"), "model.C: 3"),
    ],
)
def test_a_reason_is_one_line(error, line):
    assert reason(error) == line
