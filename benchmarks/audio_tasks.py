"""Does pre-training help with few sounds? Spoken digits by a speaker never heard, and thirty spoken words, ten clips of each.

python benchmarks/audio_tasks.py               # one line per run in results/audio_tasks.jsonl
python benchmarks/audio_tasks.py --check       # res8 on the words that it was trained for: are its features right?

res8-narrow: a residual network trained on Speech Commands by others (Tang and Lin 2018), in a plain loop on its own features.
A seed draws the training clips and, of the digits, the speaker of the test. Some of the thirty words' clips may be among those
that it was trained on.
"""

from __future__ import annotations

import argparse
import time
import warnings
from typing import Any

import numpy as np
import torch
from common import DATA, done, machine, write
from torch import Tensor, nn
from torch.nn import functional

FILE = "audio_tasks.jsonl"
SEEDS = (0, 1, 2)
PER_DIGIT = 30  # training clips of each digit, from five speakers
WORDS = ("yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go")  # res8's classes after silence and others
ARMS = ("scratch", "feature-extraction", "full", "gradual-unfreezing")
EPOCHS = 12
Clips = tuple[list[np.ndarray], np.ndarray]  # samples of each clip at 16 kHz, class numbers


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--arms", nargs="+", default=list(ARMS))
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    if options.check:
        print(check())
        return
    about = machine()
    for task in ("fsdd", "speech_commands_mini"):
        for seed in SEEDS:
            for arm in options.arms:
                key = f"res8-narrow|{task}|{arm}|{seed}"
                if key in done(FILE):
                    continue
                started = time.process_time()
                found = res8(task, seed, arm)
                line = {"model": "res8-narrow", "task": task, "arm": arm, "seed": seed, **found}
                write(FILE, key, {**line, "seconds": round(time.process_time() - started, 1), **about})
                print(key, found, flush=True)


