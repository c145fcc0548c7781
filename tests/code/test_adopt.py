"""Settings are taken into a task's file, and nothing else of it changes."""

from pathlib import Path

import pytest

from pipeline.adopt import adopted

ROOT = Path(__file__).resolve().parents[2]
FILE = """\
# A question?
source:
  path: ${root:}/data  # where
metrics: [a, 'b', "c"]
threshold: null
share: 0.10

models:
  # the first
  baseline: {}
  lightgbm: {num_leaves: 7}
"""


def test_values_are_added_and_comments_order_and_quotes_stay():
    done = adopted(FILE, "baseline", ["model.x"], {"model.x": 0.1 + 0.2, "seed": 3})
    assert done == FILE.replace("  baseline: {}\n", "  baseline:\n    x: 0.30000000000000004\n")


def test_what_was_searched_and_has_no_value_now_goes_and_the_rest_stays():
    once = adopted(FILE, "baseline", ["model.a", "model.b.c"], {"model.a": 1, "model.b.c": [2]})
    assert "  baseline:\n    a: 1\n    b:\n      c:\n" in once
    again = adopted(once, "baseline", ["model.a", "model.b.c"], {"model.a": None})
    assert again == FILE.replace("  baseline: {}\n", "  baseline:\n    a: null\n")


@pytest.mark.parametrize("path", sorted((ROOT / "conf/task").glob("*.yaml")), ids=lambda p: p.stem)
def test_no_file_of_the_project_changes_by_being_written(path):
    text = path.read_text(encoding="utf-8")
    assert adopted(text, "baseline", [], {}) == text
