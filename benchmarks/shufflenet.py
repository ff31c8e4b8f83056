"""ShuffleNet V2, the backbone of a detector with public weights, under a linear head: a plain torch module.

Source: Ma et al. 2018, ShuffleNet V2, figure 3 (c) and (d); widths and depths as in the weights.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from tunewright.core.files import read_tensors
from tunewright.modalities.image.modality import ImagePreprocessing

STAGES = ((24, 48, 4), (48, 96, 8), (96, 192, 4))  # channels read, channels made, blocks


def convolved(inputs: int, outputs: int, size: int, stride: int, groups: int, *, bends: bool) -> list[nn.Module]:
    convolution = nn.Conv2d(inputs, outputs, size, stride, size // 2, groups=groups, bias=False)
    return [convolution, nn.BatchNorm2d(outputs), *([nn.ReLU(inplace=True)] if bends else [])]


class Block(nn.Module):
    """Half of the channels pass three convolutions; at stride 2 all do, on two ways."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        inner, self.stride = outputs // 2, stride
        self.branch_main = nn.Sequential(
            *convolved(inputs, inner, 1, 1, 1, bends=True),
            *convolved(inner, inner, 3, stride, inner, bends=False),
            *convolved(inner, outputs - inputs, 1, 1, 1, bends=True),
        )
        if stride == 2:
            self.branch_proj = nn.Sequential(
                *convolved(inputs, inputs, 3, 2, inputs, bends=False), *convolved(inputs, inputs, 1, 1, 1, bends=True)
            )

    def forward(self, x: Tensor) -> Tensor:
        if self.stride == 2:
            return torch.cat([self.branch_proj(x), self.branch_main(x)], 1)
        return torch.cat([x[:, ::2], self.branch_main(x[:, 1::2])], 1)  # every other channel: the shuffle


class ShuffleNet(nn.Module):
    """(batch, 3, height, width) to (batch, classes)."""

    def __init__(self, classes: int = 2) -> None:
        super().__init__()
        self.first_conv = nn.Sequential(*convolved(3, 24, 3, 2, 1, bends=True))
        self.pool = nn.MaxPool2d(3, 2, 1)
        for place, (inputs, outputs, many) in enumerate(STAGES, 2):
            first = Block(inputs, outputs, 2)
            self.add_module(f"stage{place}", nn.Sequential(first, *(Block(outputs // 2, outputs, 1) for _ in range(many - 1))))
        self.linear = nn.Linear(STAGES[-1][1], classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(self.first_conv(x))
        for stage in (self.stage2, self.stage3, self.stage4):
            x = stage(x)
        return self.linear(x.mean((2, 3)))


def pretrained(path: Path) -> ShuffleNet:
    """The detector's backbone, which read blue before red; the head is new."""
    held = {name.removeprefix("backbone."): tensor for name, tensor in read_tensors(path).items() if "backbone." in name}
    held["first_conv.0.weight"] = held["first_conv.0.weight"].flip(1)
    module = from_scratch(0)
    lost = module.load_state_dict(held, strict=False)
    assert not lost.unexpected_keys
    assert all(key.startswith("linear.") or key.endswith("num_batches_tracked") for key in lost.missing_keys)
    return module.eval()


def from_scratch(seed: int) -> ShuffleNet:
    """Torch's own new weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return ShuffleNet().eval()


def preprocessing(side: int = 160) -> ImagePreprocessing:
    return ImagePreprocessing(side, side, resize=(side, side), mean=(0.0,) * 3, std=(1.0,) * 3)
