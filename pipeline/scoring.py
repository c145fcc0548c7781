"""From raw input to label and class probabilities: the path of evaluation and of serving."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from pipeline import bundle, consent, formats, storage
from pipeline.evaluation.metrics import decided
from pipeline.features.inputs import conform
from pipeline.models.classification import check_classes, check_probabilities


class Scorer(NamedTuple):
    """
    A trained model together with what prepares its input.

    Attributes
    ----------
    featurizer : transformer
        From a table of inputs to the numbers of the model's view.
    estimator : classifier
        From those numbers to classes.
    classes : list of str
        Labels, in the order of the probabilities.
    inputs : dict of str to str
        The columns that a table of inputs must have, and the kind of each.
    may_miss : bool
        Whether a value of an input may be missing.
    positive : int
        Index of the class that `threshold` is about.
    threshold : float or None
        The answer is the positive class from this probability on; without it,
        the most probable class.
    """

    featurizer: Any
    estimator: Any
    classes: list[str]
    inputs: dict[str, str]
    may_miss: bool = False
    positive: int = 0
    threshold: float | None = None

    def probabilities(self, examples: pd.DataFrame) -> np.ndarray:
        """
        Give the probability of each class.

        Parameters
        ----------
        examples : DataFrame
            With the columns `inputs`, as `conform` takes them.

        Returns
        -------
        ndarray of shape (n_examples, n_classes)
            Rows sum to 1.

        Raises
        ------
        UserError
            When a column is missing, a value is not of its kind, or the estimator gives no
            probabilities.
        """
        conformed = conform(examples, self.inputs, self.may_miss)
        if conformed.empty:
            return np.empty((0, len(self.classes)))
        X = self.featurizer.transform(conformed)
        if X.dtype == np.float64:
            X = X.astype(np.float32)
        given = self.estimator.predict_proba(X)
        return check_probabilities(self.estimator, given, len(examples), len(self.classes))

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


def load(folder: Path, trusted: list[str] | None = None) -> Scorer:
    """
    Read a trained model and its featurizer.

    Parameters
    ----------
    folder : Path
        What `bundle.write` filled.
    trusted : list of str, optional
        Types of other packages that are safe to load, by their full names.

    Raises
    ------
    ModelError
        When its training failed.
    UserError
        When a file is missing or damaged, or holds a type that is not trusted.
    """
    manifest = bundle.read(folder)
    bundle.check_trained(folder, manifest)
    classes, decision = manifest["classes"], manifest["decision"]
    estimator = formats.load(manifest["estimator"]["format"], folder, trusted or [])
    check_classes(estimator, classes)
    return Scorer(
        storage.load(folder / bundle.FEATURIZER),
        estimator,
        classes,
        manifest["inputs"],
        manifest["may_miss"],
        classes.index(decision["positive"]) if decision["positive"] is not None else 0,
        decision["threshold"],
    )


def _load_pyfunc(path: str) -> Scorer:
    """Answer for a logged model: MLflow calls this by name with the model's folder."""
    return load(Path(path), consent.TRUSTED)
