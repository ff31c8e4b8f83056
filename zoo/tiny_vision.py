"""tiny-vision: a small ResNet for 32 x 32 pixels, trained from random values on pictures of clothes.

python zoo/tiny_vision.py [--epochs N]
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

from shelf import DATA, put

NAME = "tiny-vision"
SIDE = 32
SHAPE = {
    "num_channels": 3,
    "embedding_size": 24,
    "hidden_sizes": [24, 48, 96, 192],
    "depths": [1, 1, 2, 1],
    "layer_type": "basic",
    "downsample_in_first_stage": False,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=8)
    options = parser.parse_args()
    import tunewright

    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        start_from_nothing(folder / "random")
        run = tunewright.fit(
            DATA / "fashion_mnist" / "fashion_mnist.npz",
            model=str(folder / "random"),
            method="full",
            out=folder / "run",
            data={"near_duplicates": "ignore", "augmentation": {"horizontal_flip": 0.5, "crop_scale": 0.7}},
            optimization={
                "learning_rate": 2e-3,
                "head_learning_rate": 2e-3,
                "weight_decay": 0.05,
                "schedule": {"name": "one_cycle"},
            },
            training={"epochs": options.epochs, "batch_size": 64, "checkpoints": False},
            evaluation={"baselines": ("majority",)},
        )
        put(NAME, run, licence="MIT", data="Fashion-MNIST (Xiao et al. 2017), 20,000 of its training pictures")


def start_from_nothing(folder: Path) -> None:
    """A network of random values, and how its pictures are prepared."""
    import torch
    from transformers import ResNetConfig, ResNetModel

    torch.manual_seed(0)
    ResNetModel(ResNetConfig(**SHAPE)).save_pretrained(str(folder))
    square = {"height": SIDE, "width": SIDE}
    settings = {
        "image_processor_type": "ViTImageProcessor",
        "do_resize": True,
        "size": square,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": [0.5] * 3,
        "image_std": [0.5] * 3,
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(settings), encoding="utf-8")


if __name__ == "__main__":
    main()
