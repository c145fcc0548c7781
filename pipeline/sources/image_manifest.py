"""Read images of the network, which a manifest names."""

from pathlib import Path

import pandas as pd

from pipeline.files import sha256
from pipeline.sources.download import fetch, remotes
from pipeline.sources.examples import Source, origin_of
from pipeline.sources.images import read_images


def read(manifest: Path, size: list[int], near: int | None = None) -> Source:
    """
    Download images, or find them in the mirror, and read them.

    Parameters
    ----------
    manifest : Path
        CSV with a row per image: ``label``, ``example_id``, ``sha256`` and ``url``, and
        perhaps ``group``. Without that each image is a group of its own.
    size, near
        As for `pipeline.sources.image_folder.read`.

    Returns
    -------
    Source
        With what `read_images` returns. Its origin is the manifest, which has the address
        and the hash of each image.

    Raises
    ------
    UserError
        If an image cannot be downloaded or decoded.
    """
    rows = pd.read_csv(manifest, dtype=str)
    rows = rows.assign(path=fetch(remotes(rows)), group=rows.get("group", rows["example_id"]))
    files = rows[["path", "example_id", "label", "group"]]
    examples, joined = read_images(files, size, near)
    return Source(examples, [origin_of(manifest, sha256(manifest))], joined=joined)
