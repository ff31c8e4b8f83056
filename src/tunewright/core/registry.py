"""A part is a file: found by listing its family's folder (or by entry point), imported only when named."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType

from tunewright.core.errors import UserError, unknown

# Folder of each family below the package; other people's packages add parts by the entry point group 'tunewright.<family>'.
FAMILIES = {
    "methods": "methods",
    "tasks": "tasks",
    "optimizers": "optimizers",
    "schedules": "schedules",
    "unfreezing": "unfreezing",
    "initialization": "initialization",
    "regularizers": "regularizers",
    "averaging": "averaging",
    "metrics": "metrics",
    "readers": "datasets/readers",
    "objectives": "objectives",
    "preference_losses": "preference_losses",
    "reports": "analysis/reports",
    "studies": "experiments/studies",
}

_PACKAGE = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Part:
    """One part: its family, its name as users type it, and its meaning in one line."""

    family: str
    name: str
    summary: str
    module: str


def _summary(path: Path) -> str:
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return docstring.split("\n", 1)[0].strip()


def name_of(family: str, part: ModuleType) -> str:
    """The name a part is registered by: its identity in everything that is saved.

    A module that is registered by several names has the first of them in the alphabet, in every process.
    """
    found = next((one.name for one in list_parts(family) if one.module == part.__name__), None)
    if found is None:
        raise UserError(
            f"the module '{part.__name__}' is not registered among the {family}",
            expected=f"an entry point of the group 'tunewright.{family}'",
        )
    return found


def plain_name(name: str) -> str:
    """A name as the registry writes it: small letters, words joined by underscores."""
    return name.strip().lower().replace("-", "_")


@cache
def list_parts(family: str) -> tuple[Part, ...]:
    """All parts of a family, sorted by name, without importing any of them."""
    if family not in FAMILIES:
        raise unknown("part family", family, FAMILIES)
    folder = _PACKAGE / FAMILIES[family]
    dotted = "tunewright." + FAMILIES[family].replace("/", ".")
    found = {
        path.stem: Part(family, path.stem, _summary(path), f"{dotted}.{path.stem}")
        for path in sorted(folder.glob("*.py"))
        if not path.stem.startswith("_")
    }
    found |= {
        path.parent.name: Part(family, path.parent.name, _summary(path), f"{dotted}.{path.parent.name}.task")
        for path in sorted(folder.glob("*/task.py"))
    }
    for point in entry_points(group=f"tunewright.{family}"):
        added = _from_entry_point(family, point)
        other = found.setdefault(added.name, added)
        if other.module != added.module:
            raise UserError(
                f"{family}: the name '{added.name}' is registered for {other.module} and for {added.module}",
                expected="one module for each name",
                try_="rename the entry point, or uninstall the package that adds it",
            )
    return tuple(found[name] for name in sorted(found))


def _from_entry_point(family: str, point: EntryPoint) -> Part:
    """The part that another package adds; it is a module, because a module can be found again by its name."""
    if ":" in point.value:
        raise UserError(f"the entry point '{point.name}' of 'tunewright.{family}' is {point.value}", expected="a module")
    return Part(family, plain_name(point.name), f"from {point.value}", point.value.strip())


def load_part(family: str, name: str) -> ModuleType:
    """Import the part of this name; a wrong name is a ``UserError`` that shows the nearest right one."""
    known = {part.name: part for part in list_parts(family)}
    part = known.get(plain_name(name))
    if part is None:
        raise unknown(family.rstrip("s") if family != "unfreezing" else family, name, known, try_=f"tunewright parts {family}")
    try:
        return import_module(part.module)
    except ModuleNotFoundError as error:
        missing = error.name or "a package"
        raise UserError(
            f"{family} '{name}' needs the package '{missing}', which is not installed", try_=f"pip install {missing}"
        ) from error
