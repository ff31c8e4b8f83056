"""When a value is a number: '3', '-2.5' and '1e-3' are; 'nan', '0x1f', '1_000' and True are not."""

from __future__ import annotations

import math
import re
from typing import Any

_NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*", re.ASCII)


def as_number(value: Any) -> float | None:
    """The finite number that a value is or spells, else None."""
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        if not _NUMBER.fullmatch(value):
            return None
    elif not isinstance(value, (int, float)):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None
