"""What messages say, and what they must not."""

import pytest

from pipeline.errors import address


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://user:s@cret@host:5432/runs", "postgresql://host:5432/runs"),
        ("http://user:secret@host/path", "http://host/path"),
        ("https://host", "https://host"),
        ("sqlite:////home/me/mlflow.db", "sqlite:////home/me/mlflow.db"),
        ("journal:///home/me/sweeps", "journal:///home/me/sweeps"),
    ],
)
def test_an_address_holds_no_password(url, expected):
    assert address(url) == expected
