"""tiny-audio: a small spectrogram transformer (AST) for one second of sound, trained from random values on spoken digits.

python zoo/tiny_audio.py [--epochs N]
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

from shelf import DATA, put

NAME = "tiny-audio"
MELS, FRAMES = 64, 96
SHAPE = {
    "hidden_size": 128,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "intermediate_size": 384,
    "patch_size": 8,
    "frequency_stride": 8,
    "time_stride": 8,
    "num_mel_bins": MELS,
    "max_length": FRAMES,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=30)
    options = parser.parse_args()
    import tunewright

    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        start_from_nothing(folder / "random")
        run = tunewright.fit(
            DATA / "fsdd" / "fsdd.npz",
            model=str(folder / "random"),
            method="full",
            target="digit",
            out=folder / "run",
            data={"near_duplicates": "ignore", "audio_augmentation": {"shift": 0.1, "noise": 20}},
            optimization={
                "learning_rate": 1e-3,
                "head_learning_rate": 1e-3,
                "weight_decay": 0.05,
                "schedule": {"name": "cosine", "warmup": 0.1},
            },
            training={"epochs": options.epochs, "batch_size": 32, "checkpoints": False},
            evaluation={"baselines": ("majority",)},
        )
        licence = "CC-BY-SA-4.0: who passes these weights on does so under it"
        put(NAME, run, licence=licence, data="Free Spoken Digit Dataset (Jackson et al.), 1,800 clips of six speakers")


def start_from_nothing(folder: Path) -> None:
    """A network of random values, and how its sounds are prepared."""
    import torch
    from transformers import ASTConfig, ASTModel

    torch.manual_seed(0)
    ASTModel(ASTConfig(**SHAPE)).save_pretrained(str(folder))
    settings = {
        "feature_extractor_type": "ASTFeatureExtractor",
        "feature_size": 1,
        "num_mel_bins": MELS,
        "max_length": FRAMES,
        "sampling_rate": 16_000,
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(settings), encoding="utf-8")


if __name__ == "__main__":
    main()
