"""Texts written from texts on real data: directions that were never trained, translation from few rows, and summaries.

    python benchmarks/translation.py [--only zero_shot from_few summaries]      # one line per row of the table in results/translation.jsonl

- zero_shot: a T5-shaped network of random values learns German to English and English to French from Multi30k's short captions, with a tag for
  the language to write in (Johnson et al. 2017), and is asked for German to French: beside the pivot (into English, then into French), what it
  writes when asked for English, a copy of the German text, and right texts of other rows.
- from_few: German to English from 3,000 captions, from zoo/tiny-seq2seq and from a network of the same shape with random values.
- summaries: DialogSum's development rows, 400 to learn, 500 test rows with three right texts each; from both again, beside copy and lead.

Meant for one shared core: half an hour for zero_shot, ten minutes for each run of the others. The trained network of zero_shot is kept in
--work, so that what is measured of it can be continued. `python zoo/tiny_seq2seq.py` builds what the others start from.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import math
import random
import shutil
import tempfile
import time
from collections import Counter
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

from common import DATA, ROOT, done, machine, once, write

FILE = "translation.jsonl"
BASE = ROOT.parent / "zoo" / "tiny-seq2seq"
TAGS = ("<2de>", "<2en>", "<2fr>")
WORDS = 3000
SHAPE = {"d_model": 128, "d_kv": 32, "d_ff": 512, "num_layers": 2, "num_decoder_layers": 2, "num_heads": 4}
SHORT = 10  # words of a caption in any of its languages: what a share of a core can learn in half an hour
TESTS = ("test_2016_flickr", "test_2017_flickr")
RATE = 4e-3  # a guess: over 120 steps the loss fell faster at 4e-3 than at 1e-3
RATES = (3e-3, 1e-3)  # the one that zoo/tiny-seq2seq was trained with, and a gentler one; both from both
LONGEST = 32  # tokens of each side
TRAINED = (("de", "en"), ("en", "fr"))
ARMS = ("tiny-seq2seq", "random values")

Row = dict[str, str]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=("zero_shot", "from_few", "summaries"))
    parser.add_argument("--budget", type=float, default=2250.0, help="Seconds of training of zero_shot.")
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "tunewright-translation")
    options = parser.parse_args()
    wanted = options.only or ("zero_shot", "from_few", "summaries")
    if "zero_shot" in wanted:
        zero_shot(options.work, options.budget)
    for part in ("from_few", "summaries"):
        if part in wanted:
            from_both(part)


def captions(*parts: str) -> list[Row]:
    """The short captions of some parts of Multi30k, each in all languages."""
    found: list[Row] = []
    for part in parts:
        with gzip.open(DATA / "multi30k" / f"{part}.csv.gz", "rt", encoding="utf-8", newline="") as file:
            found += csv.DictReader(file)
    return [row for row in found if max(len(row[language].split()) for language in ("de", "en", "fr")) <= SHORT]


def directed(rows: list[Row], directions: tuple[tuple[str, str], ...]) -> list[Row]:
    """Each caption in each direction."""
    return [
        {"text": row[source], "target_language": target, "target": row[target]} for row in rows for source, target in directions
    ]


# ---- directions that were never trained ---------------------------------------------------------------------------------


def zero_shot(work: Path, budget: float) -> None:
    import tunewright

    if not (work / "run" / "report.html").is_file():
        train(work, budget)
    run = tunewright.load(work / "run")
    test, judge = captions(*TESTS), Judge(captions("train"))
    texts = {language: [row[language] for row in test] for language in ("de", "en", "fr")}
    about = {
        "part": "zero_shot",
        "rows": len(TRAINED) * len(captions("train")),
        "epochs": round(run.history[-1]["epoch"], 2),
        "training": run.history[-1]["seconds"],
        "weights": sum(parameter.numel() for parameter in run.model.network.parameters()),
    }

    @cache
    def into(target: str, source: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(row["predicted"] for row in run.predict([{"text": text, "target_language": target} for text in source]))

    german, english = tuple(texts["de"]), tuple(texts["en"])
    arms = {
        ("de-en", "trained"): lambda: into("en", german),
        ("de-en", "copy"): lambda: german,
        ("en-fr", "trained"): lambda: into("fr", english),
        ("en-fr", "copy"): lambda: english,
        ("de-fr", "zero-shot"): lambda: into("fr", german),
        ("de-fr", "pivot, over English"): lambda: into("fr", into("en", german)),
        ("de-fr", "asked for English"): lambda: into("en", german),
        ("de-fr", "copy"): lambda: german,
        ("de-fr", "right texts of other rows"): lambda: random.Random(0).sample(texts["fr"], len(test)),
    }
    for (of, arm), write_all in arms.items():

        def measure(of: str = of, arm: str = arm, write_all: Any = write_all) -> dict[str, Any]:
            written, target = list(write_all()), of[-2:]
            found = scores(written, texts[target]) | {"language": judge.share(written, target)}
            return {"of": of, "arm": arm, **found, **about}

        once(FILE, f"zero_shot {of} {arm}", measure)


def train(work: Path, budget: float) -> None:
    import tunewright

    rows = captions("train")
    shutil.rmtree(work, ignore_errors=True)
    from_nothing([row[language] for row in rows for language in ("de", "en", "fr")], work / "random")
    generator = random.Random(0)
    tunewright.fit(
        directed(rows, TRAINED),
        validation=directed(generator.sample(captions("val"), 200), TRAINED),
        test=directed(generator.sample(captions(*TESTS), 100), TRAINED),
        model={"source": str(work / "random"), "dropout": 0.0},
        method="full",
        head={"name": "seq2seq", "longest": LONGEST, "beams": 1},
        out=work / "run",
        data={"max_length": LONGEST, "near_duplicates": "ignore"},
        optimization={"learning_rate": RATE, "weight_decay": 0.01, "schedule": {"name": "cosine", "warmup": 0.05}},
        training={"epochs": 15, "batch_size": 32, "budget_seconds": budget, "evaluations_per_epoch": 1, "threads": 1},
        evaluation={"baselines": ("copy",), "reports": ()},
    )


def from_nothing(texts: list[str], folder: Path) -> None:
    """A byte-level BPE tokenizer of all languages together with a token for each tag, and a network of random values."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast, T5Config, T5ForConditionalGeneration

    rules = Tokenizer(models.BPE())
    rules.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    rules.decoder = decoders.ByteLevel()
    special = ["<pad>", "</s>", *TAGS]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    rules.train_from_iterator(
        texts, trainers.BpeTrainer(vocab_size=WORDS, special_tokens=special, initial_alphabet=alphabet, show_progress=False)
    )
    rules.post_processor = processors.TemplateProcessing(single="$A </s>", pair="$A </s> $B </s>", special_tokens=[("</s>", 1)])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=rules, eos_token="</s>", pad_token="<pad>", additional_special_tokens=list(TAGS)
    )
    torch.manual_seed(0)
    ends = {"decoder_start_token_id": 0, "pad_token_id": 0, "eos_token_id": 1}
    T5ForConditionalGeneration(T5Config(vocab_size=len(tokenizer), **SHAPE, **ends)).save_pretrained(str(folder))
    tokenizer.save_pretrained(str(folder))


