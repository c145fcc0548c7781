"""What the tests of the task breast_ultrasound share."""

import pytest


@pytest.fixture(scope="session")
def breast_ultrasound(downloaded):
    """Return the project with the images ingested."""
    return downloaded("breast_ultrasound")
