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


COMMENTED = """\
models:
  # the first
  baseline: {}  # nothing yet

  # the second
  lightgbm:
    rate: 1  # low

    # deep
    leaves: 2  # two

  # the third
  forest:
    net:
      sizes:
        - 1
        - 2  # wide
  # the last
  neural: {}
"""


@pytest.mark.parametrize(
    ("model", "values", "old", "new"),
    [
        (
            "baseline",
            {"x": 1},
            "baseline: {}  # nothing yet\n",
            "baseline:     # nothing yet\n    x: 1\n",
        ),
        ("lightgbm", {"rate": 3}, "rate: 1  # low", "rate: 3  # low"),
        ("lightgbm", {"leaves": 3}, "leaves: 2  # two", "leaves: 3  # two"),
        ("lightgbm", {"depth": 3}, "leaves: 2  # two\n", "leaves: 2  # two\n    depth: 3\n"),
        ("forest", {"net.lr": 3}, "- 2  # wide\n", "- 2  # wide\n      lr: 3\n"),
        ("neural", {"x": None}, "neural: {}\n", "neural:\n    x: null\n"),
    ],
)
def test_comments_stay_where_they_are(model, values, old, new):
    done = adopted(COMMENTED, model, [], {f"model.{key}": value for key, value in values.items()})
    assert COMMENTED.count(old) == 1
    assert done == COMMENTED.replace(old, new)


def test_the_comment_after_what_goes_stays():
    done = adopted(COMMENTED, "lightgbm", ["model.leaves"], {})
    assert done == COMMENTED.replace("    leaves: 2  # two\n", "")


@pytest.mark.parametrize("path", sorted((ROOT / "conf/task").glob("*.yaml")), ids=lambda p: p.stem)
def test_no_file_of_the_project_changes_by_being_written(path):
    text = path.read_text(encoding="utf-8")
    assert adopted(text, "baseline", [], {}) == text
