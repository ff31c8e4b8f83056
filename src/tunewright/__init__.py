"""tunewright adapts pre-trained models to your data, and shows what was gained and what was kept.

Importing the package loads neither torch nor transformers: public names are resolved when first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOMES = {
    "fit": "tunewright.workflow",
    "fix": "tunewright.data.quality.fix",
    "load": "tunewright.runs.run",
    "resume": "tunewright.workflow",
    "Run": "tunewright.runs.run",
    "Recipe": "tunewright.recipe",
    "FineTuner": "tunewright.estimator",
    "AudioPreprocessing": "tunewright.data.encoders.audio",
    "ImagePreprocessing": "tunewright.data.encoders.image",
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
    "fit",
    "fix",
    "load",
    "resume",
]

if TYPE_CHECKING:
    from tunewright.core.errors import UserError
    from tunewright.data.encoders.audio import AudioPreprocessing
    from tunewright.data.encoders.image import ImagePreprocessing
    from tunewright.data.quality.fix import fix
    from tunewright.estimator import FineTuner
    from tunewright.recipe import Recipe
    from tunewright.runs.run import Run, load
    from tunewright.workflow import fit, resume


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'tunewright' has no attribute {name!r}; it has {', '.join(__all__)}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
