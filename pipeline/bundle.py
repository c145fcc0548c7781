"""
Write and read trained models: a folder per model, with one manifest that describes it.

The models of the rounds, which are scored, are in folders within that of the kept model.

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
    "rounds": list,
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
        A folder without files.
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
        "files": {path.name: sha256(path) for path in sorted(folder.iterdir()) if path.is_file()},
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


def check_rounds(folder: Path, manifest: Mapping[str, Any], rounds: list[str]) -> None:
    """
    Check that the models of all rounds are there and unchanged.

    Parameters
    ----------
    folder : Path
        Folder of the kept model.
    manifest : mapping
        Its manifest.
    rounds : list of str
        The rounds of the data that have a test.

    Raises
    ------
    UserError
        If a round is missing, or a file of it is missing, damaged or replaced.
    """
    lacking = sorted(set(rounds) - {one["round"] for one in manifest["rounds"]})
    if lacking:
        raise damaged(folder / MANIFEST, f"round {lacking[0]} is missing")
    for one in manifest["rounds"]:
        place = folder / one["folder"]
        if place == folder:
            continue
        if digest(place) != one["digest"]:
            raise damaged(place / MANIFEST, f"it is not the file that {folder / MANIFEST} names")
        check_trained(place, read(place))


def size(folder: Path) -> int:
    """Return the size of a trained model in bytes, without those of the rounds."""
    return sum(path.stat().st_size for path in folder.iterdir() if path.is_file())


def digest(folder: Path) -> str:
    """Return the hash of a manifest, which covers all files and rounds that it names."""
    return sha256(folder / MANIFEST)
