"""Check the parameters and the inputs of networks."""

from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any

from sklearn.utils import check_scalar
from torch import Tensor


def check_sizes(**sizes: int) -> None:
    """Raise an error for a size that is not a whole number of at least 1."""
    for name, size in sizes.items():
        check_scalar(size, name, Integral, min_val=1)


def check_lists(**lists: Any) -> None:
    """Raise an error for anything but a list of sizes."""
    for name, sizes in lists.items():
        if isinstance(sizes, str) or not isinstance(sizes, Sequence):
            raise TypeError(f"{name} must be a list of whole numbers, not {sizes!r}.")
        for size in sizes:
            check_sizes(**{f"each of {name}": size})


def check_shares(**shares: float) -> None:
    """Raise an error for a share that is not in [0, 1)."""
    for name, share in shares.items():
        check_scalar(share, name, Real, min_val=0, max_val=1, include_boundaries="left")


def check_inputs(network: str, reads: str, X: Tensor, n_axes: int, whole: bool = False) -> None:
    """Raise an error for inputs with another number of axes, or for floats instead of ids."""
    if X.ndim != n_axes or (whole and X.is_floating_point()):
        raise ValueError(
            f"{network} reads {reads}, {'whole ' * whole}numbers in an array of {n_axes} axes; "
            f"this view has {X.ndim} axes of {str(X.dtype).removeprefix('torch.')}"
        )
