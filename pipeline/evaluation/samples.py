"""Scores of models, and how they vary with test examples, training sets and seeds."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from pipeline.evaluation.draws import Units, draw, leave_out
from pipeline.evaluation.intervals import degrees_of_freedom
from pipeline.problems import Metric, Predictions

SMALLEST_ERROR = 1e-9


class Round(NamedTuple):
    """
    One split of the examples, with what the models fitted on it predict.

    Attributes
    ----------
    test : mapping of str to sequence of Predictions
        For each model its predictions for the test examples, one item per training seed.
    validation : mapping of str to float
        For each model its score on validation in the deciding metric, the mean over seeds.
    share : float
        Number of test examples per training example.
    """

    test: Mapping[str, Sequence[Predictions]]
    validation: Mapping[str, float]
    share: float


@dataclass(frozen=True)
class Sample:
    """
    The scores of models in one metric, and how they vary.

    Attributes
    ----------
    whole : ndarray of shape (n_rounds, n_models)
        Scores, the means over training seeds.
    drawn : ndarray of shape (n_draws, n_rounds, n_models)
        Scores of the draws.
    left_out : ndarray of shape (n_blocks, n_rounds, n_models)
        Scores without each block of units.
    category : ndarray of int, shape (n_blocks,)
        The category of each block.
    seeds : ndarray of shape (n_draws, n_rounds, n_models)
        Deviations that draw the training seeds.
    seed_variance, seed_degrees : ndarray of shape (n_rounds, n_models)
        Variances of the means over training seeds, and their degrees of freedom.
    inflation : float
        By how much the variance of rounds exceeds that of their test examples.
    """

    whole: np.ndarray
    drawn: np.ndarray
    left_out: np.ndarray
    category: np.ndarray
    seeds: np.ndarray
    seed_variance: np.ndarray
    seed_degrees: np.ndarray
    inflation: float

    def of(self, model: int) -> "Estimates":
        """Average over rounds the scores of one model."""
        return self.take(np.full((len(self.whole), 1), model))

    def take(self, first: np.ndarray, second: np.ndarray | None = None) -> "Estimates":
        """
        Average over rounds the scores of models, or their differences.

        Parameters
        ----------
        first, second : ndarray of int, shape (n_rounds, n_estimates)
            Which model stands in each round. Without `second` scores are averaged, with it
            differences.
        """
        rounds = np.arange(len(first))[:, None]

        def averages(values: np.ndarray) -> np.ndarray:
            taken = values[..., rounds, first]
            if second is not None:
                taken = taken - values[..., rounds, second]
            return mean_defined(taken, axis=-2)

        drawn = averages(self.drawn)
        noise = np.sqrt(self.inflation) * (drawn - mean_defined(drawn, axis=0))
        sampling = mean_defined(noise**2, axis=0)
        degrees = degrees_of_freedom(averages(self.left_out), self.category)
        training, of_training = self._training(first, second)
        # Variances that are estimated by themselves are added as by Satterthwaite.
        parts = np.stack([sampling, training])
        with np.errstate(divide="ignore", invalid="ignore"):
            uncertainty = np.where(parts > 0, parts**2 / [degrees, of_training], 0).sum(0)
        variance = parts.sum(0)
        out = np.zeros(len(degrees))
        degrees = np.divide(variance**2, uncertainty, out=out, where=uncertainty > 0)
        # Rounding lets what does not vary vary a little.
        error = np.sqrt(variance)
        degrees[error < SMALLEST_ERROR] = 0
        return Estimates(averages(self.whole), drawn, noise + averages(self.seeds), error, degrees)

    def _training(
        self, first: np.ndarray, second: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Sum the variance over seeds; its degrees of freedom are those of the model with fewer."""
        rounds = np.arange(len(first))[:, None]
        models = [first] if second is None else [first, second]
        variance = sum(self.seed_variance[rounds, of].sum(0) for of in models)
        degrees = np.array([self.seed_degrees[rounds, of].sum(0) for of in models], dtype=float)
        # A model of one seed adds no variance that could be uncertain.
        fewest = np.where(degrees > 0, degrees, np.inf).min(0)
        return variance / len(first) ** 2, fewest


class Estimates(NamedTuple):
    """
    Scores or differences, averaged over rounds.

    Attributes
    ----------
    value : ndarray of shape (n,)
        The estimates.
    drawn : ndarray of shape (n_draws, n)
        The estimates of the draws.
    noise : ndarray of shape (n_draws, n)
        Deviations that draw the test examples, the training sets of rounds and the seeds.
    error : ndarray of shape (n,)
        Standard errors.
    degrees : ndarray of shape (n,)
        Degrees of freedom of the standard errors.
    """

    value: np.ndarray
    drawn: np.ndarray
    noise: np.ndarray
    error: np.ndarray
    degrees: np.ndarray


def sample_scores(
    rounds: Sequence[Round],
    models: Sequence[str],
    metrics: Iterable[Metric],
    ways: Sequence[Units],
    seed: int,
    resamples: int,
) -> dict[str, Sample]:
    """
    Score models on their test examples, on draws of them, and without each block of units.

    Returns
    -------
    dict of str to Sample
        By the names of the metrics.
    """
    metrics = list(metrics)

    def score(weights: Sequence[np.ndarray]) -> dict[str, list[list[np.ndarray]]]:
        return {
            m.name: [
                [
                    np.array([m(predictions, of_round) for predictions in one.test[model]])
                    for model in models
                ]
                for one, of_round in zip(rounds, weights, strict=True)
            ]
            for m in metrics
        }

    def stack(scores: list[list[np.ndarray]]) -> np.ndarray:
        """Average over seeds: shape (n_draws, n_rounds, n_models)."""
        return np.array([[of_model.mean(0) for of_model in one] for one in scores]).transpose(
            2, 0, 1
        )

    whole = score([np.ones((1, len(codes))) for codes in ways[0].codes])
    drawn: dict[str, list[np.ndarray]] = {m.name: [] for m in metrics}
    for weights in draw(ways, resamples, seed):
        for name, scores in score(weights).items():
            drawn[name].append(stack(scores))
    left_out: dict[str, list[np.ndarray]] = {m.name: [] for m in metrics}
    categories = []
    for category, weights in leave_out(min(ways, key=len)):
        categories += [category] * len(weights[0])
        for name, scores in score(weights).items():
            left_out[name].append(stack(scores))
    counts = np.array([[len(one.test[model]) for model in models] for one in rounds])
    normal = np.random.default_rng([seed, 1]).normal(size=(resamples, *counts.shape))
    share = float(np.mean([one.share for one in rounds]))
    inflation = 1 + share * len(ways[0]) / ways[0].tested if len(rounds) > 1 else 1.0
    out = {}
    for name, scores in whole.items():
        variance = np.array([[of[:, 0].var() for of in of_round] for of_round in scores])
        variance = np.nan_to_num(variance) / np.maximum(counts - 1, 1)
        out[name] = Sample(
            stack(scores)[0],
            np.concatenate(drawn[name]),
            np.concatenate(left_out[name]),
            np.array(categories),
            normal * np.sqrt(variance),
            variance,
            counts - 1,
            inflation,
        )
    return out


def mean_defined(values: np.ndarray, axis: int) -> np.ndarray:
    """Average the values that are not nan; nan where there are none."""
    defined = ~np.isnan(values)
    count = defined.sum(axis)
    total = np.where(defined, values, 0).sum(axis)
    return np.divide(total, count, out=np.full(np.shape(total), np.nan), where=count > 0)
