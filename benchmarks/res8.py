"""res8: a small residual network for spoken keywords, and the cepstra that its public weights were trained on.

Source: Tang and Lin 2018, Deep residual learning for small-footprint keyword spotting, table 1; the weights are other people's.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from tunewright.core.files import read_tensors
from tunewright.modalities.audio import modality as audio
from tunewright.modalities.audio.modality import AudioPreprocessing

WORDS = ("yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go")  # the classes after silence and others


class Layer(nn.Module):
    """A convolution; every second one adds what came out of the one two before."""

    def __init__(self, maps: int, joins: bool) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(maps, maps, 3, padding=1, bias=False), nn.BatchNorm2d(maps, affine=False)
        self.joins = joins

    def forward(self, x: Tensor, before: Tensor) -> tuple[Tensor, Tensor]:
        x = functional.relu(self.conv(x))
        if self.joins:
            x = before = x + before
        return self.norm(x), before


class Res8(nn.Module):
    """A first convolution and pooling, six more with shortcuts around two, and a linear layer on the mean."""

    def __init__(self, classes: int = 12, maps: int = 19) -> None:
        super().__init__()
        self.conv0 = nn.Conv2d(1, maps, 3, padding=1, bias=False)
        self.layers = nn.ModuleList(Layer(maps, joins=place % 2 == 1) for place in range(6))
        self.output = nn.Linear(maps, classes)

    def forward(self, cepstra: Tensor) -> Tensor:
        """(batch, frames, 40) to (batch, classes)."""
        x = before = functional.avg_pool2d(functional.relu(self.conv0(cepstra.unsqueeze(1))), (4, 3))
        for layer in self.layers:
            x, before = layer(x, before)
        answer: Tensor = self.output(x.mean((2, 3)))
        return answer


def pretrained(weights: Path) -> Res8:
    """The public weights, whose layers are numbered from 1 beside one another."""
    held = read_tensors(weights)
    network = Res8(maps=len(held["conv0.weight"]))
    for number in range(1, 7):
        held[f"layers.{number - 1}.conv.weight"] = held.pop(f"conv{number}.weight")
        for name in [name for name in held if name.startswith(f"bn{number}.")]:
            held[name.replace(f"bn{number}.", f"layers.{number - 1}.norm.")] = held.pop(name)
    network.load_state_dict(held)
    return network.eval()


def preprocessing() -> AudioPreprocessing:
    """One second at 16 kHz: 40 cepstra of 40 mel energies from 20 to 4,000 Hz, every 10 ms."""
    return AudioPreprocessing("log_mel", max_seconds=1.0, mels=40, points=480, hop=160, low=20.0, high=4000.0, cepstra=40)


def heard(network: Res8, clips: Path) -> tuple[int, int]:
    """Clips of its own ten words that are told rightly, and how many there are."""
    from tunewright.datasets.readers.npz import read_splits

    right = total = 0
    for table in read_splits(clips).values():
        said = table.columns["label"]
        chosen = [row for row, word in enumerate(said) if word in WORDS]
        encoded = audio.encode(audio.read(table, ("audio",)), preprocessing())
        with torch.no_grad():
            best = network(encoded.collate(np.array(chosen))["input_values"]).argmax(1)
        right += sum(int(guess) == 2 + WORDS.index(said[row]) for guess, row in zip(best, chosen, strict=True))
        total += len(chosen)
    return right, total
