"""From raw input to label and class probabilities: the path of evaluation and of serving."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from pipeline import storage
from pipeline.errors import UserError
from pipeline.evaluation.metrics import decided
from pipeline.files import read_json

ESTIMATOR, FEATURIZER, RECORD = "estimator.skops", "featurizer.skops", "run.json"


class Scorer(NamedTuple):
    """
    A trained model together with what prepares its input.

    Attributes
    ----------
    featurizer : transformer
        From a table of inputs to the numbers of the model's view.
    estimator : classifier
        From those numbers to classes.
    positive : int
        Index of the class that `threshold` is about.
    threshold : float or None
        The answer is the positive class from this probability on; without it,
        the most probable class.
    """

    featurizer: Any
    estimator: Any
    positive: int = 0
    threshold: float | None = None

    @property
    def inputs(self) -> list[str]:
        """Columns that a table of inputs must have."""
        return [str(name) for name in self.featurizer.feature_names_in_]

    @property
    def classes(self) -> list[str]:
        """Labels, in the order of the probabilities."""
        return [str(label) for label in self.estimator.classes_]

    def probabilities(self, examples: pd.DataFrame) -> np.ndarray:
        """
        Give the probability of each class.

        Parameters
        ----------
        examples : DataFrame
            With the columns `inputs`.

        Returns
        -------
        ndarray of shape (n_examples, n_classes)
            Rows sum to 1.

        Raises
        ------
        UserError
            When a column is missing.
        """
        lacking = [name for name in self.inputs if name not in examples]
        if lacking:
            raise UserError(f"the input lacks the column{'s' * (len(lacking) > 1)} {lacking}")
        X = self.featurizer.transform(examples[self.inputs])
        if X.dtype == np.float64:
            X = X.astype(np.float32)
        given: np.ndarray = self.estimator.predict_proba(X)
        return given

    def predict(self, examples: pd.DataFrame) -> pd.DataFrame:
        """
        Answer raw examples.

        Parameters
        ----------
        examples : DataFrame
            With the columns `inputs`.

        Returns
        -------
        DataFrame
            ``label``, the answer, and ``probability_<class>`` for each class.
        """
        given = self.probabilities(examples)
        answers = pd.DataFrame(given, columns=[f"probability_{name}" for name in self.classes])
        chosen = decided(given, self.positive, self.threshold)
        answers.insert(0, "label", np.array(self.classes)[chosen])
        return answers


def save(estimator: Any, folder: Path) -> None:
    """Write a trained estimator in the form that suits its kind; never pickled."""
    if hasattr(estimator, "save"):
        estimator.save(folder)
    else:
        storage.dump(estimator, folder / ESTIMATOR)


def load(folder: Path) -> Scorer:
    """
    Read a trained model and its featurizer.

    Raises
    ------
    UserError
        When a file is missing or damaged.
    """
    featurizer = storage.load(folder / FEATURIZER)
    decision = read_json(folder / RECORD)["decision"]
    if (folder / "network.json").is_file():
        from pipeline.models.neural_net import NeuralNet

        return Scorer(featurizer, NeuralNet.load(folder), **decision)
    return Scorer(featurizer, storage.load(folder / ESTIMATOR), **decision)


def _load_pyfunc(path: str) -> Scorer:
    """Answer for a logged model: MLflow calls this by name with the model's folder."""
    return load(Path(path))
