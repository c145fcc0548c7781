"""Reduce sparse features to few dense ones."""

from typing import Any, Self

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.decomposition import TruncatedSVD

# Components are fitted on at most this many examples, chosen evenly.
MOST_EXAMPLES = 100_000


class Reduction(TransformerMixin, BaseEstimator):
    """
    Reduce sparse features by truncated SVD, and return dense ones as they are.

    Parameters
    ----------
    components : int
        Number of components. There are fewer if there are fewer features or examples.
    """

    def __init__(self, components: int = 64) -> None:
        self.components = components

    def fit(self, X: Any, y: object = None) -> Self:
        """Fit the components if `X` is sparse."""
        self.svd_ = None
        if sparse.issparse(X):
            some = X[:: -(-X.shape[0] // MOST_EXAMPLES)]
            self.svd_ = TruncatedSVD(min(self.components, *some.shape), random_state=0).fit(some)
        return self

    def transform(self, X: Any) -> np.ndarray:
        """
        Compute the components of each example.

        Returns
        -------
        ndarray of shape (n_examples, n_components)
            `X` itself if it is dense.
        """
        components: np.ndarray = X if self.svd_ is None else self.svd_.transform(X)
        return components
