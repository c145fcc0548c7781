"""Check the indices in fitted trees, which scikit-learn follows without looking."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

LEAF = -1
PLAIN = (str, bytes, int, float, complex, type(None), np.generic)


def check_indices(thing: Any) -> None:
    """
    Check every tree in a fitted object.

    Parameters
    ----------
    thing : object
        Such as an estimator. Trees are found in its attributes, and in lists, mappings and arrays
        of objects.

    Raises
    ------
    ValueError
        If a node of a tree leads to no later node, reads a feature or an example that is not
        there, or if that cannot be said.
    """
    for tree, n_features in _trees(thing, None, {}):
        check = CHECKS[type(tree).__name__]
        if n_features is None or not check(tree, n_features):
            raise ValueError("a node of a tree has an index that is out of range")


def check_nodes(nodes: np.ndarray, n_features: int) -> bool:
    """
    Return whether nodes of a tree of scikit-learn lead to later nodes and read existing features.

    Parameters
    ----------
    nodes : structured array of shape (n_nodes,)
        With ``left_child``, ``right_child`` and ``feature``.
    n_features : int
        Number of features.
    """
    left, right = nodes["left_child"], nodes["right_child"]
    leaf = (left == LEAF) & (right == LEAF)
    return _lead_on(left, right, nodes["feature"], leaf, n_features)


def _lead_on(
    left: np.ndarray, right: np.ndarray, feature: np.ndarray, leaf: np.ndarray, n_features: int
) -> bool:
    own, size = np.arange(len(leaf)), len(leaf)
    after = (left > own) & (left < size) & (right > own) & (right < size)
    known = (feature >= 0) & (feature < n_features)
    return size > 0 and bool((leaf | (after & known)).all())


def _check_histogram(tree: Any, n_features: int) -> bool:
    nodes = tree.nodes
    leaf = nodes["is_leaf"] == 1
    sets = nodes["bitset_idx"][(nodes["is_categorical"] == 1) & ~leaf]
    return _lead_on(nodes["left"], nodes["right"], nodes["feature_idx"], leaf, n_features) and bool(
        (sets < min(len(tree.raw_left_cat_bitsets), len(tree.binned_left_cat_bitsets))).all()
    )


def _check_neighbours(tree: Any, n_features: int) -> bool:
    data, order, nodes, bounds, _, n_levels, n_nodes, *_ = tree.__getstate__()
    start, end = nodes["idx_start"], nodes["idx_end"]
    has_children = 2 * np.arange(len(nodes)) + 2 < len(nodes)
    return bool(
        data.shape == (len(order), n_features)
        and len(nodes) == n_nodes == 2**n_levels - 1
        and bounds.shape[1:] == (n_nodes, n_features)
        and (np.sort(order) == np.arange(len(order))).all()
        and ((start >= 0) & (start <= end) & (end <= len(order))).all()
        and ((nodes["is_leaf"] == 1) | has_children).all()
    )


# By the name of the class, so that scikit-learn's modules are imported only if a file needs them.
CHECKS = {
    "Tree": lambda tree, n_features: check_nodes(tree.__getstate__()["nodes"], n_features),
    "TreePredictor": _check_histogram,
    "KDTree": _check_neighbours,
    "BallTree": _check_neighbours,
}


def _trees(
    thing: Any, n_features: int | None, seen: dict[int, Any]
) -> Iterator[tuple[Any, int | None]]:
    """Yield trees, each with the number of features of the estimator that holds it."""
    if isinstance(thing, PLAIN) or id(thing) in seen:
        return
    seen[id(thing)] = thing
    if type(thing).__name__ in CHECKS:
        yield thing, n_features
    elif isinstance(thing, Mapping):
        for value in thing.values():
            yield from _trees(value, n_features, seen)
    elif isinstance(thing, np.ndarray):
        for item in thing.ravel() if thing.dtype.hasobject else ():
            yield from _trees(item, n_features, seen)
    elif isinstance(thing, list | tuple | set):
        for item in thing:
            yield from _trees(item, n_features, seen)
    else:
        held = getattr(thing, "__dict__", {})
        for value in held.values():
            yield from _trees(value, held.get("n_features_in_", n_features), seen)
