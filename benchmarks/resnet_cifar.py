"""ResNet for CIFAR-10 with 6n + 2 layers, and its public weights: a backbone that is a plain torch module.

Source: He et al. 2016, Deep residual learning, section 4.2, with parameter-free shortcuts (option A).
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from tunewright.core.files import read_tensors
from tunewright.modalities.image.modality import ImagePreprocessing

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # as the weights were trained


class Block(nn.Module):
    """Two convolutions beside a shortcut that skips every other pixel and fills new channels with zeros."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn2(self.conv2(functional.relu(self.bn1(self.conv1(x)))))
        if y.shape != x.shape:
            more = (y.shape[1] - x.shape[1]) // 2
            x = functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, more, more))
        return functional.relu(y + x)


class ResNet(nn.Module):
    """(batch, 3, height, width) to (batch, classes)."""

    def __init__(self, n: int = 3, classes: int = 10) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1 = nn.Sequential(*(Block(16, 16, 1) for _ in range(n)))
        self.layer2 = nn.Sequential(*(Block(16 if place == 0 else 32, 32, 2 if place == 0 else 1) for place in range(n)))
        self.layer3 = nn.Sequential(*(Block(32 if place == 0 else 64, 64, 2 if place == 0 else 1) for place in range(n)))
        self.linear = nn.Linear(64, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.layer3(self.layer2(self.layer1(functional.relu(self.bn1(self.conv1(x))))))
        return self.linear(x.mean((2, 3)))


def pretrained(path: Path) -> ResNet:
    """ResNet-20 with weights of CIFAR-10; only the counters of its batch norms may be missing."""
    module = ResNet()
    lost = module.load_state_dict(read_tensors(path), strict=False)
    assert not lost.unexpected_keys
    assert all(key.endswith("num_batches_tracked") for key in lost.missing_keys)
    return module.eval()


def from_scratch(seed: int) -> ResNet:
    """The same network with new weights (He et al. 2015: normal, by the number of outputs)."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = ResNet()
        for part in module.modules():
            if isinstance(part, nn.Conv2d):
                nn.init.kaiming_normal_(part.weight, mode="fan_out", nonlinearity="relu")
    return module.eval()


def preprocessing(side: int = 32) -> ImagePreprocessing:
    return ImagePreprocessing(side, side, resize=(side, side), mean=MEAN, std=STD)
