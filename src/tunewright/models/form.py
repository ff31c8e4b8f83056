"""Form: what a task needs of a network: the input it reads, transformers' class for it, and which output is the answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Output = Literal["logits", "spans", "vocabulary", "vectors", "boxes", "frames", "pairs"]

SEQUENCE_CLASSIFICATION = "AutoModelForSequenceClassification"


@dataclass(frozen=True)
class Form:
    """How a network is loaded and read for a task.

    ``auto``: name of transformers' auto class. ``output``: *logits*, a tensor whose last axis has the labels; *spans*, logits of
    start and end for each token; *vocabulary*, a language model's logits, made in pieces; *vectors*, one embedding for each
    text, without a head; *boxes*, a detector's logits and boxes; *frames*, a speech recognizer's logits of each frame;
    *pairs*, vectors of images and of texts.
    """

    kind: str = "text"
    auto: str = SEQUENCE_CLASSIFICATION
    output: Output = "logits"

    @property
    def head_is_new(self) -> bool:
        """Whether what lies above the base model starts anew; what means the same in every task is taken as it is."""
        return self.output not in ("vocabulary", "boxes", "spans", "frames", "pairs")

    @property
    def parallel(self) -> bool:
        """Whether several encoders stand side by side, each of which starts from its own input."""
        return self.output == "pairs" or self.kind == "mixed"

    @property
    def may_pool(self) -> bool:
        """Whether our own pooling can stand in for the architecture's head: one answer for each text."""
        return self.auto == SEQUENCE_CLASSIFICATION or self.output == "vectors"


CLASSIFY_TEXT = Form()
