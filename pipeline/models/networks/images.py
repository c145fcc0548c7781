"""Define networks that read images: pixels of 8 bits, with channels last."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline.models.networks.checks import check_inputs, check_lists, check_shares


class ImageResNet(nn.Module):
    """
    Apply residual blocks of convolutions (He et al., CVPR 2016) to small images.

    In training each image is changed at random, as `augment` does it.

    Parameters
    ----------
    n_outputs : int
        Numbers per image. For a classifier they are one logit per class.
    widths : list of int
        Filters of each stage. Each stage halves height and width.
    dropout : float
        Share of the pooled responses dropped in training.
    flip : bool
        Whether images may be mirrored: left and right, and if `turn` is set up and down.
    turn : bool
        Whether images have no upright, so that quarter turns leave their class.
    shift : float
        Greatest shift in training, as a share of height and width. What enters is the
        continued border.
    brightness : float
        Greatest change of brightness and of contrast in training, as a share.
    """

    def __init__(
        self,
        n_outputs: int,
        widths: tuple[int, ...] = (16, 32, 64, 128),
        dropout: float = 0.2,
        flip: bool = True,
        turn: bool = False,
        shift: float = 0.1,
        brightness: float = 0.2,
    ) -> None:
        super().__init__()
        check_lists(widths=widths)
        check_shares(dropout=dropout, shift=shift, brightness=brightness)
        self.flip, self.turn, self.shift, self.brightness = flip, turn, shift, brightness
        self.stem = nn.Sequential(
            nn.Conv2d(3, widths[0], 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(widths[0]),
            nn.ReLU(),
        )
        inputs = [widths[0], *widths[:-1]]
        self.stages = nn.Sequential(
            *(Residual(before, width) for before, width in zip(inputs, widths, strict=True))
        )
        self.dropout = nn.Dropout(dropout)
        self.decide = nn.Linear(2 * widths[-1], n_outputs)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @staticmethod
    def dimensions(X: Tensor) -> dict[str, int]:
        """Return the sizes that depend on the training inputs: none."""
        check_inputs("ImageResNet", "images", X, 4, whole=True)
        return {}

    def forward(self, X: Tensor) -> Tensor:
        """Map images (batch, height, width, 3) to outputs (batch, n_outputs)."""
        # A view of the same memory, which convolutions take as channels last.
        images = X.permute(0, 3, 1, 2).float() / 128 - 1
        if self.training:
            images = augment(images, self.flip, self.turn, self.shift, self.brightness)
        responses = self.stages(self.stem(images))
        pooled = torch.cat([responses.mean((2, 3)), responses.amax((2, 3))], 1)
        outputs: Tensor = self.decide(self.dropout(pooled))
        return outputs


class Residual(nn.Module):
    """Add two convolutions of 3 by 3 to what they read, which is halved in height and width."""

    def __init__(self, n_inputs: int, n_outputs: int) -> None:
        super().__init__()
        self.straight = nn.Sequential(
            nn.AvgPool2d(2, ceil_mode=True),
            nn.Conv2d(n_inputs, n_outputs, 1, bias=False),
            nn.BatchNorm2d(n_outputs),
        )
        self.convolve = nn.Sequential(
            nn.Conv2d(n_inputs, n_outputs, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(n_outputs),
            nn.ReLU(),
            nn.Conv2d(n_outputs, n_outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(n_outputs),
        )

    def forward(self, X: Tensor) -> Tensor:
        """Map (batch, n_inputs, height, width) to (batch, n_outputs, height / 2, width / 2)."""
        return torch.relu(self.straight(X) + self.convolve(X))


def augment(images: Tensor, flip: bool, turn: bool, shift: float, brightness: float) -> Tensor:
    """
    Change images at random, drawing from PyTorch's generator.

    Parameters
    ----------
    images : Tensor of shape (batch, channels, height, width)
        Between -1 and 1.
    flip, turn, shift, brightness
        As for `ImageResNet`. Quarter turns are those of the whole batch, shifts and mirroring
        those of each image.

    Returns
    -------
    Tensor
        Of the same shape. Images that are not square are turned by 180 degrees only.
    """
    n, _, height, width = images.shape
    if turn:
        quarters = int(torch.randint(4, ())) if height == width else 2 * int(torch.randint(2, ()))
        images = torch.rot90(images, quarters, (2, 3))
    scale = torch.ones(n, 2, device=images.device)
    if flip:
        sides = 2 if turn else 1
        scale[:, :sides] = torch.randint(2, (n, sides), device=images.device) * 2.0 - 1
    matrix = torch.diag_embed(scale)
    moved = (torch.rand(n, 2, 1, device=images.device) * 2 - 1) * 2 * shift
    grid = functional.affine_grid(
        torch.cat([matrix, moved], 2), list(images.shape), align_corners=False
    )
    images = functional.grid_sample(
        images, grid, mode="nearest", padding_mode="border", align_corners=False
    )
    contrast, light = (torch.rand(2, n, 1, 1, 1, device=images.device) * 2 - 1) * brightness
    return images * (1 + contrast) + light
