"""Train the embeddings of virtual words put before the text (prompt tuning).

Source: Lester et al. 2021, "The Power of Scale for Parameter-Efficient Prompt Tuning", sections 2 and 3.2.
The virtual words start as real ones: the label names, or ``words``. Random vectors, the usual default of libraries, are far
longer than any word's embedding; the frozen layers have never read such a thing, the prompt drowns the text in attention,
and training collapses to the commonest class or does not move (Lester et al. 2021, figure 3b: label words best, random last).
When: a large frozen model shared by very many tasks (the paper finds parity with full fine-tuning only at billions of weights).
When not: small encoders, few steps: it learns slowest of all methods here and gains least.
In transformers' own classifiers with an encoder, the head reads the first place, which is then the first virtual word, as
in PEFT. Elsewhere the virtual places are taken out again before anything is pooled. PEFT's classifiers on decoders look at
the last place of a padded batch; ours read the last real token, so the two agree where nothing is padded.
Nearest: prefix (keys and values in every layer).
"""

from __future__ import annotations

from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from tunewright.core.errors import UserError
from tunewright.core.types import Applied
from tunewright.methods._tree import Wrapper, open_only
from tunewright.methods._virtual_tokens import make_room, refuse_without_tokens, word_ids
from tunewright.models import peft_format as peft_format
from tunewright.models.network import Network


class Settings(BaseModel):
    """Length and start of the prompt."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    tokens: int = Field(
        20, ge=1, le=1024, description="Virtual words (Lester et al. 2021, section 3.2: more than 20 gain little)."
    )
    words: str | None = Field(
        None, description="Words to start from, repeated or cut to the number of tokens; None takes the label names."
    )


class Prompted(Wrapper):
    """A word embedding whose first places are the trained prompt, whatever ids stand there."""

    def __init__(self, base_layer: nn.Module, prompt: Tensor) -> None:
        super().__init__(base_layer)
        self.prompt = nn.Parameter(prompt.detach().to(torch.float32).clone())

    def forward(self, ids: Tensor) -> Tensor:
        text: Tensor = self.base_layer(ids[:, len(self.prompt) :])
        prompt = self.prompt.to(text.dtype).expand(len(ids), -1, -1)
        return torch.cat([prompt, text], dim=1)


def apply(network: Network, settings: Settings) -> Applied:
    """Put the virtual words before every text, starting from real ones."""
    refuse_without_tokens(network, "prompt")
    ids = torch.tensor([word_ids(network, settings.words, settings.tokens)], device=network.device)
    with torch.no_grad():
        start = network.inner.get_input_embeddings()(ids)[0]
    return _install(network, start)


def load(network: Network, config: dict[str, Any], state: dict[str, Tensor]) -> Applied:
    """Apply a prompt that tunewright or PEFT saved."""
    prompt = state.get("prompt_embeddings")
    width = network.inner.get_input_embeddings().weight.shape[1]
    if prompt is None or prompt.ndim != 2 or prompt.shape[1] != width:
        raise UserError(
            "the adapter holds no prompt of this model's width", expected=f"prompt_embeddings of shape (tokens, {width})"
        )
    applied = _install(network, prompt.to(network.device))
    peft_format.fill(network, config, {}, {key: value for key, value in state.items() if key != "prompt_embeddings"})
    return applied


def _install(network: Network, prompt: Tensor) -> Applied:
    count = len(prompt)
    make_room(network, count, "prompt")
    wrapper = Prompted(network.inner.get_input_embeddings(), prompt)
    network.inner.set_input_embeddings(wrapper)
    name = next(name for name, parameter in network.named_parameters() if parameter is wrapper.prompt)
    return Applied(
        trainable=open_only(network, [name]),
        identity_at_start="every layer reads the virtual words too, so outputs differ from the start on",
        adapter_config={
            **peft_format.base_config(network, "PROMPT_TUNING"),
            "num_virtual_tokens": count,
            "token_dim": prompt.shape[1],
            "num_transformer_submodules": 1,
            "num_attention_heads": network.inner.config.num_attention_heads,
            "num_layers": len(network.stack.blocks),
            "prompt_tuning_init": "RANDOM",
        },
        adapter_state=lambda: {"prompt_embeddings": network.get_parameter(name).detach().clone()},
    )
