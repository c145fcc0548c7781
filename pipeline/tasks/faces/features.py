"""Describe faces by patterns on a grid, and reduce them to what faces differ in."""

from typing import Self

import numpy as np
from PIL import Image
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.pipeline import Pipeline, make_pipeline

from pipeline.features.images import Pixels

# Cells of the grid, neighbours and radius of the patterns, and how many patterns there are.
ROWS, COLUMNS, NEIGHBOURS, RADIUS, PATTERNS = 8, 7, 8, 2, 59


def eigenfaces(size: list[int], components: int) -> Pipeline:
    """
    Make a featurizer of whitened principal components of the patterns of faces.

    Parameters
    ----------
    size : list of (height, width)
        As for `Pixels`.
    components : int
        Number of components.

    References
    ----------
    Turk and Pentland, "Eigenfaces for recognition", Journal of Cognitive Neuroscience 1991.
    """
    reduce = PCA(components, whiten=True, svd_solver="full")
    return make_pipeline(Pixels(size), PatternGrid(), reduce)


def fisherfaces(size: list[int], components: int) -> Pipeline:
    """
    Make a featurizer of what tells people apart in these components: linear discriminants.

    Parameters
    ----------
    size, components
        As for `eigenfaces`.

    References
    ----------
    Belhumeur, Hespanha, Kriegman, "Eigenfaces vs. fisherfaces", IEEE PAMI 1997.
    """
    discriminants = LinearDiscriminantAnalysis(solver="eigen", shrinkage="auto")
    return make_pipeline(*(part for _, part in eigenfaces(size, components).steps), discriminants)


class PatternGrid(TransformerMixin, BaseEstimator):
    """
    Count local binary patterns in each cell of a grid over the face.

    References
    ----------
    Ahonen, Hadid, Pietikäinen, "Face description with local binary patterns", IEEE PAMI 2006.
    """

    def fit(self, X: np.ndarray, y: object = None) -> Self:
        """Fit nothing."""
        return self

    def transform(self, X: np.ndarray) -> np.ndarray:
        """
        Count patterns.

        Parameters
        ----------
        X : ndarray of uint8, shape (n, height, width, 3)
            Faces.

        Returns
        -------
        ndarray of shape (n, ROWS * COLUMNS * PATTERNS)
            Square roots of the shares of uniform patterns in each cell.
        """
        return np.array([count_patterns(pixels) for pixels in X], dtype=np.float32)

    def __sklearn_is_fitted__(self) -> bool:
        return True


def count_patterns(pixels: np.ndarray) -> np.ndarray:
    """Return the square roots of the shares of patterns in each cell of a face."""
    from skimage.feature import local_binary_pattern

    grey = np.asarray(Image.fromarray(pixels).convert("L"))
    codes = local_binary_pattern(grey, NEIGHBOURS, RADIUS, method="nri_uniform").astype(int)
    cells = [
        cell for row in np.array_split(codes, ROWS) for cell in np.array_split(row, COLUMNS, axis=1)
    ]
    shares = [np.bincount(cell.ravel(), minlength=PATTERNS) / cell.size for cell in cells]
    return np.sqrt(np.concatenate(shares))
