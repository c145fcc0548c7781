"""Photos of leaves without what lies behind them."""

import numpy as np
import pandas as pd

from pipeline.features.decode import encode, read

# The colour that replaces the background: the median of the backgrounds.
GROUND = np.array([159, 146, 153], dtype=np.uint8)
# Sides of the squares that the mask of a leaf is smoothed with, as a share of its side.
SMOOTHED = 0.04


def cut_out(examples: pd.DataFrame) -> pd.DataFrame:
    """
    Replace the background of each photo by one colour.

    Parameters
    ----------
    examples : DataFrame
        With the input ``image``, as ingested.

    Returns
    -------
    DataFrame
        The same examples with other images.
    """
    images = []
    for content in examples["image"]:
        pixels = read(content)
        images.append(encode(np.where(leaf(pixels)[..., np.newaxis], pixels, GROUND)))
    return examples.assign(image=images)


def leaf(pixels: np.ndarray) -> np.ndarray:
    """
    Find the leaf in a photo by its colour: it is yellower than the cloth that it lies on.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (height, width, 3)
        Red, green and blue.

    Returns
    -------
    ndarray of bool, shape (height, width)
        The largest connected part of the pixels above Otsu's threshold of b* in CIELAB,
        without holes.
    """
    from scipy.ndimage import binary_fill_holes
    from skimage.color import rgb2lab
    from skimage.filters import threshold_otsu
    from skimage.measure import label
    from skimage.morphology import closing, opening

    yellow = rgb2lab(pixels)[..., 2]
    square = np.ones([max(1, round(side * SMOOTHED)) for side in yellow.shape])
    mask = closing(opening(yellow > threshold_otsu(yellow), square), square)
    parts = label(mask)
    largest = np.bincount(parts.ravel())[1:].argmax() + 1 if parts.any() else 0
    filled: np.ndarray = binary_fill_holes(parts == largest)
    return filled
