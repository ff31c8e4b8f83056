"""Weights of parts drawn over a text or a picture; the underline tells the sign, too, and numbers the size.

Colours come from the page's style, for dark and light; every part tells its weight when it is pointed at.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from markupsafe import Markup, escape

_LEVELS = 4  # of strength, as shares of a row's largest weight
_NUMBERED = 3  # the level from which a weight is written beside its word
_SIDE = 128.0


def drawn_heat(heat: dict[str, Any]) -> Markup:
    """One row: its words, or its picture in squares, each with its weight as colour."""
    parts = [(str(name), float(weight)) for name, weight in heat["parts"]]
    if heat.get("image"):
        return _picture(heat["title"], heat["image"], int(heat["side"]), parts)
    return Markup('<p class="heat">') + Markup(" ").join(_word(*part, _largest(parts)) for part in parts) + Markup("</p>")


def _largest(parts: Sequence[tuple[str, float]]) -> float:
    return max((abs(weight) for _, weight in parts), default=0.0) or 1.0


def _word(word: str, weight: float, largest: float) -> Markup:
    level = round(_LEVELS * abs(weight) / largest)
    if not level:
        return escape(word)
    side = "for" if weight > 0 else "against"
    number = Markup("<sub>{}</sub>").format(f"{weight:+.2g}") if level >= _NUMBERED else ""
    return Markup('<span class="{} h{}" title="{}">{}{}</span>').format(side, level, f"{weight:+.3g}", word, number)


def _picture(title: str, image: str, side: int, parts: Sequence[tuple[str, float]]) -> Markup:
    largest, size = _largest(parts), _SIDE / side
    squares = []
    for place, (name, weight) in enumerate(parts):
        x, y, strength = place % side * size, place // side * size, abs(weight) / largest
        style, sign = ("for", "+") if weight > 0 else ("against", "\N{MINUS SIGN}")
        box = Markup('<rect class="{}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}" fill-opacity="{:.2f}">').format(
            style, x, y, size, size, 0.75 * strength
        )
        squares.append(box + Markup("<title>{}: {}</title></rect>").format(name, f"{weight:+.3g}"))
        if round(_LEVELS * strength) >= _NUMBERED:
            at = Markup('<text class="sign" x="{:.1f}" y="{:.1f}" text-anchor="middle">{}</text>')
            squares.append(at.format(x + size / 2, y + size / 2 + 3.5, sign))
    shown = Markup('<image href="data:image/png;base64,{}" width="{}" height="{}" preserveAspectRatio="none"/>').format(
        image, _SIDE, _SIDE
    )
    head = Markup('<svg class="heat" viewBox="0 0 {} {}" role="img" aria-label="{}">').format(_SIDE, _SIDE, title)
    return head + shown + Markup("").join(squares) + Markup("</svg>")
