"""The inputs of a table's rows, read and refused by their kind."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from tunewright.data.rows import texts_of
from tunewright.data.schema import Schema
from tunewright.data.table import Table


def inputs_of(table: Table, schema: Schema) -> list[tuple[Any, ...]]:
    """One tuple for each row: texts, or what ``data/encoders/<kind>.py`` reads; a column that is missing is a ``UserError``."""
    if schema.kind == "text":
        return texts_of(table, schema)
    found: list[tuple[Any, ...]] = import_module(f"tunewright.data.encoders.{schema.kind}").read(table, schema.text)
    return found


def shown_input(row: tuple[Any, ...], kind: str) -> str:
    """A row's input in one line, for tables."""
    if kind == "text":
        return " ⟂ ".join(row)
    said: str = import_module(f"tunewright.data.encoders.{kind}").shown(row)
    return said
