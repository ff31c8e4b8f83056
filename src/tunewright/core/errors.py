"""Errors that help: what was given, what was expected, the nearest right name, the next command."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches


class UserError(Exception):
    """The user's input cannot be used as it is; the message says why and what to do (exit code 2)."""

    def __init__(self, what: str, *, expected: str = "", nearest: str | None = None, try_: str = "") -> None:
        self.what = what.strip().rstrip(".")
        self.expected = expected.strip().rstrip(".")
        self.nearest = nearest
        self.try_ = try_.strip()
        super().__init__(str(self))

    def __str__(self) -> str:
        lines = [f"{self.what}."]
        if self.expected:
            lines.append(f"Expected {self.expected}.")
        if self.nearest:
            lines.append(f"Did you mean '{self.nearest}'?")
        if self.try_:
            lines.append(f"Try: {self.try_}")
        return " ".join(lines)


class Faults(UserError):  # noqa: N818 - it holds several errors
    """Several faults of one input, reported together so that they can be mended in one go."""

    def __init__(self, faults: Iterable[UserError]) -> None:
        self.faults = tuple(faults)
        super().__init__("; ".join(str(fault) for fault in self.faults))

    def __str__(self) -> str:
        if len(self.faults) == 1:
            return str(self.faults[0])
        listed = "\n".join(f"  {number}. {fault}" for number, fault in enumerate(self.faults, 1))
        return f"{len(self.faults)} faults:\n{listed}"


def raise_all(faults: list[UserError]) -> None:
    """Raise the one fault as it is, several as ``Faults``, none not at all."""
    if len(faults) == 1:
        raise faults[0]
    if faults:
        raise Faults(faults)


@contextmanager
def gathering(faults: list[UserError]) -> Iterator[None]:
    """A fault inside is kept for later, so that the next thing can be looked at, too."""
    try:
        yield
    except Faults as several:
        faults.extend(several.faults)
    except UserError as error:
        faults.append(error)


def nearest(name: str, options: Iterable[str]) -> str | None:
    """The option most like a misspelt name, or None when nothing is close."""
    candidates = {str(option).lower().replace("-", "_"): str(option) for option in options}
    found = get_close_matches(str(name).lower().replace("-", "_"), list(candidates), n=1, cutoff=0.6)
    return candidates[found[0]] if found else None


def unknown(kind: str, name: str, options: Iterable[str], *, try_: str = "") -> UserError:
    """The error for a name that is not among the known ones."""
    known = sorted(options)
    listed = ", ".join(known) if len(known) <= 24 else ", ".join(known[:24]) + ", …"
    return UserError(f"{kind} '{name}' is not known", expected=f"one of {listed}", nearest=nearest(name, known), try_=try_)
