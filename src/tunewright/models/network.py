"""Network: a pre-trained network with the head of a task, and the stack of its layers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from inspect import signature
from threading import get_ident
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.nn import functional

from tunewright.core.errors import UserError
from tunewright.core.types import Labels
from tunewright.models.dual_encoder import paired
from tunewright.models.example_inputs import example_inputs
from tunewright.models.form import CLASSIFY_TEXT, SEQUENCE_CLASSIFICATION, Form
from tunewright.models.frames import each_frame, mean_over_frames
from tunewright.models.output_reader import read_by_output
from tunewright.models.pooling import NORM_EPSILON, Pooling, last_token, pool
from tunewright.models.positions import token_places
from tunewright.models.stack import LayerStack, find_stack
from tunewright.models.vocabulary import Vocabulary

_TOGETHER = 32  # texts of like length in one pass while vectors are trained (a guess)


@final
class Network(nn.Module):
    """A pre-trained network with its head: a batch's tensors in, the answer out, in the form that the task needs.

    With ``pooling='native'`` the inner model is transformers' own class for the task and its head is used as it is. Otherwise
    the inner model is the bare encoder; its token vectors are pooled, layer-normalized without learned scale (so that
    features have one scale whatever the encoder), and read by one new linear layer, or by nothing where vectors are asked for.
    ``processor`` makes the inputs: a tokenizer, or an image's, sound's or table's preprocessing. ``freeze_batch_norm``: batch
    norms keep their running mean and variance even in layers that train.
    """

    inner: Any  # a transformers model: nn.Module's own attribute types would hide its config

    def __init__(
        self,
        inner: nn.Module,
        *,
        pooling: Pooling,
        processor: Any,
        labels: Labels,
        base: str,
        base_hash: str,
        form: Form = CLASSIFY_TEXT,
        revision: str | None = None,
        new: tuple[str, ...],
    ) -> None:
        super().__init__()
        self.inner = inner
        self.pooling = pooling
        self.processor = processor
        self.labels = labels
        self.form = form
        self.base = base
        self.base_hash = base_hash
        self.revision = revision
        self.freeze_batch_norm = False
        own_head = pooling != "native" and form.output != "vectors"
        self.classifier = nn.Linear(self.inner.config.hidden_size, labels.outputs) if own_head else None
        own = () if self.classifier is None else ("classifier.weight", "classifier.bias")
        self.head_names: tuple[str, ...] = (*(f"inner.{name}" for name in new), *own)

    def forward(self, inputs: dict[str, Tensor]) -> Any:
        """The answer to a batch: a tensor whose last axis has the labels, or what the form says (``models/form.py``)."""
        if self.classifier is not None:
            return self.classifier(self._pooled(inputs))
        if self.form.output == "vocabulary":
            return self._vocabulary(inputs)
        if self.form.output == "vectors" and self.pooling == "native":
            return self.inner(**inputs)
        if self.form.output == "vectors":
            return functional.normalize(pool_by_length(self, inputs) if self.training else pool_tokens(self, inputs), dim=-1)
        if self.form.kind == "video":
            return mean_over_frames(self.inner(**each_frame(inputs)).logits, inputs)
        out = self.inner(**inputs)
        if self.form.output == "pairs":
            return paired(self.inner, out)
        if self.form.output == "spans":
            return torch.stack([out.start_logits, out.end_logits], -1)
        if self.form.output == "boxes":  # with one logit for 'nothing', or the log odds of each class on its own
            whole = out.logits.shape[-1] > self.inner.config.num_labels
            return {"logits" if whole else "odds": out.logits, "boxes": out.pred_boxes}
        return out.logits

    @property
    def tokenizer(self) -> Any:
        """The processor of a network that reads text."""
        return self.processor

    def features(self, inputs: dict[str, Tensor]) -> Tensor:
        """What the last linear layer reads, (batch, width); where there is none, the vectors themselves."""
        if self.classifier is not None:
            return self._pooled(inputs)
        if self.form.output == "vectors":
            return self(inputs)  # type: ignore[no-any-return]
        seen: list[Tensor] = []
        own = get_ident()  # what another thread reads is not ours
        hook = self.last_linear.register_forward_pre_hook(
            lambda _, arguments: seen.append(arguments[0]) if get_ident() == own else None
        )
        try:
            self.inner(**(each_frame(inputs) if self.form.kind == "video" else inputs))
        finally:
            hook.remove()
        read = mean_over_frames(seen[-1], inputs) if self.form.kind == "video" else seen[-1]
        if read.ndim == 2 or self.form.auto != SEQUENCE_CLASSIFICATION:
            return read
        # Decoders score every token and keep the last one's that is not the padding token, as transformers finds it.
        rows = torch.arange(len(read), device=read.device)
        return read[rows, last_token(inputs["input_ids"] != self.inner.config.pad_token_id)]

    def _pooled(self, inputs: dict[str, Tensor]) -> Tensor:
        pooled = pool_tokens(self, inputs)
        return functional.layer_norm(pooled, pooled.shape[-1:], eps=NORM_EPSILON)

    def _vocabulary(self, inputs: dict[str, Tensor]) -> Vocabulary:
        """The model's own pass, with what its output layer reads in place of what that makes."""
        head, config = self.inner.get_output_embeddings(), self.inner.config
        # A cache of keys and values serves generation alone.
        inputs = {**inputs, **({"use_cache": False} if "use_cache" in self.reads else {})}  # type: ignore[dict-item]
        seen = [] if torch.is_grad_enabled() else read_by_output(self.inner, head, inputs)
        if not seen:
            with _reading(head) as seen:
                self.inner(**inputs)
        scale = float(getattr(config, "logit_scale", None) or 1.0) / float(getattr(config, "logits_scaling", None) or 1.0)
        bias = getattr(self.inner, "final_logits_bias", None)  # BART's and its relatives', which training does not change
        bias = head.bias if bias is None else bias.flatten() if head.bias is None else bias.flatten() + head.bias
        return Vocabulary(seen[-1], head.weight, bias, scale, getattr(config, "final_logit_softcapping", None))

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
        return find_stack(self, self._probe, self.head_names, parallel=self.form.parallel)

    @cached_property
    def reads(self) -> tuple[str, ...]:
        """Inputs that the inner model takes."""
        named: tuple[str, ...] | None = getattr(self.inner, "reads", None)
        return tuple(signature(self.inner.forward).parameters) if named is None else named

    def longest(self, wanted: int, *, written: bool = False) -> int:
        """Tokens of an example, or of a text written beside it: as many as wanted, at most as the model has positions."""
        places = self._places[written]
        if places is None:
            return wanted
        if places < 1:
            raise UserError(f"{self.base} has positions for padding alone", expected="more positions than its padding id")
        return min(wanted, places)

    @cached_property
    def _places(self) -> tuple[int | None, int | None]:
        """Tokens that there are positions for, read and written; rows of several kinds have a text model of their own."""
        own = getattr(self.processor, "longest", None) or token_places(self.inner)
        return own, token_places(self.inner, written=True)

    @property
    def device(self) -> torch.device:
        return next(self.parameters()).device

    def _probe(self) -> Any:
        return self(example_inputs(self.inner, self.processor, self.device))


