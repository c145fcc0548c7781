"""Wrap PyTorch networks as scikit-learn estimators."""

import functools
import math
import pkgutil
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from numbers import Integral, Real
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from sklearn.base import clone
from sklearn.utils import check_scalar
from sklearn.utils.validation import check_is_fitted
from torch import Tensor
from torch.nn import functional

from pipeline import storage
from pipeline.errors import nearest
from pipeline.files import damaged, read_json, write_json
from pipeline.models import tensors
from pipeline.models.fitting import Report
from pipeline.models.network_estimator import (
    DTYPES,
    NetworkClassifier,
    NetworkEstimator,
    NetworkRegressor,
)
from pipeline.models.networks.checks import check_shares
from pipeline.models.networks.tables import MLP
from pipeline.models.training import LOG_LOSS, Loss, Mean, cosine, train

# Most numbers, and examples, that are predicted at once.
MOST_NUMBERS, MOST_EXAMPLES = 2**20, 1024
OBJECTIVES: dict[str, Mean] = {
    "squared_error": functional.mse_loss,
    "absolute_error": functional.l1_loss,
    "huber": functional.huber_loss,
}
SCHEDULES = {"constant": None, "cosine": cosine}
# What building a network from a damaged recipe can raise.
DAMAGE = (
    ArithmeticError,
    AttributeError,
    ImportError,
    LookupError,
    MemoryError,
    RuntimeError,
    TypeError,
    ValueError,
)
WEIGHTS, RECIPE, PREPROCESSOR = "network.safetensors", "network.json", "preprocessor.skops"
# Recipes name a network relative to the package, because the copy in a logged model has another
# name. Networks in these subpackages are loaded, and others that are trusted by their full names.
PACKAGE, PLACES = __name__.partition(".")[0], ("models.", "tasks.")


class Target(NamedTuple):
    """
    What a network learns to predict.

    Attributes
    ----------
    values : Tensor of shape (n_examples,)
        The targets of the training examples.
    encode : callable
        From further targets to such a tensor.
    loss : Loss
        What is reported, and decides when training stops.
    objective : callable, optional
        What is minimised, if not that.
    """

    values: Tensor
    encode: Callable[[np.ndarray], Tensor]
    loss: Loss
    objective: Mean | None = None


