"""Forests and boosting that tell how far they are."""

import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
from lightgbm import LGBMClassifier, early_stopping
from lightgbm.basic import LGBMDeprecationWarning, LightGBMError
from lightgbm.callback import CallbackEnv
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import log_loss
from sklearn.utils._param_validation import Interval, InvalidParameterError

Report = Callable[[int, Mapping[str, float]], None]


@contextmanager
def _refusals() -> Iterator[None]:
    """Tell refused hyperparameters as scikit-learn's estimators do."""
    try:
        yield
    except LightGBMError as error:
        reason = re.sub(r" at /.*, line \d+ ?\.?", "", str(error)).strip()
        raise InvalidParameterError(f"LightGBM refuses: {reason}") from None


class LightGBM(LGBMClassifier):
    """
    LightGBM that stops when validation no longer gets better.

    Parameters
    ----------
    patience : int, default=50
        Rounds without a lower log loss on validation before it stops; the
        best round is kept. Without validation all rounds are run.
    **kwargs
        LightGBM's own parameters.
    """

    LOSSES = ("binary_logloss", "multi_logloss")
    # Checked here too: its C++ side writes to standard error before it refuses.
    _parameter_constraints: ClassVar = {
        "patience": [Interval(Integral, 1, None, closed="left")],
        "n_estimators": [Interval(Integral, 1, None, closed="left")],
        "num_leaves": [Interval(Integral, 2, None, closed="left")],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "min_child_samples": [Interval(Integral, 0, None, closed="left")],
        "colsample_bytree": [Interval(Real, 0, 1, closed="right")],
        "subsample": [Interval(Real, 0, 1, closed="right")],
        "reg_alpha": [Interval(Real, 0, None, closed="left")],
        "reg_lambda": [Interval(Real, 0, None, closed="left")],
    }

    def __init__(self, *, patience: int = 50, **kwargs: Any) -> None:
        self.patience = patience
        super().__init__(**kwargs)

    def fit(
        self,
        X: Any,
        y: np.ndarray,
        validation: tuple[Any, np.ndarray] | None = None,
        report: Report | None = None,
    ) -> Self:
        """
        Fit, with early stopping when there is validation.

        Parameters
        ----------
        X : array or sparse matrix of shape (n_examples, n_features)
            Numbers of the training examples.
        y : array of shape (n_examples,)
            Labels.
        validation : tuple of (X, y), optional
            Examples to stop on.
        report : callable, optional
            Called with the round and the log loss on train and validation.
        """
        self._validate_params()
        if validation is None:
            with _refusals():
                return super().fit(X, y)

        def tell(env: CallbackEnv) -> None:
            for _, loss, _, _ in env.evaluation_result_list:
                if loss not in self.LOSSES:
                    raise InvalidParameterError(
                        f"LightGBM stops on the log loss of a classifier, not on '{loss}': "
                        "leave metric and objective out"
                    )
            if report is not None:
                losses = {
                    f"{split}/log_loss": loss for split, _, loss, _ in env.evaluation_result_list
                }
                report(env.iteration + 1, losses)

        with warnings.catch_warnings(), _refusals():
            # LightGBM 4.7 would have `eval_X` and `eval_y`, but encodes labels in `eval_set` only.
            warnings.simplefilter("ignore", LGBMDeprecationWarning)
            return super().fit(
                X,
                y,
                eval_set=[(X, y), validation],
                eval_names=["train", "validation"],
                callbacks=[tell, early_stopping(self.patience, verbose=False)],
            )

    def _process_params(self, stage: str) -> dict[str, Any]:
        """Keep `patience`, which is this class's, from the library, which would warn of it."""
        params: dict[str, Any] = super()._process_params(stage)
        params.pop("patience")
        return params


class RandomForest(RandomForestClassifier):
    """A random forest that grows in steps and tells the validation score of each."""

    STEPS = 10

    def fit(
        self,
        X: Any,
        y: np.ndarray,
        validation: tuple[Any, np.ndarray] | None = None,
        report: Report | None = None,
    ) -> Self:
        """
        Fit the same forest that scikit-learn would, a tenth of the trees at a time.

        Parameters
        ----------
        X : array or sparse matrix of shape (n_examples, n_features)
            Numbers of the training examples.
        y : array of shape (n_examples,)
            Labels.
        validation : tuple of (X, y), optional
            Examples to score; they have no part in the fit.
        report : callable, optional
            Called with the number of trees and the log loss on validation.
        """
        if validation is None or report is None:
            return super().fit(X, y)
        self._validate_params()
        asked = {name: self.get_params()[name] for name in ("n_estimators", "warm_start")}
        sizes = np.linspace(0, asked["n_estimators"], self.STEPS + 1, dtype=int)[1:]
        votes: Any = 0
        scored = 0
        try:
            for step, trees in enumerate(np.unique(sizes[sizes > 0])):
                self.set_params(n_estimators=int(trees), warm_start=step > 0)
                with warnings.catch_warnings():
                    # Class weights are those of the whole forest: each step sees the same data.
                    warnings.filterwarnings("ignore", "class_weight presets")
                    super().fit(X, y)
                votes += sum(
                    tree.predict_proba(validation[0]) for tree in self.estimators_[scored:]
                )
                scored = int(trees)
                loss = log_loss(validation[1], votes / scored, labels=self.classes_)
                report(scored, {"validation/log_loss": loss})
        finally:
            self.set_params(**asked)
        return self
