"""Language models on real data: adapting to a domain, and the same losses as TRL's trainers.

    python benchmarks/language_tasks.py domain                                    # stories260K to other authors and to articles
    python benchmarks/language_tasks.py answers                                   # tiny-lm on sums in words, and answers as JSON
    python benchmarks/language_tasks.py equal --peers-python PYTHON               # loss of each step against SFTTrainer and DPOTrainer
    python benchmarks/language_tasks.py speed --peers-python PYTHON [--repeats 3] # tokens per second, in turns

``--peers-python`` is the interpreter of an environment with trl and peft. Every line goes to results/language.jsonl; lines that
are there are not measured again. One thread each.

domain: stories260K (vocabulary of 512, never saw anything but children's stories), 60 kB of Darwin or of WikiText-2's articles for
train, two epochs, one rate for each strategy; validation chooses the epoch; test is 15 kB further on. The other domains' 15 kB
are never trained on. equal: rows that fit, in the order and the batches of ours, float32, constant rate; stories260K for sft, a random
Llama of 1.9 million weights for dpo, whose texts are too long for 512 pieces. speed: a random Llama of 14
million weights with a byte-level BPE of 8,192 pieces made from TinyStories, LoRA of rank 16 on every linear layer, 64 rows of Alpaca
in batches of 8 of like length; tokens per second of processor time, which other work on the machine does not change. answers:
zoo/tiny-lm, everything trains on 1,000 rows; greedy answers to 200 test rows, before and after: GSM8K, whose last number must be
right, and Emotion's texts, to be answered by {"emotion": one of six}.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import numpy as np
from common import DATA, ROOT, done, machine, read_rows, write

FILE = "language.jsonl"
STORIES = DATA / "weights" / "stories260K"
TRAIN, TEST, PASSAGE = 60_000, 15_000, 1200  # characters; a passage of 1,200 is about 480 tokens of this tokenizer
DOMAINS = {
    "stories": ("tinystories", "tinystories_sample_2MB.txt.gz"),
    "darwin": ("author_text", "darwin.txt.gz"),
    "articles": ("wikitext2", "valid.txt.gz"),
}
RATES = {"full": (2e-3,), "lora": (1e-2,)}
EPOCHS = 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=("domain", "answers", "equal", "speed", "ours"))
    parser.add_argument("--peers-python", default=sys.executable)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--task", default="")
    parser.add_argument("--method", default="")
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--model", default="")
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    if options.part == "ours":
        print(json.dumps(ours(options.task, options.method, options.model, options.precision)))
        return
    {"domain": domain, "answers": answers, "equal": equal, "speed": speed}[options.part](options)


# ---- a domain -----------------------------------------------------------------------------------------------------------


def passages(name: str) -> list[str]:
    """Consecutive pieces of a text, cut at line ends."""
    folder, file = DOMAINS[name]
    with gzip.open(DATA / folder / file, "rt", encoding="utf-8") as opened:
        text = opened.read(20_000 + TRAIN + 3 * TEST)[20_000:]  # not the title pages
    text = text.replace("<|endoftext|>", "").replace(" @-@ ", "-")
    found, held = [], ""
    for line in text.splitlines(keepends=True):
        held += line
        if len(held) >= PASSAGE:
            found.append(held.strip())
            held = ""
    return found


def split(name: str) -> tuple[list[str], list[str], list[str]]:
    """Train, validation and test passages, one after the other in the text."""
    texts = passages(name)
    ends = np.cumsum([len(text) for text in texts])
    first, second = np.searchsorted(ends, [TRAIN, TRAIN + TEST])
    return texts[:first], texts[first:second], texts[second : second + (second - first)]


def domain(options: argparse.Namespace) -> None:
    import tunewright

    about, before = machine(), {name: perplexity(None, split(name)[2]) for name in DOMAINS}
    for target in ("darwin", "articles"):
        train, validation, test = split(target)
        for strategy in ("full", "lora"):
            key = f"domain|{target}|{strategy}"
            if key in done(FILE):
                continue
            runs = []
            for rate in RATES[strategy]:
                with tempfile.TemporaryDirectory() as out:
                    run = tunewright.fit(
                        {"text": train},
                        validation={"text": validation},
                        test={"text": test},
                        model=STORIES,
                        task="causal_lm",
                        strategy=strategy,
                        optimization={"learning_rate": rate},
                        training={"epochs": EPOCHS, "batch_size": 8, "checkpoints": False},
                        evaluation={"certify": False, "reports": ()},
                        out=Path(out) / "run",
                    )
                    best = min(event["scores"]["perplexity"] for event in run.history if event["kind"] == "evaluation")
                    after = {name: perplexity(run, split(name)[2]) for name in DOMAINS}
                    scores = {entry["of"]: entry for entry in run.all_scores() if entry["name"] == "perplexity"}
                    interval = [scores["fine-tuned"]["low"], scores["fine-tuned"]["high"]]
                    trained = sum(layer["trainable"] for layer in run.details["layers"])
                    runs.append((best, rate, after, interval, trained, run.details["time"]["training_seconds"]))
            best, rate, after, interval, trained, seconds = min(runs)
            print(key, rate, before[target], after)
            line = {
                "part": "domain",
                "target": target,
                "strategy": strategy,
                "rate": rate,
                "validation": best,
                "before": before,
                "after": after,
                "interval": interval,
                "trained": trained,
                "seconds": round(seconds, 1),
                "tried": {str(one[1]): one[0] for one in runs},
            }
            write(FILE, key, {**line, **about})


def perplexity(run: Any, texts: list[str]) -> float:
    """Of a tuned run, or of stories260K itself."""
    from tunewright.core.types import Labels
    from tunewright.metrics import perplexity as metric
    from tunewright.models.form import Form
    from tunewright.models.loading import load_network
    from tunewright.tasks.causal_lm import task as language
    from tunewright.training.evaluate import decode_all
    from tunewright.training.predict import passes

    labels = Labels("causal_lm")
    form = Form("text", "AutoModelForCausalLM", "vocabulary")
    network = load_network(str(STORIES), labels, form=form) if run is None else run.model.network
    examples = language.encode(network, [(text,) for text in texts], None, language.Settings(), language.LONGEST)
    predictions, _ = decode_all(language, labels, examples, passes(network, examples))
    return round(float(metric.value(examples.targets, predictions.values, labels)), 4)


# ---- answers ------------------------------------------------------------------------------------------------------------


def sums(part: str, many: int) -> list[dict[str, str]]:
    with gzip.open(DATA / "gsm8k" / f"{part}.jsonl.gz", "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    return [{"prompt": row["question"], "completion": row["answer"]} for row in rows[:many]]


def emotions(part: str, many: int) -> list[dict[str, str]]:
    rows = read_rows("emotion", part)[:many]
    return [{"prompt": row["text"], "completion": json.dumps({"emotion": row["label"]})} for row in rows]


def answers(options: argparse.Namespace) -> None:
    import tunewright

    names = sorted({row["label"] for row in read_rows("emotion", "train")})
    schema = {
        "type": "object",
        "properties": {"emotion": {"enum": names}},
        "required": ["emotion"],
        "additionalProperties": False,
    }
    for name, rows, checks, longest in (
        ("emotion as JSON", emotions, {"json": schema, "words": None}, 24),
        ("gsm8k", sums, {"number": None}, 160),
    ):
        if f"answers|{name}" in done(FILE):
            continue
        started, test = time.process_time(), rows("test", 200)
        with tempfile.TemporaryDirectory() as out:
            run = tunewright.fit(
                rows("train", 1000),
                test=test,
                model=ROOT.parent / "zoo" / "tiny-lm",
                strategy="full",
                optimization={"learning_rate": 2e-3},
                data={"near_duplicates": "ignore"},
                training={"epochs": 5, "batch_size": 8, "checkpoints": False, "threads": 1},
                evaluation={"certify": False, "reports": (), "baselines": ("before",)},
                out=Path(out) / "run",
            )
            found: dict[str, Any] = {}
            for check, wanted in checks.items():
                scores = run.check_answers(test, check, schema=wanted, max_new_tokens=longest)
                found |= {f"{score.name}, {of}": [score.value, score.low, score.high] for of, score in scores.items()}
            surprise = {entry["of"]: entry["value"] for entry in run.all_scores() if entry["name"] == "perplexity"}
        seconds = round(time.process_time() - started, 1)
        line = {"part": "answers", "data": name, "rows": 1000, "n": len(test), "found": found, "perplexity": surprise}
        write(FILE, f"answers|{name}", line | {"seconds": seconds} | machine())
        print(name, found, surprise, f"{seconds} s", flush=True)


# ---- beside TRL ---------------------------------------------------------------------------------------------------------

SETTINGS = {  # batch, rate for full, rate for lora, longest example, rows
    "sft": (8, 1e-3, 3e-3, 512, 240),
    "dpo": (4, 1e-4, 1e-3, 512, 80),
    "speed": (8, 1e-3, 2e-4, 256, 64),
}


def rows_of(task: str) -> list[dict[str, Any]]:
    name = "dpo_en_demo" if task == "dpo" else "alpaca_en_demo"
    with gzip.open(DATA / "instruct" / f"{name}.json.gz", "rt", encoding="utf-8") as opened:
        rows: list[dict[str, Any]] = json.load(opened)
    return rows


def job_of(task: str, method: str, model: str, precision: str) -> Any:
    """Our job on the rows that fit, in float32 or as said, at a constant rate."""
    from tunewright.pipeline.steps import InMemoryData, apply_method, make_job, prepare_rows, set_up
    from tunewright.pipeline.workflow import make_recipe

    batch, full, low, longest, count = SETTINGS[task]
    recipe = make_recipe(
        model=model,
        strategy=method,
        optimization={"learning_rate": full if method == "full" else low, "weight_decay": 0.0, "schedule": "constant"},
        training={"epochs": 1, "batch_size": batch, "precision": precision, "threads": 1, "checkpoints": False, "cache": False},
        data={"max_length": longest, "near_duplicates": "ignore"},
    )
    rows = rows_of(task)
    fitting = fits(model, rows, longest)
    count = min(count, (len(fitting) - 8) // batch * batch)
    chosen = [rows[place] for place in fitting[: count + 8]]
    given = InMemoryData(chosen[:count], chosen[count : count + 4], chosen[count + 4 :])
    setup = set_up(recipe, prepare_rows(recipe, given))
    return make_job(setup, apply_method(setup))


def prepared(task: str, method: str, model: str, folder: Path) -> None:
    """Write the rows as the peers read them, and our adapter before its first step."""
    from tunewright.models.peft_format import write_adapter

    job = job_of(task, method, model, "float32")
    (folder / "rows.json").write_text(json.dumps(as_peers_read(task, job)))
    if method == "lora":
        (folder / "adapter").mkdir(exist_ok=True)
        write_adapter(folder / "adapter", job.network, job.applied)


def fits(model: str, rows: list[dict[str, Any]], longest: int) -> list[int]:
    """Places of rows whose whole text stays below ``longest`` tokens."""
    from transformers import AutoTokenizer

    from tunewright.datasets.in_memory import from_python
    from tunewright.datasets.schema import guess_schema
    from tunewright.modalities.conversation import modality as conversation
    from tunewright.modalities.language import causal as language

    tokenizer = AutoTokenizer.from_pretrained(model)
    table = from_python(rows)["train"]
    read = conversation.read(table, guess_schema(table).text)
    found = []
    for place, (row,) in enumerate(read):
        messages = conversation.messages_of(row)
        texts = [(*messages[:-2], messages[-2]), (*messages[:-2], messages[-1])] if "chosen" in rows[0] else [messages]
        if not language.encode_conversations(tokenizer, texts, longest).cut.any():
            found.append(place)
    return found


def as_peers_read(task: str, job: Any) -> list[dict[str, list[int]]]:
    """The ids of our rows in the order in which they are trained on."""
    encoded = job.train.encoded
    order = [int(row) for window in job.windows(0) for rows in window for row in rows]
    if task != "dpo":
        wanted = encoded.targets
        return [{"input_ids": encoded.row(row), "labels": wanted.row(row).tolist()} for row in order]
    flat = encoded.flat
    found = []
    for row in order:
        ids = [flat.row(2 * row + side) for side in (0, 1)]
        starts = [int(np.flatnonzero(flat.targets.row(2 * row + side) != -100)[0]) for side in (0, 1)]
        assert starts[0] == starts[1]
        found.append({"prompt_ids": ids[0][: starts[0]], "chosen_ids": ids[0][starts[0] :], "rejected_ids": ids[1][starts[0] :]})
    return found


def ours(task: str, method: str, model: str, precision: str) -> dict[str, Any]:
    """Train, and tell the loss of each step and the seconds to the end of the last."""
    from dataclasses import replace

    from tunewright.training.callback import Callback
    from tunewright.training.events import StepEnd
    from tunewright.training.trainer import train

    steps: list[StepEnd] = []
    ends: list[float] = []

    class Clock(Callback):
        def on_step_end(self, event: StepEnd) -> None:
            steps.append(event)
            ends.append(time.process_time())

    job = replace(job_of(task, method, model, precision), callbacks=(Clock(),))
    began = time.process_time()
    train(job)
    encoded = job.train.encoded
    tokens = int((encoded.flat if task == "dpo" else encoded).lengths.sum())
    return {
        "losses": [event.loss for event in steps],
        "seconds": round(steps[-1].seconds, 4),
        "cpu_seconds": round(ends[-1] - began, 4),
        "steps": len(steps),
        "tokens": tokens,
        "precision": job.recipe.training.precision,
    }


def process(command: list[str]) -> dict[str, Any]:
    environment = os.environ | {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1"}
    made = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if made.returncode:
        raise SystemExit(made.stderr[-3000:])
    found: dict[str, Any] = json.loads(made.stdout.strip().splitlines()[-1])
    return found


def our_command(task: str, method: str, model: str, precision: str) -> list[str]:
    here = str(ROOT / "language_tasks.py")
    return [sys.executable, here, "ours", "--task", task, "--method", method, "--model", model, "--precision", precision]


def their_command(python: str, task: str, method: str, model: str, precision: str, folder: Path) -> list[str]:
    batch, full, low, *_ = SETTINGS[task]
    trainer = "dpo" if task == "dpo" else "sft"
    rate = full if method == "full" else low
    command = [python, str(ROOT / "language_peers.py"), trainer, "--model", model, "--method", method]
    command += ["--rows", str(folder / "rows.json"), "--adapter", str(folder / "adapter")]
    return [*command, "--batch", str(batch), "--rate", str(rate), "--precision", precision]


def equal(options: argparse.Namespace) -> None:
    about = machine()
    for task in ("sft", "dpo"):
        for method in ("full", "lora"):
            key = f"equal|{task}|{method}"
            if key in done(FILE):
                continue
            with tempfile.TemporaryDirectory() as folder:
                where = Path(folder)
                model = str(STORIES if task == "sft" else random_llama(where / "llama", width=128, layers=4))
                prepared(task, method, model, where)
                mine = process(our_command(task, method, model, "float32"))
                theirs = process(their_command(options.peers_python, task, method, model, "float32", where))
            one, other = np.array(mine["losses"]), np.array(theirs["losses"])
            line = {
                "part": "equal",
                "task": task,
                "method": method,
                "steps": len(one),
                "ours": round(float(one.mean()), 5),
                "theirs": round(float(other.mean()), 5),
                "mean_difference": float(abs(one.mean() - other.mean()) / other.mean()),
                "first_difference": float(abs(one[0] - other[0]) / other[0]),
                "largest_difference": float((np.abs(one - other) / other).max()),
                "last": [float(one[-1]), float(other[-1])],
                "peers": theirs["peers"],
            }
            print(key, {name: line[name] for name in ("ours", "theirs", "mean_difference", "largest_difference")})
            write(FILE, key, {**line, **about})


def speed(options: argparse.Namespace) -> None:
    about = machine()
    with tempfile.TemporaryDirectory() as folder:
        where = Path(folder)
        model = str(random_llama(where / "llama"))
        prepared("speed", "lora", model, where)
        for turn in range(options.repeats):
            for side, precision in (("ours", "float32"), ("trl", "float32"), ("ours", "bfloat16"), ("trl", "bfloat16")):
                key = f"speed|{side}|{precision}|{turn}"
                if key in done(FILE):
                    continue
                if side == "ours":
                    found = process(our_command("speed", "lora", model, precision))
                else:
                    found = process(their_command(options.peers_python, "speed", "lora", model, precision, where))
                tokens = sum(len(row["input_ids"]) for row in json.loads((where / "rows.json").read_text()))
                line = {
                    "part": "speed",
                    "side": side,
                    "precision": found.get("precision", precision),
                    "turn": turn,
                    "tokens": tokens,
                    "tokens_per_cpu_second": round(tokens / found["cpu_seconds"], 1),
                    "seconds": found["seconds"],
                    "cpu_seconds": found["cpu_seconds"],
                    "loss": round(float(np.mean(found["losses"])), 4),
                    "peers": found.get("peers"),
                }
                print(key, line["tokens_per_cpu_second"], line["loss"])
                write(FILE, key, {**line, **about})


def random_llama(folder: Path, width: int = 384, layers: int = 6) -> Path:
    """A Llama of random weights, 14 million by default, and a byte-level BPE tokenizer of 8,192 pieces, made from TinyStories."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    words = trainers.BpeTrainer(
        vocab_size=8192, special_tokens=["<s>", "</s>"], initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    with gzip.open(DATA / "tinystories" / "tinystories_sample_2MB.txt.gz", "rt", encoding="utf-8") as opened:
        raw.train_from_iterator(opened, words)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=raw, bos_token="<s>", eos_token="</s>", pad_token="</s>")
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        intermediate_size=8 * width // 3,
        num_hidden_layers=layers,
        num_attention_heads=width // 64,
        num_key_value_heads=width // 64,
        max_position_embeddings=512,
        tie_word_embeddings=True,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=1,
    )
    torch.manual_seed(0)
    LlamaForCausalLM(config).save_pretrained(str(folder))
    tokenizer.save_pretrained(str(folder))
    return folder


if __name__ == "__main__":
    main()
