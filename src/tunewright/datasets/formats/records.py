"""From a list of objects to a table: every key is a column, and each object has those of the first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from tunewright.core.errors import UserError
from tunewright.core.types import Finding
from tunewright.datasets.table import Table, listed


def _refuse_what_is_no_object(records: Sequence[Any], numbers: Sequence[int], source: str, unit: str) -> None:
    for number, record in zip(numbers, records, strict=True):
        if not isinstance(record, dict):
            raise UserError(
                f"{source}, {unit} {number} is a {type(record).__name__}",
                expected='an object such as {"text": "…", "label": "…"}',
                try_=f"mend or remove {unit} {number}",
            )


def from_records(
    records: Sequence[Any],
    numbers: Sequence[int],
    source: str,
    unit: str,
    *,
    needed: Sequence[str] | None = None,
    names: Sequence[str] | None = None,
) -> Table:
    """Refuse a missing key of the first object (null says 'nothing here'); a key that only later ones have is None elsewhere.

    ``needed``: the first object's keys, where it is not among these records; ``names``: all columns there may be, where they
    were told by earlier records.
    """
    _refuse_what_is_no_object(records, numbers, source, unit)
    needed = list(needed or (records[0] if records else ()))
    seen = dict.fromkeys(name for record in records for name in record)
    columns = list(names or {**dict.fromkeys(needed), **seen})
    for number, record in zip(numbers, records, strict=True):
        missing = [name for name in needed if name not in record]
        if missing:
            raise UserError(
                f"{source}, {unit} {number} lacks the key {listed(repr(name) for name in missing)}",
                expected=f"the keys of the first object: {listed(map(str, needed), shown=12)}",
                try_="add it; write null where there is no value",
            )
    findings = _extra(records, needed, columns, f"{source}: keys that the first {unit} has not")
    cells = {str(name): [record.get(name) for record in records] for name in columns}
    return Table(cells, tuple(numbers), source, unit, findings)


def _extra(records: Sequence[Any], needed: Sequence[str], columns: Sequence[str], what: str) -> tuple[Finding, ...]:
    """Keys beside the first object's: read where they are columns, else told to be ignored."""
    more = Counter(str(name) for record in records for name in record if name not in needed)
    read, ignored = ({name: more[name] for name in more if (name in map(str, columns)) is known} for known in (True, False))
    told = []
    for code, how, some in (
        ("optional_keys", "are read, and empty where they are missing", read),
        ("extra_keys", "are ignored", ignored),
    ):
        if some:
            message = f"{what} {how}: {listed(f'{name} ({count})' for name, count in some.items())}"
            told.append(Finding(code, message, "note", count=sum(some.values())))
    return tuple(told)
