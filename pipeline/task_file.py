"""The file of a task, made from that of a form of data such as conf/task/table.yaml."""

from collections.abc import Mapping
from typing import Any

import yaml

from pipeline.config.conf import read_yaml, to_yaml
from pipeline.config.settings import merge
from pipeline.errors import UserError
from pipeline.paths import CONF, PARAMS

BASE = "base/classification"


def make_task(
    template: str, kind: str, source: Mapping[str, Any], settings: Mapping[str, Any]
) -> dict[str, Any]:
    """
    Return what the file of a task holds.

    Parameters
    ----------
    template : str
        The task of conf/task/ to begin with.
    kind : str
        Kind of problem.
    source : mapping
        Keys of its source that are set otherwise.
    settings : mapping
        Further keys of the task.
    """
    node = read_yaml(CONF / "task" / f"{template}.yaml")
    bases = [f"base/{kind}" if base == BASE else base for base in node["defaults"]]
    return merge(merge(node, {"defaults": bases, "source": source}), settings)


def format_task(title: str, template: str, task: Mapping[str, Any], columns: str = "") -> str:
    """
    Format a task as its file, with the comments of the file that it was made from.

    Parameters
    ----------
    title : str
        Comment of the first line.
    template : str
        The task of conf/task/ that it was made from.
    task : mapping
        As `make_task` returns it.
    columns : str, optional
        Lines of YAML for ``task.source.columns``.
    """
    lines = (CONF / "task" / f"{template}.yaml").read_text(encoding="utf-8").splitlines()
    first = lines.index("source:") + 1
    size = next((n for n, line in enumerate(lines[first:]) if not line.startswith(" ")), None)
    end = len(lines) if size is None else first + size
    bases = [f"  - {base}" for base in task["defaults"]]
    source = _set_lines([line[2:] for line in lines[first:end]], task["source"])
    if columns:
        place = next(n for n, line in enumerate(source) if line.startswith("columns:"))
        source[place : place + 1] = ["columns:", *(f"  {line}" for line in columns.splitlines())]
    others = {key: value for key, value in task.items() if key not in ("defaults", "source")}
    written = [f"# {title}", "defaults:", *bases, "", "source:", *[f"  {line}" for line in source]]
    return "\n".join([*written, *_set_lines(lines[end:], others, "")]) + "\n"


def _set_lines(lines: list[str], values: Mapping[str, Any], *between: str) -> list[str]:
    """Set the values of keys in lines of YAML, and add the keys that are not there."""
    left, written = dict(values), []
    replaced = False
    for line in lines:
        key = line.partition(":")[0]
        replaced = key in left or (replaced and line.startswith(" "))
        if key in left:
            written += _entry(key, left.pop(key))
        elif not replaced:
            written.append(line)
    for key, value in left.items():
        written += [*between, *_entry(key, value)]
    return written


def _entry(key: str, value: Any) -> list[str]:
    """Return the lines of a key; lists of plain values take one."""
    return to_yaml({key: value}, None if isinstance(value, list) else False).splitlines()


def add_to_params(task: str) -> str:
    """
    Return params.yaml with a further task, and everything else as it is.

    Raises
    ------
    UserError
        If its list of tasks is written so that no line can be added.
    """
    text = PARAMS.read_text(encoding="utf-8")
    before = yaml.safe_load(text)
    if task in before["tasks"]:
        return text
    lines = f"{text.rstrip()}\n".splitlines(keepends=True)
    last = f"- {before['tasks'][-1]}"
    places = [number for number, line in enumerate(lines) if line.split("#")[0].strip() == last]
    for number in places:
        added = lines[number][: lines[number].index("-")] + f"- {task}\n"
        after = "".join([*lines[: number + 1], added, *lines[number + 1 :]])
        if yaml.safe_load(after) == before | {"tasks": [*before["tasks"], task]}:
            return after
    raise UserError(f"{PARAMS.name}: no line can be added to tasks: add {task} to it by hand")
