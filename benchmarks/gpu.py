"""Tuning language models of one and three billion weights on one GPU, beside transformers' Trainer with peft.

    python benchmarks/gpu.py                       # every case, one line each in results/gpu.jsonl; needs a CUDA device, no network
    python benchmarks/gpu.py --only 1b-lora        # some cases
    python benchmarks/gpu.py --smoke               # both sides on a toy of two layers, on the processor: does the code run?

Llama's shapes with random weights in bfloat16; blocks of 2,048 random token ids without padding, as packed documents are; batches of
8, AdamW at a constant rate. A case that does not fit into memory is made again with gradient checkpointing, and says so. Sides take
turns, each in a process of its own: ours, theirs, ours, theirs. Reported are the medians over the steps after the third of
tokens per second, the share of the device's own measured bfloat16 peak (one large product), and the peak of allocated memory.

Work per token counted: forward 2 x weights of the layers and the output matrix + 2 x layers x tokens x width (causal attention); a full
step is three times that, LoRA's twice, since gradients of frozen matrices are not needed.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from types import SimpleNamespace
from typing import Any

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

from common import done, machine, write

FILE = "gpu.jsonl"
SHAPES = {
    "1b": {
        "hidden_size": 2048,
        "intermediate_size": 8192,
        "num_hidden_layers": 16,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
    },
    "3b": {
        "hidden_size": 3072,
        "intermediate_size": 8192,
        "num_hidden_layers": 28,
        "num_attention_heads": 24,
        "num_key_value_heads": 8,
    },
    "toy": {
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
    },
}
WORDS, TOKENS, BATCH, STEPS, WARM = 128_256, 2048, 8, 20, 3
TOY_WORDS, TOY_TOKENS, TOY_BATCH, TOY_STEPS = 500, 64, 2, 5
CASES = ("1b-lora", "1b-full", "3b-lora", "3b-full")
RANK, ALPHA, RATE = 16, 32, {"lora": 2e-4, "full": 2e-5}
SIDES = ("tunewright", "Trainer + peft")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", default=CASES, choices=CASES)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--smoke", action="store_true")
    parser.add_argument("--one", nargs=3, metavar=("CASE", "SIDE", "CHECKPOINTING"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    import torch

    if options.smoke:
        for method in ("lora", "full"):
            for side in SIDES:
                print(json.dumps({"case": f"toy-{method}", "side": side, **measured(f"toy-{method}", side, checkpointing=True)}))
        return
    if not torch.cuda.is_available():
        print("benchmarks/gpu.py needs a CUDA device and found none; --smoke runs its code on the processor", file=sys.stderr)
        raise SystemExit(2)
    if options.one:
        case, side, checkpointing = options.one
        print(json.dumps(measured(case, side, checkpointing=checkpointing == "on")))
        return
    peak = measured_peak()
    for case in options.only:
        for turn in range(options.repeats):
            for side in SIDES:
                key = f"{case}|{side}|{turn}"
                if key not in done(FILE):
                    found = process(case, side)
                    share = found["work_per_token"] * found["tokens_per_second"] / peak
                    line = {"case": case, "side": side, "turn": turn, **found, "peak": peak, "share_of_peak": round(share, 4)}
                    print(key, line["tokens_per_second"], line["share_of_peak"], line["memory_gib"])
                    write(FILE, key, {**line, **machine()})


def process(case: str, side: str) -> dict[str, Any]:
    """One case in a process of its own; with gradient checkpointing where memory runs out without."""
    for checkpointing in ("off", "on"):
        command = [sys.executable, __file__, "--one", case, side, checkpointing]
        made = subprocess.run(command, capture_output=True, text=True, check=False)
        if made.returncode == 0:
            found: dict[str, Any] = json.loads(made.stdout.strip().splitlines()[-1])
            return found
        if "out of memory" not in made.stderr:
            break
    raise SystemExit(made.stderr[-3000:])


def measured_peak() -> float:
    """Operations per second of the best of 20 products of two 8,192 x 8,192 matrices in bfloat16."""
    import torch

    size = 8192
    one, other = (torch.randn(size, size, device="cuda", dtype=torch.bfloat16) for _ in range(2))
    best = float("inf")
    for _ in range(20):
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        one @ other
        end.record()
        torch.cuda.synchronize()
        best = min(best, begin.elapsed_time(end) / 1e3)
    return 2.0 * size**3 / best


def measured(case: str, side: str, *, checkpointing: bool) -> dict[str, Any]:
    """Seconds of each step after the warm ones, the losses, and memory."""
    import torch

    shape, method = case.split("-")
    toy = shape == "toy"
    words, tokens, batch, steps = (TOY_WORDS, TOY_TOKENS, TOY_BATCH, TOY_STEPS) if toy else (WORDS, TOKENS, BATCH, STEPS)
    device = torch.device("cpu" if toy else "cuda")
    torch.manual_seed(0)
    model = llama(shape, words, tokens).to(device)
    if checkpointing:
        model.gradient_checkpointing_enable({"use_reentrant": False})
        model.enable_input_require_grads()
    ids = torch.randint(3, words, (steps * batch, tokens), generator=torch.Generator().manual_seed(1))
    weights = sum(parameter.numel() for parameter in model.parameters())
    run = ours if side == SIDES[0] else theirs
    losses, seconds = run(model, ids, method, batch, device)
    config = model.config
    forward = 2 * weights + 2 * config.num_hidden_layers * tokens * config.hidden_size
    memory = 0.0 if toy else torch.cuda.max_memory_allocated() / 2**30
    return {
        "tokens_per_second": round(batch * tokens / statistics.median(seconds[WARM:]), 1),
        "work_per_token": forward * (2 if method == "lora" else 3),
        "memory_gib": round(memory, 2),
        "checkpointing": checkpointing,
        "weights": weights,
        "losses": [round(loss, 5) for loss in losses],
    }


def llama(shape: str, words: int, tokens: int) -> Any:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=words,
        max_position_embeddings=tokens,
        tie_word_embeddings=True,
        pad_token_id=0,
        use_cache=False,
        **SHAPES[shape],
    )
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32 if shape == "toy" else torch.bfloat16)
    try:
        return LlamaForCausalLM(config)
    finally:
        torch.set_default_dtype(before)


def ours(model: Any, ids: Any, method: str, batch: int, device: Any) -> tuple[list[float], list[float]]:
    """Our own step, optimizer and chunked loss on a job that is put together here, since there is no tokenizer."""
    import numpy as np
    import torch

    from tunewright.core.registry import load_part
    from tunewright.core.types import Labels
    from tunewright.datasets.encoded import EncodedDataset
    from tunewright.modalities.language.causal import Encoded
    from tunewright.models.form import Form
    from tunewright.models.network import Network
    from tunewright.pipeline.workflow import make_recipe
    from tunewright.tasks.causal_lm import task as language
    from tunewright.training.context import TrainingContext
    from tunewright.training.forward import Forward
    from tunewright.training.gradients import Gradients
    from tunewright.training.microbatches import MicroBatches
    from tunewright.training.optimizer import build_optimizer
    from tunewright.training.stages import open_layers
    from tunewright.training.step import optimizer_step

    form = Form("text", "AutoModelForCausalLM", "vocabulary")
    processor = SimpleNamespace(eos_token_id=2, pad_token_id=0, padding_side="right")
    network = Network(
        model, pooling="native", processor=processor, labels=Labels("causal_lm"), base="random", base_hash="", form=form, new=()
    )
    network.stack  # noqa: B018 - read before a method changes the module tree
    part = load_part("methods", method)
    settings = {"rank": RANK, "alpha": ALPHA} if method == "lora" else {}
    applied = part.apply(network, part.Settings(**settings))
    network.to(device)
    count, tokens = ids.shape
    lengths = np.full(count, tokens, dtype=np.int64)
    learn = np.ones(ids.numel(), dtype=np.uint8)
    nothing = np.zeros(count, dtype=bool)
    encoded = Encoded(ids.flatten().numpy().astype(np.int32), learn, lengths, nothing, np.arange(count), lengths, (), 0, "right")
    examples = EncodedDataset(encoded, encoded.targets)
    recipe = make_recipe(
        model="random",
        method={"name": method, **settings},
        optimization={"learning_rate": RATE[method], "weight_decay": 0.0, "schedule": "constant"},
        training={"batch_size": batch, "max_tokens_per_microbatch": batch * tokens, "cache": False},
    )
    precision = "float32" if device.type == "cpu" else "bfloat16"
    job = TrainingContext(
        network=network,
        applied=applied,
        head=language,
        head_settings=language.Settings(),
        weights=None,
        train=examples,
        validation=examples,
        wanted=np.zeros(count),
        recipe=recipe,
        forward=Forward(network, precision),
        gradients=Gradients(network),
        passes=MicroBatches(lengths, batch * tokens),
    )
    job.forward.cut_at(open_layers(network, applied.trainable, 0))
    optimizer = build_optimizer(job, 0)
    losses, seconds = [], []
    for start in range(0, count, batch):
        began = now(device)
        losses.append(optimizer_step(job, optimizer, [np.arange(start, start + batch)], ()).loss)
        seconds.append(now(device) - began)
    torch.manual_seed(0)
    return losses, seconds


def theirs(model: Any, ids: Any, method: str, batch: int, device: Any) -> tuple[list[float], list[float]]:
    """transformers' Trainer, with peft's LoRA on every linear layer."""
    from torch.utils.data import Dataset
    from transformers import Trainer, TrainerCallback, TrainingArguments

    if method == "lora":
        from peft import LoraConfig, get_peft_model

        model = get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", r=RANK, lora_alpha=ALPHA, target_modules="all-linear"))

    class Rows(Dataset):
        def __len__(self) -> int:
            return len(ids)

        def __getitem__(self, place: int) -> dict[str, Any]:
            return {"input_ids": ids[place], "labels": ids[place]}

    clock: list[float] = []

    class Clock(TrainerCallback):
        def on_step_begin(self, *_: Any, **__: Any) -> None:
            clock.append(now(device))

        def on_step_end(self, *_: Any, **__: Any) -> None:
            clock.append(now(device))

    with tempfile.TemporaryDirectory() as out:
        arguments = TrainingArguments(
            out,
            num_train_epochs=1,
            learning_rate=RATE[method],
            lr_scheduler_type="constant",
            per_device_train_batch_size=batch,
            weight_decay=0.0,
            max_grad_norm=1.0,
            train_sampling_strategy="sequential",
            optim="adamw_torch_fused",
            bf16=device.type == "cuda",
            use_cpu=device.type == "cpu",
            logging_steps=1,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
        )
        trainer = Trainer(model, arguments, train_dataset=Rows(), callbacks=[Clock()])
        trainer.train()
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    return losses, [end - begin for begin, end in zip(clock[::2], clock[1::2], strict=True)]


def now(device: Any) -> float:
    """Seconds, when all that was asked of the device is done."""
    if device.type == "cuda":
        import torch

        torch.cuda.synchronize()
    return time.perf_counter()


if __name__ == "__main__":
    main()
