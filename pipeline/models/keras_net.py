"""Wrap Keras models as scikit-learn estimators."""

import json
import pkgutil
import random
import re
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from numbers import Integral
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple, Self

import keras
import numpy as np
import torch
from sklearn.metrics import log_loss
from sklearn.utils import check_scalar

from pipeline import storage
from pipeline.errors import UserError
from pipeline.files import (
    ZIP_DAMAGE,
    check_archive,
    damaged,
    missing,
    read_json,
    write_archive,
    write_json,
)
from pipeline.models import keras_networks
from pipeline.models.fitting import Report
from pipeline.models.network_estimator import (
    NetworkClassifier,
    NetworkEstimator,
    NetworkRegressor,
)

MODEL, RECIPE = "model.keras", "keras.json"
# Keras's names of losses, and of the metric that is reported of training.
SQUARED_ERROR = "mean_squared_error"
OBJECTIVES = {
    "squared_error": SQUARED_ERROR,
    "absolute_error": "mean_absolute_error",
    "huber": "huber",
}
# Examples per batch when predicting.
BATCH = 1024


class Target(NamedTuple):
    """
    What a model learns to predict.

    Attributes
    ----------
    values : ndarray of shape (n_examples, ...)
        The targets of the training examples, as the loss that the model is compiled with takes
        them.
    encode : callable
        From further targets to such an array.
    loss : str
        Name of what is reported, and decides when training stops.
    measure : callable
        From encoded targets and what the model predicts to that loss.
    of_training : callable
        From the logs of an epoch of Keras to that loss on train.
    """

    values: np.ndarray
    encode: Callable[[np.ndarray], np.ndarray]
    loss: str
    measure: Callable[[np.ndarray, np.ndarray], float]
    of_training: Callable[[Mapping[str, float]], float]


