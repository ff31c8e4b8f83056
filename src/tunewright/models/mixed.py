"""One encoder for each kind of input, whose answers are joined: side by side, or by a query that attends to all they say.

Source: side by side, one vector of each: Ngiam et al. 2011, Multimodal Deep Learning, section 2 (a joint layer over modalities);
attention: Jaegle et al. 2021, Perceiver, section 3.1 (a learned query reads all inputs). When: rows of several kinds; side by
side first. Attention where what matters is a place of one input. When not: few rows, for which attention has much to learn.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from inspect import signature
from typing import Any, ClassVar, Literal, NamedTuple, cast, final

import torch
from torch import Tensor, nn
from torch.nn import functional

from tunewright.core.errors import UserError
from tunewright.models.pooling import NORM_EPSILON, Pooling, pool

MODEL_TYPE = "tunewright_mixed"
WIDTH, HEADS, BLOCKS = 128, 4, 2  # of the attention that joins (guesses)
Joined = Literal["concatenation", "attention"]


@dataclass(frozen=True)
class MixedConfig:
    """``widths`` of each kind's vectors, in the kinds' order; ``pooling`` of the texts; ``outputs`` of an attention's head."""

    kinds: tuple[str, ...]
    widths: tuple[int, ...]
    pooling: Pooling
    joined: Joined
    outputs: int
    model_type: ClassVar[str] = MODEL_TYPE
    is_encoder_decoder: ClassVar[bool] = False

    @property
    def hidden_size(self) -> int:
        """Width of what the head reads."""
        return sum(self.widths) if self.joined == "concatenation" else WIDTH

    def as_dict(self) -> dict[str, Any]:
        return {"model_type": MODEL_TYPE, **asdict(self)}

    def to_json_string(self, use_diff: bool = True) -> str:
        """As transformers' configs have it."""
        return json.dumps(self.as_dict(), sort_keys=True)

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> MixedConfig:
        """What ``as_dict`` wrote; another model_type, and missing or unknown keys are a UserError."""
        rest = {key: value for key, value in saved.items() if key != "model_type"}
        given: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in rest.items()}
        known = {one.name for one in fields(cls)}
        if saved.get("model_type") != MODEL_TYPE or set(given) != known or len(given["kinds"]) != len(given["widths"]):
            raise UserError(
                "this config is not of a network of several kinds",
                expected=f"model_type {MODEL_TYPE}, {', '.join(sorted(known))}",
            )
        return cls(**given)


class MixedOutput(NamedTuple):
    """``last_hidden_state`` (batch, 1, width), what the head reads; ``logits`` (batch, outputs) where attention joins."""

    last_hidden_state: Tensor
    logits: Tensor | None


@final
class CrossBlock(nn.Module):
    """The query (batch, 1, width) attends to what is known (batch, places, width), then passes a hidden layer."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, heads, batch_first=True)
        self.forward_norm = nn.LayerNorm(width)
        self.inner, self.outer = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)

    def forward(self, query: Tensor, known: Tensor, hidden: Tensor) -> Tensor:
        """``hidden`` (batch, places): True for places that are padding."""
        found, _ = self.attention(self.attention_norm(query), known, known, key_padding_mask=hidden, need_weights=False)
        query = query + found
        return query + cast("Tensor", self.outer(functional.gelu(self.inner(self.forward_norm(query)))))


@final
class Attention(nn.Module):
    """A learned query that reads all places of all kinds, each brought to one width and marked with its kind."""

    def __init__(self, config: MixedConfig) -> None:
        super().__init__()
        self.projections = nn.ModuleDict(
            {kind: nn.Linear(width, WIDTH) for kind, width in zip(config.kinds, config.widths, strict=True)}
        )
        self.marks = nn.Parameter(torch.randn(len(config.kinds), WIDTH) * 0.02)
        self.query = nn.Parameter(torch.randn(1, 1, WIDTH) * 0.02)
        self.blocks = nn.ModuleList([CrossBlock(WIDTH, HEADS) for _ in range(BLOCKS)])
        self.norm = nn.LayerNorm(WIDTH)
        self.classifier = nn.Linear(WIDTH, config.outputs)

    def forward(self, states: dict[str, tuple[Tensor, Tensor]]) -> MixedOutput:
        """``states``: each kind's (batch, places, width) and which places are real (batch, places)."""
        read = [
            cast("Tensor", self.projections[kind](_normal(state))) + mark
            for (kind, (state, _)), mark in zip(states.items(), self.marks, strict=True)
        ]
        known, hidden = torch.cat(read, 1), torch.cat([real for _, real in states.values()], 1) == 0
        query = self.query.expand(len(known), 1, WIDTH)
        for block in self.blocks:
            query = block(query, known, hidden)
        joined = self.norm(query)
        return MixedOutput(joined, self.classifier(joined[:, 0]))


@final
class MixedNetwork(nn.Module):
    """Towers by kind, and what joins them; reads ``kind.name`` for each input of each tower."""

    def __init__(self, config: MixedConfig, towers: Mapping[str, nn.Module]) -> None:
        super().__init__()
        self.config = config
        self.towers = nn.ModuleDict({kind: towers[kind] for kind in config.kinds})
        self.joining = Attention(config) if config.joined == "attention" else None

    @property
    def reads(self) -> tuple[str, ...]:
        """Names of all inputs."""
        return tuple(f"{kind}.{name}" for kind, tower in self.towers.items() for name in signature(tower.forward).parameters)

    def forward(self, **inputs: Tensor) -> MixedOutput:
        states = {kind: self._states(kind, inputs) for kind in self.config.kinds}
        if self.joining is not None:
            found: MixedOutput = self.joining(states)
            return found
        each = [_normal(self._pooled(kind, *states[kind])) for kind in self.config.kinds]
        return MixedOutput(torch.cat(each, -1)[:, None], None)

    def _states(self, kind: str, inputs: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """One tower's states (batch, places, width), and which places are real (batch, places)."""
        own = {name.removeprefix(f"{kind}."): value for name, value in inputs.items() if name.startswith(f"{kind}.")}
        tower: Any = self.towers[kind]
        hidden = tower(**own).last_hidden_state
        if hidden.ndim == 4:  # feature maps of a convolutional network
            hidden = hidden.flatten(2).transpose(1, 2)
        mask = own.get("attention_mask")
        if mask is not None and mask.shape[1] != hidden.shape[1]:
            shorter = getattr(tower, "_get_feature_vector_attention_mask", None)
            mask = None if shorter is None else shorter(hidden.shape[1], mask)
        return hidden, torch.ones(hidden.shape[:2], device=hidden.device) if mask is None else mask

    def _pooled(self, kind: str, states: Tensor, real: Tensor) -> Tensor:
        return pool(states, real, {"text": self.config.pooling, "table": "cls"}.get(kind, "mean"))


def _normal(vectors: Tensor) -> Tensor:
    """One scale whatever the encoder."""
    return functional.layer_norm(vectors, vectors.shape[-1:], eps=NORM_EPSILON)
