"""From raw input to predictions: the path of evaluation and of serving."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from pipeline import bundle, consent, formats, storage
from pipeline.errors import UserError
from pipeline.features.inputs import conform
from pipeline.files import damaged
from pipeline.problems import Problem, problem

# How a column of predictions is held, by the kind of it.
TYPES = {"string": "str", "double": "float64"}


class Predictor(NamedTuple):
    """
    A trained model together with what prepares its input.

    Attributes
    ----------
    featurizer : transformer
        From a table of inputs to the features of the model's view.
    estimator : estimator
        Fitted on those features.
    inputs : dict of str to str
        The columns that a table of inputs must have, and the kind of each.
    may_miss : bool
        Whether a value of an input may be missing.
    problem : Problem
        What kind of target it predicts.
    decision : mapping
        What the problem chose on validation.
    """

    featurizer: Any
    estimator: Any
    inputs: dict[str, str]
    may_miss: bool
    problem: Problem
    decision: Mapping[str, Any]

    def outputs(self, examples: pd.DataFrame) -> np.ndarray:
        """
        Compute what the estimator outputs for raw examples.

        Parameters
        ----------
        examples : DataFrame
            With the columns `inputs`, as `conform` takes them; n rows, at least one.

        Returns
        -------
        ndarray of shape (n, ...)
            As `Problem.outputs` returns it.

        Raises
        ------
        UserError
            When a column is missing, a value is not of its kind, or the output is not what
            the problem needs.
        """
        X = self.featurizer.transform(conform(examples, self.inputs, self.may_miss))
        if X.dtype == np.float64:
            X = X.astype(np.float32)
        return self.problem.outputs(self.estimator, X)

    def predict(self, examples: pd.DataFrame) -> pd.DataFrame:
        """
        Predict raw examples.

        Parameters
        ----------
        examples : DataFrame
            With the columns `inputs`, as `conform` takes them.

        Returns
        -------
        DataFrame
            As `Problem.frame` lays it out: ``label``, the prediction, comes first.
        """
        if examples.empty:  # which estimators refuse
            conform(examples, self.inputs, self.may_miss)
            columns = self.problem.columns().items()
            return pd.DataFrame({name: pd.Series(dtype=TYPES[kind]) for name, kind in columns})
        return self.problem.frame(self.outputs(examples), self.decision)


def load(folder: Path, trusted: list[str] | None = None) -> Predictor:
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
    decision = manifest["decision"]
    try:
        kind = problem(manifest["kind"]).on(manifest["target"])
        kind.check_decision(decision)
    except UserError as error:
        raise damaged(folder / bundle.MANIFEST, error) from error
    estimator = formats.load(manifest["estimator"]["format"], folder, trusted or [])
    return Predictor(
        storage.load(folder / bundle.FEATURIZER),
        estimator,
        manifest["inputs"],
        manifest["may_miss"],
        kind,
        decision,
    )


def _load_pyfunc(path: str) -> Predictor:
    """Read a logged model: MLflow calls this by name with the model's folder."""
    return load(Path(path), consent.TRUSTED)