def digits(seed: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Training and test arrays of spoken digits: one speaker is only heard in the test."""
    with np.load(DATA / "fsdd" / "fsdd.npz", allow_pickle=False) as archive:
        held = dict(archive)
    speakers, labels = held["speaker"], held["digit"]
    if speakers.dtype.kind in "iu":
        speakers = held["speaker_names"][speakers]
    names = sorted(set(speakers.tolist()))
    unseen = names[(2 * seed) % len(names)]
    generator = np.random.default_rng(seed)
    train = []
    for digit in range(10):
        rows = np.flatnonzero((labels == digit) & (speakers != unseen))
        train += generator.choice(rows, PER_DIGIT, replace=False).tolist()
    test = np.flatnonzero(speakers == unseen)
    return _part(held, np.sort(train), speakers), _part(held, test, speakers)


def _part(held: Any, rows: np.ndarray, speakers: np.ndarray) -> dict[str, Any]:
    starts = held["offsets"]
    clips = [held["audio"][starts[row] : starts[row + 1]] for row in rows]
    ends = np.cumsum([0, *map(len, clips)])
    plain = {"audio": np.concatenate(clips), "offsets": ends, "sample_rate": np.array(8000)}
    return plain | {"label": np.array([f"digit {value}" for value in held["digit"][rows]]), "speaker": speakers[rows]}


class Res8(nn.Module):
    """Tang and Lin 2018, table 1: six 3 x 3 convolutions with shortcuts around two, after a first one and pooling."""

    def __init__(self, classes: int, maps: int = 19) -> None:
        super().__init__()
        self.conv0 = nn.Conv2d(1, maps, 3, padding=1, bias=False)
        for index in range(1, 7):
            setattr(self, f"conv{index}", nn.Conv2d(maps, maps, 3, padding=1, bias=False))
            setattr(self, f"bn{index}", nn.BatchNorm2d(maps, affine=False))
        self.output = nn.Linear(maps, classes)

    def features(self, x: Tensor) -> Tensor:
        """(batch, frames, 40) to (batch, maps)."""
        x = functional.avg_pool2d(functional.relu(self.conv0(x.unsqueeze(1))), (4, 3))
        before = x
        for index in range(1, 7):
            x = functional.relu(getattr(self, f"conv{index}")(x))
            if index % 2 == 0:
                x = before = x + before
            x = getattr(self, f"bn{index}")(x)
        return x.mean((2, 3))

    def forward(self, x: Tensor) -> Tensor:
        return self.output(self.features(x))


def trained_res8() -> Res8:
    from tunewright.core.files import read_tensors

    network = Res8(12)
    held = read_tensors(DATA / "weights" / "honk_kws" / "res8_narrow.safetensors")
    network.load_state_dict(held)
    return network


def spectra(clips: list[np.ndarray]) -> Tensor:
    """The 40 cepstra of one second that res8 reads, (clips, 101, 40): log-mel up to 4 kHz, every 10 ms, cosine-transformed."""
    from tunewright.data.sounds.log_mel import mel_filters

    window, filters = np.hanning(481)[:-1], mel_filters(241, 40, 20.0, 4000.0, 16_000, "slaney")
    angles = np.arange(40)[:, None] * (np.arange(40) + 0.5) * np.pi / 40
    cosines = np.cos(angles) * np.where(np.arange(40)[:, None] == 0, np.sqrt(1 / 40), np.sqrt(2 / 40))
    found = []
    for clip in clips:
        second = np.zeros(16_000)
        second[: min(len(clip), 16_000)] = clip[:16_000]
        frames = np.lib.stride_tricks.sliding_window_view(np.pad(second, 240, mode="reflect"), 480)[::160]
        energies = np.square(np.abs(np.fft.rfft(frames * window))) @ filters
        logs = np.where(energies > 0, np.log(np.maximum(energies, 1e-30)), 0.0)
        found.append(logs @ cosines.T)
    return torch.tensor(np.stack(found), dtype=torch.float32)


def words() -> dict[str, tuple[list[np.ndarray], list[str]]]:
    """Clips and what is said in them, by the official split."""
    from tunewright.data.readers.npz import read_splits

    tables = read_splits(DATA / "speech_commands_mini" / "speech_commands_mini.npz")
    return {
        split: ([cell["array"].astype(np.float32) / 32768 for cell in table.columns["audio"]], table.columns["label"])
        for split, table in tables.items()
    }


def clips_of(task: str, seed: int) -> tuple[Clips, Clips, int]:
    """Training and test clips at 16 kHz, and the number of classes."""
    from tunewright.data.encoders.audio import resampled

    if task == "speech_commands_mini":
        parts = words()
        names = sorted(set(parts["train"][1]))
        made = [(parts[split][0], np.array([names.index(word) for word in parts[split][1]])) for split in ("train", "test")]
        return made[0], made[1], len(names)
    found = []
    for part in digits(seed):
        cuts = np.split(part["audio"].astype(np.float32) / 32768, part["offsets"][1:-1])
        found.append(([resampled(clip, 8000, 16_000) for clip in cuts], np.array([int(name[-1]) for name in part["label"]])))
    return found[0], found[1], 10


def res8(task: str, seed: int, arm: str) -> dict[str, Any]:
    """A plain loop: the whole network, all but the new layer frozen, or one convolution more opened every two epochs."""
    (clips, targets), (test_clips, test_targets), classes = clips_of(task, seed)
    x, test = spectra(clips), spectra(test_clips)
    y = torch.tensor(targets)
    torch.manual_seed(seed)
    network = trained_res8() if arm != "scratch" else Res8(12)
    network.output = nn.Linear(19, classes)
    nn.init.zeros_(network.output.bias)
    layers = [network.conv0, *(getattr(network, f"conv{index}") for index in range(1, 7))]
    backbone = [parameter for layer in layers for parameter in layer.parameters()]
    rate = 1e-2 if arm == "scratch" else 1e-3
    epochs = EPOCHS * (2 if arm == "scratch" else 1)  # random values need longer
    optimiser = torch.optim.AdamW(
        [{"params": backbone, "lr": rate}, {"params": network.output.parameters(), "lr": 1e-2}], weight_decay=0.01
    )
    steps = epochs * -(-len(x) // 16)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, [rate, 1e-2], total_steps=steps)
    generator = torch.Generator().manual_seed(seed)
    for epoch in range(epochs):
        opened = {"feature-extraction": 0, "gradual-unfreezing": min(7, epoch // 2)}.get(arm, 7)
        for place, layer in enumerate(layers):
            layer.requires_grad_(place >= 7 - opened)
        network.train()
        for index in range(1, 7):
            getattr(network, f"bn{index}").train(arm == "scratch")  # trained averages are kept: batches are small
        for rows in torch.randperm(len(x), generator=generator).split(16):
            optimiser.zero_grad()
            functional.cross_entropy(network(x[rows]), y[rows]).backward()
            optimiser.step()
            schedule.step()
    network.eval()
    with torch.no_grad():
        accuracy = float((network(test).argmax(1).numpy() == test_targets).mean())
    return {"accuracy": accuracy, "rows": len(x), "test_rows": len(test)}


def check() -> str:
    """Accuracy of res8 as it came on the clips of its own ten words."""
    network = trained_res8().eval()
    right = total = 0
    for clips, said in words().values():
        chosen = [row for row, word in enumerate(said) if word in WORDS]
        with torch.no_grad():
            best = network(spectra([clips[row] for row in chosen])).argmax(1)
        right += sum(int(guess) == 2 + WORDS.index(said[row]) for guess, row in zip(best, chosen, strict=True))
        total += len(chosen)
    return f"{right} of {total} right"


if __name__ == "__main__":
    main()
