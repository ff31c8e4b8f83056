"""tiny-seq2seq: a T5-shaped network of 1.6 million weights, trained from random values to mend and to go on with short stories.

python zoo/tiny_seq2seq.py [--budget SECONDS]

Half of the rows hide 15 in 100 tokens in spans of about three, which are to be written (Raffel et al. 2020, section 3.1.4); the
others are the first half of a passage, whose second half is to be written (there section 3.2.3, prefix language model).

Its weights are not kept here: after 20 minutes of one core, translation and summaries learnt from it no better than from random
values (docs/benchmarks/). benchmarks/translation.py reads what this builds.
"""

from __future__ import annotations

import argparse
import gzip
import random
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from shelf import DATA, put

NAME = "tiny-seq2seq"
STORY_END = "<|endoftext|>"
SENTINELS = tuple(f"<extra_id_{number}>" for number in range(32))
WORDS = 2048
PASSAGE = 64  # tokens
DRAWS = 2  # how often each passage is hidden anew
HIDDEN, SPAN = 0.15, 3
SHAPE = {"d_model": 128, "d_kv": 32, "d_ff": 512, "num_layers": 3, "num_decoder_layers": 3, "num_heads": 4}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--budget", type=float, default=1500.0)
    options = parser.parse_args()
    import tunewright

    stories = read_stories()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        tokenizer = start_from_nothing(stories, folder / "random")
        rows = list(to_mend(stories, tokenizer, random.Random(0)))
        run = tunewright.fit(
            rows,
            model={"source": str(folder / "random"), "dropout": 0.0},
            method="full",
            task="seq2seq",
            text="read",
            target="write",
            head={"name": "seq2seq", "longest": PASSAGE, "beams": 1},
            out=folder / "run",
            data={
                "max_length": 2 * PASSAGE,
                "validation_size": 0.02,
                "test_size": 0.005,
                "group": "story",
                "near_duplicates": "ignore",  # every passage comes several times, on one side of the split
            },
            optimization={"learning_rate": 3e-3, "weight_decay": 0.01, "schedule": {"name": "cosine", "warmup": 0.05}},
            training={"epochs": 2, "batch_size": 16, "budget_seconds": options.budget, "checkpoints": False},
            evaluation={"baselines": ("copy",)},
        )
        put(
            NAME,
            run,
            licence="CDLA-Sharing-1.0 allows results of any use",
            data="TinyStories (Eldan and Li 2023), a sample of 2 MB",
        )


def read_stories() -> list[str]:
    with gzip.open(DATA / "tinystories" / "tinystories_sample_2MB.txt.gz", "rt", encoding="utf-8") as file:
        return [text for story in file.read().split(STORY_END) if (text := " ".join(story.split()))]


def start_from_nothing(texts: list[str], folder: Path) -> Any:
    """A byte-level BPE tokenizer learned from the stories, and a network of random values."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast, T5Config, T5ForConditionalGeneration

    rules = Tokenizer(models.BPE())
    rules.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    rules.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    special = ["<pad>", "</s>", *SENTINELS]
    rules.train_from_iterator(
        texts, trainers.BpeTrainer(vocab_size=WORDS, special_tokens=special, initial_alphabet=alphabet, show_progress=False)
    )
    rules.post_processor = processors.TemplateProcessing(single="$A </s>", pair="$A </s> $B </s>", special_tokens=[("</s>", 1)])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=rules, eos_token="</s>", pad_token="<pad>", additional_special_tokens=list(SENTINELS)
    )
    torch.manual_seed(0)
    ends = {"decoder_start_token_id": 0, "pad_token_id": 0, "eos_token_id": 1}
    T5ForConditionalGeneration(T5Config(vocab_size=len(tokenizer), **SHAPE, **ends)).save_pretrained(str(folder))
    tokenizer.save_pretrained(str(folder))
    return tokenizer


def to_mend(texts: list[str], tokenizer: Any, generator: random.Random) -> Iterator[dict[str, str]]:
    """Rows made of passages: with gaps to fill, and with their second half to write."""
    for number, text in enumerate(texts):
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        for start in range(0, len(ids), PASSAGE):
            passage = ids[start : start + PASSAGE]
            if len(passage) < PASSAGE // 4:
                continue
            for _ in range(DRAWS):
                read, write = with_gaps(passage, tokenizer, generator)
                yield {"read": read, "write": write, "story": str(number)}
                half = generator.randint(len(passage) // 3, 2 * len(passage) // 3)
                read, write = tokenizer.decode(passage[:half]), tokenizer.decode(passage[half:])
                yield {"read": read, "write": write, "story": str(number)}


def with_gaps(passage: list[int], tokenizer: Any, generator: random.Random) -> tuple[str, str]:
    """The passage with sentinels for its hidden spans, and each sentinel with what it hides."""
    spans = max(1, round(len(passage) * HIDDEN / SPAN))
    begins = sorted(generator.sample(range(0, len(passage) - SPAN, SPAN + 1), spans))
    read, write, at = "", "", 0
    for sentinel, begin in zip(SENTINELS, begins, strict=False):
        end = begin + generator.randint(1, 2 * SPAN - 1) if begin + 2 * SPAN < len(passage) else begin + SPAN
        end = min([end, *[later for later in begins if later > begin]])
        read += tokenizer.decode(passage[at:begin]) + sentinel
        write += sentinel + tokenizer.decode(passage[begin:end])
        at = end
    return read + tokenizer.decode(passage[at:]), write


if __name__ == "__main__":
    main()
