"""Write and read tensors as safetensors, which holds no pickle."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from pipeline.errors import UserError
from pipeline.files import damaged, missing

# The only entry of the metadata. With several, their order in the file would be left to chance.
VALUES = "values"


def write(path: Path, tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> None:
    """
    Write tensors and plain values. The same ones always become the same bytes.

    Parameters
    ----------
    path : Path
        File to write, ``.safetensors``.
    tensors : mapping of str to Tensor
        On any device. Those that share memory are written one by one.
    values : mapping
        What JSON can hold.

    Raises
    ------
    UserError
        If something is no tensor, or a tensor of a type that the format lacks.
    """
    try:
        apart = {
            name: tensor.detach().clone(memory_format=torch.contiguous_format)
            for name, tensor in tensors.items()
        }
        content = save(apart, {VALUES: json.dumps(values)})
    except (AttributeError, KeyError, RuntimeError, ValueError) as error:
        raise UserError(f"{path.name} cannot hold all that was learned: {error}") from None
    path.write_bytes(content)


def read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """
    Read what `write` wrote.

    Returns
    -------
    tensors : dict of str to Tensor
        On the CPU.
    values : dict
        The plain values.

    Raises
    ------
    UserError
        If the file is missing or damaged, or was not written by `write`.
    """
    if not path.is_file():
        raise missing(path)
    try:
        with safe_open(path, framework="pt") as file:
            values = json.loads((file.metadata() or {})[VALUES])
            if not isinstance(values, dict):
                raise TypeError("its values have no names")
            return {name: file.get_tensor(name) for name in file.keys()}, values  # noqa: SIM118
    except KeyError:
        raise damaged(path, "it is not of this project") from None
    except (SafetensorError, OSError, RuntimeError, TypeError, ValueError) as error:
        raise damaged(path, error) from None


def check_weights(module: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """
    Check that weights are those of a network: the same names, shapes and types.

    Raises
    ------
    ValueError
        If they are not. The message names the first that differs.
    """
    expected = module.state_dict()
    for name in sorted({*expected} ^ {*weights}):
        raise ValueError(f"{name} is {'missing' if name in expected else 'unknown'}")
    for name, wanted in expected.items():
        found = weights[name]
        if (found.shape, found.dtype) != (wanted.shape, wanted.dtype):
            raise ValueError(f"{name} is {_describe(found)}, not {_describe(wanted)}")


def _describe(tensor: Tensor) -> str:
    return f"{tuple(tensor.shape)} {str(tensor.dtype).removeprefix('torch.')}"
