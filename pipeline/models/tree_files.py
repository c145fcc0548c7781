"""
Write and read forests and boosters of LightGBM as arrays and text, and check what they index.

skops writes each tree as an object of its own, which takes seconds for a forest, and loads trees
whose indices nobody has checked.
"""

import copy
import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from lightgbm import Booster
from lightgbm.basic import LightGBMError
from sklearn.base import BaseEstimator
from sklearn.tree._tree import Tree

from pipeline import storage
from pipeline.files import ZIP_DAMAGE, damaged, missing
from pipeline.indices import check_nodes

SHELL, TREES, BOOSTER = "estimator.skops", "trees.npz", "booster.txt"
# Parts of LightGBM's text that are not needed to predict: where each tree begins, which it
# believes, and after the trees parameters such as names of files.
PARTS = re.compile(r"^tree_sizes=.*\n|(?<=^end of trees\n)[\s\S]+", re.M)


class SavesTrees(BaseEstimator):
    """A mixin for forests of scikit-learn, which writes the nodes of all trees as one array."""

    def save(self, folder: Path, trusted: Collection[str] = ()) -> None:
        """
        Write a fitted forest into a folder.

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
        states = [tree.tree_.__getstate__() for tree in self.estimators_]
        nodes = np.concatenate([state["nodes"] for state in states])
        # Bytes between the fields are not set.
        packed = np.zeros(nodes.shape, nodes.dtype)
        for name in nodes.dtype.fields or ():
            packed[name] = nodes[name]
        with (folder / TREES).open("wb") as file:
            np.savez(
                file,
                nodes=packed,
                values=np.concatenate([state["values"] for state in states]),
                counts=np.array([state["node_count"] for state in states]),
                depths=np.array([state["max_depth"] for state in states]),
                seeds=np.array([tree.random_state for tree in self.estimators_]),
            )
        shell, first = copy.copy(self), copy.copy(self.estimators_[0])
        del first.tree_
        shell.estimators_ = [first]
        storage.dump(shell, folder / SHELL, trusted)

    @classmethod
    def load(cls, folder: Path, trusted: Collection[str] = ()) -> "SavesTrees":
        """
        Read what `save` wrote.

        Raises
        ------
        UserError
            If a file is missing or damaged, holds a type that is not trusted, or an index that is
            out of range.
        """
        forest: SavesTrees = storage.load(folder / SHELL, trusted)
        path = folder / TREES
        try:
            if not isinstance(forest, cls):
                raise TypeError(f"{SHELL} holds no forest")
            with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
                forest.estimators_ = list(_trees(forest, stored))
        except FileNotFoundError:
            raise missing(path) from None
        except ZIP_DAMAGE as error:
            raise damaged(path, error) from None
        return forest


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


class SavesBooster(BaseEstimator):
    """A mixin for estimators of LightGBM, which writes the booster as LightGBM's own text."""

    def save(self, folder: Path, trusted: Collection[str] = ()) -> None:
        """
        Write a fitted estimator into a folder, as `SavesTrees.save` does.

        Learning curves are left out: the manifest has them.
        """
        text = PARTS.sub("", self._Booster.model_to_string())
        check_booster(text)
        (folder / BOOSTER).write_text(text, encoding="utf-8")
        shell = copy.copy(self)
        shell._Booster, shell._evals_result = None, {}
        storage.dump(shell, folder / SHELL, trusted)

    @classmethod
    def load(cls, folder: Path, trusted: Collection[str] = ()) -> "SavesBooster":
        """
        Read what `save` wrote.

        Raises
        ------
        UserError
            If a file is missing or damaged, holds a type that is not trusted, or an index that is
            out of range.
        """
        shell: Any = storage.load(folder / SHELL, trusted)
        path = folder / BOOSTER
        try:
            if not isinstance(shell, cls):
                raise TypeError(f"{SHELL} holds no estimator of LightGBM")
            text = path.read_text(encoding="utf-8")
            check_booster(text)
            shell._Booster = Booster(model_str=text)
        except FileNotFoundError:
            raise missing(path) from None
        except (LightGBMError, UnicodeDecodeError, *ZIP_DAMAGE) as error:
            raise damaged(path, error) from None
        return shell


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
    own = np.arange(inner.sum()) - np.repeat(np.cumsum(inner) - inner, inner)
    of_tree = np.repeat(inner, inner)
    for side in ("left_child", "right_child"):
        child = _whole(text, side)
        if (
            len(child) != len(own)
            or not np.where(child >= 0, (child > own) & (child < of_tree), ~child <= of_tree).all()
        ):
            raise ValueError("a node of a tree has an index that is out of range")
    features = [_whole(text, name) for name in ("split_feature", "leaf_features")]
    if any(len(found) and not 0 <= found.min() <= found.max() < n_features for found in features):
        raise ValueError("a tree reads a feature that is not there")
    if _whole(text, "num_cat").any():
        raise ValueError("splits by categories are not read")


def _whole(text: str, key: str) -> np.ndarray:
    """Return the whole numbers of all lines of a key."""
    return np.array(" ".join(re.findall(rf"^{key}=(.*)$", text, re.M)).split(), np.int64)