class KerasNetwork(NetworkEstimator, ABC):
    """
    A base class for Keras models as scikit-learn estimators.

    Keras runs on PyTorch unless the environment variable ``KERAS_BACKEND`` names another
    backend.

    Parameters
    ----------
    build : callable, default=keras_networks.dense
        From the training inputs, an array of shape (n_examples, ...), and the number of outputs
        to a compiled Keras model. The model maps a batch of inputs to an array of shape
        (batch, n_outputs).
    batch_size : int
        Examples per step.
    max_epochs : int
        Maximum number of passes over the training examples.
    patience : int
        Epochs without a lower loss on validation before training stops. The best weights
        are then restored. Without validation all epochs are run.
    random_state : int, RandomState or None
        Seeds the initial weights, the order of examples, and dropout.

    Attributes
    ----------
    model_ : keras.Model
        The trained model.
    n_epochs_ : int
        Number of epochs that were run.
    """

    def __init__(
        self,
        build: Callable[..., Any] = keras_networks.dense,
        batch_size: int = 32,
        max_epochs: int = 100,
        patience: int = 10,
        random_state: Any = None,
    ) -> None:
        self.build = build
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.patience = patience
        self.random_state = random_state

    def fit(
        self,
        X: np.ndarray,
        y: np.ndarray,
        validation: tuple[np.ndarray, np.ndarray] | None = None,
        report: Report | None = None,
    ) -> Self:
        """
        Train the model.

        Parameters
        ----------
        X : array of shape (n_examples, ...)
            Input of the model.
        y : array of shape (n_examples,)
            Labels, or numbers.
        validation : tuple of (X, y), optional
            Examples for early stopping.
        report : callable, optional
            Called with the epoch and the loss on train and validation. That on train is the mean
            over the steps of the epoch.
        """
        for name in ("batch_size", "max_epochs", "patience"):
            check_scalar(getattr(self, name), name, Integral, min_val=1)
        X, target = self.fit_target(X, y)
        held_out = None
        if validation is not None:
            held_out = validation[0], target.encode(validation[1])
        callbacks: list[Any] = [Watch(target, held_out, report)]
        if validation is not None:
            stop = keras.callbacks.EarlyStopping(
                f"validation/{target.loss}",
                patience=self.patience,
                mode="min",
                restore_best_weights=True,
            )
            callbacks.append(stop)
        with seeded(self.draw_seed()):
            self.model_ = self.compile(X)
            history = self.model_.fit(
                X,
                target.values,
                batch_size=self.batch_size,
                epochs=self.max_epochs,
                callbacks=callbacks,
                verbose=0,
            )
        self.n_epochs_ = len(history.epoch)
        return self

    @abstractmethod
    def fit_target(self, X: Any, y: Any) -> tuple[np.ndarray, Target]:
        """Check training examples, and return their inputs and what is learned."""

    @abstractmethod
    def compile(self, X: np.ndarray) -> Any:
        """Build and compile the model for training inputs."""

    def outputs(self, X: np.ndarray) -> np.ndarray:
        """Return what the model predicts, of shape (n_examples, n_outputs)."""
        return predict(self.model_, self.check_inputs(X))

    def save(self, folder: Path, trusted: Collection[str] = ()) -> None:
        """
        Write the model in Keras's own format, and what is needed beside it.

        Raises
        ------
        UserError
            If a layer is neither Keras's nor trusted.
        """
        own = {f"{one.__module__}.{one.__qualname__}" for one in layer_types(self.model_)}
        others = [name for name in own if not name.startswith("keras.")]
        storage.check_trusted("KerasNet", others, trusted)
        self.model_.save(folder / MODEL, include_optimizer=False)
        make_repeatable(folder / MODEL)
        parameters = self.get_params()
        del parameters["build"]
        recipe = {"estimator": type(self).__name__, "parameters": parameters}
        write_json(folder / RECIPE, recipe | self.describe_fit())

    @staticmethod
    def load(folder: Path, trusted: Collection[str] = ()) -> "KerasNetwork":
        """
        Read what `save` wrote.

        Keras refuses code in the file (``safe_mode``). Layers of your own are imported if
        `trusted` has their full names.

        Raises
        ------
        UserError
            If a file is missing or damaged, or holds a layer that is not trusted.
        """
        recipe, content = read_json(folder / RECIPE), folder / MODEL
        if not content.is_file():
            raise missing(content)
        try:
            with zipfile.ZipFile(content) as archive:
                check_archive(archive, content.stat().st_size)
                named = set(own_layers(json.loads(archive.read("config.json"))))
            refused = sorted(named - {name.rpartition(".")[2] for name in trusted})
            if refused:
                raise UserError(
                    f"{content} holds layers that are not trusted: {', '.join(refused)}"
                )
            own = {name.rpartition(".")[2]: pkgutil.resolve_name(name) for name in trusted}
            estimator = {one.__name__: one for one in (KerasNet, KerasNetRegressor)}
            self: Any = estimator[recipe["estimator"]](**recipe["parameters"])
            self.restore_fit(recipe)
            self.model_ = keras.models.load_model(content, own, compile=False, safe_mode=True)
        except (*ZIP_DAMAGE, OSError) as error:
            raise damaged(content, error) from None
        loaded: KerasNetwork = self
        return loaded


class KerasNet(NetworkClassifier, KerasNetwork):
    """
    A Keras model as a scikit-learn classifier.

    Parameters
    ----------
    **parameters
        As for `KerasNetwork`. The model that `build` returns maps inputs to probabilities, and
        its loss takes classes as whole numbers. Training stops on the log loss; what is reported
        as that on train is the loss that the model is compiled with.

    Attributes
    ----------
    classes_ : ndarray
        The labels, sorted. They are the columns of `predict_proba`.
    model_, n_epochs_
        As for `KerasNetwork`.
    """

    def fit_target(self, X: Any, y: Any) -> tuple[np.ndarray, Target]:
        """Check training examples, and return their inputs and the codes of their labels."""
        X, codes, encoder = self.fit_labels(X, y)
        labels = np.arange(len(self.classes_))

        def measure(actual: np.ndarray, probabilities: np.ndarray) -> float:
            return float(log_loss(actual, probabilities, labels=labels))

        return X, Target(codes, encoder.transform, "log_loss", measure, itemgetter("loss"))

    def compile(self, X: np.ndarray) -> Any:
        """Build the model with an output per class. It comes compiled."""
        return self.build(X, n_outputs=len(self.classes_))

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        """
        Predict the probability of each class.

        Parameters
        ----------
        X : array of shape (n_examples, ...)
            Input of the model.

        Returns
        -------
        ndarray of shape (n_examples, n_classes)
            Columns are in the order of ``classes_``.
        """
        return self.outputs(X)


