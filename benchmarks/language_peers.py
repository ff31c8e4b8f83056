"""The other side of benchmarks/language_tasks.py: TRL's SFTTrainer and DPOTrainer on token ids that were prepared once.

    python benchmarks/language_peers.py sft|dpo --model FOLDER --rows FILE.json --method full|lora [--adapter FOLDER] --batch N --rate R --precision P

Both sides read the same ids in the same order with the same batches, a constant rate, AdamW without decay and clipping at 1. One JSON
line on standard output has the loss of each step and the seconds from the first step's begin to the last step's end.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

CLIP = 1.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", choices=("sft", "dpo"))
    parser.add_argument("--model", required=True)
    parser.add_argument("--rows", required=True)
    parser.add_argument("--method", default="full")
    parser.add_argument("--adapter")
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--rate", type=float, required=True)
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    os.environ.setdefault("RAYON_NUM_THREADS", str(options.threads))
    print(json.dumps(measured(options)))


def measured(options: argparse.Namespace) -> dict[str, Any]:
    import torch
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback, set_seed

    torch.set_num_threads(options.threads)
    set_seed(0)
    model = AutoModelForCausalLM.from_pretrained(options.model, dtype=torch.float32)
    if options.method == "lora":
        from peft import PeftModel

        # Ours before its first step, so that both start from the same drawn matrices.
        model = PeftModel.from_pretrained(model, options.adapter, is_trainable=True)
    tokenizer = AutoTokenizer.from_pretrained(options.model)
    tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
    rows = Dataset.from_list(json.loads(Path(options.rows).read_text()))
    clock: list[float] = []
    spent: list[float] = []

    class Clock(TrainerCallback):
        def on_train_begin(self, *_: Any, **__: Any) -> None:
            clock.append(time.perf_counter())
            spent.append(time.process_time())

        def on_step_end(self, *_: Any, **__: Any) -> None:
            clock.append(time.perf_counter())
            spent.append(time.process_time())

    with tempfile.TemporaryDirectory() as out:
        trainer = (sft if options.task == "sft" else dpo)(options, model, tokenizer, rows, out)
        trainer.add_callback(Clock())
        trainer.train()
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    import peft
    import transformers
    import trl

    about = {
        "trl": trl.__version__,
        "transformers": transformers.__version__,
        "torch": torch.__version__,
        "peft": peft.__version__,
    }
    return {
        "losses": losses,
        "seconds": round(clock[-1] - clock[0], 4),
        "cpu_seconds": round(spent[-1] - spent[0], 4),
        "steps": len(clock) - 1,
        "peers": about,
    }


def common(options: argparse.Namespace, out: str) -> dict[str, Any]:
    return {
        "output_dir": out,
        "num_train_epochs": 1,
        "learning_rate": options.rate,
        "lr_scheduler_type": "constant",
        "per_device_train_batch_size": options.batch,
        "weight_decay": 0.0,
        "max_grad_norm": CLIP,
        "train_sampling_strategy": "sequential",
        "optim": "adamw_torch_fused",
        "bf16": options.precision == "bfloat16",
        "use_cpu": True,
        "gradient_checkpointing": False,
        "logging_steps": 1,
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
        "seed": 0,
    }


def sft(options: argparse.Namespace, model: Any, tokenizer: Any, rows: Any, out: str) -> Any:
    from trl import SFTConfig, SFTTrainer

    arguments = SFTConfig(**common(options, out), max_length=None, dataset_kwargs={"skip_prepare_dataset": True})
    return SFTTrainer(model, arguments, train_dataset=rows, processing_class=tokenizer)


def dpo(options: argparse.Namespace, model: Any, tokenizer: Any, rows: Any, out: str) -> Any:
    from trl import DPOConfig, DPOTrainer

    class DatasetSplits(DPOTrainer):
        def _prepare_dataset(self, dataset: Any, *_: Any, **__: Any) -> Any:
            return dataset  # the ids are those of the other side

    arguments = DPOConfig(**common(options, out), max_length=None, beta=0.1, precompute_ref_log_probs=True)
    return DatasetSplits(model, args=arguments, train_dataset=rows, processing_class=tokenizer)


if __name__ == "__main__":
    main()
