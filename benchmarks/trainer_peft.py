"""transformers.Trainer, alone and with peft's LoRA, on Banking77: same rows, base model and number of epochs as ours.

The user's usual way: AutoModelForSequenceClassification, length grouping, linear schedule with warm-up. Learning rates
are swept on the first seeds, and the best one on the validation share is run for all seeds: the table compares with that.

    python benchmarks/trainer_peft.py [--setting full|10-shot]
"""

from __future__ import annotations

import argparse
import random
import statistics
import tempfile
import time
from typing import Any

from common import UNTOLD, Rows, done, few_per_class, machine, read_rows, results, write

FILE = "trainer_peft.jsonl"
RATES = {"full": (2e-4, 4e-4, 8e-4, 1.6e-3), "lora": (1e-3, 2e-3, 4e-3, 8e-3)}
EPOCHS = {"full": 4, "10-shot": 10}  # as ours
SWEPT = {"full": 0, "10-shot": 2}  # seeds of the sweep; on all rows the best rate with 10 rows per class is taken
SEEDS = {"full": 1, "10-shot": 10}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--setting", choices=("full", "10-shot"), nargs="*", default=["full", "10-shot"])
    parser.add_argument("--model", default="all-MiniLM-L6-v2")
    options = parser.parse_args()
    for method, rates in RATES.items():
        for seed in range(SWEPT["10-shot"]):
            for rate in rates:
                record("10-shot", method, rate, seed, options.model)
    for setting in options.setting:
        for seed in range(SEEDS[setting]):
            for method in RATES:
                record(setting, method, best_rate(method), seed, options.model)


def best_rate(method: str) -> float:
    """The swept rate with the highest mean accuracy on the held-out tenth."""
    rows = [row for row in results(FILE) if row["setting"] == "10-shot" and row["method"] == method]

    def validation(rate: float) -> float:
        return statistics.fmean(row["validation"] for row in rows if row["rate"] == rate and row["seed"] < SWEPT["10-shot"])

    return max(RATES[method], key=validation)


def record(setting: str, method: str, rate: float, seed: int, model: str) -> None:
    """One run, written down unless it is there already."""
    key = f"{setting} {method} {rate:g} {seed}"
    if key not in done(FILE):
        row = {"setting": setting, "method": method, "rate": rate, "seed": seed, **run(setting, method, rate, seed, model)}
        write(FILE, key, row | machine())
        print(key, row["validation"], row["accuracy"], flush=True)


def run(setting: str, method: str, rate: float, seed: int, model: str) -> dict[str, Any]:
    """Train one model the usual way; its accuracy on the held-out tenth and on the test rows."""
    import numpy as np
    from transformers import AutoTokenizer, DataCollatorWithPadding, Trainer, set_seed

    from tunewright.models.sources import find_model

    rows, test = read_rows("banking77", "train"), read_rows("banking77", "test")
    train = rows if setting == "full" else few_per_class(rows, 10, seed)
    held = held_out(train, seed)
    chosen = {id(row) for row in held}
    names = sorted({row["label"] for row in rows})
    folder = str(find_model(model))
    tokenizer = AutoTokenizer.from_pretrained(folder)

    def encoded(part: Rows) -> list[dict[str, Any]]:
        ids = tokenizer([row["text"] for row in part], truncation=True, max_length=128)["input_ids"]
        return [{"input_ids": one, "labels": names.index(row["label"])} for one, row in zip(ids, part, strict=True)]

    set_seed(seed)
    network = network_of(folder, method, len(names))
    with tempfile.TemporaryDirectory() as out:
        trainer = Trainer(
            model=network,
            args=arguments(out, setting, rate, seed),
            train_dataset=encoded([row for row in train if id(row) not in chosen]),
            data_collator=DataCollatorWithPadding(tokenizer),
        )
        started = time.perf_counter()
        trainer.train()
        seconds = time.perf_counter() - started

        def accuracy(part: Rows) -> float:
            output = trainer.predict(encoded(part))
            return float((np.argmax(output.predictions, 1) == output.label_ids).mean())

        trained = sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)
        found = {"validation": accuracy(held), "accuracy": accuracy(test), "n": len(test)}
        return {**found, "seconds": round(seconds, 2), "trained": trained}


def network_of(folder: str, method: str, classes: int) -> Any:
    """transformers' own classifier, with peft's LoRA on every linear layer where asked for."""
    from transformers import AutoModelForSequenceClassification

    network: Any = AutoModelForSequenceClassification.from_pretrained(folder, num_labels=classes)
    if method == "lora":
        from peft import LoraConfig, TaskType, get_peft_model

        config = LoraConfig(task_type=TaskType.SEQ_CLS, r=16, lora_alpha=32, target_modules="all-linear", lora_dropout=0.05)
        network = get_peft_model(network, config)
    return network


def arguments(out: str, setting: str, rate: float, seed: int) -> Any:
    """Length grouping, linear schedule with a tenth of warm-up, nothing saved or reported."""
    from transformers import TrainingArguments

    return TrainingArguments(
        out,
        num_train_epochs=EPOCHS[setting],
        learning_rate=rate,
        per_device_train_batch_size=32,
        per_device_eval_batch_size=128,
        weight_decay=0.01,
        warmup_steps=0.1,
        lr_scheduler_type="linear",
        train_sampling_strategy="group_by_length",
        **UNTOLD,
        seed=seed,
        use_cpu=True,
        bf16=True,  # as ours chooses here by measurement
    )


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
