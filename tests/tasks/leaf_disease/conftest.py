"""What the tests of the task leaf_disease share."""

import pytest


@pytest.fixture(scope="session")
def leaf_disease(downloaded):
    """Return the project with the photos of leaves ingested."""
    return downloaded("leaf_disease")
