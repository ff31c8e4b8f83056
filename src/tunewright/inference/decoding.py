"""Answers of a language model, written word by word by transformers' own ``generate``.

Greedy by default, so that the same model gives the same answers; sampling depends on the seed alone.
Source: nucleus sampling: Holtzman et al. 2020, The curious case of neural text degeneration.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, Field

from tunewright.core.errors import UserError
from tunewright.modalities.language import causal as language
from tunewright.modalities.language import chat_template
from tunewright.modalities.language.messages import Conversation, Message
from tunewright.models.network import Network, evaluation_mode
from tunewright.models.quiet import quiet_transformers

# Methods whose hooks put tokens before the text in every pass: no cache is kept, and one prompt is read at a time.
_BEFORE_THE_TEXT = ("prefix", "prompt")


class Settings(BaseModel):
    """How answers are written."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_new_tokens: int = Field(128, ge=1, le=8192, description="Tokens of an answer at most (a guess).")
    temperature: float = Field(0.0, ge=0, le=10, description="0 takes the likeliest token; above it tokens are drawn.")
    top_p: float = Field(
        1.0, gt=0, le=1, description="Drawn among the likeliest tokens of this share (Holtzman et al. 2020: 0.95)."
    )
    seed: int = Field(0, ge=0, lt=2**32, description="Of the draws.")
    batch_size: int = Field(8, ge=1, le=4096, description="Prompts at once (a guess).")


def prompt_ids(network: Network, prompts: Sequence[Conversation | str]) -> list[list[int]]:
    """What the model reads before it answers: conversations in the words of its chat template, texts as they are."""
    tokenizer = network.tokenizer
    begins, template = chat_template.bos_of(tokenizer), None
    texts = []
    for prompt in prompts:
        if isinstance(prompt, str):
            texts.append(f"{begins}{prompt}")
            continue
        template = template or chat_template.choose(tokenizer)
        texts.append(chat_template.prompt_text(template, prompt))
    found = [list(encoding.ids) for encoding in language.tokenized(tokenizer, texts)]
    if not all(found):
        raise UserError("a prompt holds no token", expected="text to go on from")
    return found


def generate(network: Network, prompts: Sequence[Conversation | str], settings: Settings, method: str = "") -> list[str]:
    """An answer to each prompt, its special tokens left out; ``method`` is the one that the network was tuned with."""
    read = prompt_ids(network, prompts)
    places = network.longest(2**31)
    too_long = [row for row, ids in enumerate(read, 1) if len(ids) >= places]
    if too_long:
        raise UserError(f"prompt {too_long[0]} has {len(read[too_long[0] - 1])} tokens", expected=f"fewer than {places}")
    alone = method in _BEFORE_THE_TEXT
    size = 1 if alone else settings.batch_size
    order = sorted(range(len(read)), key=lambda row: len(read[row]))
    answers = [""] * len(read)
    with evaluation_mode(network), quiet_transformers(), torch.random.fork_rng():
        torch.manual_seed(settings.seed)
        for start in range(0, len(order), size):
            rows = order[start : start + size]
            written = _written(network, [read[row] for row in rows], settings, places, cached=not alone)
            for row, ids in zip(rows, written, strict=True):
                answers[row] = network.tokenizer.decode(ids, skip_special_tokens=True)
    return answers


def _written(network: Network, batch: list[list[int]], settings: Settings, places: int, *, cached: bool) -> list[Any]:
    """New token ids of each prompt, (batch) lists; prompts are filled up on the left."""
    from transformers import GenerationConfig

    pad, width = language.pad_of(network.tokenizer), max(map(len, batch))
    ids = torch.tensor([[pad] * (width - len(row)) + row for row in batch], device=network.device)
    mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in batch], device=network.device)
    drawn = {"temperature": settings.temperature, "top_p": settings.top_p, "top_k": 0} if settings.temperature else {}
    config = GenerationConfig(
        max_new_tokens=min(settings.max_new_tokens, places - width),
        do_sample=bool(settings.temperature),
        pad_token_id=pad,
        eos_token_id=sorted(_ends(network)) or None,
        use_cache=cached,
        **drawn,
    )
    made = network.inner.generate(input_ids=ids, attention_mask=mask, generation_config=config)
    return [row[width:].tolist() for row in made]


def _ends(network: Network) -> set[int]:
    """Tokens that end an answer: the end of text, and what the chat template writes behind an answer."""
    tokenizer = network.tokenizer
    ends = {tokenizer.eos_token_id} - {None}
    if tokenizer.chat_template:
        example = (Message("user", "a"), Message("assistant", "a"))
        ends |= set(language.encode_conversations(tokenizer, [example], 100_000).ends)
    return ends
