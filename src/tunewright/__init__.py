"""tunewright adapts pre-trained models to your data, and shows what was gained and what was kept.

Importing the package loads neither torch nor transformers: public names are resolved when first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOMES = {
    "examine": "tunewright.pipeline.examine",
    "fit": "tunewright.pipeline.workflow",
    "fix": "tunewright.datasets.quality.fix",
    "load": "tunewright.runs.run",
    "resume": "tunewright.pipeline.workflow",
    "Run": "tunewright.runs.run",
    "Recipe": "tunewright.config.recipe",
    "FineTuner": "tunewright.estimator",
    "AudioPreprocessing": "tunewright.modalities.audio.modality",
    "ImagePreprocessing": "tunewright.modalities.image.modality",
    "UserError": "tunewright.core.errors",
}

__all__ = [
    "AudioPreprocessing",
    "FineTuner",
    "ImagePreprocessing",
    "Recipe",
    "Run",
    "UserError",
    "__version__",
    "examine",
    "fit",
    "fix",
    "load",
    "resume",
]

if TYPE_CHECKING:
    from tunewright.config.recipe import Recipe
    from tunewright.core.errors import UserError
    from tunewright.datasets.quality.fix import fix
    from tunewright.estimator import FineTuner
    from tunewright.modalities.audio.modality import AudioPreprocessing
    from tunewright.modalities.image.modality import ImagePreprocessing
    from tunewright.pipeline.examine import examine
    from tunewright.pipeline.workflow import fit, resume
    from tunewright.runs.run import Run, load


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'tunewright' has no attribute {name!r}; it has {', '.join(__all__)}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
