"""What the tests of the task turbofan share."""

import pytest


@pytest.fixture(scope="session")
def turbofan(downloaded):
    """Return the project with the turbofan engines ingested."""
    return downloaded("turbofan")
