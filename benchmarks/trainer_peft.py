"""transformers.Trainer, alone and with peft's LoRA, on Banking77: same rows, base model and number of epochs as ours.

The user's usual way: AutoModelForSequenceClassification, length grouping, linear schedule with warm-up. Learning rates
are swept and the best one per (setting, method) on a validation share is the one that the table compares with.

    python benchmarks/trainer_peft.py [--setting full|10-shot] [--part 0/4]
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from typing import Any

from common import Rows, done, few_per_class, machine, mine, read_rows, write

FILE = "trainer_peft.jsonl"
RATES = {"full": (5e-5, 1e-4, 2e-4, 4e-4), "lora": (3e-4, 1e-3, 2e-3, 4e-3)}
EPOCHS = {"full": 10, "10-shot": 30}
SEEDS = {"full": 1, "10-shot": 5}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--setting", choices=("full", "10-shot"), nargs="*", default=["full", "10-shot"])
    parser.add_argument("--part", default="0/1")
    parser.add_argument("--model", default="all-MiniLM-L6-v2")
    options = parser.parse_args()
    jobs = [
        (setting, method, rate, seed)
        for setting in options.setting
        for method, rates in RATES.items()
        for rate in rates
        for seed in range(SEEDS[setting])
    ]
    for setting, method, rate, seed in mine(jobs, options.part):
        key = f"{setting} {method} {rate:g} {seed}"
        if key not in done(FILE):
            row = {
                "setting": setting,
                "method": method,
                "rate": rate,
                "seed": seed,
                **run(setting, method, rate, seed, options.model),
            }
            write(FILE, key, row | machine())
            print(key, row["validation"], row["accuracy"], flush=True)


def run(setting: str, method: str, rate: float, seed: int, model: str) -> dict[str, Any]:
    import numpy as np
    import torch
    from transformers import (
        AutoModelForSequenceClassification,
        AutoTokenizer,
        DataCollatorWithPadding,
        Trainer,
        TrainingArguments,
        set_seed,
    )

    from tunewright.models.sources import find_model

    rows, test = read_rows("banking77", "train"), read_rows("banking77", "test")
    train = rows if setting == "full" else few_per_class(rows, 10, seed)
    held = held_out(train, seed)
    names = sorted({row["label"] for row in rows})
    folder = str(find_model(model))
    tokenizer = AutoTokenizer.from_pretrained(folder)

    def encoded(part: Rows) -> list[dict[str, Any]]:
        ids = tokenizer([row["text"] for row in part], truncation=True, max_length=128)["input_ids"]
        return [{"input_ids": one, "labels": names.index(row["label"])} for one, row in zip(ids, part, strict=True)]

    set_seed(seed)
    network: Any = AutoModelForSequenceClassification.from_pretrained(folder, num_labels=len(names))
    if method == "lora":
        from peft import LoraConfig, TaskType, get_peft_model

        config = LoraConfig(task_type=TaskType.SEQ_CLS, r=16, lora_alpha=32, target_modules="all-linear", lora_dropout=0.05)
        network = get_peft_model(network, config)
    chosen = {id(row) for row in held}
    with tempfile.TemporaryDirectory() as out:
        arguments = TrainingArguments(
            out,
            num_train_epochs=EPOCHS[setting],
            learning_rate=rate,
            per_device_train_batch_size=32,
            per_device_eval_batch_size=128,
            weight_decay=0.01,
            warmup_steps=0.1,
            lr_scheduler_type="linear",
            train_sampling_strategy="group_by_length",
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            logging_strategy="no",
            seed=seed,
        )
        trainer = Trainer(
            model=network,
            args=arguments,
            train_dataset=encoded([row for row in train if id(row) not in chosen]),
            data_collator=DataCollatorWithPadding(tokenizer),
        )
        started = time.perf_counter()
        trainer.train()
        seconds = time.perf_counter() - started

        def accuracy(part: Rows) -> float:
            output = trainer.predict(encoded(part))  # type: ignore[arg-type]
            return float((np.argmax(output.predictions, 1) == output.label_ids).mean())

        return {
            "validation": accuracy(held),
            "accuracy": accuracy(test),
            "n": len(test),
            "seconds": round(seconds, 2),
            "trained": sum(p.numel() for p in network.parameters() if p.requires_grad),
            "torch": torch.__version__,
        }


def held_out(rows: Rows, seed: int) -> Rows:
    """A tenth of each class, as ours holds out."""
    generator = random.Random(seed)
    held: Rows = []
    for label in sorted({row["label"] for row in rows}):
        same = [row for row in rows if row["label"] == label]
        held += generator.sample(same, max(1, round(len(same) / 10)))
    return held


if __name__ == "__main__":
    main()