class KerasNetRegressor(NetworkRegressor, KerasNetwork):
    """
    A Keras model as a scikit-learn regressor.

    Parameters
    ----------
    objective : str
        What is minimised, of standardised targets, whatever loss the model is compiled with:
        ``squared_error``, ``absolute_error``, or ``huber``, which is squared up to one standard
        deviation and absolute above.
    **others
        As for `KerasNetwork`. The model that `build` returns has one output. Training stops on
        the squared error.

    Attributes
    ----------
    mean_, scale_ : float
        Mean and standard deviation of the targets.
    model_, n_epochs_
        As for `KerasNetwork`.
    """

    def __init__(
        self,
        build: Callable[..., Any] = keras_networks.dense,
        batch_size: int = 32,
        max_epochs: int = 100,
        patience: int = 10,
        objective: str = "squared_error",
        random_state: Any = None,
    ) -> None:
        super().__init__(build, batch_size, max_epochs, patience, random_state)
        self.objective = objective

    def fit_target(self, X: Any, y: Any) -> tuple[np.ndarray, Target]:
        """Check training examples, and return their inputs and their standardised targets."""
        X, y = self.fit_numbers(X, y)
        # Losses are reported in the unit of the target.
        unit = self.scale_**2

        def encode(numbers: np.ndarray) -> np.ndarray:
            return self.standardise(numbers).astype(np.float32)[:, np.newaxis]

        def measure(actual: np.ndarray, predicted: np.ndarray) -> float:
            return float(unit * np.mean((predicted - actual) ** 2, dtype=float))

        def of_training(logs: Mapping[str, float]) -> float:
            return unit * logs[SQUARED_ERROR]

        return X, Target(encode(y), encode, "squared_error", measure, of_training)

    def compile(self, X: np.ndarray) -> Any:
        """Build the model with one output, and compile it for the objective."""
        model = self.build(X, n_outputs=1)
        objective = self.find_objective(OBJECTIVES)
        model.compile(model.optimizer, objective, metrics=[SQUARED_ERROR])
        return model


def layer_types(layer: Any) -> Iterator[type]:
    """Yield the types of the layers of a model, also of models within it."""
    for inner in getattr(layer, "layers", []):
        yield type(inner)
        yield from layer_types(inner)


def own_layers(config: Any) -> Iterator[str]:
    """Yield the names of the classes that the configuration of a model has from elsewhere."""
    if isinstance(config, dict):
        if config.get("registered_name") and not str(config.get("module")).startswith("keras."):
            yield config["class_name"]
        for value in config.values():
            yield from own_layers(value)
    elif isinstance(config, list):
        for value in config:
            yield from own_layers(value)


class Watch(keras.callbacks.Callback):
    """Compute the loss on validation after each epoch, for early stopping, and report."""

    def __init__(
        self,
        target: Target,
        validation: tuple[np.ndarray, np.ndarray] | None,
        report: Report | None,
    ) -> None:
        super().__init__()
        self.target = target
        self.validation = validation
        self.report = report

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        """Add the loss on validation to what other callbacks read."""
        losses = {f"train/{self.target.loss}": self.target.of_training(logs)}
        if self.validation is not None:
            X, actual = self.validation
            loss = self.target.measure(actual, predict(self.model, X))
            losses[f"validation/{self.target.loss}"] = loss
            logs[f"validation/{self.target.loss}"] = loss
        if self.report is not None and self.report(epoch + 1, losses):
            self.model.stop_training = True


def predict(model: Any, X: np.ndarray) -> np.ndarray:
    """Return what a model predicts."""
    found: np.ndarray = model.predict(X, batch_size=BATCH, verbose=0)
    return found


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed Keras for the time of a block, and leave other random numbers as they are."""
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002 Keras seeds it
    # Names of layers are counted anew, so that they do not depend on what was built before.
    keras.utils.clear_session()
    with torch.random.fork_rng():
        keras.utils.set_random_seed(seed)
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy)  # noqa: NPY002


def make_repeatable(path: Path) -> None:
    """
    Replace what differs each time in a file of Keras.

    Keras writes down the time, and names shared objects by their address in memory.
    """
    numbers: dict[bytes, bytes] = {}

    def renumber(match: re.Match[bytes]) -> bytes:
        return match[1] + numbers.setdefault(match[2], b"%d" % (len(numbers) + 1))

    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    metadata = json.loads(parts["metadata.json"]) | {"date_saved": ""}
    parts["metadata.json"] = json.dumps(metadata).encode()
    config = parts["config.json"]
    parts["config.json"] = re.sub(rb'("shared_object_id": )(\d+)', renumber, config)
    write_archive(path, parts)
