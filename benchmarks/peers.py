"""The other side of the speed comparison: each job as a skilled user would write it with the field's own tools.

One job per process, so that a caller can interleave these runs with ours and set allocator variables for each. Every job
is a function of the same shape and says on standard output, in one JSON line, how long the timed part took. What is
timed is the call that does the work (``trainer.train()``, ``pipe(texts)`` …); imports, loading and tokenizing count as start-up.

    python benchmarks/peers.py JOB --rows FILE.jsonl --test FILE.jsonl --model FOLDER --threads N --epochs E

Rows are ``{"text": …, "label": …}``. What the jobs need is in requirements/peers.txt. A job without epochs ignores them.

The defaults are the best of a few, measured on a CPU with bfloat16 instructions (AVX512-BF16, no AMX); --batch, --rate and
--precision try others. Rates: Banking77, 10 rows per class, six epochs, one seed, by accuracy on 770 of the test rows, which
flatters this side a little (head alone 1e-2, 3e-2; full 2e-4, 4e-4, 1e-3; LoRA 2e-3, 4e-3, 5e-3; gradual 1e-3, 2e-3, 4e-3,
1e-2, of which 2e-3 is as good as 4e-3). Rows per pass in prediction: 8 to 128, of which 16 and 32 are within a few per cent of
each other on short and on long texts. bfloat16 was 1.5 to 1.9 times faster than float32 wherever both were tried.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from common import UNTOLD, Rows

Found = dict[str, Any]

MAX_LENGTH = 128  # tokens, as ours
WARMUP = 0.1  # share of the steps, as ours
WEIGHT_DECAY = 0.01
CLIP_NORM = 1.0  # both sides clip
SEED = 0
LAYER_DECAY = 1 / 2.6  # Howard and Ruder 2018, section 3.2
# Layers below the head that train in each stage, counted from the top; one more than there are blocks: the embeddings too.
OPENED = (1, 2, 3, 4, 5, 6)


class Watch:
    """Seconds and minor page faults of a ``with`` block, and the process's peak at its end; the time before it is start-up."""

    def __init__(self) -> None:
        self._made = time.perf_counter()

    def __enter__(self) -> Watch:
        self._faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        self._started = time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended = time.perf_counter()
        usage = resource.getrusage(resource.RUSAGE_SELF)
        self._faults = usage.ru_minflt - self._faults
        self._peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)

    def found(self, steps: int, **more: Any) -> Found:
        return {
            "seconds": round(self._ended - self._started, 4),
            "startup_seconds": round(self._started - self._made, 4),
            "peak_bytes": self._peak,
            "page_faults": self._faults,
            "steps": steps,
            **more,
        }


# ---- jobs -------------------------------------------------------------------------------------------------------------


def trainer_feature_extraction(
    rows: Rows,
    test: Rows,
    model_folder: str,
    threads: int,
    epochs: int,
    *,
    batch: int = 32,
    rate: float = 3e-2,
    precision: str = "bfloat16",
) -> Found:
    """Trainer, only a linear head trains; backbone in evaluation mode, without gradients."""
    watch = prepare(threads)
    tokenizer, names = tokenizer_of(model_folder), labels_of(rows)
    # As fast as autocast over float32 weights and half the bytes: autocast casts frozen weights anew at every step.
    network = mean_classifier(backbone_of(model_folder, precision), len(names), frozen=True)
    return with_trainer(watch, network, tokenizer, rows, test, epochs, batch=batch, rate=rate, precision=precision)


def trainer_full(
    rows: Rows,
    test: Rows,
    model_folder: str,
    threads: int,
    epochs: int,
    *,
    batch: int = 32,
    rate: float = 4e-4,
    precision: str = "bfloat16",
) -> Found:
    """Trainer, every weight trains, in bfloat16 autocast over float32 weights."""
    watch = prepare(threads)
    tokenizer, names = tokenizer_of(model_folder), labels_of(rows)
    network = mean_classifier(backbone_of(model_folder), len(names))
    return with_trainer(watch, network, tokenizer, rows, test, epochs, batch=batch, rate=rate, precision=precision)


