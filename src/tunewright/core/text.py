"""Text for people: durations in words, and nothing in it that could steer a terminal."""

from __future__ import annotations


def printable(text: str) -> str:
    """One line of text in which control characters are shown as escapes."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text)


def duration(seconds: float) -> str:
    """A duration: '45 s', '3 min 20 s', '2 h 05 min'."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def count(number: int) -> str:
    """A large number of parameters: '384', '1.2 M', '22.7 M'."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:.3g} {unit}"
    return str(number)
