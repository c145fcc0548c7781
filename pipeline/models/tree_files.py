"""
Write and read forests and boosters of LightGBM as arrays and text, and check what they index.

skops writes each tree as an object of its own, which takes seconds for a forest, and loads trees
whose indices nobody has checked.
"""

import copy
import re
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from lightgbm import Booster
from lightgbm.basic import LightGBMError
from sklearn.base import BaseEstimator
from sklearn.tree._tree import Tree

from pipeline import storage
from pipeline.files import ZIP_DAMAGE, check_archive, damaged, missing
from pipeline.indices import check_nodes

SHELL, TREES, BOOSTER = "estimator.skops", "trees.npz", "booster.txt"
# Parts of LightGBM's text that are not needed to predict: where each tree begins, which it
# believes, and after the trees parameters such as names of files.
PARTS = re.compile(r"^tree_sizes=.*\n|(?<=^end of trees\n)[\s\S]+", re.M)


class SavesApart(BaseEstimator, ABC):
    """
    A mixin for estimators whose trees are in a file of their own, beside the rest of them.

    Attributes
    ----------
    FILE : str
        Name of the file of the trees.
    """

    FILE: ClassVar[str]

    def save(self, folder: Path, trusted: Collection[str] = ()) -> None:
        """
        Write a fitted estimator into a folder.

        Parameters
        ----------
        folder : Path
            Folder to write into.
        trusted : collection of str
            Types of other packages that are safe to load.

        Raises
        ------
        UserError
            If it holds a type that is not trusted.
        """
        shell = copy.copy(self)
        shell.write_trees(folder / self.FILE)
        storage.dump(shell, folder / SHELL, trusted)

    @classmethod
    def load(cls, folder: Path, trusted: Collection[str] = ()) -> Self:
        """
        Read what `save` wrote.

        Raises
        ------
        UserError
            If a file is missing or damaged, holds a type that is not trusted, or an index that is
            out of range.
        """
        estimator = storage.load(folder / SHELL, trusted)
        path = folder / cls.FILE
        try:
            if not isinstance(estimator, cls):
                raise TypeError(f"{SHELL} holds another estimator")
            estimator.read_trees(path)
        except FileNotFoundError:
            raise missing(path) from None
        except (LightGBMError, UnicodeDecodeError, *ZIP_DAMAGE) as error:
            raise damaged(path, error) from None
        return estimator

    @abstractmethod
    def write_trees(self, path: Path) -> None:
        """Write the trees into a file, and take them out of the estimator."""

    @abstractmethod
    def read_trees(self, path: Path) -> None:
        """Read what `write_trees` wrote, check it, and put it back into the estimator."""


class SavesTrees(SavesApart):
    """A mixin for forests of scikit-learn, which writes the nodes of all trees as one array."""

    FILE: ClassVar[str] = TREES
    estimators_: list[Any]

    def write_trees(self, path: Path) -> None:
        """Write the trees as arrays, and keep the first one without its nodes."""
        states = [tree.tree_.__getstate__() for tree in self.estimators_]
        nodes = np.concatenate([state["nodes"] for state in states])
        # Bytes between the fields are not set.
        packed = np.zeros(nodes.shape, nodes.dtype)
        for name in nodes.dtype.fields or ():
            packed[name] = nodes[name]
        with path.open("wb") as file:
            np.savez(
                file,
                nodes=packed,
                values=np.concatenate([state["values"] for state in states]),
                counts=np.array([state["node_count"] for state in states]),
                depths=np.array([state["max_depth"] for state in states]),
                seeds=np.array([tree.random_state for tree in self.estimators_]),
            )
        first = copy.copy(self.estimators_[0])
        del first.tree_
        self.estimators_ = [first]

    def read_trees(self, path: Path) -> None:
        """Build the trees from arrays."""
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            check_archive(stored.zip, path.stat().st_size)
            self.estimators_ = list(_trees(self, stored))


