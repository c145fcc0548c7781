"""
Write and read trained models: a folder per model, with one manifest that describes it.

The folder holds nothing that depends on the time or on the place of the project. Training again
with the same settings on the same data writes the same bytes. Costs are in the run.
"""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline import formats, storage
from pipeline.errors import ModelError, UserError
from pipeline.files import damaged, read_json, sha256, write_json
from pipeline.requirements import requirements

MANIFEST, FEATURIZER = "bundle.json", "featurizer.skops"
VERSION = 1
TRAINED, FAILED = "trained", "failed"
# Packages that predicting needs with any model.
SERVING = ("mlflow", "numpy", "pandas", "sklearn", "skops")
KEYS = {
    "status": str,
    "kind": str,
    "task": str,
    "model": str,
    "family": str,
    "view": str,
    "data": dict,
    "settings": dict,
    "curve": list,
}
# Further keys if the training did not fail.
KEYS_TRAINED = {
    "inputs": dict,
    "may_miss": bool,
    "example": list,
    "target": dict,
    "outputs": dict,
    "decision": dict,
    "scores": dict,
    "estimator": dict,
    "requirements": list,
    "files": dict,
}


def write(
    folder: Path,
    entries: Mapping[str, Any],
    estimator: Any,
    featurizer: Path,
    trusted: list[str],
) -> dict[str, Any]:
    """
    Write a trained model.

    Parameters
    ----------
    folder : Path
        An empty folder.
    entries : mapping
        The other entries of the manifest: see `KEYS` and `KEYS_TRAINED`.
    estimator : object
        A fitted estimator.
    featurizer : Path
        File of the fitted featurizer.
    trusted : list of str
        Types of other packages that are safe to load, by their full names.

    Returns
    -------
    dict
        The manifest.

    Raises
    ------
    ModelError
        If the estimator holds a type that is not trusted.
    UserError
        If the featurizer is missing or damaged.
    """
    try:
        name = formats.save(estimator, folder, trusted)
    except UserError as error:
        raise ModelError(str(error)) from error
    needed = requirements(estimator, storage.load(featurizer), always=SERVING)
    shutil.copyfile(featurizer, folder / FEATURIZER)
    kind = type(estimator)
    manifest = {
        "format": VERSION,
        "status": TRAINED,
        **entries,
        "estimator": {
            "format": name,
            "class": f"{kind.__module__}.{kind.__qualname__}",
            "trusted": trusted,
        },
        "requirements": needed,
        "files": {path.name: sha256(path) for path in sorted(folder.iterdir())},
    }
    write_json(folder / MANIFEST, manifest)
    return manifest


def write_failed(folder: Path, entries: Mapping[str, Any], reason: str) -> None:
    """
    Write the manifest of a failed training with the reason.

    Parameters
    ----------
    folder : Path
        An empty folder.
    entries : mapping
        The other entries of the manifest: see `KEYS`.
    reason : str
        Reason in one line.
    """
    manifest = {"format": VERSION, "status": FAILED, "reason": reason, **entries}
    write_json(folder / MANIFEST, manifest)


def read(folder: Path) -> dict[str, Any]:
    """
    Read a manifest.

    Raises
    ------
    UserError
        If it is missing or damaged, or of another version of the format.
    """
    path = folder / MANIFEST
    manifest = read_json(path)
    if not isinstance(manifest, dict):
        raise damaged(path, "it is no object")
    if manifest.get("format") != VERSION:
        raise damaged(path, f"its format is {manifest.get('format')!r}, not {VERSION}")
    keys = KEYS if manifest.get("status") == FAILED else KEYS | KEYS_TRAINED
    for key, kind in keys.items():
        if not isinstance(manifest.get(key), kind):
            raise damaged(path, f"{key} is {manifest.get(key)!r}")
    return manifest


def check_trained(folder: Path, manifest: Mapping[str, Any]) -> None:
    """
    Check that the training of a model did not fail, and that its files are unchanged.

    Raises
    ------
    ModelError
        If its training failed.
    UserError
        If a file is missing, damaged or replaced.
    """
    if manifest["status"] == FAILED:
        raise ModelError(f"its training failed: {manifest.get('reason')}")
    for name, digest in manifest["files"].items():
        path = folder / Path(name).name
        if sha256(path) != digest:
            raise damaged(path, f"it is not the file that {MANIFEST} names")


def digest(folder: Path) -> str:
    """Return the hash of a manifest, which covers all files that it names."""
    return sha256(folder / MANIFEST)
