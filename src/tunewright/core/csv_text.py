"""Rows as the text of a csv file that every reader takes apart as it was put together.

Source: RFC 4180, sections 2.5 to 2.7 (quotes).
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable


def csv_text(rows: Iterable[Iterable[object]]) -> str:
    """One line for each row, ended by a line feed; a field with a carriage return is quoted, too."""
    return "".join(map(_line, rows))


def _line(row: Iterable[object]) -> str:
    """Written with both ends of line, because csv.writer quotes only those that it writes itself."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerow(row)
    return out.getvalue().removesuffix("\r\n") + "\n"
