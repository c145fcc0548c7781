"""Make examples of image files: decoded to one size, with near-duplicates in one group."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from pipeline.errors import UserError
from pipeline.features.decode import NoImageError, decode, encode
from pipeline.progress import track
from pipeline.sources.examples import META_PREFIX

NEAR = "near-duplicates"
# A hash has SIDE * SIDE bits. So many pairs are compared at once.
SIDE, PAIRS_AT_ONCE = 16, 2_000_000


def read_images(
    files: pd.DataFrame, size: Sequence[int], near: int | None
) -> tuple[pd.DataFrame, dict[str, int]]:
    """
    Read image files as examples.

    Parameters
    ----------
    files : DataFrame
        A row per file: ``path``, ``example_id``, ``label`` and ``group``.
    size : sequence of (height, width)
        Size that images are decoded to, in pixels.
    near : int, optional
        Images whose difference hashes differ in at most this many of 256 bits are put into
        one group. By default none are.

    Returns
    -------
    examples : DataFrame
        With the input ``image``, a PNG of that size, and ``meta:sha256``, the hash of the
        original file.
    joined : dict of str to int
        Number of images that are in one group with another because they are near-duplicates.

    Raises
    ------
    UserError
        If a file is no image, or the size is none.
    """
    if len(size) != 2 or not all(isinstance(side, int) and side > 0 for side in size):
        raise UserError(f"task.source.size: {list(size)} is not a height and a width in pixels")
    images, hashes, digests = [], [], []
    for path in track(files["path"], "decoding", len(files)):
        content = Path(path).read_bytes()
        try:
            pixels = decode(content, (size[0], size[1]))
        except NoImageError as error:
            raise UserError(f"{path} {error}") from None
        images.append(encode(pixels))
        hashes.append(difference_hash(pixels))
        digests.append(hashlib.sha256(content).hexdigest())
    examples = files.drop(columns="path").assign(image=images)
    examples[f"{META_PREFIX}sha256"] = digests
    if near is None:
        return examples, {}
    first, second = near_pairs(np.array(hashes), near)
    examples["group"] = join(examples["group"], first, second)
    count = len(np.union1d(first, second))
    return examples, {NEAR: count} if count else {}


def difference_hash(pixels: np.ndarray) -> np.ndarray:
    """
    Compute the difference hash of an image: where it becomes brighter from left to right.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (height, width, 3)
        Red, green and blue.

    Returns
    -------
    ndarray of uint8, shape (SIDE * SIDE / 8,)
        A bit per pair of neighbours in the image scaled down to `SIDE` rows of `SIDE` + 1
        grey pixels.

    References
    ----------
    Krawetz, "Kind of like that", The Hacker Factor Blog, 2013.
    """
    grey = Image.fromarray(pixels).convert("L")
    small = np.asarray(grey.resize((SIDE + 1, SIDE), Image.Resampling.LANCZOS))
    return np.packbits(small[:, 1:] > small[:, :-1])


def near_pairs(hashes: np.ndarray, near: int) -> tuple[np.ndarray, np.ndarray]:
    """
    Find pairs of hashes that differ in at most `near` bits.

    Parameters
    ----------
    hashes : ndarray of uint8, shape (n, SIDE * SIDE / 8)
        What `difference_hash` returned for n images.
    near : int
        Number of bits.

    Returns
    -------
    first, second : ndarray of int
        Positions of the two of each pair. All pairs are compared, so that time grows with the
        square of the number: 20,000 images take 5 s.
    """
    words = hashes.view(np.uint64)
    found = []
    at_once = max(1, PAIRS_AT_ONCE // max(1, len(words)))
    for start in range(0, len(words), at_once):
        part = words[start : start + at_once, np.newaxis]
        later = words[np.newaxis, start:]
        distance = np.bitwise_count(part ^ later).sum(2, dtype=np.uint16)
        row, column = np.nonzero(np.triu(distance <= near, k=1))
        found.append(start + np.stack([row, column]))
    pairs = np.concatenate(found, axis=1)
    return pairs[0], pairs[1]


def join(groups: pd.Series, first: np.ndarray, second: np.ndarray) -> pd.Series:
    """
    Join the groups of examples that belong together.

    Parameters
    ----------
    groups : Series of shape (n,)
        The group of each example.
    first, second : ndarray of int
        Positions of examples of which each pair belongs together.

    Returns
    -------
    Series of shape (n,)
        Each group has the name of the first of those that were joined.
    """
    codes, names = pd.factorize(groups)
    links = coo_array((np.ones(len(first)), (codes[first], codes[second])), (len(names),) * 2)
    part = connected_components(links, directed=False)[1]
    leader = pd.Series(names).groupby(part).transform("first").to_numpy()
    return pd.Series(leader[codes], groups.index)
