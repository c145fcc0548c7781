"""
Write and read trained models: a folder per model, with one manifest that describes it.

The models of the rounds, which are scored, are in folders within that of the kept model. The
folder of an ensemble holds those of its members.

The folder holds nothing that depends on the time or on the place of the project. Training again
with the same settings on the same data writes the same bytes. Costs are in the run.
"""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pipeline import formats, storage
from pipeline.errors import ModelError, UserError
from pipeline.files import ZIP_DAMAGE, damaged, read_json, sha256, write_json
from pipeline.paths import ingested_folder
from pipeline.requirements import own_modules, requirements

MANIFEST, FEATURIZER = "bundle.json", "featurizer.skops"
# The outputs of each fit for validation, beside the folders of the rounds.
VALIDATION = "validation.npz"
# Folders within that of a model, and the format of an ensemble.
ROUNDS, MEMBERS, ENSEMBLE = "rounds", "members", "ensemble"
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
    "forms": dict,
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
    transformer = storage.load(featurizer)
    reading = formats.READING.get(name, ())
    needed = requirements(estimator, transformer, always=(*SERVING, *reading))
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
        "modules": own_modules(estimator, transformer),
        "files": {path.name: sha256(path) for path in sorted(folder.iterdir()) if path.is_file()},
    }
    write_json(folder / MANIFEST, manifest)
    return manifest


def write_validation(folder: Path, outputs: Mapping[tuple[str, int], np.ndarray]) -> str:
    """
    Write the outputs of the fits of a model for validation.

    Parameters
    ----------
    folder : Path
        Folder of the kept model.
    outputs : mapping of (str, int) to ndarray
        As `Problem.outputs` returned them, by round and seed.

    Returns
    -------
    str
        The hash of the file, for the entry ``validation`` of the manifest of the kept model.
    """
    path = folder / ROUNDS / VALIDATION
    path.parent.mkdir(exist_ok=True)
    arrays: dict[str, Any] = {f"{name}/{seed}": one for (name, seed), one in outputs.items()}
    np.savez(path, **arrays)
    return sha256(path)


def read_validation(folder: Path, manifest: Mapping[str, Any]) -> dict[tuple[str, int], np.ndarray]:
    """
    Read what `write_validation` wrote, by round and seed.

    Raises
    ------
    UserError
        If the file is missing, damaged or replaced.
    """
    path = folder / ROUNDS / VALIDATION
    if sha256(path) != manifest.get("validation"):
        raise damaged(path, f"it is not the file that {MANIFEST} names")
    try:
        with np.load(path, allow_pickle=False) as stored:
            fits = [(one["round"], one["seed"]) for one in manifest["rounds"]]
            return {(name, seed): stored[f"{name}/{seed}"] for name, seed in fits}
    except ZIP_DAMAGE as error:
        raise damaged(path, error) from error


def write_ensemble(
    folder: Path,
    entries: Mapping[str, Any],
    members: Mapping[str, Path],
    weights: Mapping[str, float],
) -> dict[str, Any]:
    """
    Write an ensemble of trained models.

    Parameters
    ----------
    folder : Path
        A folder without files.
    entries : mapping
        The other entries of the manifest: see `KEYS` and `KEYS_TRAINED`.
    members : mapping of str to Path
        The folder of each trained model, which is copied without those of its rounds.
    weights : mapping of str to float
        The weight of each model.

    Returns
    -------
    dict
        The manifest.
    """
    manifests = {name: read(place) for name, place in members.items()}
    for name, place in members.items():
        shutil.copytree(place, folder / MEMBERS / name, ignore=shutil.ignore_patterns(ROUNDS))
    manifest = {
        "format": VERSION,
        "status": TRAINED,
        **entries,
        "estimator": {
            "format": ENSEMBLE,
            "trusted": sorted(
                {t for one in manifests.values() for t in one["estimator"]["trusted"]}
            ),
        },
        "members": [
            {"model": name, "weight": weights[name], "digest": digest(folder / MEMBERS / name)}
            for name in members
        ],
        "requirements": sorted(
            {line for one in manifests.values() for line in one["requirements"]}
        ),
        "modules": sorted({name for one in manifests.values() for name in one.get("modules", [])}),
        "files": {},
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
    for one in manifest.get("rounds", []):
        place = one.get("folder", ".") if isinstance(one, dict) else None
        if not isinstance(place, str) or Path(place).is_absolute() or ".." in Path(place).parts:
            raise damaged(path, f"a round of it is {one!r}")
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
    for name, hashed in manifest["files"].items():
        path = folder / Path(name).name
        if sha256(path) != hashed:
            raise damaged(path, f"it is not the file that {MANIFEST} names")
    for member in manifest.get("members", []):
        _check_part(folder, member_folder(folder, member), member["digest"])


def member_folder(folder: Path, member: Mapping[str, Any]) -> Path:
    """Return the folder of a member of an ensemble, from its entry in the manifest."""
    return folder / MEMBERS / Path(member["model"]).name


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
        place = folder / one.get("folder", ".")  # an ensemble has weights only
        if place == folder:
            continue
        _check_part(folder, place, one["digest"])


def _check_part(folder: Path, place: Path, expected: str) -> None:
    """Check that the model in a folder is unchanged, whose digest another manifest has."""
    if digest(place) != expected:
        raise damaged(place / MANIFEST, f"it is not the file that {folder / MANIFEST} names")
    check_trained(place, read(place))


def read_trained(
    folder: Path,
    model: str,
    data: str,
    problem: tuple[str, str, Mapping[str, Any]],
    rounds: list[str],
) -> dict[str, Any]:
    """
    Read the manifest of a trained model, and check that it can be used with the data of now.

    Parameters
    ----------
    folder : Path
        Folder of the kept model.
    model : str
        Name of the model that it has to hold.
    data : str
        Digest of the ingested examples.
    problem : tuple of (str, str, mapping)
        The task, its kind, and its target.
    rounds : list of str
        The rounds of the data that have a test.

    Raises
    ------
    UserError
        If the model is missing, damaged or failed, or belongs to another task, target or
        data.
    """
    task, kind, target = problem
    manifest = read(folder)
    if (manifest["task"], manifest["model"]) != (task, model):
        raise UserError(
            f"{folder} holds the model {manifest['model']} of {manifest['task']}: "
            f"train {model} again"
        )
    check_trained(folder, manifest)
    if manifest["data"]["digest"] != data:
        raise UserError(
            f"{folder} was trained on other data than {ingested_folder(task)}, perhaps "
            "on its test examples: featurize and train again, as `dvc repro` does"
        )
    if (manifest["kind"], manifest["target"]) != (kind, target):
        raise UserError(
            f"{folder} was trained for the target {manifest['target']} of {manifest['kind']}, the "
            f"data have {target} of {kind}: train {model} again"
        )
    check_rounds(folder, manifest, rounds)
    return manifest


def size(folder: Path) -> int:
    """Return the size of a trained model in bytes, without those of the rounds."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return sum(f.stat().st_size for f in files if f.relative_to(folder).parts[0] != ROUNDS)


def digest(folder: Path) -> str:
    """Return the hash of a manifest, which covers all files and rounds that it names."""
    return sha256(folder / MANIFEST)