class Judge:
    """Which of the captions' languages a text is in: a naive Bayes classifier of groups of three characters."""

    def __init__(self, rows: list[Row]) -> None:
        counts = {name: Counter(piece for row in rows for piece in pieces(row[name])) for name in ("de", "en", "fr")}
        kinds = len(set().union(*counts.values()))
        self.known = counts
        self.nothing = {name: -math.log(found.total() + kinds) for name, found in counts.items()}

    def language(self, text: str) -> str:
        def likelihood(name: str) -> float:
            found, nothing = self.known[name], self.nothing[name]
            return sum(math.log(found[piece] + 1) + nothing for piece in pieces(text))

        return max(self.known, key=likelihood)

    def share(self, texts: list[str], language: str) -> float:
        return sum(self.language(text) == language for text in texts) / len(texts)


def pieces(text: str) -> list[str]:
    padded = f"  {text.lower()} "
    return [padded[place : place + 3] for place in range(len(padded) - 2)]


def scores(written: list[str], right: list[Any]) -> dict[str, Any]:
    """chrF and BLEU with their intervals."""
    from tunewright.core.arrays import object_array
    from tunewright.core.types import Labels, Predictions
    from tunewright.evaluation.intervals import score

    wanted = object_array((text,) if isinstance(text, str) else tuple(text) for text in right)
    found: dict[str, Any] = {"n": len(written)}
    for name in ("chrf", "bleu"):
        one = score(name, wanted, Predictions(object_array(written), None), Labels("seq2seq"))
        found |= {name: one.value, f"{name}_low": one.low, f"{name}_high": one.high}
    return found


