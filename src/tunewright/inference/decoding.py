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
    return texts_of(network, written(network, prompt_ids(network, prompts), settings, method, sorted(ends_of(network))))


def texts_of(network: Network, made: Sequence[list[int]]) -> list[str]:
    """Answers in words, special tokens left out."""
    return [network.tokenizer.decode(ids, skip_special_tokens=True) for ids in made]


def written(network: Network, read: Sequence[list[int]], settings: Settings, method: str, ends: Sequence[int]) -> list[list[int]]:
    """Token ids of an answer to each prompt of token ids; nothing outside is changed, so that threads may share the network.

    ``ends``: tokens that end an answer, as ``ends_of`` finds them.
    """
    places = network.longest(2**31)
    too_long = [row for row, ids in enumerate(read, 1) if len(ids) >= places]
    if too_long:
        raise UserError(f"prompt {too_long[0]} has {len(read[too_long[0] - 1])} tokens", expected=f"fewer than {places}")
    alone = method in _BEFORE_THE_TEXT
    size = 1 if alone else settings.batch_size
    order = sorted(range(len(read)), key=lambda row: len(read[row]))
    answers: list[list[int]] = [[]] * len(read)
    draw = _drawing(network, settings)
    with evaluation_mode(network), quiet_transformers():
        for start in range(0, len(order), size):
            rows = order[start : start + size]
            batch = [read[row] for row in rows]
            made = _written(network, batch, _config(network, batch, settings, places, ends, cached=not alone), draw)
            for row, ids in zip(rows, made, strict=True):
                answers[row] = ids
    return answers


def _drawing(network: Network, settings: Settings) -> list[Any]:
    """What draws tokens; nothing where the likeliest is taken."""
    if not settings.temperature:
        return []
    from tunewright.inference.sampling import DrawToken  # with transformers' generation

    return [DrawToken(settings.temperature, settings.top_p, settings.seed, network.device)]


def _config(
    network: Network, batch: Sequence[list[int]], settings: Settings, places: int, ends: Sequence[int], *, cached: bool
) -> Any:
    from transformers import GenerationConfig

    return GenerationConfig(
        max_new_tokens=min(settings.max_new_tokens, places - max(map(len, batch))),
        do_sample=False,  # draws are made by a processor of ours
        pad_token_id=language.pad_of(network.tokenizer),
        eos_token_id=list(ends) or None,
        use_cache=cached,
    )


def _written(network: Network, batch: Sequence[list[int]], config: Any, draw: Sequence[Any]) -> list[Any]:
    """New token ids of each prompt, (batch) lists; prompts are filled up on the left."""
    from transformers import LogitsProcessorList

    width = max(map(len, batch))
    ids = torch.tensor([[config.pad_token_id] * (width - len(row)) + row for row in batch], device=network.device)
    mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in batch], device=network.device)
    made = network.inner.generate(
        input_ids=ids, attention_mask=mask, generation_config=config, logits_processor=LogitsProcessorList(draw)
    )
    return [row[width:].tolist() for row in made]


def ends_of(network: Network) -> set[int]:
    """Tokens that end an answer: the end of text, and what the chat template writes behind an answer."""
    tokenizer = network.tokenizer
    ends = {tokenizer.eos_token_id} - {None}
    if tokenizer.chat_template:
        example = (Message("user", "a"), Message("assistant", "a"))
        ends |= set(language.encode_conversations(tokenizer, [example], 100_000).ends)
    return ends
