"""Featurize images: descriptors of colour, shape and texture for classical models, or pixels."""

from typing import Self

import numpy as np
import pandas as pd
from PIL import Image
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.utils.validation import check_is_fitted, validate_data

from pipeline.errors import UserError
from pipeline.features.decode import NoImageError, decode
from pipeline.features.inputs import kind_of
from pipeline.features.scaler import Scaler

# Bins per channel of a histogram of colours.
BINS = 16
# Shapes are described in a grey image of SHAPE pixels a side, in cells of CELL pixels.
SHAPE, CELL, ORIENTATIONS = 64, 16, 9
# Neighbours and radius of local binary patterns, in pixels.
PATTERNS = ((8, 1), (16, 2), (24, 3))
# Levels of grey and distances of co-occurrences.
LEVELS, DISTANCES = 32, (1, 2, 4, 8)
PROPERTIES = ("contrast", "homogeneity", "energy", "correlation")


def engineered(size: list[int]) -> Pipeline:
    """
    Make a featurizer of standardised descriptors.

    Parameters
    ----------
    size : list of (height, width)
        As for `Pixels`.
    """
    return make_pipeline(Pixels(size), Descriptors(), Scaler())


class Pixels(TransformerMixin, BaseEstimator):
    """
    Decode images.

    Parameters
    ----------
    size : list of (height, width)
        Size that images are decoded to, in pixels: that of the source, so that what is served
        is treated as what was ingested.

    Attributes
    ----------
    input_ : str
        The column of images.
    """

    def __init__(self, size: list[int]) -> None:
        self.size = size

    def fit(self, X: pd.DataFrame, y: object = None) -> Self:
        """
        Find the column of images.

        Raises
        ------
        UserError
            If it is not the only input.
        """
        validate_data(self, X, skip_check_array=True)
        kinds = {name: kind_of(X[name]) for name in X}
        if list(kinds.values()) != ["binary"]:
            raise UserError(f"a view of images reads one column of files, not {kinds}")
        (self.input_,) = kinds
        return self

    def transform(self, X: pd.DataFrame) -> np.ndarray:
        """
        Decode images.

        Parameters
        ----------
        X : DataFrame
            With a column of files of images as bytes.

        Returns
        -------
        ndarray of uint8, shape (n, height, width, 3)
            Red, green and blue.

        Raises
        ------
        UserError
            If a value is no image. The message names its row, from 1.
        """
        check_is_fitted(self)
        height, width = self.size
        pixels = np.empty((len(X), height, width, 3), dtype=np.uint8)
        for row, content in enumerate(X[self.input_]):
            try:
                pixels[row] = decode(content, (height, width))
            except NoImageError as error:
                raise UserError(f"column '{self.input_}', row {row + 1}: it {error}") from None
        return pixels


class Descriptors(TransformerMixin, BaseEstimator):
    """
    Describe images by numbers: histograms of colours, oriented gradients, patterns and textures.

    References
    ----------
    Dalal and Triggs, "Histograms of oriented gradients for human detection", CVPR 2005.
    Ojala, Pietikäinen, Mäenpää, "Multiresolution gray-scale and rotation invariant texture
    classification with local binary patterns", IEEE PAMI 2002.
    Haralick, Shanmugam, Dinstein, "Textural features for image classification", IEEE SMC 1973.
    """

    def fit(self, X: np.ndarray, y: object = None) -> Self:
        """Fit nothing."""
        return self

    def transform(self, X: np.ndarray) -> np.ndarray:
        """
        Describe images.

        Parameters
        ----------
        X : ndarray of uint8, shape (n, height, width, 3)
            Red, green and blue.

        Returns
        -------
        ndarray of shape (n, n_descriptors)
            32-bit floats.
        """
        return np.array([describe(pixels) for pixels in X], dtype=np.float32)

    def __sklearn_is_fitted__(self) -> bool:
        return True


def describe(pixels: np.ndarray) -> np.ndarray:
    """Describe an image of shape (height, width, 3) by a vector of numbers."""
    grey = np.asarray(Image.fromarray(pixels).convert("L"))
    parts = [describe_colours(pixels), describe_shapes(grey), describe_patterns(grey)]
    return np.concatenate([*parts, describe_textures(grey)])


def describe_colours(pixels: np.ndarray) -> np.ndarray:
    """Return the shares of `BINS` levels of hue, saturation and value, and of red, green, blue."""
    turned = np.asarray(Image.fromarray(pixels).convert("HSV"))
    channels = np.concatenate([turned, pixels], axis=2).reshape(-1, 6)
    levels = channels // (256 // BINS)
    counts = [np.bincount(channel, minlength=BINS) for channel in levels.T]
    return np.concatenate(counts) / len(channels)


def describe_shapes(grey: np.ndarray) -> np.ndarray:
    """Return histograms of oriented gradients."""
    from skimage.feature import hog

    small = Image.fromarray(grey).resize((SHAPE, SHAPE), Image.Resampling.BICUBIC)
    found: np.ndarray = hog(
        np.asarray(small),
        orientations=ORIENTATIONS,
        pixels_per_cell=(CELL, CELL),
        cells_per_block=(2, 2),
    )
    return found


def describe_patterns(grey: np.ndarray) -> np.ndarray:
    """Return the shares of uniform local binary patterns, independent of rotation."""
    from skimage.feature import local_binary_pattern

    shares = []
    for neighbours, radius in PATTERNS:
        patterns = local_binary_pattern(grey, neighbours, radius, method="uniform")
        counts = np.bincount(patterns.astype(int).ravel(), minlength=neighbours + 2)
        shares.append(counts / grey.size)
    return np.concatenate(shares)


def describe_textures(grey: np.ndarray) -> np.ndarray:
    """Return `PROPERTIES` of the co-occurrences of grey levels, the mean over directions."""
    from skimage.feature import graycomatrix, graycoprops

    quarters = np.arange(4) * np.pi / 4
    levels = grey // (256 // LEVELS)
    together = graycomatrix(levels, DISTANCES, quarters, LEVELS, symmetric=True, normed=True)
    return np.concatenate([graycoprops(together, name).mean(1) for name in PROPERTIES])