class TorchNetwork(NetworkEstimator, ABC):
    """
    A base class for PyTorch networks as scikit-learn estimators.

    Parameters
    ----------
    network : callable, default=MLP
        A class such as those of `pipeline.models.networks`, or a partial of one that sets
        parameters of the network. Its method ``load_pretrained``, if it has one, is called
        before the training.
    preprocessor : transformer, optional
        Fitted on the training inputs, and applied to all inputs before the network.
    lr : float
        Learning rate of AdamW.
    weight_decay : float
        Weight decay of AdamW.
    batch_size : int
        Examples per step. A last batch of one example is added to the one before it, because
        batch normalisation needs two examples.
    max_epochs : int
        Maximum number of passes over the training examples.
    patience : int
        Epochs without a lower loss on validation before training stops. The best
        weights are then restored. Without validation all epochs are run.
    lr_schedule : str
        How the learning rate changes over `max_epochs`: ``constant``, or ``cosine``, along
        which it falls to 0.
    device : str
        A torch device, or ``auto``, which is a GPU if there is one.
    random_state : int, RandomState or None
        Seeds the initial weights, the order of examples, and dropout.

    Attributes
    ----------
    module_ : torch.nn.Module
        The trained network, on the CPU.
    n_epochs_ : int
        Number of epochs that were run.
    """

    def __init__(
        self,
        network: Callable[..., torch.nn.Module] = MLP,
        preprocessor: Any = None,
        lr: float = 1e-3,
        weight_decay: float = 1e-2,
        batch_size: int = 32,
        max_epochs: int = 100,
        patience: int = 10,
        lr_schedule: str = "constant",
        device: str = "auto",
        random_state: Any = None,
    ) -> None:
        self.network = network
        self.preprocessor = preprocessor
        self.lr = lr
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.patience = patience
        self.lr_schedule = lr_schedule
        self.device = device
        self.random_state = random_state

    def fit(
        self,
        X: np.ndarray,
        y: np.ndarray,
        validation: tuple[np.ndarray, np.ndarray] | None = None,
        report: Report | None = None,
        checkpoint: Path | None = None,
    ) -> Self:
        """
        Train the network.

        Parameters
        ----------
        X : array of shape (n_examples, ...)
            Input of the network.
        y : array of shape (n_examples,)
            Labels, or numbers.
        validation : tuple of (X, y), optional
            Examples for early stopping.
        report : callable, optional
            Called with the epoch and the loss on train and validation.
        checkpoint : Path, optional
            File to write the progress to. If it exists, training continues from it, and ends
            with the same weights as without a break.
        """
        self._check_parameters()
        self.preprocessor_ = None
        if self.preprocessor is not None:
            self.preprocessor_ = clone(self.preprocessor).fit(X)
        X, target = self.fit_target(self._preprocess(X), y)
        device = _device(self.device)
        training = _tensor(X), target.values
        held_out = None
        if validation is not None:
            inputs = _as_supported(self._preprocess(validation[0]))
            held_out = _tensor(inputs), target.encode(validation[1])
        seed = self.draw_seed()
        # Forking the state of every accelerator would initialise all of them.
        random_states = [] if device.type == "cpu" else [device]
        with (
            torch.random.fork_rng(random_states, device_type=device.type),
            _repeatable_convolutions(),
        ):
            torch.manual_seed(seed)
            self.dimensions_ = _network_class(self.network).dimensions(training[0])
            self.module_ = self.network(n_outputs=self.count_outputs(), **self.dimensions_)
            load_pretrained = getattr(self.module_, "load_pretrained", None)
            if callable(load_pretrained):
                load_pretrained()
            self.module_.to(device)
            self.n_epochs_ = train(
                self.module_,
                target.loss,
                training,
                held_out,
                lr=self.lr,
                weight_decay=self.weight_decay,
                batch_size=self.batch_size,
                max_epochs=self.max_epochs,
                patience=self.patience,
                report=report,
                checkpoint=checkpoint,
                schedule=SCHEDULES[self.lr_schedule],
                objective=target.objective,
            )
        self.module_.cpu().eval()
        return self

    @abstractmethod
    def fit_target(self, X: Any, y: Any) -> tuple[np.ndarray, Target]:
        """Check training examples, and return their inputs and what is learned."""

    @abstractmethod
    def count_outputs(self) -> int:
        """Return how many numbers the network has to predict for an example."""

    def _preprocess(self, X: Any) -> Any:
        return X if self.preprocessor_ is None else self.preprocessor_.transform(X)

    def _check_parameters(self) -> None:
        check_scalar(self.lr, "lr", Real, min_val=0, include_boundaries="neither")
        check_scalar(self.weight_decay, "weight_decay", Real, min_val=0)
        for name in ("batch_size", "max_epochs", "patience"):
            check_scalar(getattr(self, name), name, Integral, min_val=1)
        if self.lr_schedule not in SCHEDULES:
            known = nearest(self.lr_schedule, SCHEDULES)
            raise ValueError(f"lr_schedule is unknown: {self.lr_schedule!r}{known}")

    def outputs(self, X: np.ndarray) -> Tensor:
        """
        Compute the outputs of the network.

        Parameters
        ----------
        X : array of shape (n_examples, ...)
            Input of the network.

        Returns
        -------
        Tensor of shape (n_examples, n_outputs)
            In double precision.
        """
        check_is_fitted(self)
        X = self.check_inputs(self._preprocess(X))
        at_once = min(MOST_EXAMPLES, max(1, MOST_NUMBERS // math.prod(X.shape[1:])))
        with torch.inference_mode():
            batches = _tensor(X).split(at_once)
            return torch.cat([self.module_(batch) for batch in batches]).double()

    def save(self, folder: Path, trusted: Collection[str] = ()) -> None:
        """
        Write the weights, the recipe to build their network, and the preprocessor, if any.

        Raises
        ------
        UserError
            If the network or a part of the preprocessor is neither the project's nor trusted, or
            if the network has learned something other than tensors.
        """
        tensors.write(folder / WEIGHTS, self.module_.state_dict(), {})
        if self.preprocessor_ is not None:
            storage.dump(self.preprocessor_, folder / PREPROCESSOR, trusted)
        parameters = self.get_params(deep=False)
        network, preprocessor = parameters.pop("network"), parameters.pop("preprocessor")
        keywords = network.keywords if isinstance(network, functools.partial) else {}
        recipe = {
            "estimator": type(self).__name__,
            "network": {"class": _place(_network_class(network), trusted), **keywords},
            "preprocessed": preprocessor is not None,
            "dimensions": self.dimensions_,
            "parameters": parameters,
            **self.describe_fit(),
        }
        write_json(folder / RECIPE, recipe)

    @staticmethod
    def load(folder: Path, trusted: Collection[str] = ()) -> "TorchNetwork":
        """
        Read what `save` wrote.

        Raises
        ------
        UserError
            If a file is missing or damaged, or the network is neither the project's nor trusted.
        """
        recipe = read_json(folder / RECIPE)
        weights, _ = tensors.read(folder / WEIGHTS)
        try:
            options = dict(recipe["network"])
            network = functools.partial(_find_network(options.pop("class"), trusted), **options)
            estimator = {one.__name__: one for one in TorchNetwork.__subclasses__()}
            self: Any = estimator[recipe["estimator"]](network, **recipe["parameters"])
            preprocessed = recipe["preprocessed"]
            self.restore_fit(recipe)
            self.dimensions_ = recipe["dimensions"]
            self.module_ = network(n_outputs=self.count_outputs(), **self.dimensions_).eval()
        except DAMAGE as error:
            raise damaged(folder / RECIPE, error) from None
        self.preprocessor_ = storage.load(folder / PREPROCESSOR, trusted) if preprocessed else None
        self.preprocessor = self.preprocessor_
        try:
            tensors.check_weights(self.module_, weights)
            self.module_.load_state_dict(weights)
        except (RuntimeError, ValueError) as error:
            raise damaged(folder / WEIGHTS, error) from None
        loaded: TorchNetwork = self
        return loaded


class NeuralNet(NetworkClassifier, TorchNetwork):
    """
    A PyTorch network as a scikit-learn classifier.

    Parameters
    ----------
    label_smoothing : float
        Share of the probability that is spread over all classes in training (Szegedy et al.,
        CVPR 2016). Losses are reported without it.
    **others
        As for `TorchNetwork`. Training stops on the log loss.

    Attributes
    ----------
    classes_ : ndarray
        The labels, sorted. They are the columns of `predict_proba`.
    module_, n_epochs_
        As for `TorchNetwork`.
    """

    def __init__(
        self,
        network: Callable[..., torch.nn.Module] = MLP,
        preprocessor: Any = None,
        lr: float = 1e-3,
        weight_decay: float = 1e-2,
        batch_size: int = 32,
        max_epochs: int = 100,
        patience: int = 10,
        lr_schedule: str = "constant",
        label_smoothing: float = 0.0,
        device: str = "auto",
        random_state: Any = None,
    ) -> None:
        super().__init__(
            network,
            preprocessor,
            lr,
            weight_decay,
            batch_size,
            max_epochs,
            patience,
            lr_schedule,
            device,
            random_state,
        )
        self.label_smoothing = label_smoothing

    def fit_target(self, X: Any, y: Any) -> tuple[np.ndarray, Target]:
        """Check training examples, and return their inputs and the codes of their labels."""
        check_shares(label_smoothing=self.label_smoothing)
        X, codes, encoder = self.fit_labels(X, y)
        smoothed = functools.partial(functional.cross_entropy, label_smoothing=self.label_smoothing)
        return X, Target(
            torch.from_numpy(codes),
            lambda labels: torch.from_numpy(encoder.transform(labels)),
            LOG_LOSS,
            smoothed if self.label_smoothing else None,
        )

    def count_outputs(self) -> int:
        """Return the number of classes."""
        return len(self.classes_)

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        """
        Predict the probability of each class.

        Parameters
        ----------
        X : array of shape (n_examples, ...)
            Input of the network.

        Returns
        -------
        ndarray of shape (n_examples, n_classes)
            Rows sum to 1. Columns are in the order of ``classes_``.
        """
        probabilities: np.ndarray = torch.softmax(self.outputs(X), 1).numpy()
        return probabilities


class NeuralNetRegressor(NetworkRegressor, TorchNetwork):
    """
    A PyTorch network as a scikit-learn regressor.

    Parameters
    ----------
    objective : str
        What is minimised, of standardised targets: ``squared_error``, ``absolute_error``, or
        ``huber``, which is squared up to one standard deviation and absolute above.
    **others
        As for `TorchNetwork`. Training stops on the squared error.

    Attributes
    ----------
    mean_, scale_ : float
        Mean and standard deviation of the targets.
    module_, n_epochs_
        As for `TorchNetwork`.
    """

    def __init__(
        self,
        network: Callable[..., torch.nn.Module] = MLP,
        preprocessor: Any = None,
        lr: float = 1e-3,
        weight_decay: float = 1e-2,
        batch_size: int = 32,
        max_epochs: int = 100,
        patience: int = 10,
        lr_schedule: str = "constant",
        objective: str = "squared_error",
        device: str = "auto",
        random_state: Any = None,
    ) -> None:
        super().__init__(
            network,
            preprocessor,
            lr,
            weight_decay,
            batch_size,
            max_epochs,
            patience,
            lr_schedule,
            device,
            random_state,
        )
        self.objective = objective

    def fit_target(self, X: Any, y: Any) -> tuple[np.ndarray, Target]:
        """Check training examples, and return their inputs and their standardised targets."""
        objective = self.find_objective(OBJECTIVES)
        X, y = self.fit_numbers(X, y)
        # Losses are reported in the unit of the target.
        scale = self.scale_**2
        squared_error = Loss(
            "squared_error", lambda out, target: scale * functional.mse_loss(out[:, 0], target)
        )

        def encode(numbers: np.ndarray) -> Tensor:
            return torch.from_numpy(self.standardise(numbers).astype(np.float32))

        return X, Target(
            encode(y), encode, squared_error, lambda out, target: objective(out[:, 0], target)
        )

    def count_outputs(self) -> int:
        """Return 1."""
        return 1


def _device(name: str) -> torch.device:
    if name == "auto":
        accelerator = torch.accelerator.is_available() and torch.accelerator.current_accelerator()
        return accelerator or torch.device("cpu")
    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"device '{name}' cannot be used: {reason}") from None


@contextmanager
def _repeatable_convolutions() -> Iterator[None]:
    """Restrict cuDNN to deterministic algorithms. Those on the CPU always are."""
    before = torch.backends.cudnn.deterministic
    torch.backends.cudnn.deterministic = True
    try:
        yield
    finally:
        torch.backends.cudnn.deterministic = before


def _network_class(network: Callable[..., torch.nn.Module]) -> Any:
    return network.func if isinstance(network, functools.partial) else network


def _place(network: type, trusted: Collection[str]) -> str:
    package, _, module = network.__module__.partition(".")
    if package == PACKAGE and module.startswith(PLACES):
        return f"{module}.{network.__qualname__}"
    name = f"{network.__module__}.{network.__qualname__}"
    storage.check_trusted("NeuralNet", [name], trusted)
    return name


def _find_network(place: str, trusted: Collection[str]) -> Any:
    if place not in trusted and not place.startswith(PLACES):
        raise ValueError(f"'{place}' is not among the project's networks, nor trusted")
    network = pkgutil.resolve_name(place if place in trusted else f"{PACKAGE}.{place}")
    if not (isinstance(network, type) and issubclass(network, torch.nn.Module)):
        raise ValueError(f"'{place}' is not a network")
    return network


def _as_supported(X: np.ndarray) -> np.ndarray:
    return X if X.dtype in DTYPES else X.astype(np.float32)


def _tensor(X: np.ndarray) -> Tensor:
    """Return a tensor that shares memory with an array, which may be a read-only file."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The given NumPy array is not writable")
        return torch.from_numpy(X)
