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
    "modalities": "modalities",
    "optimizers": "optimizers",
    "schedules": "schedules",
    "unfreezing": "unfreezing",
    "initialization": "initialization",
    "regularizers": "regularizers",
    "averaging": "averaging",
    "callbacks": "callbacks/trackers",
    "metrics": "metrics",
    "readers": "datasets/readers",
    "objectives": "objectives",
    "preference_losses": "preference_losses",
    "reports": "analysis/reports",
    "studies": "experiments/studies",
}

# Families whose parts are folders, and the file in each that is the part.
_FOLDERS = {"tasks": "task", "modalities": "modality"}

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
    if family in _FOLDERS:
        files = {path.parent.name: path for path in folder.glob(f"*/{_FOLDERS[family]}.py")}
    else:
        files = {path.stem: path for path in folder.glob("*.py") if not path.stem.startswith("_")}
    suffix = f".{_FOLDERS[family]}" if family in _FOLDERS else ""
    found = {name: Part(family, name, _summary(path), f"{dotted}.{name}{suffix}") for name, path in files.items()}
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


def _singular(family: str) -> str:
    return f"{family.removesuffix('ies')}y" if family.endswith("ies") else family.removesuffix("s")


def check_name(family: str, name: str) -> str:
    """The name as it is registered; a wrong one is a ``UserError`` that shows the nearest right one. Nothing is imported."""
    known = {part.name: part for part in list_parts(family)}
    if plain_name(name) not in known:
        raise unknown(_singular(family), name, known, try_=f"tunewright parts {family}")
    return plain_name(name)


def load_part(family: str, name: str) -> ModuleType:
    """Import the part of this name; a wrong name is a ``UserError`` that shows the nearest right one."""
    known = check_name(family, name)
    part = next(part for part in list_parts(family) if part.name == known)
    try:
        return import_module(part.module)
    except ModuleNotFoundError as error:
        missing = error.name or "a package"
        raise UserError(
            f"{family} '{name}' needs the package '{missing}', which is not installed", try_=f"pip install {missing}"
        ) from error
