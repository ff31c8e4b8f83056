"""The 22 ways in which an image is wrong or odd: refused (R), accepted as normalized (A), or accepted with a warning (W)."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.data.pictures import photo, png_chunk, png_declaring, saved, table
from tunewright.core.errors import UserError
from tunewright.core.types import Finding
from tunewright.modalities.image import modality as image

pytest.importorskip("PIL")

AS_IT_IS = image.ImagePreprocessing(40, 60, resize=(40, 60))
PHOTO = photo()


def cut(content: bytes) -> bytes:
    return content[: len(content) * 2 // 3]


def text_bomb() -> bytes:
    whole = saved(PHOTO)
    import zlib

    text = png_chunk(b"zTXt", b"Comment\0\0" + zlib.compress(b"a" * 80_000_000, 9))
    return whole[:33] + text + whole[33:]


def nan_tiff() -> bytes:
    values = (PHOTO[..., 0] / 255).astype(np.float32)
    values[3, 4] = np.nan
    return saved(values, "TIFF")


REFUSED: list[tuple[str, str, Callable[[], bytes], tuple[str, ...]]] = [
    ("0 bytes", "a.jpg", lambda: b"", ("empty (0 bytes)",)),
    ("truncated JPEG", "a.jpg", lambda: cut(saved(PHOTO, "JPEG")), ("damaged", "runcated")),
    ("truncated PNG", "a.png", lambda: cut(saved(PHOTO)), ("damaged",)),
    ("text", "a.png", lambda: b"this is no image\n", ("is text",)),
    ("HTML", "a.jpg", lambda: b"<!DOCTYPE html>\n<html></html>", ("web page (HTML)",)),
    ("1 x 1", "a.png", lambda: saved(PHOTO[:1, :1]), ("1 x 1 pixels",)),
    ("30000 x 30000", "a.png", lambda: png_declaring(30_000, 30_000), ("pixels", "make it smaller")),
    ("PNG text bomb", "a.png", text_bomb, ("damaged", "too large")),
    ("floating-point TIFF with NaN", "a.tif", nan_tiff, ("NaN",)),
]


def animated() -> bytes:
    from PIL import Image

    out = io.BytesIO()
    frames = [Image.fromarray(photo(seed=number)) for number in range(3)]
    frames[0].save(out, "PNG", save_all=True, append_images=frames[1:])
    return out.getvalue()


def plain_cmyk(*, inverted: bool) -> bytes:
    """A JPEG of four inks; Adobe's are stored upside down and say so in a mark of their own."""
    from PIL import Image

    inks = np.asarray(Image.fromarray(PHOTO).convert("CMYK"))
    content = saved_mode(inks if inverted else 255 - inks, "CMYK")
    if inverted:
        return content
    start = content.index(b"\xff\xee")
    return content[:start] + content[start + 2 + int.from_bytes(content[start + 2 : start + 4], "big") :]


def saved_mode(values: np.ndarray, mode: str, kind: str = "JPEG", **settings: Any) -> bytes:
    from PIL import Image

    out = io.BytesIO()
    Image.frombytes(mode, (values.shape[1], values.shape[0]), np.ascontiguousarray(values).tobytes()).save(
        out, kind, **({"quality": 100, "subsampling": 0} if kind == "JPEG" else {}), **settings
    )
    return out.getvalue()


def half_transparent() -> bytes:
    alpha = np.full((40, 60, 1), 255, dtype=np.uint8)
    alpha[:, :30] = 0
    return saved(np.concatenate([PHOTO, alpha], -1))


def palette() -> bytes:
    return saved(np.where(PHOTO > 120, 255, 0).astype(np.uint8), mode="P")


def corrupt_exif() -> bytes:
    return saved(PHOTO, "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\x7fgarbage")


def grey(values: np.ndarray) -> np.ndarray:
    return np.repeat(values[..., None], 3, -1)


