"""From a list of objects to a table: the first object's keys are the columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tunewright.core.errors import UserError
from tunewright.core.types import Finding
from tunewright.data.table import Table, listed


def _refuse_what_is_no_object(records: Sequence[Any], numbers: Sequence[int], source: str, unit: str) -> None:
    for number, record in zip(numbers, records, strict=True):
        if not isinstance(record, dict):
            raise UserError(
                f"{source}, {unit} {number} is a {type(record).__name__}",
                expected='an object such as {"text": "…", "label": "…"}',
                try_=f"mend or remove {unit} {number}",
            )


def from_records(
    records: Sequence[Any], numbers: Sequence[int], source: str, unit: str, names: Sequence[str] | None = None
) -> Table:
    """Refuse a missing key (null says 'nothing here'), ignore keys that the first object has not.

    ``names``: the first object's keys, where it is not among these records.
    """
    _refuse_what_is_no_object(records, numbers, source, unit)
    names = list(names or (records[0] if records else ()))
    extra: dict[str, int] = {}
    for number, record in zip(numbers, records, strict=True):
        missing = [name for name in names if name not in record]
        if missing:
            raise UserError(
                f"{source}, {unit} {number} lacks the key {listed(repr(name) for name in missing)}",
                expected=f"the keys of the first object: {listed(map(str, names), shown=12)}",
                try_="add it; write null where there is no value",
            )
        for name in record:
            if name not in names:
                extra[str(name)] = extra.get(str(name), 0) + 1
    findings: tuple[Finding, ...] = ()
    if extra:
        message = f"{source}: keys that the first {unit} has not are ignored: {listed(f'{k} ({n})' for k, n in extra.items())}"
        findings = (Finding("extra_keys", message, "note", count=sum(extra.values())),)
    columns = {str(name): [record[name] for record in records] for name in names}
    return Table(columns, tuple(numbers), source, unit, findings)
