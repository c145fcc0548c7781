"""Errors of Hydra and OmegaConf in a line that names the nearest right key."""

import dataclasses
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import hydra
import yaml
from hydra.core.hydra_config import HydraConfig
from hydra.errors import (
    ConfigCompositionException,
    MissingConfigException,
    OverrideParseException,
)
from omegaconf import OmegaConf
from omegaconf.errors import ConfigKeyError, MissingMandatoryValue, OmegaConfBaseException

from pipeline.config.conf import EMPTY, options, read_yaml
from pipeline.config.schema import SCHEMAS
from pipeline.errors import UserError, nearest
from pipeline.paths import CONF, ROOT

NO_CHOICE = "a group such as task= or model= takes the name of a file"


def describe_error(error: Exception, stage: str) -> str:
    """
    Describe an error of Hydra or OmegaConf in one line that names the nearest right key.

    Parameters
    ----------
    error : Exception
        Raised while a stage's settings were composed.
    stage : str
        A key of `SCHEMAS`.
    """
    text = str(error)
    if isinstance(error, UserError):
        return text
    if isinstance(error, OverrideParseException):
        return (
            f"'{error.override}' is not an override: expected key=value, quoted for the shell; "
            "a value with brackets, = or ? needs quotes of its own: 'key=\"value\"'"
        )
    if text.startswith("Invalid loaded object type"):  # Hydra names no file, or another one
        return _unreadable() or text.splitlines()[0]
    absent = re.search(r"Could not find '(.+?)/(.*)'", text)
    if isinstance(error, MissingConfigException) and absent:
        group, choice = absent.groups()
        if group == "architecture" and "/" in choice:  # composed for each task and model
            group, choice = "model", choice.partition("/")[2]
        return f"unknown {group} '{choice}'{nearest(choice, options(group))}"
    if isinstance(error, ConfigCompositionException) and text.startswith("Could not override"):
        wrong = text.split("'")[1]
        if wrong == "sweep":
            return "a search space is added with a plus: +sweep=<model>"
        known = _keys(stage)
        key = getattr(_caught(error, OmegaConfBaseException), "full_key", None) or wrong
        above, _, last = key.rpartition(".")
        if above in known and not any(name.startswith(f"{above}.") for name in known):
            return f"{above} has no key '{last}' yet: +{key}=... adds it"
        if wrong in known:
            return f"'{wrong}' is not a key of every choice in the sweep"
        return f"unknown key '{wrong}'{nearest(wrong, known)}"
    broken = _broken_yaml(error)
    if broken is not None:
        return broken
    cause = _caught(error, OmegaConfBaseException) or error
    file = re.match(r"In '(.+?)':|Invalid defaults list in '(.+?)'", text)
    where = f"conf/{file[1] or file[2]}.yaml: " if file else ""
    unread = re.search(r"Could not load '(.+)'", text)
    if isinstance(error, MissingConfigException) and unread:
        return f"{where}there is no conf/{unread[1]}.yaml"
    key = getattr(cause, "full_key", None)
    if isinstance(cause, MissingMandatoryValue) and key:
        if not str(key).startswith("task."):
            return f"{key} has no value"
        task = HydraConfig.get().runtime.choices.task
        return f"conf/task/{task}.yaml: the key '{str(key).removeprefix('task.')}' is missing"
    if key == "_dummy_":  # a default such as ${task}/${model}
        return NO_CHOICE
    if isinstance(cause, RecursionError):
        return "conf/: the defaults of a file lead back to the file itself"
    if isinstance(cause, ConfigKeyError) and key:
        above = str(key).rpartition(".")[0]
        known = [name for name, _ in _fields(SCHEMAS[stage]) if name.rpartition(".")[0] == above]
        return f"{where}unknown key '{key}'{nearest(str(key), known)}"
    message = (str(cause).splitlines() or [type(cause).__name__])[0]
    if "Config group override" in message:  # so Hydra refuses `task=null`
        return NO_CHOICE
    unlike = re.match(r".* is not a subclass of (\w+).*\. value: .*", message)
    if unlike and not key:
        places = [
            place
            for place, kind in _fields(SCHEMAS[stage])
            if getattr(kind, "__name__", "") == unlike[1]
        ]
        key = " or ".join(places)
    if not where and not key:
        return _unreadable() or message
    for pattern, words in WORDS.items():
        message = re.sub(pattern, words, message)
    return f"{where}{key}: {message}" if key else f"{where}{message}"


# What OmegaConf says of values, and what is said instead.
WORDS = {
    r".* is not a subclass of .*\. value: (.*)": r"expected keys and values, not \1",
    r"Cannot assign \w+ to Dict.*|.* is incompatible with .*Dict.*": "expected keys and values",
    r"Cannot merge DictConfig with ListConfig": "there is a list in place of keys and values",
    r".* is not a ListConfig, list or tuple\.": "expected a list, as in [a, b]",
    r"Cannot convert '\w+' to string: '(.*)'": r"expected a text, not \1",
    r"field '.*' is not Optional|Incompatible value 'None' for .*": "a value is needed, not null",
    r"Value (.*) of type '\w+' could not be converted to Integer": r"\1 is not a whole number",
    r"Value (.*) of type '\w+' could not be converted to Float": r"\1 is not a number",
}
T = TypeVar("T", bound=BaseException)


def _caught(error: BaseException | None, kind: type[T]) -> T | None:
    """Find what led to an error, of some kind."""
    while error is not None and not isinstance(error, kind):
        error = error.__cause__ or error.__context__
    return error


def _broken_yaml(error: BaseException) -> str | None:
    """Name the file and line of YAML that cannot be parsed, if that is what an error is about."""
    broken = _caught(error, yaml.MarkedYAMLError)
    if broken is None or broken.problem_mark is None:
        return None
    file = Path(broken.problem_mark.name)
    name = file.relative_to(ROOT) if file.is_relative_to(ROOT) else file
    return f"{name}, line {broken.problem_mark.line + 1} cannot be read as YAML: {broken.problem}"


def _unreadable() -> str | None:
    """Describe the first file of conf/ that cannot be composed, where Hydra names none."""
    for path in sorted(CONF.rglob("*.yaml")):
        try:
            read: dict[Any, Any] = read_yaml(path)
        except UserError as wrong:
            if not str(wrong).endswith(EMPTY):  # which Hydra can read
                return str(wrong)
            continue
        name = f"conf/{path.relative_to(CONF).as_posix()}"
        for key in read:
            if not isinstance(key, str):
                return f"{name}: the key {key} is not a name"
        for base in read.get("defaults") or []:
            if not isinstance(base, str | dict):
                return f"{name}: defaults: {base!r} is not a name"
    return None


def _fields(schema: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every dotted key of a schema with its type."""
    for field in dataclasses.fields(schema):
        yield f"{prefix}{field.name}", field.type
        if dataclasses.is_dataclass(field.type):
            yield from _fields(field.type, f"{prefix}{field.name}.")


def _keys(stage: str) -> list[str]:
    """List every key and group that this command line could have named."""
    groups = [path.name for path in CONF.iterdir() if path.is_dir()]
    choices = [
        argument
        for argument in sys.argv[1:]
        if argument.partition("=")[0] in groups and "," not in argument
    ]
    with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
        composed = hydra.compose(stage, choices)
    return [*groups, *dict(_dotted(OmegaConf.to_container(composed, resolve=False)))]


def _dotted(node: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(node, dict):
        for key, value in node.items():
            yield f"{prefix}{key}", value
            yield from _dotted(value, f"{prefix}{key}.")
