"""Boxes on real pictures, from few: a DETR of 2 + 2 layers over a small ResNet, whose values are random or those of zoo/tiny-vision,
and a conditional DETR of the same shape.

    python benchmarks/detection_tasks.py [--seeds 0] [--epochs 30]      # one line per run in results/detection_tasks.jsonl

raccoon: 160 pictures with one or two raccoons to learn, 40 to test. bccd: blood cells of three kinds, the official parts (292 and 72
pictures). All at 128 pixels; nothing but the backbone was ever trained before, and that on pictures of clothes. One validation
part of a tenth chooses the epoch. 'The same boxes for all': each class once in every picture, at the median of its training boxes.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import random
import tempfile
import zipfile
from functools import partial
from pathlib import Path
from typing import Any

from common import DATA, ROOT, once

FILE = "detection_tasks.jsonl"
SAME = "the same boxes for all"
ARMS = (SAME, "random values", "random values, mirrored at random", "tiny-vision below", "conditional DETR, random values")
SIDE = 128
BACKBONE = ROOT.parent / "zoo" / "tiny-vision"
SHAPE = {
    "d_model": 128,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 256,
    "decoder_ffn_dim": 256,
    "dropout": 0.0,
}
QUERIES = {"raccoon": 8, "bccd": 40}

Row = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", nargs="+", default=list(QUERIES))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--epochs", type=int, default=30)
    options = parser.parse_args()
    for seed in options.seeds:
        for task in options.tasks:
            for arm in ARMS:
                of_this = partial(measure, task, arm, seed, options.epochs)
                once(FILE, f"{task}|{arm}|{seed}", of_this, task=task, arm=arm, seed=seed)


def measure(task: str, arm: str, seed: int, epochs: int) -> Row:
    import tunewright

    train, test = pictures(task)
    if arm == SAME:
        return {**the_same(train, test), "rows": len(train), "n": len(test), "epochs": 0}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        run = tunewright.fit(
            train,
            test=test,
            model=str(detector(folder / "model", QUERIES[task], arm, seed)),
            task="object_detection",
            strategy="full",
            seed=seed,
            out=folder / "run",
            data={
                "near_duplicates": "ignore",
                "validation_size": 0.1,
                "augmentation": {"horizontal_flip": 0.5 if "mirrored" in arm else 0.0},
            },
            optimization={
                "learning_rate": 2e-4,
                "head_learning_rate": 2e-4,
                "weight_decay": 1e-4,
                "schedule": {"name": "cosine", "warmup": 0.05},
            },
            training={"epochs": epochs, "batch_size": 8, "checkpoints": False, "threads": 1, "precision": "float32"},
            evaluation={"certify": False, "reports": (), "baselines": (), "monitor": "loss"},
        )
        scores = {one.name: [one.value, one.low, one.high] for one in run.scores}
        return {**scores, "rows": len(train), "n": len(test), "epochs": epochs}


def the_same(train: list[Row], test: list[Row]) -> Row:
    """Scores of each class's median box, in shares of the sides; as sure as the class is frequent among the pictures."""
    from tunewright.core.arrays import object_array
    from tunewright.core.types import Labels
    from tunewright.datasets.media import numbered
    from tunewright.datasets.targets.boxes import encode
    from tunewright.metrics import average_precision_50, mean_average_precision
    from tunewright.tasks.object_detection.task import majority

    labels = Labels("object_detection", tuple(sorted({one["label"] for row in train for one in row["objects"]})))
    learned, wanted = (encode([row["objects"] for row in rows], labels, numbered) for rows in (train, test))
    shares = object_array((boxes / sides(row), classes) for row, (boxes, classes) in zip(train, learned, strict=True))
    same = majority(shares, wanted, labels).values
    given = object_array((boxes * sides(row), classes, sure) for row, (boxes, classes, sure) in zip(test, same, strict=True))
    metrics = {"mean_average_precision": mean_average_precision, "average_precision_50": average_precision_50}
    return {name: [float(metric.value(wanted, given, labels) or 0.0), None, None] for name, metric in metrics.items()}


def sides(row: Row) -> Any:
    """Width and height twice, as a box's corners are counted."""
    import numpy as np

    height, width = row["image"].shape[:2]
    return np.array([width, height, width, height], dtype=float)


def detector(folder: Path, queries: int, arm: str, seed: int) -> Path:
    """A folder as transformers saves it."""
    import torch
    from transformers import (
        ConditionalDetrConfig,
        ConditionalDetrForObjectDetection,
        DetrConfig,
        DetrForObjectDetection,
        ResNetConfig,
        ResNetModel,
    )

    backbone = ResNetConfig.from_pretrained(str(BACKBONE), out_features=["stage4"])
    torch.manual_seed(seed)
    conditional = arm.startswith("conditional")
    config = (ConditionalDetrConfig if conditional else DetrConfig)(
        use_timm_backbone=False, use_pretrained_backbone=False, backbone_config=backbone, num_queries=queries, **SHAPE
    )
    network = (ConditionalDetrForObjectDetection if conditional else DetrForObjectDetection)(config)
    if arm == "tiny-vision below":
        held = {
            f"model.backbone.model.{name}": value
            for name, value in ResNetModel.from_pretrained(str(BACKBONE)).state_dict().items()
        }
        names = {name for name in network.state_dict() if name in held}
        assert len(names) > 40, sorted(network.state_dict())[:5]
        network.load_state_dict({name: held[name] for name in names}, strict=False)
    network.save_pretrained(str(folder))
    settings = json.loads((BACKBONE / "preprocessor_config.json").read_text(encoding="utf-8"))
    (folder / "preprocessor_config.json").write_text(json.dumps(settings | {"size": {"height": SIDE, "width": SIDE}}))
    return folder


def pictures(task: str) -> tuple[list[Row], list[Row]]:
    """Rows of a picture and its boxes, in training and test part."""
    import numpy as np
    from PIL import Image

    objects: dict[str, list[Row]] = {}
    with gzip.open(DATA / task / "boxes.csv.gz", "rt", encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            box = [float(row[side]) for side in ("xmin", "ymin", "xmax", "ymax")]
            mine = objects.setdefault(row["image"], [])
            if box[0] < box[2] and box[1] < box[3]:  # two blood cells have no area
                mine.append({"box": box, "label": row["label"]})
    rows = {}
    with zipfile.ZipFile(DATA / task / "images.zip") as archive:
        for name in sorted(objects):
            with archive.open(name) as file, Image.open(file) as picture:
                rows[name] = {"image": np.asarray(picture.convert("RGB")), "objects": objects[name]}
    if task == "bccd":
        tested = {f"{line.strip()}.jpg" for line in (DATA / task / "test.txt").read_text().splitlines() if line.strip()}
    else:
        tested = set(random.Random(0).sample(sorted(rows), 40))
    return [row for name, row in rows.items() if name not in tested], [row for name, row in rows.items() if name in tested]


if __name__ == "__main__":
    main()
