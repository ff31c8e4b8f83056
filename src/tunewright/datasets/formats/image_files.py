"""From an image's file or array to plain 8-bit grey or RGB: what is converted, what is refused, what is said.

Converted: EXIF orientation is applied (a damaged one ignored); CMYK, YCbCr, palettes, one bit and grey become what the model
reads; transparent parts lie on white, as transformers has it; 16 bits per value become 8 (divided by 257); floating-point values
from 0 to 1 become 0 to 255; of several frames the first is taken. A wrong suffix does not matter, the content tells its format.

Source: ITU-T T.81 (JPEG), ISO/IEC 15948 (PNG), JEITA CP-3451 section 4.6.4 (EXIF orientation).
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np

from tunewright.core.optional_packages import require
from tunewright.datasets.media import Content, Level, UnreadableError, opened, other_kind

if TYPE_CHECKING:
    from PIL.Image import Image

MOST_PIXELS = 64 * 2**20  # 67 megapixels, above any camera's usual picture; told from the header, before decoding (a guess)
_EXTREME = 50  # sides of 50 : 1 and more leave little after resizing (a guess)
_FORMATS = ("JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP", "PPM")  # none that runs a program, as EPS does
_PLAIN = frozenset(("1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "HSV"))
_NUMBERS = frozenset(("I", "F", "I;16", "I;16L", "I;16B", "I;16N"))

REMARKS: dict[str, tuple[Level, str]] = {
    "several_frames": ("warning", "have several frames or pages, of which the first is used"),
    "extreme_aspect": ("warning", f"are more than {_EXTREME} times as long as wide, of which little is left after resizing"),
    "sixteen_bits": ("note", "have 16 bits per value and are read with 8"),
    "floating_point": ("note", "have floating-point values from 0 to 1, read as 0 to 255"),
    "transparent": ("note", "have transparent parts, which are laid on white"),
}


@contextmanager
def strict() -> Iterator[None]:
    """Pillow's warning of too many pixels is an error inside, its other warnings are silent; enter once, around all threads."""
    image = require("PIL.Image", "image", "images")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", image.DecompressionBombWarning)
        yield