RED = PHOTO[..., 0]
WHITE_LEFT = np.concatenate([np.full((40, 30, 3), 255, dtype=np.uint8), PHOTO[:, 30:]], 1)
# What an accepted image becomes, how far each value may be off, and what is said of it.
ACCEPTED: list[tuple[str, str, Callable[[], bytes], np.ndarray, int, tuple[str, ...]]] = [
    ("wrong suffix", "a.jpg", lambda: saved(PHOTO), PHOTO, 0, ()),
    ("CMYK", "a.jpg", lambda: plain_cmyk(inverted=False), PHOTO, 4, ()),
    ("CMYK as Adobe inverts it", "a.jpg", lambda: plain_cmyk(inverted=True), PHOTO, 4, ()),
    ("16-bit grey", "a.png", lambda: saved(RED.astype(np.uint16) * 257), grey(RED), 0, ("sixteen_bits",)),
    ("8-bit grey", "a.png", lambda: saved(RED), grey(RED), 0, ()),
    ("alpha", "a.png", half_transparent, WHITE_LEFT, 0, ("transparent",)),
    ("palette", "a.png", palette, np.where(PHOTO > 120, 255, 0), 0, ()),
    ("1 bit", "a.png", lambda: saved(RED > 99), grey(np.where(RED > 99, 255, 0)), 0, ()),
    ("damaged EXIF", "a.jpg", corrupt_exif, PHOTO, 12, ()),
    ("several frames", "a.png", animated, PHOTO, 0, ("several_frames",)),
]
OTHERS = ("EXIF orientation 1 to 8", "1 x 10000", "link that leads out")
IDS = [case[0] for suite in (REFUSED, ACCEPTED) for case in suite] + list(OTHERS)


def pixels(folder: Path, content: bytes, name: str = "a.png") -> tuple[np.ndarray, list[Finding]]:
    """What is stored of one image, (height, width, channels), and what was said of it."""
    findings: list[Finding] = []
    encoded = image.encode(image.read(table(folder, "image", {name: content}), ("image",), findings), AS_IT_IS)
    return np.moveaxis(encoded.pixels[0], 0, -1), findings


def test_the_suite_counts_22_cases() -> None:
    assert len(IDS) == len(set(IDS)) == 22


def test_control_a_sound_image_is_accepted_and_nothing_is_said(tmp_path: Path) -> None:
    found, said = pixels(tmp_path, saved(PHOTO))
    assert (found == PHOTO).all()
    assert said == []


@pytest.mark.parametrize(("name", "content", "fragments"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_refused(tmp_path: Path, name: str, content: Callable[[], bytes], fragments: tuple[str, ...]) -> None:
    made = table(tmp_path, "image", {"good.png": saved(PHOTO), name: content()})
    started = time.process_time()
    with pytest.raises(UserError) as caught:
        image.read(made, ("image",))
    assert time.process_time() - started < 5
    for fragment in ("rows.csv", "line 3", name, *fragments):
        assert fragment in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content", "expected", "off", "codes"), [case[1:] for case in ACCEPTED], ids=[case[0] for case in ACCEPTED]
)
def test_accepted(
    tmp_path: Path, name: str, content: Callable[[], bytes], expected: np.ndarray, off: int, codes: tuple[str, ...]
) -> None:
    found, said = pixels(tmp_path, content(), name)
    assert np.abs(found.astype(int) - expected.astype(int)).max() <= off
    assert tuple(finding.code for finding in said) == codes
    assert all(finding.rows == (2,) and finding.count == 1 and "rows.csv, line 2" in finding.message for finding in said)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_1_to_8(tmp_path: Path, orientation: int) -> None:
    """Each file shows the same picture after its own turn (JEITA CP-3451: where row 0 and column 0 lie)."""
    from PIL import Image

    undo: dict[int, Callable[[np.ndarray], np.ndarray]] = {
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.transpose(1, 0, 2),
        6: lambda a: np.rot90(a, 1),  # shown after a quarter turn clockwise
        7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
        8: lambda a: np.rot90(a, -1),
    }
    exif = Image.Exif()
    exif[0x0112] = orientation
    found, _ = pixels(tmp_path, saved(np.ascontiguousarray(undo[orientation](PHOTO)), exif=exif))
    assert (found == PHOTO).all()


def test_1_x_10000_is_accepted_with_a_warning(tmp_path: Path) -> None:
    _, said = pixels(tmp_path, saved(np.zeros((1, 10_000, 3), dtype=np.uint8)))
    assert [(finding.code, finding.level, finding.count) for finding in said] == [("extreme_aspect", "warning", 1)]


def test_a_link_that_leads_out_is_refused(tmp_path: Path) -> None:
    (tmp_path / "outside.png").write_bytes(saved(PHOTO))
    made = table(tmp_path / "data", "image", {"a.png": saved(PHOTO)})
    (tmp_path / "data" / "link.png").symlink_to(tmp_path / "outside.png")
    made.columns["image"][0] = "link.png"
    with pytest.raises(UserError, match=r"line 2.*link that leads out"):
        image.read(made, ("image",))
    # the control: a link that stays inside, and a path that says plainly where it leads
    (tmp_path / "data" / "inner.png").symlink_to(tmp_path / "data" / "a.png")
    for cell in ("inner.png", "../outside.png", str(tmp_path / "outside.png")):
        made.columns["image"][0] = cell
        assert len(image.read(made, ("image",))) == 1
