"""Files of ours or of others that were changed: what reading them stumbles over is told as one error that names the file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tunewright.core.errors import UserError
from tunewright.core.files import read_object

_STUMBLES = (TypeError, ValueError, KeyError, IndexError, AttributeError, ArithmeticError, RecursionError)


@contextmanager
def unusable(path: Path, expected: str) -> Iterator[None]:
    """Values of the wrong kind in ``path`` become a UserError; for what only takes a file's values apart."""
    try:
        yield
    except _STUMBLES as error:
        said = f"it lacks {error}" if isinstance(error, KeyError) else f"{error}"
        raise UserError(f"{path} cannot be used: {said[:300]}", expected=expected) from None


def read_fields(path: Path, kinds: dict[str, type | tuple[type, ...]], expected: str) -> dict[str, Any]:
    """The JSON object in ``path``, with values of these kinds under these keys."""
    content = read_object(path)
    for key, kind in kinds.items():
        if not isinstance(content.get(key), kind):
            found = f"its {key} is {str(content[key])[:60]!r}" if key in content else f"it lacks '{key}'"
            raise UserError(f"{path} cannot be used: {found}", expected=expected)
    return content
