"""tiny-lm: a Llama-shaped language model of about 3 million weights, trained from random values on short stories.

python zoo/tiny_lm.py [--budget SECONDS]
"""

from __future__ import annotations

import argparse
import gzip
import tempfile
from pathlib import Path

from shelf import DATA, put

NAME = "tiny-lm"
END = "<|endoftext|>"
CHAT = ("<|im_start|>", "<|im_end|>")
WORDS = 2048
SHAPE = {
    "hidden_size": 192,
    "intermediate_size": 512,
    "num_hidden_layers": 6,
    "num_attention_heads": 6,
    "num_key_value_heads": 3,
    "max_position_embeddings": 512,
    "tie_word_embeddings": True,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--budget", type=float, default=1500.0)
    options = parser.parse_args()
    import tunewright

    stories = read_stories()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        start_from_nothing(stories, folder / "random")
        run = tunewright.fit(
            [{"text": story} for story in stories],
            model=str(folder / "random"),
            method="full",
            task="causal_lm",
            head={"name": "causal_lm", "ends": True},
            out=folder / "run",
            data={"max_length": 512, "validation_size": 0.03, "test_size": 0.05},
            optimization={"learning_rate": 3e-3, "weight_decay": 0.1, "schedule": {"name": "cosine", "warmup": 0.05}},
            training={"epochs": 12, "batch_size": 8, "budget_seconds": options.budget, "checkpoints": False},
        )
        put(
            NAME,
            run,
            licence="CDLA-Sharing-1.0 allows results of any use",
            data="TinyStories (Eldan and Li 2023), a sample of 2 MB",
        )


def read_stories() -> list[str]:
    path = DATA / "tinystories" / "tinystories_sample_2MB.txt.gz"
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [story.strip() for story in file.read().split(END) if story.strip()]


def start_from_nothing(stories: list[str], folder: Path) -> None:
    """A byte-level BPE tokenizer learned from the stories, and a network of random values."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    rules = Tokenizer(models.BPE())
    rules.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    rules.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=WORDS, special_tokens=[END, *CHAT], initial_alphabet=alphabet, show_progress=False)
    rules.train_from_iterator(stories, trainer)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=rules, eos_token=END, bos_token=END, pad_token=END)
    tokenizer.add_special_tokens({"additional_special_tokens": list(CHAT)})
    torch.manual_seed(0)
    ends = {
        "bos_token_id": tokenizer.eos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.eos_token_id,
    }
    LlamaForCausalLM(LlamaConfig(vocab_size=len(tokenizer), **SHAPE, **ends)).save_pretrained(str(folder))
    tokenizer.save_pretrained(str(folder))


if __name__ == "__main__":
    main()
