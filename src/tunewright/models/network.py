"""Network: a pre-trained transformer with a head of n outputs, and the stack of its layers."""

from __future__ import annotations

from functools import cached_property
from inspect import signature
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.nn import functional

from tunewright.core.types import Labels
from tunewright.models.pooling import NORM_EPSILON, Pooling, last_token, pool
from tunewright.models.stack import LayerStack, find_stack


@final
class Network(nn.Module):
    """A pre-trained network with its head: token ids in, logits out.

    With ``pooling='native'`` the inner model is transformers' own class for sequence classification and its head is
    used as it is. Otherwise the inner model is the bare encoder; its token vectors are pooled, layer-normalised without
    learned scale (so that features have one scale whatever the encoder), and read by one new linear layer.
    """

    inner: Any  # a transformers model: nn.Module's own attribute types would hide its config

    def __init__(
        self,
        inner: nn.Module,
        *,
        pooling: Pooling,
        tokenizer: Any,
        labels: Labels,
        base: str,
        base_hash: str,
        revision: str | None = None,
        new: tuple[str, ...],
    ) -> None:
        super().__init__()
        self.inner = inner
        self.pooling = pooling
        self.tokenizer = tokenizer
        self.labels = labels
        self.base = base
        self.base_hash = base_hash
        self.revision = revision
        self.classifier = None if pooling == "native" else nn.Linear(self.inner.config.hidden_size, labels.outputs)
        own = () if self.classifier is None else ("classifier.weight", "classifier.bias")
        self.head_names: tuple[str, ...] = (*(f"inner.{name}" for name in new), *own)

    def forward(self, inputs: dict[str, Tensor]) -> Tensor:
        """Logits (batch, outputs) of ``input_ids`` and ``attention_mask``, each (batch, tokens)."""
        if self.classifier is None:
            logits: Tensor = self.inner(**inputs).logits
        else:
            logits = self.classifier(self._pooled(inputs))
        return logits

    def features(self, inputs: dict[str, Tensor]) -> Tensor:
        """What the last linear layer reads, (batch, width)."""
        if self.classifier is not None:
            return self._pooled(inputs)
        seen: list[Tensor] = []
        hook = self.last_linear.register_forward_pre_hook(lambda _, arguments: seen.append(arguments[0]))
        try:
            self.inner(**inputs)
        finally:
            hook.remove()
        read = seen[-1]
        if read.ndim == 2:
            return read
        # Decoders score every token and keep the last one's that is not the padding token, as transformers finds it.
        rows = torch.arange(len(read), device=read.device)
        return read[rows, last_token(inputs["input_ids"] != self.inner.config.pad_token_id)]

    def _pooled(self, inputs: dict[str, Tensor]) -> Tensor:
        tokens = self.inner(**inputs).last_hidden_state
        pooled = pool(tokens, inputs["attention_mask"], self.pooling)
        return functional.layer_norm(pooled, pooled.shape[-1:], eps=NORM_EPSILON)

    @cached_property
    def last_linear(self) -> nn.Linear:
        """The linear layer that makes the logits; its bias may be None (decoders)."""
        if self.classifier is not None:
            return self.classifier
        owners = {name.rsplit(".", 1)[0] for name in self.head_names}
        found = [
            module
            for name, module in self.named_modules()
            if name in owners and isinstance(module, nn.Linear) and module.out_features == self.labels.outputs
        ]
        assert found, f"no output layer among {sorted(owners)}"
        return found[-1]

    @cached_property
    def stack(self) -> LayerStack:
        """The ordered layers of the plain network; read it before a method changes the module tree."""
        return find_stack(self, self._probe, self.head_names)

    @cached_property
    def reads(self) -> tuple[str, ...]:
        """Inputs that the inner model takes, out of what a tokenizer makes."""
        known = signature(self.inner.forward).parameters
        return tuple(name for name in ("input_ids", "attention_mask", "token_type_ids") if name in known)

    @property
    def device(self) -> torch.device:
        return next(self.parameters()).device

    def _probe(self) -> Tensor:
        end = self.tokenizer.eos_token_id if self.tokenizer is not None else None
        ids = torch.tensor([[5, 6, 7 if end is None else end]], device=self.device)
        logits: Tensor = self({"input_ids": ids, "attention_mask": torch.ones_like(ids)})
        return logits
