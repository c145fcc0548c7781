"""How fitted estimators are kept in a folder: a module per format, imported when it is needed."""

import importlib
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.errors import UserError, nearest

PROJECT = __name__.partition(".")[0]


class Format(NamedTuple):
    """
    A way to keep an estimator.

    Attributes
    ----------
    module : str
        Has ``save(estimator, folder, trusted)`` and ``load(folder, trusted)``.
    kind : str
        The class whose instances it keeps, those of classes derived from it among them.
    """

    module: str
    kind: str


# The first that fits is taken.
FORMATS = {
    "network": Format(f"{PROJECT}.formats.network", f"{PROJECT}.models.neural_net.NeuralNet"),
    "skops": Format(f"{PROJECT}.formats.skops", "builtins.object"),
}


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
    kinds = [f"{kind.__module__}.{kind.__qualname__}" for kind in type(estimator).__mro__]
    name = next(name for name, form in FORMATS.items() if form.kind in kinds)
    importlib.import_module(FORMATS[name].module).save(estimator, folder, trusted)
    return name


def load(name: str, folder: Path, trusted: list[str]) -> Any:
    """
    Read what `save` wrote.

    Raises
    ------
    UserError
        When the format is unknown, a file is damaged, or a type is not trusted.
    """
    if name not in FORMATS:
        raise UserError(
            f"{folder}: unknown format '{name}' of an estimator{nearest(name, FORMATS)}"
        )
    return importlib.import_module(FORMATS[name].module).load(folder, trusted)
