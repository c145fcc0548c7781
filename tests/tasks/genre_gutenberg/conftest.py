"""What the tests of the task genre_gutenberg share."""

import pytest


@pytest.fixture(scope="session")
def gutenberg(downloaded):
    """Return the project with the books ingested."""
    return downloaded("genre_gutenberg")
