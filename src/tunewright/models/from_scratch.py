"""Networks of our own, for kinds of rows whose columns, users or items no pre-trained model can know; one loading file each.

Contract of a loading file: ``SCRATCH``, the source that stands for random values; ``learn(names, rows) -> processor`` of the
training rows; ``load(source, processor, labels, form=, dropout=, seed=) -> Network``; ``save(network, folder)``; and
``reload(folder, processor, labels, form=, base=) -> Network``; ``models_in(source)``, the pre-trained models that a source names,
where it may name several.
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from tunewright.core.registry import load_part


def loading_of(kind: str) -> ModuleType | None:
    """The file that loads the networks of a kind of rows, None where transformers' classes do."""
    module: str | None = load_part("modalities", kind).SCRATCH_LOADING
    return import_module(module) if module else None


def models_in(kind: str, source: str) -> tuple[str, ...]:
    """The pre-trained models that a source names for a kind of rows; none where it stands for random values."""
    own = loading_of(kind)
    if own is None:
        return (source,)
    if hasattr(own, "models_in"):
        found: tuple[str, ...] = own.models_in(source)
        return found
    return () if source == own.SCRATCH else (source,)
