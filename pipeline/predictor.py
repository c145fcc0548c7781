"""Predict from raw inputs, as evaluation and serving do."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from pipeline import bundle, consent, formats, storage
from pipeline.errors import UserError
from pipeline.features.inputs import Form, conform
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
    forms : dict of str to Form
        How texts write the values of inputs, where that is not the usual form.
    problem : Problem
        Problem of the task, for its target.
    decision : mapping
        Values that the problem chose on validation.
    """

    featurizer: Any
    estimator: Any
    inputs: dict[str, str]
    may_miss: bool
    forms: dict[str, Form]
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
        return self.problem.outputs(self.estimator, self.features(examples))

    def features(self, examples: pd.DataFrame) -> Any:
        """
        Compute the features of raw examples.

        Raises
        ------
        UserError
            If a column is missing, or a value is not of its kind.
        """
        X = self.featurizer.transform(self.conform(examples))
        return X.astype(np.float32) if X.dtype == np.float64 else X

    def conform(self, examples: pd.DataFrame) -> pd.DataFrame:
        """Convert raw examples to the columns and types of training, as `inputs.conform` does."""
        return conform(examples, self.inputs, self.may_miss, self.forms)

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
            self.conform(examples)
            columns = self.problem.columns().items()
            return pd.DataFrame({name: pd.Series(dtype=TYPES[kind]) for name, kind in columns})
        return self.problem.frame(self.outputs(examples), self.decision)


class Ensemble(NamedTuple):
    """
    A weighted average of trained models.

    Parameters
    ----------
    members : list of Predictor
        The models. Those that read the same features share a featurizer.
    weights : list of float
        Their weights.
    problem : Problem
        Problem of the task, for its target.
    decision : mapping
        Values that the problem chose for the average on validation.
    """

    members: list[Predictor]
    weights: list[float]
    problem: Problem
    decision: Mapping[str, Any]

    def outputs(self, examples: pd.DataFrame) -> np.ndarray:
        """Average the outputs of the members for raw examples, as `Predictor.outputs` does."""
        features: dict[int, Any] = {}
        outputs = []
        for one in self.members:
            key = id(one.featurizer)
            if key not in features:
                features[key] = one.features(examples)
            outputs.append(self.problem.outputs(one.estimator, features[key]))
        return self.problem.average(outputs, self.weights)

    def predict(self, examples: pd.DataFrame) -> pd.DataFrame:
        """Predict raw examples, as `Predictor.predict` does."""
        if examples.empty:
            return self.members[0].predict(examples)
        return self.problem.frame(self.outputs(examples), self.decision)


def load(
    folder: Path,
    trusted: list[str] | None = None,
    featurizers: dict[str, Any] | None = None,
) -> Predictor | Ensemble:
    """
    Read a trained model and its featurizer, or an ensemble of such.

    Parameters
    ----------
    folder : Path
        Folder that `bundle.write` or `bundle.write_ensemble` wrote.
    trusted : list of str, optional
        Types of other packages that are safe to load, by their full names.
    featurizers : dict of str to transformer, optional
        As for `load_single`.

    Raises
    ------
    ModelError
        If its training failed.
    UserError
        If a file is missing or damaged, or holds a type that is not trusted.
    """
    manifest = bundle.read(folder)
    bundle.check_trained(folder, manifest)
    trusted, featurizers = trusted or [], {} if featurizers is None else featurizers
    decision = manifest["decision"]
    try:
        kind = problem(manifest["kind"]).on(manifest["target"])
        kind.check_decision(decision)
    except UserError as error:
        raise damaged(folder / bundle.MANIFEST, error) from error
    if manifest["estimator"]["format"] == bundle.ENSEMBLE:
        members = [
            load_single(bundle.member_folder(folder, one), kind, trusted, featurizers)
            for one in manifest["members"]
        ]
        return Ensemble(members, [one["weight"] for one in manifest["members"]], kind, decision)
    return load_single(folder, kind, trusted, featurizers)


def load_single(
    folder: Path, kind: Problem, trusted: list[str], featurizers: dict[str, Any]
) -> Predictor:
    """
    Read a trained model that is no ensemble.

    Parameters
    ----------
    folder : Path
        Folder that `bundle.write` wrote.
    kind : Problem
        Problem of the task, for its target.
    trusted : list of str
        Types of other packages that are safe to load, by their full names.
    featurizers : dict of str to transformer
        Featurizers that were read before, by the hash of their file. A new one is added.
    """
    manifest = bundle.read(folder)
    estimator = formats.load(manifest["estimator"]["format"], folder, trusted)
    key = manifest["files"][bundle.FEATURIZER]
    if key not in featurizers:
        featurizers[key] = storage.load(folder / bundle.FEATURIZER)
    return Predictor(
        featurizers[key],
        estimator,
        manifest["inputs"],
        manifest["may_miss"],
        {name: Form(**form) for name, form in manifest["forms"].items()},
        kind,
        manifest["decision"],
    )


def _load_pyfunc(path: str) -> Predictor | Ensemble:
    """Read a logged model. MLflow calls this function by its name, with the model's folder."""
    return load(Path(path), consent.TRUSTED)
