"""Read images with a pretrained network of the package timm, from weights on this machine."""

from typing import Any, Self

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from pipeline.errors import ModelError
from pipeline.models.networks.checks import check_inputs, check_shares
from pipeline.models.networks.images import augment
from pipeline.paths import ROOT

WEIGHTS = "model.network.weights"


class Backbone(nn.Module):
    """
    Apply a network of timm without its last layer, and a linear layer to what it pools.

    Parameters
    ----------
    n_outputs : int
        Numbers per image. For a classifier they are one logit per class.
    name : str
        Name of an architecture in timm.
    weights : str
        File of its pretrained weights, ``.safetensors`` or a state dict that is read with
        ``weights_only``. It is needed to train, not to load what was trained. Nothing is
        downloaded. Relative paths start at the root of the project.
    frozen : bool
        Whether the pretrained weights stay as they are, and the linear layer alone is trained.
    dropout : float
        Share of the pooled responses dropped in training.
    flip, turn, shift, brightness
        As for `ImageResNet`.

    Raises
    ------
    ModelError
        If timm is not installed, or does not have the architecture.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        n_outputs: int,
        name: str,
        weights: str,
        frozen: bool = True,
        dropout: float = 0.2,
        flip: bool = True,
        turn: bool = False,
        shift: float = 0.1,
        brightness: float = 0.2,
    ) -> None:
        super().__init__()
        check_shares(dropout=dropout, shift=shift, brightness=brightness)
        self.name, self.weights, self.frozen = name, weights, frozen
        self.flip, self.turn, self.shift, self.brightness = flip, turn, shift, brightness
        self.backbone = _create(name)
        self.backbone.requires_grad_(not frozen)
        self.dropout = nn.Dropout(dropout)
        self.decide = nn.Linear(self.backbone.head_hidden_size, n_outputs)
        for part in ("mean", "std"):
            of_colours = torch.tensor(self.backbone.default_cfg[part]).view(3, 1, 1)
            self.register_buffer(part, of_colours)

    @staticmethod
    def dimensions(X: Tensor) -> dict[str, int]:
        """Return the sizes that depend on the training inputs: none."""
        check_inputs("Backbone", "images", X, 4, whole=True)
        return {}

    def load_pretrained(self) -> None:
        """
        Load the pretrained weights, before the training begins.

        Raises
        ------
        ModelError
            If the file is missing or damaged, or holds weights of another architecture.
        """
        file = ROOT / self.weights
        if not file.is_file():
            raise ModelError(
                f"{WEIGHTS}: {file} does not exist: put the weights of {self.name} there; "
                "they are not downloaded"
            )
        try:
            if file.suffix == ".safetensors":
                found = load_file(file)
            else:
                found = torch.load(file, weights_only=True, map_location="cpu")
        except Exception as error:  # each format has errors of its own
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise ModelError(f"{WEIGHTS}: {file} cannot be read ({reason})") from None
        shapes = {key: value.shape for key, value in self.backbone.state_dict().items()}
        wrong = [k for k, shape in shapes.items() if k not in found or found[k].shape != shape]
        if wrong:
            raise ModelError(
                f"{WEIGHTS}: {file} holds weights of another architecture than {self.name}: "
                f"{len(wrong):,} of {len(shapes):,} do not fit, such as {wrong[0]}"
            )
        self.backbone.load_state_dict({key: found[key] for key in shapes})

    def train(self, mode: bool = True) -> Self:
        """Set the mode, but for a frozen backbone, whose statistics stay as they are."""
        super().train(mode)
        if self.frozen:
            self.backbone.eval()
        return self

    def forward(self, X: Tensor) -> Tensor:
        """Map images (batch, height, width, 3) to outputs (batch, n_outputs)."""
        images = X.permute(0, 3, 1, 2).float() / 255
        if self.training:
            images = augment(images, self.flip, self.turn, self.shift, self.brightness)
        outputs: Tensor = self.decide(self.dropout(self.backbone((images - self.mean) / self.std)))
        return outputs


def _create(name: str) -> Any:
    try:
        import timm
    except ImportError:
        raise ModelError("timm is not installed: pip install -e '.[timm]'") from None
    try:
        return timm.create_model(name, pretrained=False, num_classes=0)
    except RuntimeError as error:
        raise ModelError(f"model.network.name: timm has no '{name}' ({error})") from None