def check(content: Content | np.ndarray) -> tuple[str, ...]:
    """Read an image through without keeping it; keys of ``REMARKS``, or ``UnreadableError``.

    JPEG is decoded at an eighth of its size and PNG by its checksums, which find what is cut off in a fraction of the time.
    """
    if isinstance(content, np.ndarray):
        height, width = _of_array(content).shape[:2]
        return _size_remarks(width, height)
    with _reading(content) as image:
        remarks = _size_remarks(*image.size)
        if image.format != "MPO" and getattr(image, "is_animated", False):
            remarks += ("several_frames",)
        if image.mode in _NUMBERS:
            remarks += _narrowed(image)[1]
        elif image.has_transparency_data:
            remarks += ("transparent",)
        if image.format == "PNG" and image.mode in _PLAIN:
            image.verify()
        else:
            image.draft(None, (image.width // 8 + 1, image.height // 8 + 1))
            image.load()
        return remarks


def decode(content: Content | np.ndarray, channels: int) -> Image:
    """An upright picture with 1 (grey) or 3 (RGB) channels of 8 bits."""
    if isinstance(content, np.ndarray):
        from PIL import Image

        return _converted(Image.fromarray(_of_array(content)), channels)
    with _reading(content) as image:
        image.load()  # before EXIF is looked at, which may swallow what is wrong with the pixels
        if image.mode in _NUMBERS:
            return _converted(_upright(_narrowed(image)[0], image), channels)
        return _converted(_upright(_inked(image), image), channels)


def frame_count(content: Content) -> int:
    """Frames of a picture that moves; 1 of one that does not."""
    with _reading(content) as image:
        return int(getattr(image, "n_frames", 1))


def moving_frames(content: Content, places: list[int], channels: int) -> list[Image]:
    """Some frames, by their numbers in rising order, of a picture that moves; each upright, with 1 or 3 channels of 8 bits."""
    found: dict[int, Image] = {}
    with _reading(content) as image:
        for place in sorted(set(places)):
            image.seek(place)
            found[place] = _converted(_upright(image, image), channels)
    return [found[place] for place in places]


def size_of(content: Content | np.ndarray) -> tuple[int, int]:
    """Width and height in pixels, as they are stored."""
    if isinstance(content, np.ndarray):
        height, width = _of_array(content).shape[:2]
        return int(width), int(height)
    with _reading(content) as image:
        return int(image.width), int(image.height)


def as_png(array: np.ndarray) -> bytes:
    """Pixels as the content of a PNG file, without loss; what is no picture is ``UnreadableError``."""
    out = BytesIO()
    require("PIL.Image", "image", "images").fromarray(_of_array(array)).save(out, "PNG", compress_level=1)
    return out.getvalue()


@contextmanager
def _reading(content: Content) -> Iterator[Any]:
    """An image whose header was read and accepted; whatever Pillow raises inside is ``UnreadableError``."""
    from PIL import Image, UnidentifiedImageError

    with opened(content) as file:
        try:
            with Image.open(file, formats=_FORMATS) as image:
                _refuse(image)
                yield image
        except UnreadableError:
            raise
        except (Image.DecompressionBombError, Image.DecompressionBombWarning):
            raise UnreadableError(f"declares more than {MOST_PIXELS:,} pixels: make it smaller") from None
        except UnidentifiedImageError:
            raise UnreadableError(other_kind(file, "an image")) from None
        except Exception as error:  # Pillow's decoders raise whatever a damaged file leads them to
            reason = " ".join(str(error).split())[:120] or type(error).__name__
            raise UnreadableError(f"is a damaged image ({reason})") from None


def _refuse(image: Any) -> None:
    width, height = image.size
    if width * height > MOST_PIXELS:
        raise UnreadableError(f"declares {width} x {height} pixels, more than {MOST_PIXELS:,}: make it smaller")
    if width * height <= 1:
        raise UnreadableError(f"has {width} x {height} pixels, which show nothing")
    if image.mode not in _PLAIN | _NUMBERS:
        raise UnreadableError(f"has the colour model {image.mode}: save it as RGB")


def _size_remarks(width: int, height: int) -> tuple[str, ...]:
    return ("extreme_aspect",) if max(width, height) > _EXTREME * min(width, height) else ()


def _narrowed(image: Any) -> tuple[Image, tuple[str, ...]]:
    """Numbers of 16 bits, or floating-point ones from 0 to 1, as 8 bits."""
    from PIL import Image

    values = np.asarray(image)
    if image.mode == "F":
        if not np.isfinite(values).all():
            raise UnreadableError("holds values that are no numbers (NaN or infinity)")
        if values.min() < 0 or values.max() > 1:
            raise UnreadableError(f"holds values from {values.min():g} to {values.max():g}: scale them to 0 … 1")
        return Image.fromarray(np.rint(values * 255).astype(np.uint8)), ("floating_point",)
    if values.min() < 0 or values.max() > 65535:
        raise UnreadableError("has more than 16 bits per value: save it with 8")
    return Image.fromarray(np.rint(values / 257).astype(np.uint8)), ("sixteen_bits",)


def _inked(image: Any) -> Any:
    """Pillow takes every JPEG of four inks for Adobe's, which are upside down; one without Adobe's mark is not."""
    if image.format == "JPEG" and image.mode == "CMYK" and "adobe" not in image.info:
        from PIL import ImageChops

        return ImageChops.invert(image)
    return image


def _upright(picture: Any, source: Any) -> Any:
    """Turned as the EXIF orientation of ``source`` says; a damaged one says nothing."""
    from PIL import Image

    try:
        orientation = source.getexif().get(0x0112, 1)
    except Exception:  # Pillow reads EXIF as the TIFF it is, with all of TIFF's faults
        return picture
    turns = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_270,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_90,
    }
    turn = turns.get(orientation) if isinstance(orientation, int) else None
    return picture if turn is None else picture.transpose(turn)


def _converted(image: Any, channels: int) -> Image:
    from PIL import Image

    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, (255, 255, 255, 255)), image)
    mode = "L" if channels == 1 else "RGB"
    found: Image.Image = image.copy() if image.mode == mode else image.convert(mode)
    return found


def _of_array(array: np.ndarray) -> np.ndarray:
    """uint8 (H, W) or (H, W, 3 or 4); channels that come first are moved."""
    if array.dtype == bool:
        array = array.astype(np.uint8) * np.uint8(255)
    if array.dtype != np.uint8:
        raise UnreadableError(f"is an array of {array.dtype}: give uint8 from 0 to 255")
    if array.ndim == 3 and array.shape[0] in (1, 3, 4) and array.shape[2] not in (1, 3, 4):
        array = np.moveaxis(array, 0, 2)
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[..., 0]
    if array.ndim != 2 and not (array.ndim == 3 and array.shape[2] in (3, 4)):
        raise UnreadableError(f"is an array of shape {array.shape}: give (height, width) or (height, width, channels)")
    if array.shape[0] * array.shape[1] <= 1:
        raise UnreadableError(f"has {array.shape[1]} x {array.shape[0]} pixels, which show nothing")
    return np.ascontiguousarray(array)
