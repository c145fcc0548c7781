"""
Build Keras models, each with the sizes that it reads from the data.

A function takes the training inputs and the number of classes, and returns a compiled model that
maps a batch of inputs to probabilities. Functions of your own do the same.
"""

from typing import Any

import keras
import numpy as np
from keras import layers, ops


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
        Number of classes.
    units : list of int
        Units of each layer.
    dropout : float
        Share of units dropped in training, after each layer.
    lr : float
        Learning rate of AdamW.
    """
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
        Number of classes.
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
        Number of classes.
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
    inputs = keras.Input(X.shape[1:])
    summaries = layers.Conv1D(filters, stride, stride, activation="relu")(inputs)
    state = layers.GRU(units)(summaries)
    return compiled(inputs, layers.Dropout(dropout)(state), n_outputs, lr)


def compiled(inputs: Any, hidden: Any, n_outputs: int, lr: float) -> Any:
    """Add the layer of probabilities, and compile."""
    model = keras.Model(inputs, layers.Dense(n_outputs, activation="softmax")(hidden))
    model.compile(keras.optimizers.AdamW(lr), "sparse_categorical_crossentropy")
    return model
