"""A task written as a file says what it holds, with the comments of the file it was made from."""

import pytest
import yaml

from pipeline import task_file
from pipeline.errors import UserError
from pipeline.task_file import add_to_params, format_task, make_task


@pytest.mark.parametrize(
    ("template", "kind", "source", "settings"),
    [
        ("table", "classification", {"path": "a.csv", "label": "on", "ignore": ["b", "é: #"]}, {}),
        (
            "table",
            "classification",
            {"path": "data/a b.csv", "label": "true"},
            {"split": {"folds": 3}, "models": {"lightgbm": {"num_leaves": 7}}, "metric": "roc_auc"},
        ),
        ("table_regression", "regression", {"label": "price", "further": 1}, {"unit": "EUR"}),
        ("text_folder", "regression", {"text": "review", "label": "stars"}, {"unit": None}),
        ("image_folder", "classification", {"path": "photos"}, {"mute": ["drift"]}),
    ],
)
def test_a_file_holds_what_the_task_does(template, kind, source, settings):
    task = make_task(template, kind, source, settings)
    text = format_task("Made by a test.", template, task)

    assert yaml.safe_load(text) == task
    assert f"base/{kind}" in task["defaults"]
    assert task["source"] | source == task["source"]
    assert text.startswith("# Made by a test.\n")
    before = (task_file.CONF / "task" / f"{template}.yaml").read_text().partition("source:")[2]
    comments = [line for line in before.splitlines() if line.strip().startswith("#")]
    assert comments
    assert set(comments) <= set(text.splitlines())


def test_columns_are_written_with_their_comments():
    task = make_task("table", "classification", {"label": "on"}, {})
    text = format_task("x", "table", task, "age: number\n'no': ignore  # identifier")
    assert yaml.safe_load(text)["source"]["columns"] == {"age": "number", "no": "ignore"}
    assert "  columns:\n    age: number\n    'no': ignore  # identifier\n" in text


@pytest.mark.parametrize(
    "text",
    [
        "# the tasks\ntasks:\n  - one  # first\n  - two\nmodels:\n  - two\nseed: 0\n",
        "models:\n  - one\n  - two\ntasks:\n- one\n- two # last\n\nseed: 0\n",
        "tasks:\n  - one\n  # another\n  - two",
    ],
)
def test_a_task_is_added_and_the_rest_of_params_stays(text, tmp_path, monkeypatch):
    (tmp_path / "params.yaml").write_text(text)
    monkeypatch.setattr(task_file, "PARAMS", tmp_path / "params.yaml")

    after = add_to_params("three")

    before = yaml.safe_load(text)
    assert yaml.safe_load(after) == before | {"tasks": ["one", "two", "three"]}
    assert set(text.splitlines()) <= set(after.splitlines())
    (tmp_path / "params.yaml").write_text(after)
    assert add_to_params("three") == after


def test_a_list_in_one_line_is_left_to_the_user(tmp_path, monkeypatch):
    (tmp_path / "params.yaml").write_text("tasks: [one, two]\n")
    monkeypatch.setattr(task_file, "PARAMS", tmp_path / "params.yaml")
    with pytest.raises(UserError, match="add three to it by hand"):
        add_to_params("three")
