"""Predict from raw inputs, as evaluation and serving do."""

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

# The pandas type of a column of predictions, by its type in MLflow's signatures.
TYPES = {"string": "str", "double": "float64"}


class Predictor(NamedTuple):
    """
    A trained model together with its featurizer.

    Attributes
    ----------
    featurizer : transformer
        Converts a table of inputs to the features that the model reads.
    estimator : estimator
        Estimator fitted on those features.
    inputs : dict of str to str
        The kind of each column that a table of inputs must have.
    may_miss : bool
        Whether values of inputs may be missing.
    problem : Problem
        Problem of the task, for its target.
    decision : mapping
        Values that the problem chose on validation.
    """

    featurizer: Any
    estimator: Any
    inputs: dict[str, str]
    may_miss: bool
    problem: Problem
    decision: Mapping[str, Any]

    def outputs(self, examples: pd.DataFrame) -> np.ndarray:
        """
        Compute the output of the estimator for raw examples.

        Parameters
        ----------
        examples : DataFrame
            With the columns `inputs`, as `conform` accepts them, and at least one row.

        Returns
        -------
        ndarray of shape (n, ...)
            As `Problem.outputs` returns it.

        Raises
        ------
        UserError
            If a column is missing, a value is not of its kind, or the output is not what the
            problem needs.
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
            With the columns `inputs`, as `conform` accepts them.

        Returns
        -------
        DataFrame
            As `Problem.frame` returns it. The first column, ``label``, is the prediction.
        """
        if examples.empty:  # estimators reject it
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
        Folder that `bundle.write` wrote.
    trusted : list of str, optional
        Types of other packages that are safe to load, by their full names.

    Raises
    ------
    ModelError
        If its training failed.
    UserError
        If a file is missing or damaged, or holds a type that is not trusted.
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
    """Read a logged model. MLflow calls this function by its name, with the model's folder."""
    return load(Path(path), consent.TRUSTED)
