"""A low-rank change beside a frozen convolution: A convolves to few channels, B mixes them to all, as PEFT has it.

Source: Hu et al. 2022, "LoRA", section 4.1, with the weight seen as a matrix (outputs, inputs · height · width).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from tunewright.core.errors import UserError
from tunewright.methods._low_rank import LowRank
from tunewright.models.example_inputs import example_inputs
from tunewright.models.network import Network


class LoraConv(LowRank):
    """W * x + b + scaling · B * (A * x); A is (rank, inputs, height, width), B (outputs, rank, 1, 1), zero at the start."""

    @staticmethod
    def shapes(base_layer: nn.Module, rank: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
        outputs, inputs, height, width = base_layer.weight.shape  # type: ignore[union-attr,misc]
        return (rank, int(inputs), int(height), int(width)), (int(outputs), rank, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        plain: Tensor = self.base_layer(x)
        return plain + self.change(x).to(plain.dtype)

    def change(self, x: Tensor) -> Tensor:
        """The change to the output, (batch, outputs, height, width)."""
        base = self.base_layer
        assert isinstance(base, nn.Conv2d)
        if self.dropout and self.training:
            x = functional.dropout(x, self.dropout)
        narrow = base._conv_forward(x, self.lora_A, None)  # with the base's padding, of whatever mode
        return functional.conv2d(narrow * self.scaling, self.lora_B)

    def merge_into(self, base: nn.Module) -> None:
        """Add the change to the base layer's own weight."""
        change = torch.einsum("or,rihw->oihw", self.lora_B[:, :, 0, 0], self.lora_A) * self.scaling
        base.weight.add_(change)  # type: ignore[union-attr,operator]


def is_adaptable(module: nn.Module) -> bool:
    """Whether a module is a convolution of images whose channels are not in groups."""
    return isinstance(module, nn.Conv2d) and module.groups == 1


def refuse_lookers(network: Network) -> None:
    """A network that reads its convolutions' stride or size from outside (MobileNetV2) cannot have them wrapped."""
    training = network.training
    try:
        with torch.no_grad():
            network.eval()(example_inputs(network.inner, network.processor, network.device))
    except AttributeError as error:
        raise UserError(
            f"{network.base} looks into its convolutions ({error}), so nothing can be put beside them",
            try_="method: last_layers",
        ) from None
    finally:
        network.train(training)
