"""Named combinations of the four answers, stored as data: one YAML file each."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tunewright.core.errors import unknown
from tunewright.core.yaml12 import read_yaml

_FOLDER = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Strategy:
    """A strategy: in one line, when to use it and when not, where it comes from, where its settings come from, and these."""

    name: str
    summary: str
    when: str
    when_not: str
    source: str
    origin: dict[str, str]
    settings: dict[str, Any]


@cache
def list_strategies() -> tuple[Strategy, ...]:
    """All strategies, by name."""
    return tuple(_read(path) for path in sorted(_FOLDER.glob("*.yaml")))


def load_strategy(name: str) -> Strategy:
    """The strategy of this name; hyphens and underscores are the same."""
    known = {strategy.name: strategy for strategy in list_strategies()}
    plain = name.strip().lower().replace("_", "-")
    if plain not in known:
        raise unknown("strategy", name, known, try_="tunewright parts strategies")
    return known[plain]


def _read(path: Path) -> Strategy:
    return Strategy(name=path.stem.replace("_", "-"), **read_yaml(path))
