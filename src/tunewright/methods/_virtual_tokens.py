"""What the methods with virtual tokens share: words to start from, and room for them before the text."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from tunewright.core.errors import UserError
from tunewright.models.network import Network
from tunewright.models.processors import is_tokenized


def word_ids(network: Network, words: str | None, count: int) -> list[int]:
    """``count`` token ids that spell the words, repeated or cut; without words, the task's label names.

    Lester et al. 2021, section 3.2: label names start a prompt better than random words, and those better than noise.
    """
    text = words if words is not None else ", ".join(network.labels.names).replace("_", " ") or "score of this text"
    ids: list[int] = network.tokenizer(text, add_special_tokens=False)["input_ids"]
    if not ids:
        raise UserError(f"the words {text!r} hold no token", expected="words to start the virtual tokens from")
    return (ids * (count // len(ids) + 1))[:count]


def refuse_without_tokens(network: Network, method: str) -> None:
    """Virtual tokens stand before words; pixels, samples and the columns of a table have no place for them."""
    if not is_tokenized(network.form.kind):
        raise UserError(
            f"{method} puts virtual words before a text, and these rows are {network.form.kind}",
            expected="rows of text",
            try_="method: lora",
        )


def check_room(network: Network, count: int) -> int | None:
    """How many tokens of text fit beside ``count`` virtual ones, where positions are learned; None where they are not."""
    size = getattr(network.inner.config, "max_position_embeddings", None)
    words = network.inner.get_input_embeddings()
    embeddings = [module for module in network.modules() if isinstance(module, nn.Embedding) and module is not words]
    tables = [module for module in embeddings if module.num_embeddings == size]
    if not tables:
        return None
    offset = 0 if tables[0].padding_idx is None else tables[0].padding_idx + 1
    room = tables[0].num_embeddings - offset - count
    if room < 1:
        raise UserError(f"{count} virtual tokens leave no room for text", expected=f"fewer than {count + room}")
    return room


def refuse_too_long(tokens: int, room: int | None) -> None:
    """Say in words what an embedding would only say as an index error."""
    if room is not None and tokens > room:
        raise UserError(
            f"a text has {tokens} tokens, but only {room} fit beside the virtual tokens", try_=f"data.max_length: {room}"
        )


def refuse_two_stacks(network: Network, method: str) -> None:
    """Virtual tokens of an encoder-decoder would need a place in both of its stacks."""
    if network.inner.config.is_encoder_decoder:
        raise UserError(
            f"{method} does not work with {type(network.inner).__name__}, an encoder-decoder",
            expected="an encoder or a decoder",
            try_="model.pooling: mean (takes the encoder alone), or method: lora",
        )


def drop_places(named: dict[str, Any]) -> None:
    """Places that were counted without the virtual tokens: the model counts anew."""
    for name in ("position_ids", "cache_position"):
        named.pop(name, None)


def lengthen(mask: Tensor | None, ids: Tensor, count: int) -> Tensor:
    """The attention mask (batch, tokens) with ``count`` visible places before it."""
    text = torch.ones_like(ids) if mask is None else mask
    return torch.cat([text.new_ones(len(text), count), text], dim=1)


def positional(keys: tuple[Any, ...], values: dict[str, Any]) -> dict[str, Any]:
    """A model's arguments by name, its first one being ``input_ids``."""
    return {**({"input_ids": keys[0]} if keys else {}), **values}


def make_room(network: Network, count: int, method: str) -> None:
    """Let the model see ``count`` more tokens before every text; the embedding decides what stands there.

    Where the head pools by the text's own places (our own pooling, decoders), the new places are taken out of the token
    vectors again; transformers' encoder heads keep them, and read the first.
    """
    refuse_two_stacks(network, method)
    _ = network.stack  # read before the tree changes
    places_out = network.pooling != "native" or network.form.output == "vocabulary" or _scores_every_token(network)
    room = check_room(network, count)
    padding = network.tokenizer.pad_token_id
    filler = next(number for number in range(len(network.tokenizer)) if number != padding)

    def before(_: nn.Module, arguments: tuple[Any, ...], named: dict[str, Any]) -> tuple[tuple[()], dict[str, Any]]:
        named = positional(arguments, named)
        ids = named["input_ids"]
        refuse_too_long(ids.shape[1], room)
        drop_places(named)
        named["attention_mask"] = lengthen(named.get("attention_mask"), ids, count)
        named["input_ids"] = torch.cat([ids.new_full((len(ids), count), filler), ids], dim=1)
        if named.get("token_type_ids") is not None:
            types = named["token_type_ids"]
            named["token_type_ids"] = torch.cat([types.new_zeros(len(ids), count), types], dim=1)
        return (), named

    def after(_: nn.Module, __: tuple[Any, ...], output: Any) -> Any:
        output.last_hidden_state = output.last_hidden_state[:, count:]
        return output

    module = network.inner.base_model if places_out else network.inner
    module.register_forward_pre_hook(before, with_kwargs=True)
    if places_out:
        module.register_forward_hook(after)


@torch.no_grad()
def _scores_every_token(network: Network) -> bool:
    """Whether the model's own head makes logits for each token and keeps the last one's, as decoders do."""
    seen: list[int] = []
    hook = network.last_linear.register_forward_pre_hook(lambda _, arguments: seen.append(arguments[0].ndim))
    ids = torch.tensor([[1, 2, 3]], device=network.device)
    try:
        network.inner(input_ids=ids, attention_mask=torch.ones_like(ids))
    finally:
        hook.remove()
    return seen[-1] == 3
