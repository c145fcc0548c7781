"""Write and read fitted estimators, each in the format for its class."""

import importlib
from pathlib import Path
from typing import Any

from pipeline import storage
from pipeline.errors import UserError, nearest

PROJECT = __name__.partition(".")[0]
# Classes with a method ``save(folder, trusted)`` and a class method ``load(folder, trusted)``, by
# name, so that their modules are imported only if needed. The first that fits is taken.
OWN = {
    "recommender": f"{PROJECT}.models.neural_recommender.NeuralNetRecommender",
    "network": f"{PROJECT}.models.neural_net.TorchNetwork",
    "keras": f"{PROJECT}.models.keras_net.KerasNetwork",
    "forest": f"{PROJECT}.models.tree_files.SavesTrees",
    "lightgbm": f"{PROJECT}.models.tree_files.SavesBooster",
}
# Packages that reading a format needs, beside those that define the types of the estimator.
READING = dict.fromkeys(("network", "recommender"), ("safetensors",))
# Any other estimator is written by skops.
SKOPS, FILE = "skops", "estimator.skops"


def save(estimator: Any, folder: Path, trusted: list[str]) -> str:
    """
    Write a fitted estimator into a folder.

    Parameters
    ----------
    estimator : object
        A fitted estimator.
    folder : Path
        Folder to write into.
    trusted : list of str
        Types of other packages that are safe to load, by their full names.

    Returns
    -------
    str
        Name of the format.

    Raises
    ------
    UserError
        If it holds a type that is not trusted.
    """
    classes = [f"{one.__module__}.{one.__qualname__}" for one in type(estimator).__mro__]
    for name, own in OWN.items():
        if own in classes:
            estimator.save(folder, trusted)
            return name
    storage.dump(estimator, folder / FILE, trusted)
    return SKOPS


def load(name: str, folder: Path, trusted: list[str]) -> Any:
    """
    Read what `save` wrote.

    Raises
    ------
    UserError
        If the format is unknown, a file is damaged, or a type is not trusted.
    """
    if name == SKOPS:
        return storage.load(folder / FILE, trusted)
    if name not in OWN:
        formats = [SKOPS, *OWN]
        raise UserError(
            f"{folder}: unknown format '{name}' of an estimator{nearest(name, formats)}"
        )
    module, _, attribute = OWN[name].rpartition(".")
    return getattr(importlib.import_module(module), attribute).load(folder, trusted)
