"""Packages that only some kinds of input need: imported when used, and named with their extra when missing."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from tunewright.core.errors import UserError


def require(module: str, extra: str, purpose: str) -> ModuleType:
    """Import a package of an extra; ``purpose`` says what needs it, as 'images'."""
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        raise UserError(
            f"{purpose} need the package '{error.name or module}', which is not installed",
            try_=f"pip install 'tunewright[{extra}]'",
        ) from None
