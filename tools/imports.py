"""Check that imports point down only: python tools/imports.py [folder of the package].

Prints each import that points up or sideways as file:line and exits with 1; exits with 0 when there is none.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

PACKAGE = "tunewright"

# Rooms from the ground up; a room may import what is below it and itself, and rooms of one floor do not import each other.
FLOORS: tuple[tuple[str, ...], ...] = (
    ("core",),
    ("strategies", "metrics", "preference_losses"),
    ("config",),
    ("datasets",),
    ("modalities",),
    ("models",),
    ("tasks", "methods", "optimizers", "schedules", "initialization", "unfreezing", "regularizers", "averaging"),
    ("training", "evaluation"),
    ("callbacks", "artifacts"),
    ("inference",),
    ("analysis",),
    ("runs",),
    ("pipeline",),
    ("experiments",),
    ("estimator",),
    ("cli",),
    ("__main__",),
)
# The package's own front door names what is inside; the code hash and the version are asked of it.
FRONT = "__init__"


def main(arguments: list[str]) -> int:
    folder = Path(arguments[0]) if arguments else Path(__file__).resolve().parent.parent / "src" / PACKAGE
    wrong = [line for path in sorted(folder.rglob("*.py")) for line in violations(folder, path)]
    for line in wrong:
        print(line)
    print(f"{len(wrong)} imports point up or sideways" if wrong else "every import points down")
    return 1 if wrong else 0


def violations(folder: Path, path: Path) -> Iterator[str]:
    """Imports of one file that its room may not make."""
    own = room_of(path.relative_to(folder).with_suffix("").parts)
    if own == FRONT:
        return
    for line, parts in imports(path):
        other = room_of(parts)
        if other in (FRONT, own):
            continue
        if floor_of(own) is None or floor_of(other) is None:
            yield f"{path}:{line}: the room '{own if floor_of(own) is None else other}' has no floor in tools/imports.py"
        elif floor_of(other) >= floor_of(own):  # type: ignore[operator]
            yield f"{path}:{line}: {own} imports {other}"


def imports(path: Path) -> Iterator[tuple[int, tuple[str, ...]]]:
    """(line, parts below the package) of every import from the package, those for type checkers included."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == PACKAGE:
            below = tuple(node.module.split(".")[1:])
            for alias in node.names:
                yield node.lineno, below or (alias.name,)
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == PACKAGE:
                    yield node.lineno, tuple(alias.name.split(".")[1:]) or (FRONT,)


def room_of(parts: tuple[str, ...]) -> str:
    """The room of a module's parts below the package; public names of the package itself belong to its front."""
    known = {room for floor in FLOORS for room in floor}
    return parts[0] if parts and (parts[0] in known or len(parts) > 1) else FRONT


def floor_of(room: str) -> int | None:
    return next((number for number, floor in enumerate(FLOORS) if room in floor), None)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
