"""Which files of the project a module or a ``_target_`` imports, found without importing it."""

import ast
import hashlib
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from pipeline.paths import ROOT


def targets(node: Any) -> Iterator[str]:
    """Yield every ``_target_`` below a node of the configuration."""
    if isinstance(node, dict):
        if isinstance(node.get("_target_"), str):
            yield node["_target_"]
        node = list(node.values())
    if isinstance(node, list):
        for item in node:
            yield from targets(item)


def digests(names: Iterable[str]) -> dict[str, str]:
    """
    Hash the project's code that dotted names depend on.

    Parameters
    ----------
    names : iterable of str
        Dotted names of modules, classes or functions. Those of installed
        packages have no code here.

    Returns
    -------
    dict of str to str
        The MD5 of each file that importing the names would run, by its path
        below the project's root.
    """
    return {
        file.relative_to(ROOT).as_posix(): hashlib.md5(
            file.read_bytes(), usedforsecurity=False
        ).hexdigest()
        for file in sorted(closure(names))
    }


def closure(names: Iterable[str]) -> set[Path]:
    """
    Follow imports, those inside functions too, within the project.

    Parameters
    ----------
    names : iterable of str
        Dotted names of modules, classes or functions.

    Returns
    -------
    set of Path
        Files of the project. A package's ``__init__.py`` counts if it holds more
        than a docstring.
    """
    found: set[Path] = set()
    waiting = [file for name in names for file in _files(name)]
    while waiting:
        file = waiting.pop()
        if file not in found:
            found.add(file)
            waiting += [other for name in _imported(file) for other in _files(name)]
    return found


def metrics(file: Path) -> list[str]:
    """
    List the metrics of a kind of problem.

    Parameters
    ----------
    file : Path
        Its module, with functions that ``metric`` decorates. It may import those of another.
    """
    found = []
    for node in _tree(file).body:
        if isinstance(node, ast.FunctionDef) and any(
            isinstance(one, ast.Call) and isinstance(one.func, ast.Name) and one.func.id == "metric"
            for one in node.decorator_list
        ):
            found.append(node.name)
        elif isinstance(node, ast.ImportFrom):
            other = file.with_name(f"{str(node.module).rpartition('.')[2]}.py")
            theirs = metrics(other) if other.is_file() else []
            found += [alias.name for alias in node.names if alias.name in theirs]
    return found


@cache
def _files(name: str) -> tuple[Path, ...]:
    """Find the files that importing a dotted name runs, the packages above it included."""
    place, files = ROOT, []
    for part in name.split("."):
        place = place / part
        file = place / "__init__.py" if place.is_dir() else place.with_name(f"{part}.py")
        if not place.is_dir() and not file.is_file():
            break  # an attribute of the module before, or not the project's
        if file.is_file() and (file.name != "__init__.py" or _holds_code(file)):
            files.append(file)
    return tuple(files)


@cache
def _tree(file: Path) -> ast.Module:
    return ast.parse(file.read_bytes(), str(file))


def _holds_code(file: Path) -> bool:
    return any(not isinstance(node, ast.Expr) for node in _tree(file).body)


@cache
def _imported(file: Path) -> tuple[str, ...]:
    names = []
    for node in _running(_tree(file)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = file.parents[node.level - 1].relative_to(ROOT).parts if node.level else ()
            module = ".".join([*above, *filter(None, [node.module])])
            names += [f"{module}.{alias.name}" for alias in node.names]
    return tuple(names)


def _running(node: ast.AST) -> Iterator[ast.AST]:
    """Walk a tree without what only type checkers read."""
    for child in ast.iter_child_nodes(node):
        if (
            isinstance(child, ast.If)
            and isinstance(child.test, ast.Name)
            and child.test.id == "TYPE_CHECKING"
        ):
            continue
        yield child
        yield from _running(child)
