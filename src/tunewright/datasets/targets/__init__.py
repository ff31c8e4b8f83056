"""What a task's targets look like in a table: one file for each form.

Contract: ``read(table, schema) -> list`` with one value for each row; ``faults(values, task, where)``, why they are unusable;
``measured(labels, targets)``, the labels with what numbers there are taken from the rows that are trained on;
``notes(values, where)``, findings about what was mended, where a form mends anything; ``told(labels)``, sentences on how the
targets are read, where that was guessed;
``labels(values, task, names) -> Labels`` of the train values; ``encode(values, labels, where) -> ndarray`` (n, …), of objects
where rows differ in length, as metrics and the head's ``encode`` read them.
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from tunewright.core.types import Task

_FORMS: dict[Task, str] = {
    **dict.fromkeys(("classification", "multi_label", "regression", "sentence_similarity"), "values"),
    "ordinal": "ordinal",
    "multi_task": "multi_task",
    "token_classification": "tags",
    **dict.fromkeys(("causal_lm", "masked_lm", "preference_optimization"), "unsupervised"),
    "question_answering": "spans",
    "semantic_segmentation": "masks",
    "object_detection": "boxes",
    "speech_recognition": "texts",
    **dict.fromkeys(("embedding", "recommendation"), "pairs"),
    "seq2seq": "texts",
    "image_text_contrastive": "retrieval",
    "image_text_to_text": "texts",
}


def form_of(task: Task) -> ModuleType:
    """The file that reads a task's targets."""
    return import_module(f"{__name__}.{_FORMS[task]}")
