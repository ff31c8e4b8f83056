"""Pictures and sounds for the tests, made rather than found."""

from __future__ import annotations

import io
import struct
import wave
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from tunewright.datasets.table import Table


def photo(height: int = 40, width: int = 60, seed: int = 0) -> np.ndarray:
    """Smooth colours without two equal corners, (height, width, 3) uint8."""
    y, x = np.mgrid[0:height, 0:width]
    shift = np.random.default_rng(seed).integers(0, 60, 3)
    channels = (255 * x / max(1, width - 1), 255 * y / max(1, height - 1), 255 * (x + y) / max(1, width + height - 2))
    return np.stack([(channel * 0.7 + moved).clip(0, 255) for channel, moved in zip(channels, shift, strict=True)], -1).astype(
        np.uint8
    )


def saved(array: np.ndarray, kind: str = "PNG", mode: str | None = None, **settings: Any) -> bytes:
    from PIL import Image

    out = io.BytesIO()
    image = Image.fromarray(array)
    (image.convert(mode) if mode else image).save(out, kind, **settings)
    return out.getvalue()


def png_chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png_declaring(width: int, height: int) -> bytes:
    """A PNG that declares a size and holds next to nothing."""
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + png_chunk(b"IDAT", zlib.compress(b"\0" * 64)) + png_chunk(b"IEND", b"")


def tone(seconds: float = 0.5, rate: int = 16_000, frequency: float = 440.0, level: float = 0.5) -> np.ndarray:
    """A sine, (samples,) float32."""
    return (level * np.sin(2 * np.pi * frequency * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def wav(samples: np.ndarray, rate: int = 16_000, width: int = 2) -> bytes:
    """PCM of ``width`` bytes per sample; samples are (n,) or (n, channels) from -1 to 1."""
    channels = 1 if samples.ndim == 1 else samples.shape[1]
    scaled = np.rint(np.clip(samples, -1, 1) * (2 ** (8 * width - 1) - 1)).astype(np.int64).ravel()
    if width == 1:
        packed = (scaled + 128).astype(np.uint8).tobytes()
    else:
        packed = scaled.astype("<i4").view(np.uint8).reshape(-1, 4)[:, :width].tobytes()
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(packed)
    return out.getvalue()


def table(folder: Path, column: str, files: dict[str, bytes]) -> Table:
    """A table in ``folder`` that names files written there."""
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    names = list(files)
    return Table({column: list(names)}, tuple(range(2, 2 + len(names))), str(folder / "rows.csv"), "line")
