"""What a task's targets look like in a table: one file for each form.

Contract: ``read(table, schema) -> list`` with one value for each row; ``faults(values, task, where)``, why they are unusable;
``measured(labels, targets)``, the labels with what numbers there are taken from the rows that are trained on;
``notes(values, where)``, findings about what was mended, where a form mends anything; ``told(labels)``, sentences on how the
targets are read, where that was guessed;
``labels(values, task, names) -> Labels`` of the train values; ``encode(values, labels, where) -> ndarray`` (n, …), of objects
where rows differ in length, as metrics and the head's ``encode`` read them.

A task names its form in ``TARGETS``: a file of this folder, or a module of its own.
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from tunewright.core.errors import UserError
from tunewright.core.registry import load_part


def form_of(task: str) -> ModuleType:
    """The file that reads a task's targets."""
    form: str | ModuleType | None = load_part("tasks", task).TARGETS
    if form is None:
        raise UserError(f"{task} is a head that other tasks use, and reads no targets itself", expected="a task", try_="--task")
    return import_module(f"{__name__}.{form}") if isinstance(form, str) else form
