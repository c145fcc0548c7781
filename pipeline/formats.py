"""How fitted estimators are kept in a folder."""

import importlib
from pathlib import Path
from typing import Any

from pipeline import storage
from pipeline.errors import UserError, nearest

PROJECT = __name__.partition(".")[0]
# Classes that write themselves with ``save(folder)`` and are read by the class method
# ``load(folder)``. Their modules are imported when they are needed.
OWN = {"network": f"{PROJECT}.models.neural_net.NeuralNet"}
# Any other estimator is a file of skops.
SKOPS, FILE = "skops", "estimator.skops"


def save(estimator: Any, folder: Path, trusted: list[str]) -> str:
    """
    Write a fitted estimator into a folder.

    Parameters
    ----------
    estimator : object
        Fitted.
    folder : Path
        Where to.
    trusted : list of str
        Types of other packages that are safe to load, by their full names.

    Returns
    -------
    str
        The name of the format.

    Raises
    ------
    UserError
        When it holds a type that is not trusted.
    """
    classes = [f"{one.__module__}.{one.__qualname__}" for one in type(estimator).__mro__]
    for name, own in OWN.items():
        if own in classes:
            estimator.save(folder)
            return name
    storage.dump(estimator, folder / FILE, trusted)
    return SKOPS


def load(name: str, folder: Path, trusted: list[str]) -> Any:
    """
    Read what `save` wrote.

    Raises
    ------
    UserError
        When the format is unknown, a file is damaged, or a type is not trusted.
    """
    if name == SKOPS:
        return storage.load(folder / FILE, trusted)
    if name not in OWN:
        known = [SKOPS, *OWN]
        raise UserError(f"{folder}: unknown format '{name}' of an estimator{nearest(name, known)}")
    module, _, attribute = OWN[name].rpartition(".")
    return getattr(importlib.import_module(module), attribute).load(folder)
