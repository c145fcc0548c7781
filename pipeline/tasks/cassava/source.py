"""Bring photos of cassava leaves from a git repository."""

from dataclasses import replace

from pipeline.errors import UserError
from pipeline.sources import image_folder
from pipeline.sources.examples import Source
from pipeline.sources.git_folder import fetch_folder


def read(
    repository: str,
    commit: str,
    folder: str,
    advice: dict[str, str],
    size: list[int],
    near: int | None = None,
) -> Source:
    """
    Download the folder of photos, or find it in the mirror or the cache, and read it.

    Parameters
    ----------
    repository, commit, folder : str
        As for `fetch_folder`. The folder holds a folder per class.
    advice : dict of str to str
        What to do about each class.
    size, near
        As for `pipeline.sources.image_folder.read`.

    Returns
    -------
    Source
        As `pipeline.sources.image_folder.read` returns it, with the advice.

    Raises
    ------
    UserError
        If the folder cannot be downloaded, a file is no image, or a class has no advice.
    """
    source = image_folder.read(fetch_folder(repository, commit, folder), size, near)
    for label in sorted(set(source.examples["label"]) - set(advice)):
        raise UserError(f"task.source.advice: class '{label}' has none")
    (origin,) = source.origin
    place = {"url": f"{repository}/tree/{commit}/{folder}", "sha256": origin["sha256"]}
    return replace(source, origin=[place], advice=advice)