# ---- from few rows, and summaries ---------------------------------------------------------------------------------------


def from_both(part: str) -> None:
    """The same rows from what zoo/tiny-seq2seq knows, and from random values under the same tokenizer."""
    for arm, rate in product(ARMS, RATES):
        if f"{part} {arm} {rate:g}" in done(FILE):
            continue
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            source = BASE if arm == "tiny-seq2seq" else forgotten(folder / "random")
            started = time.process_time()
            run = (captions_from_few if part == "from_few" else summaries)(str(source), folder / "run", rate)
            watched = min(event["scores"]["perplexity"] for event in run.history if event["kind"] == "evaluation")
            about = {"part": part, "perplexity": watched, "rate": rate, "epochs": round(run.history[-1]["epoch"], 2)} | machine()
            for of, name in (("fine-tuned", f"{arm} {rate:g}"), ("copy", "copy"), ("lead", "lead"))[
                : 2 if part == "from_few" else 3
            ]:
                found = {entry["name"]: entry for entry in run.all_scores() if entry["of"] == of}
                if found and f"{part} {name}" not in done(FILE):
                    seconds = round(time.process_time() - started, 1) if of == "fine-tuned" else 0.0
                    values = {key: found[key]["value"] for key in ("chrf", "rouge_l", "bleu")}
                    bounds = {f"chrf_{end}": found["chrf"][end] for end in ("low", "high")}
                    write(
                        FILE,
                        f"{part} {name}",
                        {
                            "arm": arm if of == "fine-tuned" else of,
                            **values,
                            **bounds,
                            "n": found["chrf"]["n"],
                            "seconds": seconds,
                        }
                        | about,
                    )
                    print(part, name, values, f"{seconds} s", flush=True)


def forgotten(folder: Path) -> Path:
    """The model of the zoo with random values in place of what it learned."""
    import torch
    from transformers import AutoConfig, AutoModelForSeq2SeqLM, AutoTokenizer

    torch.manual_seed(0)
    AutoModelForSeq2SeqLM.from_config(AutoConfig.from_pretrained(str(BASE))).float().save_pretrained(str(folder))
    AutoTokenizer.from_pretrained(str(BASE)).save_pretrained(str(folder))
    return folder


def captions_from_few(source: str, out: Path, rate: float) -> Any:
    generator = random.Random(0)
    parts = {"train": (captions("train"), 3000), "val": (captions("val"), 200), "test": (captions(*TESTS), 500)}
    train, validation, test = (
        [{"text": row["de"], "reply": row["en"]} for row in generator.sample(rows, many)] for rows, many in parts.values()
    )
    return fitted(source, out, rate, train, validation, test, longest=LONGEST, max_length=64, epochs=4, budget=500.0)


def summaries(source: str, out: Path, rate: float) -> Any:
    def rows(part: str) -> list[dict[str, Any]]:
        with gzip.open(DATA / "dialogsum" / f"{part}.jsonl.gz", "rt", encoding="utf-8") as file:
            return [json.loads(line) for line in file]

    learned = [{"text": row["dialogue"], "reply": row["summary"]} for row in rows("dev")]
    test = [{"text": row["dialogue"], "reply": [row[f"summary{place}"] for place in (1, 2, 3)]} for row in rows("test")]
    random.Random(0).shuffle(learned)
    return fitted(source, out, rate, learned[:400], learned[400:], test, longest=64, max_length=256, epochs=4, budget=500.0)


def fitted(
    source: str,
    out: Path,
    rate: float,
    train: Any,
    validation: Any,
    test: Any,
    *,
    longest: int,
    max_length: int,
    epochs: int,
    budget: float,
) -> Any:
    import tunewright

    return tunewright.fit(
        train,
        validation=validation,
        test=test,
        model={"source": source, "dropout": 0.1},
        method="full",
        task="seq2seq",
        text="text",
        target="reply",
        head={"name": "seq2seq", "longest": longest, "beams": 1},
        out=out,
        data={"max_length": max_length, "near_duplicates": "ignore"},
        optimization={"learning_rate": rate, "weight_decay": 0.01, "schedule": {"name": "cosine", "warmup": 0.05}},
        training={"epochs": epochs, "batch_size": 16, "budget_seconds": budget, "checkpoints": False, "threads": 1},
        evaluation={"baselines": ("copy", "lead"), "certify": False, "reports": ()},
    )


if __name__ == "__main__":
    main()
