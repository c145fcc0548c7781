"""Ranking: the target is what a user likes afterwards, the prediction a list of items."""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pandas as pd
from scipy import sparse

from pipeline.errors import ModelError, UserError
from pipeline.problems import Metric, Predictions, Problem, join_meta, metric, metrics_in

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Items of a list, and those of its beginning that most metrics look at.
LENGTH, TOP = 100, 10
# Stands for no item where there are fewer candidates than places.
NONE = -1
# Constant of reciprocal rank fusion (Cormack, Clarke, Büttcher, SIGIR 2009).
FUSION = 60
# Most places whose recall is plotted, and the users by how much they liked afterwards.
PLOTTED = (1, 2, 3, 5, 10, 20, 50, 100)
BORDERS, STRATA = (5, 20), np.array(["below 5 liked", "5 to 19 liked", "20 liked or more"])


def parse_items(label: str) -> np.ndarray:
    """Return the distinct items of a text of whole numbers, separated by spaces."""
    return np.unique(np.array(label.split(), dtype=np.int64))


class MostLiked:
    """Show to all users what most training users liked afterwards."""

    def fit(self, X: Any, y: np.ndarray) -> "MostLiked":
        """Count what was liked."""
        items, counts = np.unique(
            np.concatenate([parse_items(label) for label in y]), return_counts=True
        )
        best = np.argsort(-counts, kind="stable")
        self.items_, self.counts_ = items[best], counts[best]
        return self

    def recommend(self, X: Any, n: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the same items and counts for each row."""
        rows = X.shape[0]
        return np.tile(self.items_[:n], (rows, 1)), np.tile(self.counts_[:n], (rows, 1))


@dataclass(frozen=True)
class Rankings(Predictions):
    """
    The lists that a model shows to n users, and what these liked afterwards.

    Attributes
    ----------
    actual : ndarray of str, shape (n,)
        Items that each user liked afterwards, separated by spaces.
    items : ndarray of int, shape (n, LENGTH)
        The items shown, the best first. `NONE` stands for no item.
    hits : ndarray of bool, shape (n, LENGTH)
        Which of them the user liked.
    relevant : ndarray of int, shape (n,)
        How many items the user liked.
    rarity : ndarray of float, shape (n, LENGTH)
        Negative binary logarithm of the share of training users who liked each item shown.
    n_items : int
        Number of items that training users liked.
    """

    items: np.ndarray
    hits: np.ndarray
    relevant: np.ndarray
    rarity: np.ndarray
    n_items: int

    @property
    def ndcg(self) -> np.ndarray:
        """Normalised discounted cumulative gain of the first `TOP` items of each user."""
        discount = 1 / np.log2(np.arange(2, TOP + 2))
        ideal = np.append(0, np.cumsum(discount))[np.minimum(self.relevant, TOP)]
        return (self.hits[:, :TOP] @ discount) / np.where(ideal > 0, ideal, np.nan)


def _mean(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Average over users. Those who liked nothing afterwards tell nothing."""
    known = ~np.isnan(values)
    weights = weights[:, known]
    return weights @ values[known] / weights.sum(1)


@metric(bounded=True)
def ndcg_10(predictions: Rankings, weights: np.ndarray) -> np.ndarray:
    """Average the NDCG of ten items with gains of 0 and 1 (Järvelin and Kekäläinen 2002)."""
    return _mean(predictions.ndcg, weights)


@metric(bounded=True)
def recall_10(predictions: Rankings, weights: np.ndarray) -> np.ndarray:
    """Average the share of what a user liked that is among ten items."""
    relevant = np.where(predictions.relevant > 0, predictions.relevant, np.nan)
    return _mean(predictions.hits[:, :TOP].sum(1) / relevant, weights)


@metric(bounded=True)
def map_10(predictions: Rankings, weights: np.ndarray) -> np.ndarray:
    """
    Average over users the mean precision at the hits, of at most ten that there could be.

    A list of ten hits has 1, however much more the user liked. ``map_cut_10`` of trec_eval divides
    by all that the user liked instead, and so is lower for who liked more than ten.
    """
    hits = predictions.hits[:, :TOP]
    precision = np.cumsum(hits, axis=1) / np.arange(1, TOP + 1)
    possible = np.minimum(predictions.relevant, TOP)
    return _mean((precision * hits).sum(1) / np.where(possible > 0, possible, np.nan), weights)


@metric(bounded=True)
def coverage_10(predictions: Rankings, weights: np.ndarray) -> np.ndarray:
    """Share of the items that training users liked which are among the ten of any user."""
    shown = predictions.items[:, :TOP]
    user = np.repeat(np.arange(len(shown)), TOP)[(shown != NONE).ravel()]
    _, code = np.unique(shown[shown != NONE], return_inverse=True)
    shape = len(shown), int(code.max(initial=-1)) + 1
    of_user = sparse.csr_matrix((np.ones(len(code)), (user, code)), shape=shape)
    drawn = of_user.T @ (weights > 0).T.astype(float)
    return np.minimum((drawn > 0).sum(0) / predictions.n_items, 1.0)


@metric()
def novelty_10(predictions: Rankings, weights: np.ndarray) -> np.ndarray:
    """Average in bits how few training users liked the ten items of a user."""
    shown = predictions.items[:, :TOP] != NONE
    count = shown.sum(1)
    total = np.where(shown, predictions.rarity[:, :TOP], 0).sum(1)
    return _mean(total / np.where(count > 0, count, np.nan), weights)


@dataclass(frozen=True)
class Ranking(Problem):
    """
    Rank the items that a user has not seen.

    The label of an example is a text: the whole numbers of the items that the user liked
    afterwards, separated by spaces. Examples with none are to be learned from, and count in no
    score of hits. Candidates are all items that an estimator knows but those that the user has
    seen. An estimator has ``fit(X, y)`` and ``recommend(X, n)``, which returns items and scores.
    """

    loss: ClassVar[str] = "ranking_loss"
    mean_metric: ClassVar[str] = "ndcg_10"
    PLOTS: ClassVar[tuple[Mapping[str, Any], ...]] = (
        {
            "name": "recall",
            "title": "Recall by length of the list, on test",
            "form": "line",
            "x": "length",
            "y": "recall",
            "series": "users",
            "diagonal": False,
        },
    )
    METRICS: ClassVar[Mapping[str, Metric]] = metrics_in(globals())

    def check_target(self, target: pd.Series) -> pd.Series:
        """Check that every label is a text of whole numbers."""
        for example, label in target.items():
            if not isinstance(label, str) or not all(part.isdecimal() for part in label.split()):
                raise UserError(
                    f"column '{target.name}', example {example}: '{str(label)[:40]}' is no list "
                    "of items: whole numbers, separated by spaces"
                )
        return target

    def check_enough(
        self, examples: pd.DataFrame, needed: int, advice: Callable[[int], str]
    ) -> None:
        """Check that enough users liked something."""
        there = examples.loc[examples["label"] != "", "group"].nunique()
        if there < needed:
            raise UserError(f"{there} users liked something afterwards: {advice(there)}")

    def strata(self, examples: pd.DataFrame) -> np.ndarray:
        """Return how much each user liked, in three steps."""
        number = examples["label"].str.split().str.len().to_numpy()
        return STRATA[np.searchsorted(BORDERS, number, side="right")]

    def check_parts(
        self,
        parts: Mapping[str, pd.DataFrame],
        advice: Callable[[list[str]], str],
        in_time: bool = False,
    ) -> None:
        """Check that someone in every part liked something."""
        lacking = [name for name, part in parts.items() if not (part["label"] != "").any()]
        if lacking:
            raise UserError(f"nobody in {' and '.join(lacking)} liked anything: {advice(lacking)}")

    def describe(self, train: pd.DataFrame) -> dict[str, Any]:
        """Count how many users liked each item."""
        items = Counter(item for label in train["label"] for item in set(label.split()))
        return {"users": len(train), "liked": {item: items[item] for item in sorted(items)}}

    def summarize(self, examples: pd.DataFrame) -> dict[str, Any]:
        """Count what was liked."""
        return {"liked": int(examples["label"].str.split().str.len().sum())}

    def headline(self, examples: pd.DataFrame) -> str:
        """Count the items."""
        items = {item for label in examples["label"] for item in label.split()}
        return f"{len(items):,} items to rank"

    def check_estimator(self, estimator: Any) -> None:
        """Check that the estimator recommends."""
        for method in ("fit", "recommend"):
            if not hasattr(estimator, method):
                raise ModelError(f"{type(estimator).__name__} has no {method}: it ranks no items")

    def outputs(self, estimator: Any, X: Any) -> np.ndarray:
        """
        Recommend items.

        Returns
        -------
        ndarray of shape (n, 2, LENGTH)
            Items, the best first, and their scores. `NONE` and 0 fill the places that are left.
        """
        items, scores = estimator.recommend(X, LENGTH)
        found = np.zeros((X.shape[0], 2, LENGTH))
        found[:, 0] = NONE
        found[:, 0, : items.shape[1]] = items
        found[:, 1, : items.shape[1]] = np.where(items == NONE, 0, scores)
        if not np.isfinite(found).all():
            raise ModelError(f"{type(estimator).__name__} gives scores that are not finite")
        return found

    def decide(self, predictions: Any) -> dict[str, Any]:
        """Return nothing: there is nothing to choose."""
        return {}

    def predictions(
        self,
        target: np.ndarray,
        outputs: np.ndarray,
        meta: Mapping[str, np.ndarray],
        decision: Mapping[str, Any] | None = None,
    ) -> Rankings:
        """Compare lists with what was liked."""
        items = outputs[:, 0].astype(np.int64)
        liked = [parse_items(label) for label in target]
        hits = np.array([np.isin(row, of) for row, of in zip(items, liked, strict=True)])
        relevant = np.array([len(of) for of in liked])
        counts, users = self.target.get("liked", {}), self.target.get("users", 0)
        known, code = np.unique(items, return_inverse=True)
        number = np.array([counts.get(str(item), 0) for item in known])
        rarity = -np.log2((number + 1) / (users + 1))[code].reshape(items.shape)
        return Rankings(target, items, hits, relevant, rarity, max(len(counts), 1), meta=meta)

    def average(self, outputs: Sequence[np.ndarray], weights: Sequence[float]) -> np.ndarray:
        """Fuse lists by reciprocal ranks."""
        fused = np.zeros_like(outputs[0])
        fused[:, 0] = NONE
        gain = 1 / (FUSION + np.arange(1, LENGTH + 1))
        for row in range(len(fused)):
            shown = np.concatenate([one[row, 0] for one in outputs])
            gains = np.concatenate([weight * gain for weight in weights])[shown != NONE]
            items, code = np.unique(shown[shown != NONE], return_inverse=True)
            total = np.bincount(code, gains, minlength=len(items))
            best = np.argsort(-total, kind="stable")[:LENGTH]
            fused[row, 0, : len(best)], fused[row, 1, : len(best)] = items[best], total[best]
        return fused

    def frame(self, outputs: np.ndarray, decision: Mapping[str, Any]) -> pd.DataFrame:
        """
        Return the first items of each list with their scores, each as a text.

        If the items have names, these are there too, as a list in JSON.
        """
        top = outputs[:, :, :TOP]
        kept = top[:, 0] != NONE
        rows = zip(top[:, 0].astype(int), top[:, 1], kept, strict=True)
        texts = [
            (" ".join(map(str, items[keep])), " ".join(f"{score:.6g}" for score in scores[keep]))
            for items, scores, keep in rows
        ]
        found = pd.DataFrame(texts, columns=["label", "scores"], dtype="str")
        if names := self.target.get("names"):
            named = [[names[int(item)] for item in label.split()] for label in found["label"]]
            found["names"] = [json.dumps(one, ensure_ascii=False) for one in named]
        return found

    def columns(self) -> dict[str, str]:
        """Return the columns of `frame`."""
        names = {"names": "string"} if self.target.get("names") else {}
        return {"label": "string", "scores": "string"} | names

    def concatenate(self, parts: Sequence[Any]) -> Rankings:
        """Join the users of several rounds."""
        arrays = {
            name: np.concatenate([getattr(part, name) for part in parts])
            for name in ("actual", "items", "hits", "relevant", "rarity")
        }
        return Rankings(**arrays, n_items=parts[0].n_items, meta=join_meta(parts))

    def misses(self, predictions: Any) -> np.ndarray:
        """Return what is lacking of a perfect NDCG."""
        return 1 - np.nan_to_num(predictions.ndcg, nan=1.0)

    def control(self, sparse: bool) -> MostLiked:
        """Return the recommender that reads nothing."""
        return MostLiked()

    def plot_data(self, predictions: Any) -> dict[str, pd.DataFrame]:
        """Compute recall for lists of several lengths."""
        relevant = np.where(predictions.relevant > 0, predictions.relevant, np.nan)
        found = np.cumsum(predictions.hits, axis=1) / relevant[:, np.newaxis]
        recall = [float(np.nanmean(found[:, length - 1])) for length in PLOTTED]
        return {"recall": pd.DataFrame({"length": PLOTTED, "recall": recall, "users": "all"})}

    def figure(self, title: str, predictions: Any) -> "Figure":
        """Plot recall by the length of the list."""
        from matplotlib.figure import Figure  # here, since most stages need not wait for it

        figure = Figure(layout="constrained")
        axes = figure.subplots()
        data = self.plot_data(predictions)["recall"]
        axes.plot(data["length"], data["recall"], marker=".")
        axes.set(title=title, xlabel="items shown", ylabel="recall", xscale="log")
        return figure
