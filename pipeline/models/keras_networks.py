"""
Build Keras models, each with the sizes that it reads from the data.

A function takes the training inputs and the number of outputs, and returns a compiled model that
maps a batch of inputs to probabilities of classes, or with one output to numbers. Functions of your
own do the same.
"""

from typing import Any

import keras
import numpy as np
import torch
from keras import layers, ops

from pipeline.models.networks.checks import check_inputs


def dense(
    X: np.ndarray,
    n_outputs: int,
    units: tuple[int, ...] = (64, 64),
    dropout: float = 0.3,
    lr: float = 0.002,
) -> Any:
    """
    Build layers of ReLU units.

    Parameters
    ----------
    X : array of shape (n_examples, n_columns)
        Training inputs.
    n_outputs : int
        Number of classes, or 1 for numbers.
    units : list of int
        Units of each layer.
    dropout : float
        Share of units dropped in training, after each layer.
    lr : float
        Learning rate of AdamW.
    """
    check("dense", "columns of numbers", X, 2)
    inputs = hidden = keras.Input(X.shape[1:])
    for number in units:
        hidden = layers.Dense(number, activation="relu")(hidden)
        hidden = layers.Dropout(dropout)(hidden)
    return compiled(inputs, hidden, n_outputs, lr)


def text_cnn(
    X: np.ndarray,
    n_outputs: int,
    embedding: int = 64,
    filters: int = 64,
    widths: tuple[int, ...] = (1, 2, 3),
    dropout: float = 0.5,
    lr: float = 0.002,
) -> Any:
    """
    Build convolutions over word embeddings, pooled over the text (Kim, EMNLP 2014).

    Parameters
    ----------
    X : array of int, shape (n_examples, n_tokens)
        Training inputs. Id 0 is padding, and stands for ids that training did not have.
    n_outputs : int
        Number of classes, or 1 for numbers.
    embedding : int
        Numbers per embedding.
    filters : int
        Number of filters per width.
    widths : list of int
        Widths of the filters, in tokens.
    dropout : float
        Share of pooled responses dropped in training.
    lr : float
        Learning rate of AdamW.
    """
    check("text_cnn", "token ids", X, 2, whole=True)
    inputs = keras.Input(X.shape[1:], dtype="int32")
    known = int(X.max()) + 1
    ids = ops.where(ops.less(inputs, known), inputs, 0)
    embedded = layers.Embedding(known, embedding)(ids)
    pooled = [
        layers.GlobalMaxPooling1D()(
            layers.Conv1D(filters, width, padding="same", activation="relu")(embedded)
        )
        for width in widths
    ]
    return compiled(
        inputs, layers.Dropout(dropout)(ops.concatenate(pooled, axis=-1)), n_outputs, lr
    )


def sequence_gru(
    X: np.ndarray,
    n_outputs: int,
    stride: int = 5,
    filters: int = 32,
    units: int = 64,
    dropout: float = 0.3,
    lr: float = 0.001,
) -> Any:
    """
    Build a gated recurrent unit over summaries of a few readings.

    Parameters
    ----------
    X : array of shape (n_examples, n_readings, n_channels)
        Training inputs.
    n_outputs : int
        Number of classes, or 1 for numbers.
    stride : int
        Readings per summary.
    filters : int
        Numbers per summary.
    units : int
        Size of the recurrent state.
    dropout : float
        Share of the last state dropped in training.
    lr : float
        Learning rate of AdamW.
    """
    check("sequence_gru", "sequences of readings", X, 3)
    inputs = keras.Input(X.shape[1:])
    summaries = layers.Conv1D(filters, stride, stride, activation="relu")(inputs)
    state = layers.GRU(units)(summaries)
    return compiled(inputs, layers.Dropout(dropout)(state), n_outputs, lr)


def image_cnn(
    X: np.ndarray,
    n_outputs: int,
    filters: tuple[int, ...] = (16, 32, 64, 128),
    dropout: float = 0.2,
    lr: float = 0.002,
) -> Any:
    """
    Build convolutions over images, each of which halves height and width.

    Parameters
    ----------
    X : array of uint8, shape (n_examples, height, width, 3)
        Training inputs.
    n_outputs : int
        Number of classes, or 1 for numbers.
    filters : list of int
        Number of filters of each layer.
    dropout : float
        Share of pooled responses dropped in training.
    lr : float
        Learning rate of AdamW.
    """
    check("image_cnn", "images", X, 4, whole=True)
    inputs = keras.Input(X.shape[1:], dtype="uint8")
    hidden = layers.Rescaling(1 / 128, offset=-1)(inputs)
    for number in filters:
        hidden = layers.Conv2D(number, 3, strides=2, padding="same", use_bias=False)(hidden)
        hidden = layers.ReLU()(layers.BatchNormalization()(hidden))
    pooled = layers.GlobalAveragePooling2D()(hidden)
    return compiled(inputs, layers.Dropout(dropout)(pooled), n_outputs, lr)


def check(name: str, reads: str, X: np.ndarray, n_axes: int, whole: bool = False) -> None:
    """Check the training inputs, as `check_inputs` does for networks of PyTorch."""
    check_inputs(name, reads, torch.from_numpy(X[:1]), n_axes, whole)


def compiled(inputs: Any, hidden: Any, n_outputs: int, lr: float) -> Any:
    """Add the layer of probabilities, or of numbers if there is one output, and compile."""
    activation, loss = "softmax", "sparse_categorical_crossentropy"
    if n_outputs == 1:
        activation, loss = "linear", "mean_squared_error"
    model = keras.Model(inputs, layers.Dense(n_outputs, activation=activation)(hidden))
    model.compile(keras.optimizers.AdamW(lr), loss)
    return model
