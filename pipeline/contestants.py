"""What is compared: the predictions of every fit of a model for the same examples."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from pipeline import experiment, predictor
from pipeline.errors import ModelError, UserError
from pipeline.predictor import Predictor
from pipeline.problems import Predictions, Problem
from pipeline.sources.examples import inputs_of, meta_of
from pipeline.sources.rounds import Rounds

TEST, TRAIN, SHUFFLED = "test", "train", "shuffled"
# Train examples that a model predicts, in all rounds.
TRAIN_SAMPLE = 300


@dataclass(frozen=True)
class Data:
    """
    The examples of a task as ingested.

    Attributes
    ----------
    kind : Problem
        Problem of the task, for its target.
    rounds : Rounds
        The examples in rounds.
    slices : dict of str to DataFrame
        Further test examples.
    digest : str
        Hash of the ingested data.
    variants : mapping of str to callable
        Functions that change the test examples of a round.
    shuffled : mapping of str to DataFrame
        Rows made of validation examples, by the rounds that have some.
    featurizers : dict of str to transformer
        Featurizers that were read, by the hash of their file: models of one view share that of a
        round.
    """

    kind: Problem
    rounds: Rounds
    slices: dict[str, pd.DataFrame]
    digest: str
    variants: Mapping[str, Callable[[pd.DataFrame], pd.DataFrame]] = field(default_factory=dict)
    shuffled: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    featurizers: dict[str, Any] = field(default_factory=dict)
    # By round, part and featurizer.
    _features: dict[tuple[str, str, int], Any] = field(default_factory=dict)
    _parts: dict[str, dict[str, pd.DataFrame]] = field(default_factory=dict)
    _predicted: dict[str, dict[str, pd.DataFrame]] = field(default_factory=dict)

    @property
    def tested(self) -> pd.DataFrame:
        """The examples that are in the test of some round."""
        rounds = self.rounds
        return rounds.examples if rounds.test is None else rounds.test

    def sizes(self) -> dict[str, int]:
        """Return how many examples each slice and variant has."""
        slices = {part: len(rows) for part, rows in self.slices.items()}
        return slices | dict.fromkeys(self.variants, len(self.tested))

    def parts(self, name: str) -> dict[str, pd.DataFrame]:
        """Return the examples that the models of a round are scored on."""
        if name not in self._parts:
            test = self.rounds.part(name, TEST)
            changed = {variant: change(test) for variant, change in self.variants.items()}
            self._parts[name] = {TEST: test, **self.slices, **changed}
        return self._parts[name]

    def predicted(self, name: str) -> dict[str, pd.DataFrame]:
        """Return what the models of a round predict: `parts`, some of train, and `shuffled`."""
        if name not in self._predicted:
            train = self.rounds.part(name, TRAIN)
            most = -(-TRAIN_SAMPLE // len(self.rounds.scored))
            some = self.kind.sample(train, most, seed=0)
            shuffled = {SHUFFLED: self.shuffled[name]} if name in self.shuffled else {}
            self._predicted[name] = self.parts(name) | {TRAIN: some} | shuffled
        return self._predicted[name]

    def outputs(self, name: str, trained: Predictor) -> dict[str, np.ndarray]:
        """
        Compute the outputs of a model of a round from raw inputs.

        Parameters
        ----------
        name : str
            The round.
        trained : Predictor
            The model, with one of `featurizers`.

        Returns
        -------
        dict of str to ndarray
            By part of `predicted`.

        Raises
        ------
        ModelError
            If the model fails.
        """
        outputs = {}
        for part, rows in self.predicted(name).items():
            key = (name, part, id(trained.featurizer))
            try:
                if key not in self._features:
                    self._features[key] = trained.features(rows[inputs_of(rows)])
                outputs[part] = self.kind.outputs(trained.estimator, self._features[key])
            except (UserError, OSError, MemoryError):
                raise
            except Exception as error:
                raise ModelError(f"it failed on {part}: {experiment.reason(error)}") from error
        return outputs


class Scored(NamedTuple):
    """
    The predictions of one fit of a model.

    Attributes
    ----------
    round : str
        Name of the round.
    seed : int
        Seed of the training.
    validation : float
        Deciding score on the validation of the round.
    outputs : dict of str to ndarray
        Outputs for what the models of the round predict, as `Data.predicted` lists it.
    predictions : dict of str to Predictions
        The same with the true target.
    frames : dict of str to DataFrame
        The same predictions as they are served.
    """

    round: str
    seed: int
    validation: float
    outputs: dict[str, np.ndarray]
    predictions: dict[str, Predictions]
    frames: dict[str, pd.DataFrame]


def predict_fits(
    data: Data,
    manifest: Mapping[str, Any],
    kept: Predictor,
    folder: Path,
    trusted: list[str],
) -> list[Scored]:
    """
    Predict the examples of each round from raw inputs with the model that was fitted in it.

    Parameters
    ----------
    data : Data
        The examples of the task.
    manifest : mapping
        Manifest of the kept model.
    kept : Predictor
        The kept model, which of one round is that of the round.
    folder : Path
        Its folder.
    trusted : list of str
        Types of other packages that are safe to load.

    Raises
    ------
    ModelError
        If the model fails.
    """
    fits = []
    for fit in manifest["rounds"]:
        trained = kept
        if fit["folder"] != ".":
            place = folder / fit["folder"]
            trained = predictor.load_single(place, data.kind, trusted, data.featurizers)
        outputs = data.outputs(fit["round"], trained)
        fits.append(score_fit(data, fit, outputs, trained.decision))
    return fits


def average_fit(data: Data, fit: Mapping[str, Any], others: Mapping[str, list[Scored]]) -> Scored:
    """
    Average what the members of an ensemble predicted in a round.

    Parameters
    ----------
    data : Data
        The examples of the task.
    fit : mapping
        Round, seed, weights by model, and the decision.
    others : mapping of str to list of Scored
        The fits of the models that may be members.
    """
    key = (fit["round"], fit["seed"])
    members = [
        next(one for one in others[name] if (one.round, one.seed) == key) for name in fit["weights"]
    ]
    weights = list(fit["weights"].values())
    outputs = {
        part: data.kind.average([member.outputs[part] for member in members], weights)
        for part in members[0].outputs
    }
    return score_fit(data, fit, outputs, fit["decision"])


def score_fit(
    data: Data,
    fit: Mapping[str, Any],
    outputs: dict[str, np.ndarray],
    decision: Mapping[str, Any],
) -> Scored:
    """Return the outputs of a fit together with the true target."""
    kind, parts = data.kind, data.predicted(fit["round"])
    predictions = {
        name: kind.predictions(
            parts[name]["label"].to_numpy(), of_part, meta_of(parts[name]), decision
        )
        for name, of_part in outputs.items()
    }
    frames = {name: kind.frame(of_part, decision) for name, of_part in outputs.items()}
    validation = fit["scores"].get(kind.deciding.name, math.nan)
    return Scored(fit["round"], fit["seed"], validation, outputs, predictions, frames)
