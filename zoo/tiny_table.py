"""tiny-table: a small FT-Transformer, trained from random values on who earns more than 50,000 dollars.

Its blocks read any table: the tokenizer of the columns is always new.

python zoo/tiny_table.py [--epochs N]
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from shelf import DATA, put

NAME = "tiny-table"
SHAPE = {"width": 64, "blocks": 3, "tasks": 4}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=4)
    options = parser.parse_args()
    import tunewright

    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        start_from_nothing(folder / "random")
        run = tunewright.fit(
            DATA / "adult" / "train.csv.gz",
            test=DATA / "adult" / "test.csv.gz",
            model=str(folder / "random"),
            method="full",
            target="income",
            out=folder / "run",
            data={"near_duplicates": "ignore"},
            optimization={
                "learning_rate": 5e-4,
                "head_learning_rate": 5e-4,
                "weight_decay": 1e-5,
                "schedule": {"name": "cosine", "warmup": 0.1},
            },
            training={"epochs": options.epochs, "batch_size": 128, "checkpoints": False},
            evaluation={"baselines": ("majority", "trees")},
        )
        put(NAME, run, licence="CC-BY-4.0", data="Adult (Becker and Kohavi 1996), its training part", library="tunewright")


def start_from_nothing(folder: Path) -> None:
    """Blocks of random values; the tokenizer of a table's columns is always new."""
    import torch

    from tunewright.models.table import TableConfig, TableTransformer, save_table_network

    torch.manual_seed(0)
    folder.mkdir()
    save_table_network(TableTransformer(TableConfig(numbers=1, **SHAPE)), folder)


if __name__ == "__main__":
    main()
