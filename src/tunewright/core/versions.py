"""Versions of Python and of every package that numbers can depend on."""

from __future__ import annotations

import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version

_PACKAGES = ("torch", "transformers", "tokenizers", "safetensors", "peft", "datasets", "numpy", "scikit-learn", "pydantic")


@cache
def versions() -> dict[str, str]:
    """Name -> version of what is installed."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
