"""The inputs of a table's rows, read and refused by their kind; one folder in ``modalities/`` each but for plain texts."""

from __future__ import annotations

from inspect import signature
from types import ModuleType
from typing import Any

from tunewright.core.errors import UserError, raise_all
from tunewright.core.registry import load_part
from tunewright.core.types import Finding
from tunewright.datasets.columns import find
from tunewright.datasets.schema import Schema
from tunewright.datasets.table import Table


def inputs_of(table: Table, schema: Schema, findings: list[Finding] | None = None) -> list[tuple[Any, ...]]:
    """One tuple for each row: texts, or what the kind's ``read`` gives; a column that is missing is a ``UserError``.

    What was odd but could be read is added to ``findings``.
    """
    if schema.kind == "text":
        return list(texts_of(table, schema))
    read = _encoder(schema.kind).read
    more = {"findings": findings, "kinds": schema.kinds}
    found: list[tuple[Any, ...]] = read(
        table, schema.text, **{key: more[key] for key in more if key in signature(read).parameters}
    )
    return found


def shown_input(row: tuple[Any, ...], kind: str) -> str:
    """A row's input in one line, for tables."""
    if kind == "text":
        return " ⟂ ".join(row)
    said: str = _encoder(kind).shown(row)
    return said


def compared_input(row: tuple[Any, ...], kind: str) -> tuple[str, ...]:
    """What duplicates are looked for in: texts, or a digest where there are none."""
    encoder = _encoder(kind)
    return tuple(encoder.compared(row)) if hasattr(encoder, "compared") else (encoder.key(row).hex(),)


def is_compared_by_digest(kind: str) -> bool:
    """Whether equal digests are all that can be told of two rows: nothing is nearly equal."""
    return kind != "text" and not hasattr(_encoder(kind), "compared")


def _encoder(kind: str) -> ModuleType:
    return load_part("modalities", kind)


def _as_text(value: Any) -> str | None:
    """None for what is not text; a missing value is the empty text."""
    if value is None:
        return ""
    return value if isinstance(value, str) else None


def _is_whole(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _column(table: Table, name: str) -> tuple[list[str], list[UserError]]:
    cells = table.columns[name]
    texts = [_as_text(value) for value in cells]
    faults = []
    wrong = [index for index, text in enumerate(texts) if text is None]
    if wrong:
        faults.append(
            UserError(
                f"{table.where(wrong)}: '{name}' holds a {type(cells[wrong[0]]).__name__}",
                expected="text",
                try_=f"write each value of '{name}' as one string",
            )
        )
    halves = [index for index, text in enumerate(texts) if text is not None and not _is_whole(text)]
    if halves:
        faults.append(
            UserError(
                f"{table.where(halves)}: '{name}' holds half of a character (a lone surrogate)", expected="whole characters"
            )
        )
    return [text or "" for text in texts], faults


def texts_of(table: Table, schema: Schema) -> list[tuple[str, ...]]:
    """The one or two texts of each row; a column that is missing or not text is a ``UserError``."""
    faults: list[UserError] = []
    columns = []
    for name in schema.text:
        try:
            found, _ = find(table, name, "text")
        except UserError as error:
            faults.append(error)
            continue
        texts, wrong = _column(table, found)
        columns.append(texts)
        faults += wrong
    raise_all(faults)
    return list(zip(*columns, strict=True))
