"""Find the installed packages that an object needs, from the types that it is made of."""

import functools
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import packages_distributions, version
from sys import builtin_module_names, stdlib_module_names
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import Any

from pipeline.paths import ROOT

PROJECT = __name__.partition(".")[0]
PLAIN = (str, bytes, int, float, bool, complex, type(None))
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
    provided = _distributions()
    needed: set[str] = set()
    for name in names:
        # Several distributions may provide one package. MLflow's main one requires the others.
        found = provided.get(name, [])
        needed.update([name] if name in found else found)
    return sorted(f"{distribution}=={version(distribution)}" for distribution in needed)


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
def _distributions() -> Mapping[str, list[str]]:
    return packages_distributions()
