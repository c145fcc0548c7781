"""How a command takes what a launcher of Hydra's returns."""

import pytest
from hydra.core.utils import JobReturn, JobStatus

from pipeline import command  # noqa: F401 it changes what Hydra says of a job that failed


def test_the_error_of_a_job_is_raised_as_it_is_without_a_word(capfd):
    error = ValueError("of the worker")
    failed = JobReturn(_return_value=error, status=JobStatus.FAILED)
    with pytest.raises(ValueError, match="of the worker") as raised:
        _ = failed.return_value
    assert raised.value is error
    done = JobReturn(_return_value=3, status=JobStatus.COMPLETED)
    assert done.return_value == 3
    assert capfd.readouterr() == ("", "")
