"""How a sweep takes what its launcher returns."""

import pytest
from hydra.core.utils import JobReturn, JobStatus

from pipeline.sweep.search import check_job


def test_the_error_of_a_worker_is_raised_as_it_is_without_a_word(capfd):
    error = ValueError("of the worker")
    with pytest.raises(ValueError, match="of the worker") as raised:
        check_job(JobReturn(_return_value=error, status=JobStatus.FAILED))
    assert raised.value is error
    check_job(JobReturn(status=JobStatus.COMPLETED))
    assert capfd.readouterr() == ("", "")