@contextmanager
def evaluation_mode(network: Network) -> Iterator[None]:
    """No dropout and no gradients inside; every module's mode is as it was afterwards."""
    modes = [(module, module.training) for module in network.modules()]
    if any(training for _, training in modes):  # a network that only predicts is left alone, so that threads may share it
        network.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        for module, training in modes:
            if module.training != training:
                module.training = training


def pool_tokens(network: Network, inputs: dict[str, Tensor]) -> Tensor:
    """One vector for each text, (batch, width), by the network's pooling."""
    assert network.pooling != "native"
    tokens = network.inner(**inputs).last_hidden_state
    mask = inputs.get("attention_mask")
    return pool(tokens, torch.ones(tokens.shape[:2], device=tokens.device) if mask is None else mask, network.pooling)


def pool_by_length(network: Network, inputs: dict[str, Tensor]) -> Tensor:
    """As pool_tokens, each distinct text once and some of like length together: a batch whose texts are drawn is mostly padding
    of its longest, and of few rows mostly repetition.

    ``inputs`` are (texts, tokens) each, padded at the end.
    """
    mask = inputs["attention_mask"]
    distinct, which = torch.unique(inputs["input_ids"].masked_fill(mask == 0, -1), dim=0, return_inverse=True)
    first = which.new_zeros(len(distinct)).scatter_reduce(
        0, which, torch.arange(len(which), device=which.device), "amin", include_self=False
    )
    order = mask[first].sum(1).argsort(stable=True)
    found = []
    for rows in first[order].split(_TOGETHER):
        longest = int(mask[rows[-1]].sum())
        found.append(pool_tokens(network, {name: value[rows, :longest] for name, value in inputs.items()}))
    return torch.cat(found)[order.argsort()[which]]


@contextmanager
def _reading(head: nn.Module) -> Iterator[list[Tensor]]:
    """While inside, the output layer keeps what it reads and makes one column instead of the whole vocabulary."""
    seen: list[Tensor] = []

    def stand_in(hidden: Tensor) -> Tensor:
        seen.append(hidden)
        return hidden[..., :1]

    head.forward = stand_in  # type: ignore[method-assign, assignment]
    try:
        yield seen
    finally:
        del head.forward
