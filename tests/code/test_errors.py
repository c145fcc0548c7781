"""What messages say, and what they must not."""

import pytest

from pipeline.errors import UserError, address, one_line


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


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("a\nb", r"a\nb"),
        ("a\r\tb\x00", r"a\r\tb\x00"),
        ("a\u2028b\x85", r"a\u2028b\x85"),
        ("größe 1\u202f000 [m²] 👩‍🔬", "größe 1\u202f000 [m²] 👩‍🔬"),
    ],
)
def test_a_message_is_one_line_whatever_is_named(name, said):
    assert one_line(f"column '{name}'") == f"column '{said}'"
    assert str(UserError(f"column '{name}'")) == f"column '{said}'"
