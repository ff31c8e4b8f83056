"""The 16 ways in which a sound is wrong or odd: refused (R), accepted as normalized (A), or accepted with a warning (W)."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.data.pictures import table, tone, wav
from tunewright.core.errors import UserError
from tunewright.core.types import Finding
from tunewright.modalities.audio import modality as audio

soundfile = pytest.importorskip("soundfile")

TONE = tone()
AS_IT_IS = audio.AudioPreprocessing(normalize=False)


def through(samples: np.ndarray, kind: str, rate: int = 16_000, subtype: str | None = None) -> bytes:
    out = io.BytesIO()
    soundfile.write(out, samples, rate, format=kind, subtype=subtype)
    return out.getvalue()


def with_sizes(content: bytes, riff: int | None = None, data: int | None = None) -> bytes:
    """A WAV whose declared sizes are others."""
    changed = bytearray(content)
    if riff is not None:
        changed[4:8] = riff.to_bytes(4, "little")
    if data is not None:
        place = content.index(b"data") + 4
        changed[place : place + 4] = data.to_bytes(4, "little")
    return bytes(changed)


def flac_declaring(samples: int, rate: int) -> bytes:
    """A FLAC of some bytes whose header declares many samples (RFC 9639, section 8.2)."""
    content = bytearray(through(np.zeros(100_000, dtype=np.float32), "FLAC", 16_000))
    packed = (rate << 44) | (7 << 41) | (15 << 36) | samples  # 8 channels of 16 bits
    content[18:26] = packed.to_bytes(8, "big")
    return bytes(content)


def nan() -> np.ndarray:
    samples = TONE.copy()
    samples[77] = np.nan
    return samples


REFUSED: list[tuple[str, str, Callable[[], bytes], tuple[str, ...]]] = [
    ("0 bytes", "a.wav", lambda: b"", ("empty (0 bytes)",)),
    ("no samples", "a.wav", lambda: wav(TONE[:0]), ("no samples",)),
    ("truncated", "a.wav", lambda: wav(TONE)[:9000], ("truncated", "16,000 bytes", "holds 8,956")),
    ("wrong RIFF size", "a.wav", lambda: with_sizes(wav(TONE), riff=10**6), ("RIFF header declares 1,000,008 bytes",)),
    ("NaN", "a.wav", lambda: through(nan(), "WAV", subtype="FLOAT"), ("NaN",)),
    ("1 sample", "a.wav", lambda: wav(TONE[:1]), ("1 samples long",)),
    ("1 hour", "a.flac", lambda: through(np.zeros(3600 * 1000, dtype=np.float32), "FLAC", 1000), ("3,600 seconds", "cut it")),
    (
        "declared 4 GB",
        "a.wav",
        lambda: with_sizes(wav(TONE), riff=2**32 - 1, data=2**32 - 37),
        ("declares 4,294,967,259 bytes", "pipe"),
    ),
    ("decoding bomb", "a.flac", lambda: flac_declaring(590 * 192_000, 192_000), ("906,240,000 values", "resample")),
]


def stereo_48k() -> np.ndarray:
    left, right = tone(rate=48_000), tone(rate=48_000, frequency=880)
    return np.stack([left, right], 1)


def six_channels() -> np.ndarray:
    return np.stack([tone(frequency=200 + 100 * channel) for channel in range(6)], 1)


MIDDLE = slice(200, -200)  # a resampling filter has no neighbors at the ends
# What an accepted sound becomes, how far each sample may be off, and what is said of it.
ACCEPTED: list[tuple[str, Callable[[], bytes], Callable[[], np.ndarray], float, tuple[str, ...]]] = [
    ("8 kHz", lambda: wav(tone(rate=8000), 8000), lambda: TONE, 0.002, ()),
    ("48 kHz stereo", lambda: wav(stereo_48k(), 48_000), lambda: (TONE + tone(frequency=880)) / 2, 0.002, ()),
    ("anti-phase", lambda: wav(np.stack([TONE, -TONE], 1)), lambda: TONE, 1e-4, ("anti_phase",)),
    ("6 channels", lambda: wav(six_channels()), lambda: six_channels().mean(1), 1e-4, ()),
    ("8 bits", lambda: wav(TONE, width=1), lambda: TONE, 0.01, ()),
    ("24 bits", lambda: wav(TONE, width=3), lambda: TONE, 1e-4, ()),
    ("silence", lambda: wav(np.zeros(8000)), lambda: np.zeros(8000), 0.0, ("silent",)),
]
IDS = [case[0] for case in (*REFUSED, *ACCEPTED)]


def test_the_suite_counts_16_cases() -> None:
    assert len(IDS) == len(set(IDS)) == 16


def clip(folder: Path, content: bytes) -> tuple[np.ndarray, list[Finding]]:
    findings: list[Finding] = []
    encoded = audio.encode(audio.read(table(folder, "audio", {"a.wav": content}), ("audio",), findings), AS_IT_IS)
    return encoded.clip(0), findings


def test_control_a_sound_clip_is_accepted_and_nothing_is_said(tmp_path: Path) -> None:
    found, said = clip(tmp_path, wav(TONE))
    assert np.abs(found - TONE).max() < 1e-4
    assert said == []


@pytest.mark.parametrize(("name", "content", "fragments"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_refused(tmp_path: Path, name: str, content: Callable[[], bytes], fragments: tuple[str, ...]) -> None:
    made = table(tmp_path, "audio", {"good.wav": wav(TONE), name: content()})
    started = time.process_time()
    with pytest.raises(UserError) as caught:
        audio.read(made, ("audio",))
    assert time.process_time() - started < 5
    for fragment in ("rows.csv", "line 3", name, *fragments):
        assert fragment in str(caught.value)


@pytest.mark.parametrize(
    ("content", "expected", "off", "codes"), [case[1:] for case in ACCEPTED], ids=[case[0] for case in ACCEPTED]
)
def test_accepted(
    tmp_path: Path, content: Callable[[], bytes], expected: Callable[[], np.ndarray], off: float, codes: tuple[str, ...]
) -> None:
    found, said = clip(tmp_path, content())
    assert len(found) == len(expected()) == 8000  # the length is exact
    assert np.abs(found - expected())[MIDDLE].max() <= off
    assert tuple(finding.code for finding in said) == codes
    assert all(finding.level == "warning" and finding.rows == (2,) and finding.count == 1 for finding in said)


def test_a_truncated_flac_is_refused_too(tmp_path: Path) -> None:
    whole = through(np.random.default_rng(0).uniform(-0.5, 0.5, 40_000).astype(np.float32), "FLAC")
    with pytest.raises(UserError, match=r"line 2.*(truncated|damaged)"):
        audio.read(table(tmp_path, "audio", {"a.flac": whole[: len(whole) // 2]}), ("audio",))
    assert len(audio.read(table(tmp_path, "audio", {"a.flac": whole}), ("audio",))) == 1


def test_an_alias_is_filtered_before_it_can_arise(tmp_path: Path) -> None:
    """10 kHz does not exist at 16 kHz; without a filter it would become 6 kHz."""
    found, _ = clip(tmp_path, wav(tone(rate=48_000, frequency=10_000), 48_000))
    assert np.abs(found[MIDDLE]).max() < 0.01
