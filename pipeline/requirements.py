"""Find the installed packages that an object needs, from the types that it is made of."""

import functools
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import Distribution, distributions
from sys import builtin_module_names, stdlib_module_names
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import Any

from pipeline.paths import ROOT

PROJECT = __name__.partition(".")[0]
PLAIN = (str, bytes, int, float, bool, complex, type(None))
# The first name of the path of a module, or of what is in a package, in a list of files.
MODULE = re.compile(r"^(\w+)(?:/|\.py,|\.[^/,]*(?:so|pyd),)", re.MULTILINE)
# Objects of these packages lead to the whole of them, and to what else the process has imported.
OPAQUE = ("keras",)


def packages(thing: Any) -> set[str]:
    """
    Return the packages that define the types of an object and of everything that it holds.

    Parameters
    ----------
    thing : object
        An object such as an estimator, fitted or not.

    Returns
    -------
    set of str
        Import names such as ``sklearn``, without the standard library.
    """
    found = {module.partition(".")[0] for module in _modules(thing, {})}
    return found - set(stdlib_module_names) - set(builtin_module_names)


def _modules(thing: Any, seen: dict[int, Any]) -> Iterator[str]:
    """Yield the modules of all types in an object. `seen` keeps objects alive and ids unique."""
    if isinstance(thing, PLAIN) or id(thing) in seen:
        return
    seen[id(thing)] = thing
    if isinstance(thing, type | FunctionType | BuiltinFunctionType | MethodType):
        kinds: Iterable[Any] = thing.__mro__ if isinstance(thing, type) else [thing]
        yield from (kind.__module__ for kind in kinds if kind.__module__)
        return
    yield from (kind.__module__ for kind in type(thing).__mro__)
    if type(thing).__module__.partition(".")[0] in OPAQUE:
        return
    if isinstance(thing, functools.partial):
        yield from _modules((thing.func, thing.args, thing.keywords), seen)
    elif isinstance(thing, Mapping):
        for key, value in thing.items():
            yield from _modules(key, seen)
            yield from _modules(value, seen)
    elif isinstance(thing, list | tuple | set | frozenset):
        for item in thing:
            yield from _modules(item, seen)
    for value in getattr(thing, "__dict__", {}).values():
        yield from _modules(value, seen)


def requirements(*things: Any, always: Iterable[str] = ()) -> list[str]:
    """
    Return the installed distributions that objects need, with their versions.

    Parameters
    ----------
    *things : object
        Objects such as an estimator and a featurizer.
    always : iterable of str
        Import names of further packages.

    Returns
    -------
    list of str
        Sorted ``name==version``. Modules without a distribution, such as this project or a
        module in the user's folder, are left out.
    """
    names = set(always).union(*map(packages, things)) - {PROJECT}
    needed: dict[str, str] = {}
    for name in names:
        found = _versions(name)
        # Several distributions may provide one package. MLflow's main one requires the others.
        needed |= {name: found[name]} if name in found else found
    return sorted(f"{distribution}=={number}" for distribution, number in needed.items())


def own_modules(*things: Any) -> list[str]:
    """
    Return the modules and packages at the root of the project that objects need.

    Parameters
    ----------
    *things : object
        Objects such as an estimator and a featurizer.

    Returns
    -------
    list of str
        Sorted names of files and folders.
    """
    names: set[str] = set().union(*map(packages, things)) - {PROJECT}
    places = [place for name in names for place in (ROOT / name, ROOT / f"{name}.py")]
    return sorted(place.name for place in places if place.exists())


@functools.cache
def _versions(package: str) -> Mapping[str, str]:
    """Return the version of each distribution that provides a package."""
    return {one.name: one.version for one in providers().get(package, [])}


@functools.cache
def providers() -> Mapping[str, list[Distribution]]:
    """
    Return the installed distributions that provide each package or module.

    What `importlib.metadata.packages_distributions` finds takes a second, since it makes an object
    of each file of each distribution.
    """
    found: dict[str, list[Distribution]] = defaultdict(list)
    for one in distributions():
        names, record = one.read_text("top_level.txt"), one.read_text("RECORD")
        if names:
            provided = {*names.split()}
        elif record:
            provided = {*MODULE.findall(record)}
        else:
            provided = {file.parts[0].partition(".")[0] for file in one.files or []}
        for name in provided:
            found[name].append(one)
    return found
