"""Which installed packages an object is made of, read from its types."""

import functools
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import packages_distributions, version
from sys import builtin_module_names, stdlib_module_names
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import Any

PROJECT = __name__.partition(".")[0]
PLAIN = (str, bytes, int, float, bool, complex, type(None))


def packages(thing: Any) -> set[str]:
    """
    List the packages that define the types of an object and of all that it holds.

    Parameters
    ----------
    thing : object
        Such as an estimator, fitted or not.

    Returns
    -------
    set of str
        Names as they are imported, such as ``sklearn``; the standard library is left out.
    """
    found = {module.partition(".")[0] for module in _modules(thing, {})}
    return found - set(stdlib_module_names) - set(builtin_module_names)


def _modules(thing: Any, seen: dict[int, Any]) -> Iterator[str]:
    """Walk an object; `seen` keeps what was met, so that no address is given anew."""
    if isinstance(thing, PLAIN) or id(thing) in seen:
        return
    seen[id(thing)] = thing
    if isinstance(thing, type | FunctionType | BuiltinFunctionType | MethodType):
        kinds: Iterable[Any] = thing.__mro__ if isinstance(thing, type) else [thing]
        yield from (kind.__module__ for kind in kinds if kind.__module__)
        return
    yield from (kind.__module__ for kind in type(thing).__mro__)
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
    State the installed distributions that objects need, with their versions.

    Parameters
    ----------
    *things : object
        Such as an estimator and a featurizer.
    always : iterable of str
        Further packages, by the name that they are imported by.

    Returns
    -------
    list of str
        ``name==version``, sorted. What no distribution provides, such as this project
        itself or a module in the user's own folder, is left out.
    """
    names = set(always).union(*map(packages, things)) - {PROJECT}
    provided = _distributions()
    needed: set[str] = set()
    for name in names:
        # Parts of a distribution, which it requires itself, may share its package: MLflow's do.
        found = provided.get(name, [])
        needed.update([name] if name in found else found)
    return sorted(f"{distribution}=={version(distribution)}" for distribution in needed)


@functools.cache
def _distributions() -> Mapping[str, list[str]]:
    return packages_distributions()
