"""Read photos of faces, some of them of people whom no model gets to know."""

from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.errors import UserError
from pipeline.sources import image_manifest
from pipeline.sources.examples import Source


def read(
    manifest: Path,
    size: list[int],
    strangers: int,
    unknown: str | None,
    seed: int,
    near: int | None = None,
) -> Source:
    """
    Read photos of people, and make strangers of some of them.

    Parameters
    ----------
    manifest, size, near
        As for `pipeline.sources.image_manifest.read`.
    strangers : int
        Number of people who are strangers.
    unknown : str, optional
        The label of their photos.
    seed : int
        Seed of the draw of strangers.

    Returns
    -------
    Source
        The photos of a stranger are one group.

    Raises
    ------
    UserError
        If an image cannot be read, the number of strangers leaves fewer than two people, or they
        have no label.
    """
    source = image_manifest.read(manifest, size, near)
    source.examples = hide(source.examples, strangers, unknown, seed)
    return source


def hide(examples: pd.DataFrame, strangers: int, unknown: str | None, seed: int) -> pd.DataFrame:
    """Return the examples, with the label `unknown` and the person as group where drawn."""
    people = np.unique(examples["label"])
    if not 0 <= strangers <= len(people) - 2:
        raise UserError(
            f"task.source.strangers: {strangers} of {len(people)} people is not between 0 and "
            f"{len(people) - 2}"
        )
    if strangers and unknown is None:
        raise UserError("task.unknown: strangers need a label: set it, or task.source.strangers=0")
    drawn = np.random.default_rng(seed).choice(people, strangers, replace=False)
    hidden = examples["label"].isin(drawn)
    return examples.assign(
        label=examples["label"].mask(hidden, unknown),
        group=examples["group"].mask(hidden, examples["label"]),
    )
