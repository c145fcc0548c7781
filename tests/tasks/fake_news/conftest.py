"""What the tests of the task fake_news share."""

import pytest


@pytest.fixture(scope="session")
def fake_news(downloaded):
    """Return the project with the pairs of the Fake News Challenge ingested."""
    return downloaded("fake_news")