def _trees(forest: Any, stored: Mapping[str, np.ndarray]) -> Iterator[Any]:
    """Build the trees of a forest from arrays."""
    (first,) = forest.estimators_
    n_features, n_outputs = int(forest.n_features_in_), int(forest.n_outputs_)
    classes = np.atleast_1d(getattr(forest, "n_classes_", np.ones(n_outputs, int))).astype(np.intp)
    ends = np.cumsum(stored["counts"])
    nodes, values = (np.split(stored[name], ends[:-1]) for name in ("nodes", "values"))
    numbered = zip(stored["seeds"], stored["depths"], nodes, values, strict=True)
    for seed, depth, of_tree, outputs in numbered:
        if not check_nodes(of_tree, n_features):
            raise ValueError("a node of a tree has an index that is out of range")
        tree = copy.copy(first)
        tree.random_state = int(seed)
        tree.tree_ = Tree(n_features, classes, n_outputs)
        tree.tree_.__setstate__(
            {
                "max_depth": int(depth),
                "node_count": len(of_tree),
                "nodes": np.ascontiguousarray(of_tree),
                "values": np.ascontiguousarray(outputs),
            }
        )
        yield tree


class SavesBooster(SavesApart):
    """
    A mixin for estimators of LightGBM, which writes the booster as LightGBM's own text.

    Learning curves are left out: the manifest has them.
    """

    FILE: ClassVar[str] = BOOSTER
    _Booster: Any
    _evals_result: dict[str, Any]

    def write_trees(self, path: Path) -> None:
        """Write the booster as text."""
        text = PARTS.sub("", self._Booster.model_to_string())
        check_booster(text)
        path.write_text(text, encoding="utf-8")
        self._Booster, self._evals_result = None, {}

    def read_trees(self, path: Path) -> None:
        """Read the booster from its text, once that is checked."""
        text = path.read_text(encoding="utf-8")
        check_booster(text)
        self._Booster = Booster(model_str=text)


def check_booster(text: str) -> None:
    """
    Check that the trees in a text of LightGBM lead to later nodes and read existing features.

    Parameters
    ----------
    text : str
        As `lightgbm.Booster.model_to_string` returns it, without `PARTS`. LightGBM itself checks
        how many values each line has.

    Raises
    ------
    ValueError
        If an index is out of range, or if something is there that is not checked.
    """
    if PARTS.search(text):
        raise ValueError("it has parts that are not read")
    n_features = _whole(text, "max_feature_idx").max() + 1
    per_round, leaves = _whole(text, "num_tree_per_iteration"), _whole(text, "num_leaves")
    inner = leaves - 1
    if not np.array_equal(per_round, _whole(text, "num_class")) or len(leaves) % per_round.max():
        raise ValueError("it has trees for other classes than it names")
    if not len(leaves) or leaves.min() < 1 or len(leaves) != len(re.findall("^Tree=", text, re.M)):
        raise ValueError("a tree has no leaves")
    children = [_whole(text, side) for side in ("left_child", "right_child")]
    # Before anything as long as the text says is made. The sum of Python's own cannot overflow.
    if any(len(child) != sum(inner.tolist()) for child in children):
        raise ValueError("a tree has other nodes than leaves")
    own = np.arange(inner.sum()) - np.repeat(np.cumsum(inner) - inner, inner)
    of_tree = np.repeat(inner, inner)
    for child in children:
        if not np.where(child >= 0, (child > own) & (child < of_tree), ~child <= of_tree).all():
            raise ValueError("a node of a tree has an index that is out of range")
    features = [_whole(text, name) for name in ("split_feature", "leaf_features")]
    if any(len(found) and not 0 <= found.min() <= found.max() < n_features for found in features):
        raise ValueError("a tree reads a feature that is not there")
    if _whole(text, "num_cat").any():
        raise ValueError("splits by categories are not read")


def _whole(text: str, key: str) -> np.ndarray:
    """Return the whole numbers of all lines of a key."""
    return np.array(" ".join(re.findall(rf"^{key}=(.*)$", text, re.M)).split(), np.int64)
