"""Masks of cell nuclei from one micrograph: a UPerNet over a small ResNet, whose values are random or those of zoo/tiny-vision.

    pip install --no-deps stardist                               # for the picture that it carries; it is not imported
    python benchmarks/segmentation_tasks.py [--seeds 0 1 2]      # one line per run in results/segmentation_tasks.jsonl

The picture is 512 pixels square, of the Data Science Bowl 2018, with 125 nuclei outlined by people. It is cut into tiles of 64: the
left five columns are to learn (40), the sixth chooses the epoch (8), the right two are tested (16). 'Brightness': everything
brighter than the threshold that is best on the training tiles.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from common import ROOT, carried, grouped, once, results, spread

FILE = "segmentation_tasks.jsonl"
ARMS = ("brightness", "random values", "random values, mirrored at random", "tiny-vision below")
BACKBONE = ROOT.parent / "zoo" / "tiny-vision"
SIDE = 64
EPOCHS = 40

Rows = dict[str, list[np.ndarray]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    options = parser.parse_args()
    train, validation, test = tiles()
    for seed in options.seeds:
        for arm in ARMS if seed == 0 else ARMS[1:]:
            of_this = partial(measure, train, validation, test, arm, seed)
            once(FILE, f"nuclei|{arm}|{seed}", of_this, task="nuclei", arm=arm, seed=seed)


def tiles() -> tuple[Rows, Rows, Rows]:
    """Training, validation and test tiles: grey pictures of 0 … 255 and masks of 0 and 1, in columns from left to right."""
    from PIL import Image

    folder = carried("stardist", "data", "images")
    light, nuclei = (np.asarray(Image.open(folder / name)).astype(np.int64) for name in ("img2d.tif", "mask2d.tif"))
    picture = np.repeat(light.clip(0, 255).astype(np.uint8)[..., None], 3, axis=2)
    mask = (nuclei > 0).astype(np.uint8)

    def columns(first: int, last: int) -> Rows:
        places = [(top, left * SIDE) for left in range(first, last) for top in range(0, 512, SIDE)]
        cut = [(slice(top, top + SIDE), slice(left, left + SIDE)) for top, left in places]
        return {"image": [picture[one] for one in cut], "mask": [mask[one] for one in cut]}

    return columns(0, 5), columns(5, 6), columns(6, 8)


def by_brightness(train: Rows, test: Rows) -> dict[str, Any]:
    """Mean intersection over union, and right pixels, of the threshold that is best on the training tiles."""
    threshold = max(range(1, 256), key=lambda one: scores(train, one)["mean_iou"][0])
    return scores(test, threshold) | {"threshold": threshold}


def scores(rows: Rows, threshold: int) -> dict[str, Any]:
    light, wanted = np.stack(rows["image"])[..., 0], np.stack(rows["mask"]).astype(bool)
    given = light >= threshold
    ratios = [(one & other).sum() / (one | other).sum() for one, other in ((given, wanted), (~given, ~wanted))]
    return {"mean_iou": [float(np.mean(ratios))], "pixel_accuracy": [float((given == wanted).mean())]}


def measure(train: Rows, validation: Rows, test: Rows, arm: str, seed: int) -> dict[str, Any]:
    import tunewright

    about = {"rows": len(train["image"]), "n": len(test["image"]), "epochs": EPOCHS}
    if arm == "brightness":
        return by_brightness(train, test) | about
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        run = tunewright.fit(
            train,
            validation=validation,
            test=test,
            model=str(segmenter(folder / "model", arm, seed)),
            task="semantic_segmentation",
            strategy="full",
            seed=seed,
            out=folder / "run",
            data={
                "near_duplicates": "ignore",
                "augmentation": {"horizontal_flip": 0.5 if "mirrored" in arm else 0.0},
            },
            optimization={"learning_rate": 1e-3, "head_learning_rate": 1e-3, "schedule": {"name": "cosine", "warmup": 0.05}},
            training={"epochs": EPOCHS, "batch_size": 8, "checkpoints": False, "threads": 1, "precision": "float32"},
            evaluation={"certify": False, "reports": (), "baselines": (), "monitor": "mean_iou"},
        )
        return {one.name: [one.value, one.low, one.high] for one in run.scores} | about


def segmenter(folder: Path, arm: str, seed: int) -> Path:
    """A folder as transformers saves it."""
    import torch
    from transformers import ResNetConfig, ResNetModel, UperNetConfig, UperNetForSemanticSegmentation

    stages = ResNetConfig.from_pretrained(str(BACKBONE), out_features=["stage1", "stage2", "stage3", "stage4"])
    torch.manual_seed(seed)
    config = UperNetConfig(backbone_config=stages, hidden_size=64, pool_scales=[1, 2], use_auxiliary_head=False, num_labels=2)
    network = UperNetForSemanticSegmentation(config)
    if arm == "tiny-vision below":
        values = ResNetModel.from_pretrained(str(BACKBONE)).state_dict()
        held = {f"backbone.{name}": value for name, value in values.items()}
        assert set(held) <= set(network.state_dict()), "the backbone has other names"
        network.load_state_dict(held, strict=False)
    network.save_pretrained(str(folder))
    settings = json.loads((BACKBONE / "preprocessor_config.json").read_text(encoding="utf-8"))
    (folder / "preprocessor_config.json").write_text(json.dumps(settings | {"size": {"height": SIDE, "width": SIDE}}))
    return folder


def section() -> str:
    """Nuclei in tiles of one micrograph."""
    rows = results("segmentation_tasks.jsonl")
    if not rows:
        return ""
    page = (
        "\n## Masks of cell nuclei\n\nOne micrograph with 125 nuclei outlined by people, in tiles of 64 pixels: 40 to learn, 8 to choose by, 16 to test. A UPerNet over a small "
        "ResNet; 'brightness' is the best threshold of the training tiles. ± over seeds, which draw the random values. Code and settings: "
        "`benchmarks/segmentation_tasks.py`.\n\n| from | mean intersection over union, % | right pixels, % | seeds | processor seconds |\n|---|---|---|---|---|\n"
    )
    for (arm,), runs in grouped(rows, "arm").items():
        cells = [spread([row[name][0] for row in runs]) for name in ("mean_iou", "pixel_accuracy")]
        seconds = statistics.mean(row["seconds"] for row in runs)
        page += f"| {arm} | {' | '.join(cells)} | {len(runs)} | {seconds:.0f} |\n"
    return page


if __name__ == "__main__":
    main()
