"""
Write and read fitted scikit-learn objects through skops, without pickle.

The code and its caller decide which types are trusted, never the file itself.
"""

import importlib
import io
import json
import re
import zipfile
from collections.abc import Collection
from pathlib import Path
from typing import Any

import sklearn.utils
from sklearn.base import BaseEstimator

from pipeline.errors import UserError
from pipeline.files import ZIP_DAMAGE, check_archive, damaged, missing, write_archive
from pipeline.indices import check_indices


def _import_skops() -> Any:
    """
    Import skops without the list of estimators that it makes when it is imported.

    For that list skops imports every module of scikit-learn, and with them torch, which takes
    seconds. `_is_trusted` looks at the types at hand instead.
    """
    utils: Any = sklearn.utils
    listing = utils.all_estimators
    utils.all_estimators = list
    try:
        import skops.io

        return skops.io
    finally:
        utils.all_estimators = listing


skops = _import_skops()
UntrustedTypesFoundException = skops.exceptions.UntrustedTypesFoundException

# Files call this project KNOWN_AS. The copy that a logged model brings has another name.
KNOWN_AS, PROJECT = "pipeline", __name__.partition(".")[0]
# Estimators of these packages are trusted: scikit-learn's, as skops does, and the project's.
ESTIMATORS = ("sklearn.", *(f"{PROJECT}.{room}." for room in ("features", "models", "tasks")))
# Types that estimators are made of.
TRUSTED = {
    "collections.OrderedDict",
    "collections.defaultdict",
    "sklearn.calibration._CalibratedClassifier",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.metrics._dist_metrics.EuclideanDistance64",
    "sklearn.neighbors._ball_tree.BallTree",
    "sklearn.neighbors._kd_tree.KDTree",
    "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
    "numpy.dtype",
    "sklearn.tree._tree.Tree",
}


def dump(fitted: Any, path: Path, trusted: Collection[str] = ()) -> None:
    """
    Write a fitted object. The same object always becomes the same bytes.

    skops names objects by their address in memory and records the time. Both are
    replaced, so that DVC sees a change only where there is one.

    Parameters
    ----------
    fitted : object
        An estimator or transformer made of trusted types.
    path : Path
        File to write, ``.skops``.
    trusted : collection of str
        Full names of further types that are safe to load.

    Raises
    ------
    UserError
        When it holds a type that `load` would refuse.
    """
    content = skops.dumps(fitted)
    check_trusted(type(fitted).__name__, _list_untrusted(content, trusted), trusted)
    with zipfile.ZipFile(io.BytesIO(content)) as raw:
        schema = raw.read("schema.json").decode()
        numbers: dict[str, str] = {}

        def renumber(match: re.Match[str]) -> str:
            return match[1] + numbers.setdefault(match[2], str(len(numbers) + 1))

        # Files are named by an address, or at random by a UUID.
        name = r"(\d+(?![\w-])|[0-9a-f]{8}-[0-9a-f-]{27})"
        schema = re.sub(rf'("__id__": |"file": "|"id": ){name}', renumber, schema)
        parts = {"schema.json": schema.encode()}
        for name in raw.namelist():
            if name != "schema.json":
                stem, _, suffix = name.partition(".")
                parts[f"{numbers[stem]}.{suffix}"] = raw.read(name)
    write_archive(path, parts)


def check_trusted(holder: str, types: Collection[str], trusted: Collection[str]) -> None:
    """
    Check that types of other packages are trusted.

    Parameters
    ----------
    holder : str
        Name of the class that holds them.
    types, trusted : collection of str
        Full names.

    Raises
    ------
    UserError
        If one is not trusted. The message says how to trust it.
    """
    untrusted = sorted({*types} - {*trusted})
    if untrusted:
        consent = ", ".join(sorted({*trusted, *untrusted}))
        raise UserError(
            f"{holder} holds types that are not trusted: {', '.join(untrusted)}; "
            f"if they are safe to load, its file in conf/model/ says so: trusted: [{consent}]"
        )


def load(path: Path, trusted: Collection[str] = ()) -> Any:
    """
    Read what `dump` wrote.

    Parameters
    ----------
    path : Path
        The file.
    trusted : collection of str
        Full names of further types that are safe to load. They come from the project's
        configuration, or from the code that a logged model brings, never from the file.

    Raises
    ------
    UserError
        When the file is missing, damaged, or holds a type that is not trusted, or a tree with an
        index that is out of range.
    """
    if not path.is_file():
        raise missing(path)
    try:
        content = path.read_bytes()
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            check_archive(archive, len(content))
        content = _rename_project(content)
        safe = [name for name in _types(content) if name in trusted or _is_trusted(name)]
        try:
            loaded = skops.loads(content, trusted=safe)
        except UntrustedTypesFoundException:
            untrusted = ", ".join(_list_untrusted(content, trusted))
            raise UserError(f"{path} holds types that are not trusted: {untrusted}") from None
        check_indices(loaded)
        return loaded
    except ZIP_DAMAGE as error:
        raise damaged(path, error) from None


def _rename_project(content: bytes) -> bytes:
    """Rename the project's types in a file to the package that reads it."""
    if PROJECT == KNOWN_AS:
        return content
    renamed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as before, zipfile.ZipFile(renamed, "w") as after:
        for name in before.namelist():
            part = before.read(name)
            if name == "schema.json":
                module = rb'("__module__": ")%s(?=[."])' % KNOWN_AS.encode()
                part = re.sub(module, rb"\g<1>%s" % PROJECT.encode(), part)
            after.writestr(name, part)
    return renamed.getvalue()


def _types(content: bytes) -> set[str]:
    """Return the full names of the types that a file names."""
    names = set()

    def collect(node: dict[str, Any]) -> dict[str, Any]:
        names.add(f"{node.get('__module__')}.{node.get('__class__')}")
        return node

    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        json.loads(archive.read("schema.json"), object_hook=collect)
    return names


def _list_untrusted(content: bytes, trusted: Collection[str]) -> list[str]:
    """List the types in a file that are not trusted."""
    types = skops.get_untrusted_types(data=content)
    return [name for name in types if name not in trusted and not _is_trusted(name)]


def _is_trusted(name: str) -> bool:
    """Return whether a type is listed, or is an estimator of a trusted package."""
    if name in TRUSTED:
        return True
    module, _, attribute = name.rpartition(".")
    if not f"{module}.".startswith(ESTIMATORS):
        return False
    try:
        found = getattr(importlib.import_module(module), attribute, None)
    except ImportError:
        return False
    return isinstance(found, type) and issubclass(found, BaseEstimator)
