"""What the files of conf/ and params.yaml hold, as they are."""

import re
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import yaml

from pipeline import paths
from pipeline.errors import UserError, nearest
from pipeline.paths import CONF, ROOT

try:  # several times as fast
    from yaml import CSafeLoader as SafeLoader
except ImportError:  # PyYAML was built without libyaml
    from yaml import SafeLoader  # type: ignore[assignment]

try:
    from yaml import CSafeDumper as SafeDumper
except ImportError:
    from yaml import SafeDumper  # type: ignore[assignment]

SHOWN = 40
EXPECTED = "expected keys and values"
EMPTY = f"is empty: {EXPECTED}"
PARAMS: dict[str, type] = {"tasks": list, "models": list, "seed": int, "split_seed": int}


class Loader(SafeLoader):
    """Read YAML as Hydra does: no key stands twice, and 1e-3 is a number."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """Return a mapping, or raise an error if a key stands twice in it."""
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"found duplicate key {key.value}", key.start_mark
                    )
                seen.add(key.value)
        return super().construct_mapping(node, deep)


class Dumper(SafeDumper):
    """Write YAML with quotes around texts that Hydra would read as numbers."""


for one in (Loader, Dumper):
    one.add_implicit_resolver(
        "tag:yaml.org,2002:float",
        re.compile(r"[-+]?[0-9]+(_[0-9]+)*(\.[0-9_]*)?[eE][-+]?[0-9]+$"),
        list("-+0123456789"),
    )


def params() -> dict[str, Any]:
    """
    Read params.yaml.

    Raises
    ------
    UserError
        When it is missing, is not YAML, or lacks or misspells a key.
    """
    read = read_yaml(paths.PARAMS)
    file = paths.PARAMS.name
    for key in read:
        if key not in PARAMS:
            raise UserError(f"{file}: unknown key '{key}'{nearest(str(key), PARAMS)}")
    for key, kind in PARAMS.items():
        if key not in read:
            raise UserError(f"{file}: the key '{key}' is missing")
        value: Any = read[key]
        if not isinstance(value, kind) or isinstance(value, bool):
            expected = "a list of names" if kind is list else "a whole number"
            raise UserError(f"{file}: {key}: {value!r} is not {expected}")
        if kind is list:
            _check_names(f"{file}: {key}", value)
    return read


def _check_names(where: str, names: Any) -> None:
    if not names:
        raise UserError(f"{where} is empty: name at least one")
    for name in names:
        if not isinstance(name, str):
            raise UserError(f"{where}: {name!r} is not a name")
        if names.count(name) > 1:
            raise UserError(f"{where}: '{name}' is listed twice")


def read_yaml(path: Path) -> dict[str, Any]:
    """
    Read a YAML file of keys.

    Raises
    ------
    UserError
        When it is missing, is not YAML, or holds anything but keys.
    """
    name = path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else path.as_posix()
    try:
        read = _parse(path.read_text(encoding="utf-8"))
    except yaml.MarkedYAMLError as error:
        place = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise UserError(f"{name}{place} cannot be read as YAML: {error.problem}") from None
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise UserError(f"{name} cannot be read: {' '.join(str(error).split())}") from None
    if not isinstance(read, dict):
        what = EMPTY if read is None else f"holds only {str(read)[:SHOWN]!r}: {EXPECTED}"
        raise UserError(f"{name} {what}")
    return read


def _parse(text: str) -> Any:
    try:
        return yaml.load(text, Loader)  # noqa: S506 a safe one
    except yaml.constructor.ConstructorError:
        raise
    except yaml.YAMLError:
        return yaml.safe_load(text)  # names the place of a mistake better than libyaml


def to_yaml(node: Any, flow: bool | None = False) -> str:
    """
    Write a node as YAML, so that Hydra reads what it holds.

    Parameters
    ----------
    node : dict
        Plain values.
    flow : bool, optional
        Whether to write ``{}`` and ``[]``; None does where they hold plain values only.
    """
    return yaml.dump(
        node, Dumper=Dumper, sort_keys=False, allow_unicode=True, default_flow_style=flow
    )


def options(group: str) -> list[str]:
    """List the names that a group of conf/ offers, such as its tasks."""
    return sorted(path.stem for path in (CONF / group).glob("*.yaml"))


def trusted(*models: str) -> list[str]:
    """Return the types of other packages that the files of models say are safe to load."""
    return sorted({one for model in models for one in model_file(model).get("trusted", [])})


def trusted_by(manifest: Mapping[str, Any]) -> list[str]:
    """Return the types that a trained model, or the members of an ensemble, may load."""
    return trusted(manifest["model"], *(one["model"] for one in manifest.get("members", [])))


def catalogue(task: str) -> dict[str, Any] | None:
    """
    Return what the file of a task names for recommending, if there is such a file and it does.

    It is read from here rather than from the folder of a model: what it names is run.
    """
    return _read_option("task", task).get("catalogue")


def supports(model: str, kind: str) -> bool:
    """Return whether the file of a model names an estimator for a kind of problem."""
    target = model_file(model).get("_target_")
    return not isinstance(target, dict) or kind in target


def model_file(model: str) -> dict[str, Any]:
    """
    Read a file of conf/model/ as it is; empty when there is none.

    Raises
    ------
    UserError
        When it cannot be read, or holds anything but keys.
    """
    return _read_option("model", model)


def _read_option(group: str, name: str) -> dict[str, Any]:
    """Read a file of a group. The name may come from a stranger's model, and is never a path."""
    return read_yaml(CONF / group / f"{name}.yaml") if name in options(group) else {}
