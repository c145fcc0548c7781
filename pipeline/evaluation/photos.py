"""Photos for the page of a task: right and wrong answers, and what they depend on."""

import base64
import io
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from pipeline.evaluation.values import holds_images
from pipeline.features.decode import encode, read
from pipeline.problems import Predictions, Problem
from pipeline.sources.examples import inputs_of

# Photos on a page, the longer side of each in pixels, and the quality of its file.
MOST_PHOTOS, SIDE, QUALITY = 16, 128, 70
# A photo has GRID cells a side. A square of COVERED cells a side is covered at a time.
GRID, COVERED = 8, 2
# What is not looked at is shown with this share of its brightness.
DIM = 0.25
# Smaller changes of the answer than this are not shown as the greatest.
SMALLEST_CHANGE = 0.05


def image_input(examples: pd.DataFrame) -> str | None:
    """Return the input that holds images, or None if there is none."""
    return next((name for name in inputs_of(examples) if holds_images(examples[name])), None)


def choose(kind: Problem, predictions: Predictions, examples: pd.DataFrame) -> np.ndarray:
    """
    Choose photos of each stratum: as many right answers as wrong ones, if there are.

    Parameters
    ----------
    kind : Problem
        Problem of the task, for its target.
    predictions : Predictions
        Of one model for n test examples.
    examples : DataFrame with n rows
        The test examples.

    Returns
    -------
    ndarray of int
        At most `MOST_PHOTOS` positions, by stratum, the wrong answers first, of these the worst.
    """
    misses, strata = kind.misses(predictions), kind.strata(examples)
    names = np.unique(strata)
    each = max(1, MOST_PHOTOS // (2 * len(names)))
    chosen: list[int] = []
    for name in names:
        of_name = np.flatnonzero(strata == name)
        wrong = of_name[misses[of_name] > 0]
        worst = wrong[np.argsort(-misses[wrong], kind="stable")][:each]
        right = of_name[misses[of_name] == 0]
        chosen += [*worst, *right[: 2 * each - len(worst)]]
    return np.array(sorted(chosen, key=lambda row: misses[row] == 0)[:MOST_PHOTOS], dtype=int)


def occlude(pixels: np.ndarray, predict: Callable[[list[bytes]], np.ndarray]) -> np.ndarray:
    """
    Measure how much the answer for a photo changes when a part of it is covered.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (height, width, 3)
        The photo.
    predict : callable
        From files of images to outputs of shape (n, ...).

    Returns
    -------
    ndarray of shape (GRID, GRID)
        For each cell the mean absolute change of the outputs over the squares that cover it.

    References
    ----------
    Zeiler and Fergus, "Visualizing and understanding convolutional networks", ECCV 2014.
    """
    height, width = pixels.shape[:2]
    rows, columns = (np.arange(GRID + 1) * side // GRID for side in (height, width))
    colour = pixels.reshape(-1, 3).mean(0).astype(np.uint8)
    corners = [(i, j) for i in range(GRID - COVERED + 1) for j in range(GRID - COVERED + 1)]
    files = [encode(pixels)]
    for i, j in corners:
        covered = pixels.copy()
        covered[rows[i] : rows[i + COVERED], columns[j] : columns[j + COVERED]] = colour
        files.append(encode(covered))
    whole, *parts = predict(files).reshape(len(files), -1)
    total, count = np.zeros((GRID, GRID)), np.zeros((GRID, GRID))
    for (i, j), outputs in zip(corners, parts, strict=True):
        place = slice(i, i + COVERED), slice(j, j + COVERED)
        total[place] += np.abs(outputs - whole).mean()
        count[place] += 1
    return total / count


def spotlight(pixels: np.ndarray, changes: np.ndarray) -> np.ndarray:
    """Dim a photo but where covering it changes the answer most."""
    height, width = pixels.shape[:2]
    share = (changes / max(changes.max(), SMALLEST_CHANGE)).astype(np.float32)
    smooth = Image.fromarray(share).resize((width, height), Image.Resampling.BILINEAR)
    light = DIM + (1 - DIM) * np.asarray(smooth)[..., np.newaxis]
    return (pixels * light).astype(np.uint8)


def as_uri(pixels: np.ndarray) -> str:
    """Return a photo as a small WebP inside of an address."""
    image = Image.fromarray(pixels)
    image.thumbnail((SIDE, SIDE))
    file = io.BytesIO()
    image.save(file, "WEBP", quality=QUALITY)
    return f"data:image/webp;base64,{base64.b64encode(file.getvalue()).decode()}"


def describe_photo(
    stored: bytes,
    predict: Mapping[str, Callable[[list[bytes]], np.ndarray]],
    answers: Mapping[str, Any],
    variants: Mapping[str, bytes],
) -> dict[str, Any]:
    """
    Describe a photo for the page.

    Parameters
    ----------
    stored : bytes
        The photo as ingested.
    predict : mapping of str to callable
        For each model that is looked into, from files of images to outputs.
    answers : mapping of str
        What each model predicted for the photo.
    variants : mapping of str to bytes
        The photo as it was changed.

    Returns
    -------
    dict
        ``photo``; ``answers`` with ``model``, ``answer`` and ``looked`` for each of `predict`;
        and ``variants`` with ``name`` and ``photo``. Photos are addresses that hold them.
    """
    pixels = read(stored)
    return {
        "photo": as_uri(pixels),
        "answers": [
            {
                "model": model,
                "answer": answers[model],
                "looked": as_uri(spotlight(pixels, occlude(pixels, of_model))),
            }
            for model, of_model in predict.items()
        ],
        "variants": [
            {"name": name, "photo": as_uri(read(changed))} for name, changed in variants.items()
        ],
    }
