"""Points in time from a column: numbers, dates, or ISO 8601 text."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any

import numpy as np

from tunewright.core.errors import UserError
from tunewright.datasets.labels import Where, rows_of
from tunewright.datasets.numbers import as_number


def _seconds(value: Any) -> float | None:
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value.strip())
        except ValueError:
            return None
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day, tzinfo=UTC)
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()
    return None


def as_times(values: Sequence[Any], name: str, where: Where = rows_of) -> np.ndarray:
    """Seconds or the column's own numbers, (n,) float64; text without a zone is taken as UTC."""
    read = as_number if all(as_number(value) is not None for value in values) else _seconds
    found = [read(value) for value in values]
    wrong = [index for index, moment in enumerate(found) if moment is None]
    if wrong:
        raise UserError(
            f"{where(wrong)}: {values[wrong[0]]!r} in '{name}' is not a point in time",
            expected="numbers, or dates such as 2026-01-31 or 2026-01-31T12:30:00",
        )
    return np.array(found, dtype=np.float64)