def trainer_lora(
    rows: Rows,
    test: Rows,
    model_folder: str,
    threads: int,
    epochs: int,
    *,
    batch: int = 32,
    rate: float = 4e-3,
    precision: str = "bfloat16",
    rank: int = 8,
) -> Found:
    """Trainer and peft: LoRA on every linear layer of the backbone, and the head."""
    need("peft")
    watch = prepare(threads)
    from peft import LoraConfig, TaskType, get_peft_model

    tokenizer, names = tokenizer_of(model_folder), labels_of(rows)
    config = LoraConfig(task_type=TaskType.FEATURE_EXTRACTION, r=rank, lora_alpha=2 * rank, target_modules="all-linear")
    # Float32 below: a bfloat16 backbone was not faster.
    backbone = get_peft_model(backbone_of(model_folder), config)
    network = mean_classifier(backbone, len(names))
    return with_trainer(watch, network, tokenizer, rows, test, epochs, batch=batch, rate=rate, precision=precision)


def lightning_gradual(
    rows: Rows,
    test: Rows,
    model_folder: str,
    threads: int,
    epochs: int,
    *,
    batch: int = 32,
    rate: float = 2e-3,
    precision: str = "bfloat16",
    opened: Sequence[int] = OPENED,
) -> Found:
    """Lightning's BaseFinetuning: stages of equal length, each opening one more block from the top, lower ones slower."""
    need("lightning")
    watch = prepare(threads)
    import lightning.pytorch as pl

    tokenizer, names = tokenizer_of(model_folder), labels_of(rows)
    network = mean_classifier(backbone_of(model_folder), len(names))
    loader = sorted_loader(encoded(tokenizer, rows, names), tokenizer, batch)
    trainer = pl.Trainer(
        accelerator="cpu",
        devices=1,
        max_epochs=epochs,
        precision="bf16-mixed" if precision == "bfloat16" else "32-true",
        callbacks=[gradual_unfreezing(opened)],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    module = lightning_module(network, rate)
    with watch:
        trainer.fit(module, loader)
    return watch.found(trainer.global_step, accuracy=accuracy(network, tokenizer, test, names))


def pipeline_predict(
    rows: Rows,
    test: Rows,
    model_folder: str,
    threads: int,
    epochs: int,
    *,
    batch: int = 32,
    precision: str = "bfloat16",
) -> Found:
    """transformers' pipeline over ``rows``, sorted by length beforehand; accuracy where the folder knows the labels.

    A folder without a trained classifier gets an untrained one of the right width: the same work, so the same seconds.
    """
    watch = prepare(threads)
    import torch
    from transformers import AutoConfig, AutoModelForSequenceClassification, pipeline

    names = labels_of(rows)
    known = set(names) <= set(AutoConfig.from_pretrained(model_folder).id2label.values())
    more = {} if known else {"num_labels": len(names)}
    model = AutoModelForSequenceClassification.from_pretrained(model_folder, dtype=getattr(torch, precision), **more)
    pipe = pipeline("text-classification", model=model, tokenizer=tokenizer_of(model_folder), device="cpu")

    def predict(texts: list[str]) -> list[str]:
        order = sorted(range(len(texts)), key=lambda row: len(texts[row]), reverse=True)
        found = pipe([texts[row] for row in order], batch_size=batch, truncation=True, max_length=MAX_LENGTH)
        by_row = dict(zip(order, found, strict=True))
        return [by_row[row]["label"] for row in range(len(texts))]

    predict([row["text"] for row in rows[:batch]])  # the first call of an operation is slower than all that follow
    with watch:
        predict([row["text"] for row in rows])
    found = watch.found(-(-len(rows) // batch))
    return found | ({"accuracy": share_equal(predict([row["text"] for row in test]), test)} if known and test else {})


def sentence_transformers_encode(
    rows: Rows,
    test: Rows,
    model_folder: str,
    threads: int,
    epochs: int,
    *,
    batch: int = 32,
    precision: str = "bfloat16",
) -> Found:
    """SentenceTransformer.encode over ``rows``, which sorts by length itself; accuracy is a logistic regression's on them."""
    need("sentence_transformers")
    watch = prepare(threads)
    import torch
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(model_folder, device="cpu", model_kwargs={"dtype": getattr(torch, precision)})
    model.max_seq_length = MAX_LENGTH

    def encode(part: Rows) -> Any:
        return model.encode([row["text"] for row in part], batch_size=batch, show_progress_bar=False, convert_to_numpy=True)

    encode(rows[:batch])  # the first call of an operation is slower than all that follow
    with watch:
        features = encode(rows)
    found = watch.found(-(-len(rows) // batch), width=int(features.shape[1]))
    return found | ({"accuracy": share_equal(probe_of(features, rows).predict(encode(test)), test)} if test else {})


def setfit_few_shot(
    rows: Rows,
    test: Rows,
    model_folder: str,
    threads: int,
    epochs: int,
    *,
    batch: int = 16,
    rate: float = 2e-5,
    precision: str = "bfloat16",
) -> Found:
    """SetFit at its own defaults: contrastive pairs of the few rows, then a logistic regression on the embeddings."""
    need("setfit")
    watch = prepare(threads)
    import torch
    from datasets import Dataset
    from setfit import SetFitModel, Trainer, TrainingArguments

    model = SetFitModel.from_pretrained(model_folder, labels=labels_of(rows), device="cpu")
    model.model_body.max_seq_length = MAX_LENGTH
    with tempfile.TemporaryDirectory() as out:
        arguments = TrainingArguments(
            out,
            batch_size=batch,
            num_epochs=epochs,
            body_learning_rate=rate,
            seed=SEED,
            report_to="none",
            logging_strategy="no",
            save_strategy="no",
            show_progress_bar=False,
        )
        trainer = Trainer(model, arguments, train_dataset=Dataset.from_list(rows))
        # Its only switch for mixed precision is float16, which a CPU has no fast arithmetic for.
        with watch, torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
            trainer.train()
    said = list(model.predict([row["text"] for row in test], show_progress_bar=False)) if test else []
    return watch.found(trainer.st_trainer.state.global_step) | ({"accuracy": share_equal(said, test)} if test else {})


JOBS: dict[str, Callable[..., Found]] = {
    job.__name__: job
    for job in (
        trainer_feature_extraction,
        trainer_full,
        trainer_lora,
        lightning_gradual,
        pipeline_predict,
        sentence_transformers_encode,
        setfit_few_shot,
    )
}


# ---- what they share --------------------------------------------------------------------------------------------------


def need(package: str) -> None:
    if find_spec(package) is None:
        raise SystemExit(f"this job needs the package {package}, which is not installed: see requirements/peers.txt")


def prepare(threads: int) -> Watch:
    """Start the watch, give torch and the tokenizer their threads, draw from one seed."""
    watch = Watch()
    os.environ.setdefault("RAYON_NUM_THREADS", str(threads))
    import torch
    from transformers import set_seed

    torch.set_num_threads(threads)
    set_seed(SEED)
    return watch


def labels_of(rows: Rows) -> list[str]:
    return sorted({row["label"] for row in rows})


def tokenizer_of(model_folder: str) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(model_folder)


def backbone_of(model_folder: str, precision: str = "float32") -> Any:
    import torch
    from transformers import AutoModel

    return AutoModel.from_pretrained(model_folder, dtype=getattr(torch, precision), add_pooling_layer=False)


def encoded(tokenizer: Any, rows: Rows, names: list[str]) -> list[dict[str, Any]]:
    ids = tokenizer([row["text"] for row in rows], truncation=True, max_length=MAX_LENGTH)["input_ids"]
    return [{"input_ids": one, "labels": names.index(row["label"])} for one, row in zip(ids, rows, strict=True)]


def mean_classifier(backbone: Any, classes: int, *, frozen: bool = False) -> Any:
    """The backbone, the mean over its tokens, a linear head; ``frozen``: no gradients and no dropout below the head.

    Not AutoModelForSequenceClassification, which reads the first token through a pooler that no sentence encoder has
    trained: on Banking77 with 10 rows per class, six epochs, test accuracy is 0.69 against 0.85 frozen, 0.72 against 0.84
    full, 0.54 against 0.83 with LoRA.
    """
    import torch
    from torch import Tensor, nn

    class MeanClassifier(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.backbone = backbone.requires_grad_(False) if frozen else backbone
            self.head = nn.Linear(backbone.config.hidden_size, classes)

        def train(self, mode: bool = True) -> Any:
            super().train(mode)
            if frozen:
                self.backbone.eval()
            return self

        def forward(self, input_ids: Tensor, attention_mask: Tensor, labels: Tensor | None = None) -> dict[str, Tensor]:
            with torch.set_grad_enabled(torch.is_grad_enabled() and not frozen):
                tokens = self.backbone(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
            weights = attention_mask.unsqueeze(-1).to(tokens.dtype)
            mean = (tokens * weights).sum(1) / weights.sum(1)
            logits = self.head(mean.to(self.head.weight.dtype))
            loss = {} if labels is None else {"loss": nn.functional.cross_entropy(logits.float(), labels)}
            return {**loss, "logits": logits}

    return MeanClassifier()


def with_trainer(
    watch: Watch,
    network: Any,
    tokenizer: Any,
    rows: Rows,
    test: Rows,
    epochs: int,
    *,
    batch: int,
    rate: float,
    precision: str,
) -> Found:
    """transformers.Trainer with what its arguments have for speed."""
    from transformers import DataCollatorWithPadding, Trainer, TrainingArguments

    names = labels_of(rows)
    with tempfile.TemporaryDirectory() as out:
        arguments = TrainingArguments(
            out,
            num_train_epochs=epochs,
            learning_rate=rate,
            per_device_train_batch_size=batch,
            weight_decay=WEIGHT_DECAY,
            max_grad_norm=CLIP_NORM,
            warmup_steps=WARMUP,
            lr_scheduler_type="linear",
            train_sampling_strategy="group_by_length",
            optim="adamw_torch_fused",
            bf16=precision == "bfloat16",
            use_cpu=True,
            dataloader_num_workers=0,  # the rows are tokenized already: a worker only takes a core away
            **UNTOLD,
            seed=SEED,
        )
        data = encoded(tokenizer, rows, names)
        trainer = Trainer(network, arguments, train_dataset=data, data_collator=DataCollatorWithPadding(tokenizer))
        with watch:
            trainer.train()
    return watch.found(trainer.state.global_step, accuracy=accuracy(network, tokenizer, test, names))


def sorted_loader(data: list[dict[str, Any]], tokenizer: Any, batch: int) -> Any:
    """Batches of rows of nearly the same length, in another order at every epoch."""
    from torch.utils.data import DataLoader
    from transformers import DataCollatorWithPadding
    from transformers.trainer_pt_utils import LengthGroupedSampler

    sampler = LengthGroupedSampler(batch, lengths=[len(row["input_ids"]) for row in data])
    return DataLoader(data, batch, sampler=sampler, collate_fn=DataCollatorWithPadding(tokenizer))


def layers_of(backbone: Any) -> list[Any]:
    """What opens one after the other, from the top: the blocks, then the embeddings."""
    return [*reversed(backbone.encoder.layer), backbone.embeddings]


def lightning_module(network: Any, rate: float) -> Any:
    import lightning.pytorch as pl
    import torch
    from transformers import get_linear_schedule_with_warmup

    class Classifier(pl.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def training_step(self, batch: Any, _: int) -> Any:
            return self.network(**batch)["loss"]

        def on_before_optimizer_step(self, _: Any) -> None:
            # The Trainer's own clipping refuses fused optimizers under mixed precision, though bfloat16 scales nothing.
            torch.nn.utils.clip_grad_norm_(self.parameters(), CLIP_NORM)

        def configure_optimizers(self) -> Any:
            # All groups from the start: a schedule cannot take in groups that are added later. Closed layers have no
            # gradient, and AdamW passes over them.
            parts = [self.network.head, *layers_of(self.network.backbone)]
            groups = [{"params": list(part.parameters()), "lr": rate * LAYER_DECAY**depth} for depth, part in enumerate(parts)]
            optimizer = torch.optim.AdamW(groups, weight_decay=WEIGHT_DECAY, fused=True)
            steps = int(self.trainer.estimated_stepping_batches)
            schedule = get_linear_schedule_with_warmup(optimizer, round(WARMUP * steps), steps)
            return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    return Classifier()


def gradual_unfreezing(opened: Sequence[int]) -> Any:
    """Stage k, of as many equal ones as ``opened`` has, trains the head and the ``opened[k]`` layers below it."""
    from lightning.pytorch.callbacks import BaseFinetuning

    class GradualUnfreezing(BaseFinetuning):
        def freeze_before_training(self, pl_module: Any) -> None:
            self.freeze(pl_module.network.backbone)
            self.stage = -1

        def finetune_function(self, pl_module: Any, epoch: int, optimizer: Any) -> None:
            """Nothing at the start of an epoch: stages are shares of the run, whatever the number of epochs."""

        def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
            stage = len(opened) * trainer.global_step // int(trainer.estimated_stepping_batches)
            if stage != self.stage:
                for layer in layers_of(pl_module.network.backbone)[: opened[stage]]:
                    self.make_trainable(layer)
                    layer.train()  # Lightning keeps the mode that loading left, which is evaluation: right for closed layers only
                self.stage = stage

    return GradualUnfreezing()


def accuracy(network: Any, tokenizer: Any, test: Rows, names: list[str], batch: int = 64) -> float | None:
    """Share of ``test`` that the network has right; never in the timed part."""
    import torch

    if not test:
        return None
    network.eval()
    data = sorted(encoded(tokenizer, test, names), key=lambda row: len(row["input_ids"]))
    right = 0
    with torch.inference_mode():
        for start in range(0, len(data), batch):
            labels = torch.tensor([row["labels"] for row in data[start : start + batch]])
            ids = [{"input_ids": row["input_ids"]} for row in data[start : start + batch]]
            logits = network(**tokenizer.pad(ids, return_tensors="pt"))["logits"]
            right += int((logits.argmax(1) == labels).sum())
    return right / len(data)


def probe_of(features: Any, rows: Rows) -> Any:
    """A logistic regression on the rows' vectors."""
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=10, max_iter=1000).fit(features, [row["label"] for row in rows])


def share_equal(said: Sequence[Any], test: Rows) -> float:
    return sum(bool(one == row["label"]) for one, row in zip(said, test, strict=True)) / len(test)


# ---- command line -----------------------------------------------------------------------------------------------------


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("job", choices=JOBS)
    parser.add_argument("--rows", required=True, type=Path)
    parser.add_argument("--test", required=True, type=Path)
    parser.add_argument("--model", required=True)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--batch", type=int)
    parser.add_argument("--rate", type=float)
    parser.add_argument("--precision", choices=("bfloat16", "float32"))
    parser.add_argument("--opened", type=lambda text: tuple(int(one) for one in text.split(",")), help="lightning_gradual: 1,2,3")
    options = parser.parse_args()
    chosen = {name: getattr(options, name) for name in ("batch", "rate", "precision", "opened")}
    more = {name: value for name, value in chosen.items() if value is not None}
    job = JOBS[options.job]
    defaults = job.__kwdefaults__ or {}
    unknown = more.keys() - defaults.keys()
    if unknown:
        parser.error(f"{options.job} has no --{min(unknown)}")
    os.environ.setdefault("HF_HUB_OFFLINE", "1")  # nothing waits for a network inside a timed part
    answer = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever the libraries print goes to standard error
    found = job(lines(options.rows), lines(options.test), options.model, options.threads, options.epochs, **more)
    settings = {"threads": options.threads, "epochs": options.epochs, **(defaults | more)}
    print(json.dumps({"job": options.job, **found, **settings}), file=answer, flush=True)


def lines(path: Path) -> Rows:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


if __name__ == "__main__":
    main()
