"""Noise, blur, light, contrast and compression of pictures, in five strengths.

Source: Hendrycks and Dietterich 2019, Benchmarking Neural Network Robustness to Common Corruptions, section 3.1, with the
strengths of its ImageNet-C; blur is in pixels of a picture whose shorter side has 224.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from io import BytesIO
from typing import Any

import numpy as np

from tunewright.datasets.formats.image_files import decode, strict

Change = Callable[[tuple[Any, ...], np.random.Generator], tuple[Any, ...]]

_SIDE = 224
_NOISE = (0.08, 0.12, 0.18, 0.26, 0.38)
_BLUR = (1, 2, 3, 4, 6)
_LIGHT = (0.1, 0.2, 0.3, 0.4, 0.5)
_CONTRAST = (0.4, 0.3, 0.2, 0.1, 0.05)
_QUALITY = (25, 18, 15, 10, 7)


def plain(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """The picture as pixels (height, width, 3), its shorter side at most 224: what is changed and what that is compared with."""
    with strict():
        picture = decode(row[0], 3)
    short = min(picture.size)
    if short > _SIDE:
        picture = picture.resize([max(1, round(side * _SIDE / short)) for side in picture.size])
    return (np.asarray(picture),)


def changes(severity: int) -> dict[str, Change]:
    """By their names, of rows that ``plain`` made."""
    at = severity - 1
    ways: dict[str, Callable[[np.ndarray, np.random.Generator], np.ndarray]] = {
        "noise": lambda pixels, generator: pixels + generator.normal(scale=_NOISE[at], size=pixels.shape),
        "blur": lambda pixels, _: blurred(pixels, _BLUR[at] * min(pixels.shape[:2]) / _SIDE),
        "brighter": lambda pixels, _: brighter(pixels, _LIGHT[at]),
        "less contrast": lambda pixels, _: (pixels - pixels.mean((0, 1))) * _CONTRAST[at] + pixels.mean((0, 1)),
        "jpeg": lambda pixels, _: compressed(pixels, _QUALITY[at]),
    }
    return {name: partial(_on_pixels, way) for name, way in ways.items()}


def blurred(pixels: np.ndarray, radius: float) -> np.ndarray:
    """Gaussian blur by a standard deviation in pixels, the border repeated."""
    from scipy.ndimage import gaussian_filter

    found: np.ndarray = gaussian_filter(pixels, (radius, radius, 0), mode="nearest")
    return found


def brighter(pixels: np.ndarray, amount: float) -> np.ndarray:
    """More of the value of hue, saturation and value; black becomes grey."""
    value = pixels.max(2, keepdims=True)
    wanted = np.minimum(value + amount, 1)
    found: np.ndarray = np.where(value > 0, pixels * wanted / np.maximum(value, 1e-9), wanted)
    return found


def compressed(pixels: np.ndarray, quality: int) -> np.ndarray:
    """Written as JPEG and read again."""
    from PIL import Image

    file = BytesIO()
    Image.fromarray(_bytes(pixels)).save(file, "JPEG", quality=quality)
    found: np.ndarray = np.asarray(Image.open(file)) / 255
    return found


def _on_pixels(
    way: Callable[[np.ndarray, np.random.Generator], np.ndarray], row: tuple[Any, ...], generator: np.random.Generator
) -> tuple[Any, ...]:
    return (_bytes(way(row[0] / 255, generator)),)


def _bytes(pixels: np.ndarray) -> np.ndarray:
    found: np.ndarray = np.rint(pixels.clip(0, 1) * 255).astype(np.uint8)
    return found
