"""What a node of the configuration names by its ``_target_``: checked, then built."""

import inspect
import traceback
from collections.abc import Collection, Mapping
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, get_args, get_origin

import hydra
from hydra.errors import HydraException, InstantiationException

from pipeline.errors import UserError, nearest
from pipeline.paths import ROOT, in_checkout
from pipeline.process import importing

# The extra of this project that installs a package.
EXTRAS = {"catboost": "catboost", "interpret": "ebm", "keras": "keras", "xgboost": "xgboost"}

# What the values of a parameter may be, by its annotation.
ALLOWED: dict[Any, tuple[type, ...]] = {
    int: (int,),
    float: (int, float),
    bool: (bool,),
    str: (str,),
    Path: (str, Path),
}


def build(node: dict[str, Any]) -> Any:
    """
    Build what a node of the configuration names by its ``_target_``.

    Parameters
    ----------
    node : dict
        A parameter that is annotated as a Path gets one: relative paths start at the
        root of the project.

    Raises
    ------
    UserError
        When the target refuses a value, or fails: with its error and the line that raised it.
    """
    files = {key: ROOT / node[key] for key in path_keys(node) if node[key] is not None}
    try:
        return hydra.utils.instantiate(node | files, _convert_="all")
    except InstantiationException as error:
        cause = error.__cause__
        if isinstance(cause, UserError | OSError):
            raise cause from None
        if cause is None:
            raise UserError(f"{node['_target_']}: {' '.join(str(error).split())}") from None
        raise UserError(f"{node['_target_']} failed: {_place(cause)}") from cause


def _place(error: BaseException) -> str:
    """Return the type, the message and the line of an error in somebody's code."""
    first = (str(error).splitlines() or [""])[0]
    if isinstance(error, SyntaxError):  # which says where
        return f"SyntaxError: {first}"
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if "site-packages" not in f.filename and Path(f.filename).is_file()]
    place = f" ({Path(own[-1].filename).name}, line {own[-1].lineno})" if own else ""
    return f"{type(error).__name__}: {first}{place}"


def path_keys(node: dict[str, Any]) -> list[str]:
    """List the keys beside a ``_target_`` that name files."""
    taken = parameters(node)
    return [key for key in node if key in taken and taken[key].annotation in (Path, Path | None)]


def parameters(node: Mapping[str, Any]) -> dict[str, inspect.Parameter]:
    """Return what the ``_target_`` of a node takes."""
    return _parameters(hydra.utils.get_object(node["_target_"]))[0]


def anchor_paths(node: dict[str, Any], where: str, overridden: Collection[str]) -> dict[str, Any]:
    """
    Make paths that the command line gave independent of the working directory.

    Parameters
    ----------
    node : dict
        With a ``_target_``.
    where : str
        Its dotted place.
    overridden : collection of str
        The keys that the command line sets; their relative paths start at the working
        directory, all others at the root of the project.

    Returns
    -------
    dict
        With paths below the root relative to it, and others absolute.
    """
    anchored = dict(node)
    for key in path_keys(node):
        if f"{where}.{key}" in overridden and node[key] is not None:
            path = Path(node[key]).resolve()
            inside = path.is_relative_to(ROOT)
            anchored[key] = (path.relative_to(ROOT) if inside else path).as_posix()
    return anchored


def check_targets(node: Any, where: str) -> None:
    """
    Check every ``_target_`` below a node: it exists and takes the keys beside it.

    Parameters
    ----------
    node : dict, list or scalar
        A part of the composed configuration.
    where : str
        Its dotted place, for the error.

    Raises
    ------
    UserError
        For a target that cannot be imported, a key that it does not take
        (with the nearest that it takes), or a value of another type than its
        annotation says.
    """
    if isinstance(node, list):
        for index, item in enumerate(node):
            check_targets(item, f"{where}.{index}")
    if not isinstance(node, dict):
        return
    if "_target_" in node:
        _check_call(node, where)
    for key, value in node.items():
        check_targets(value, f"{where}.{key}")


def _check_call(node: dict[str, Any], where: str) -> None:
    try:
        with importing():
            target = hydra.utils.get_object(node["_target_"])
    except (ImportError, ValueError, AttributeError, HydraException) as error:
        raise UserError(
            f"{where}._target_: '{node['_target_']}' cannot be imported ({_describe(error)})"
        ) from None
    if not callable(target):
        raise UserError(f"{where}._target_: '{node['_target_']}' is not a class or function")
    parameters, open_ended = _parameters(target)
    for key, value in node.items():
        if key in ("_target_", "_partial_"):
            continue
        if key not in parameters:
            if open_ended and "did you mean" not in nearest(key, parameters):
                continue
            raise UserError(f"unknown key '{where}.{key}'{nearest(key, parameters)}")
        annotation = parameters[key].annotation
        kinds = set(get_args(annotation)) - {NoneType}
        if isinstance(annotation, UnionType) and value is not None and len(kinds) == 1:
            (annotation,) = kinds
        if get_origin(annotation) in (tuple, list) and not isinstance(value, list):
            raise UserError(f"{where}.{key}: {value!r} is not a list")
        allowed = ALLOWED.get(annotation)
        if allowed and (
            not isinstance(value, allowed) or (isinstance(value, bool) and annotation is not bool)
        ):
            quoted = str(value).lower() if isinstance(value, bool) else value
            hint = (
                f": for the text '{quoted}' as it is in the file, write "
                f"{where}.{key}=\"'{quoted}'\" on the command line, or quote it in YAML"
            )
            raise UserError(
                f"{where}.{key}: {value!r} is not of type {annotation.__name__}"
                f"{hint * (annotation is str and not isinstance(value, list | dict))}"
            )


def _describe(error: BaseException) -> str:
    """Return why a target cannot be imported, and what installs a package that it needs."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ModuleNotFoundError):
            package = str(cause.name).partition(".")[0]
            if package in EXTRAS:
                what = "-e '." if in_checkout() else "'bakeoff"
                install = f"pip install {what}[{EXTRAS[package]}]'"
                return f"it needs {package}, which is not installed: {install}"
        if cause.__cause__ is None and not isinstance(cause, ImportError):
            return _place(cause)
        cause = cause.__cause__
    return " ".join(str(error).split())


def _parameters(target: Any) -> tuple[dict[str, inspect.Parameter], bool]:
    """Name what a target takes, and say whether it takes other keys too."""
    calls = [target]
    if isinstance(target, type):  # which passes **kwargs on to the next in line
        calls = [vars(base)["__init__"] for base in target.__mro__[:-1] if "__init__" in vars(base)]
    known: dict[str, inspect.Parameter] = {}
    for call in calls:
        try:
            parameters = dict(inspect.signature(call).parameters)
        except ValueError:  # not written in Python
            return known, True
        parameters.pop("self", None)
        known = parameters | known
        if not any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
            return known, False
    return known, bool(calls)
