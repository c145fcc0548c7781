"""What the tests of the task faces share."""

import pytest


@pytest.fixture(scope="session")
def faces(downloaded):
    """Return the project with the photos ingested."""
    return downloaded("faces")
