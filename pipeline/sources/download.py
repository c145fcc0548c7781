"""Download files, or find them in a folder that mirrors the network, and check their hashes."""

import os
import urllib.parse
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pooch
import requests

from pipeline.errors import UserError
from pipeline.files import sha256
from pipeline.progress import track

AT_ONCE = 8


@dataclass(frozen=True)
class Remote:
    """A file on the network, and the hash that it must have."""

    url: str
    sha256: str


def remotes(manifest: pd.DataFrame) -> list[Remote]:
    """Return the files of a manifest, one per row, from its columns ``url`` and ``sha256``."""
    return [Remote(*pair) for pair in manifest[["url", "sha256"]].itertuples(index=False)]


def fetch(files: list[Remote]) -> list[Path]:
    """
    Download files to this machine, eight at a time.

    Files that are complete in the cache are not downloaded again, so that an interrupted
    download continues with the next file. The environment variable ``BAKEOFF_MIRROR`` names
    a folder to search before the network. It holds ``https://HOST/PATH`` at ``HOST/PATH``.

    Parameters
    ----------
    files : list of Remote
        Files to download.

    Returns
    -------
    list of Path
        The place of each file on this machine, in the order of `files`.

    Raises
    ------
    UserError
        If a file is in neither the mirror, the cache nor on the network, or if its hash is
        not the expected one.
    """
    named = os.environ.get("BAKEOFF_MIRROR")
    mirror = Path(named) if named else None
    if mirror is not None and not mirror.is_dir():
        raise UserError(f"{mirror} is not a folder: BAKEOFF_MIRROR names a mirror of files")
    cache = pooch.create(
        path=pooch.os_cache("bakeoff"),
        base_url="",
        registry={file.sha256: f"sha256:{file.sha256}" for file in files},
        urls={file.sha256: file.url for file in files},
        retry_if_failed=2,
    )
    pooch.get_logger().setLevel("ERROR")
    with ThreadPoolExecutor(AT_ONCE) as pool:
        waiting = {pool.submit(_fetch_one, file, mirror, cache): file for file in files}
        try:
            for future in track(as_completed(waiting), "downloading", len(files)):
                future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return [future.result() for future in waiting]


def _fetch_one(file: Remote, mirror: Path | None, cache: pooch.Pooch) -> Path:
    if mirror is not None:
        parts = urllib.parse.urlsplit(file.url)
        mirrored = mirror.joinpath(parts.netloc, urllib.parse.unquote(parts.path.lstrip("/")))
        if mirrored.is_file():
            return _verify(mirrored, file)
    try:
        # pooch streams by default, and then never closes the response to a missing file.
        return Path(cache.fetch(file.sha256, downloader=pooch.HTTPDownloader(stream=False)))
    except requests.RequestException as error:
        raise UserError(
            f"{file.url} cannot be downloaded ({type(error).__name__}): check the network, or set "
            "BAKEOFF_MIRROR to a folder that holds it"
        ) from None
    except ValueError:
        raise UserError(
            f"{file.url}: the downloaded bytes are not those that were expected "
            f"(sha256 {file.sha256}); the file was not kept"
        ) from None


def _verify(path: Path, file: Remote) -> Path:
    digest = sha256(path)
    if digest != file.sha256:
        raise UserError(f"{path}: sha256 is {digest}, expected {file.sha256}; replace the file")
    return path
