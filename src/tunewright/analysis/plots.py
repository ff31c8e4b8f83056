"""Small pictures as inline SVG: lines, intervals, a heat map. Colours come from the page's style, for dark and light."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

Point = tuple[float, float]
_WIDTH, _HEIGHT = 360.0, 210.0  # small, so that the letters stay readable on a phone
_LEFT, _RIGHT, _TOP, _BOTTOM = 46.0, 10.0, 12.0, 34.0
_MOST_POINTS = 400


@dataclass(frozen=True)
class Series:
    """One named line; ``style`` is a class of the page's style (c1, c2 …)."""

    name: str
    style: str
    points: tuple[Point, ...]


@dataclass(frozen=True)
class Interval:
    """A value with its bounds, on a line of its own."""

    name: str
    style: str
    value: float
    low: float
    high: float


def ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round numbers from ``low`` to ``high``: steps of 1, 2 or 5 times a power of ten."""
    if not high > low:
        return [low]
    raw = (high - low) / max(1, about)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(size * power for size in (1, 2, 5, 10) if size * power >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [round(index * step, 12) for index in range(first, math.floor(high / step + 1e-9) + 1)]


def number(value: float) -> str:
    """A tick's label: short, without a tail of zeros."""
    if value != 0 and (abs(value) < 1e-3 or abs(value) >= 1e5):
        mantissa, exponent = f"{value:.1e}".split("e")
        return f"{mantissa.removesuffix('.0')}e{int(exponent)}"
    return f"{value:.4g}"


def line_chart(title: str, series: Sequence[Series], *, marks: Sequence[tuple[float, str]] = (), x_label: str = "step") -> Markup:
    """Lines over steps, with dashed vertical marks where a stage begins; empty when there is nothing finite to draw."""
    lines = [Series(one.name, one.style, _finite(one.points)) for one in series]
    lines = [one for one in lines if one.points]
    if not lines:
        return Markup("")
    xs, ys = _span([x for one in lines for x, _ in one.points]), _padded([y for one in lines for _, y in one.points])
    parts = [*_axes(xs, ys, x_label)]
    for place, name in (mark for mark in marks if xs[0] <= mark[0] <= xs[1]):
        x = _x(place, xs)
        ends = f'x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP}" y2="{_HEIGHT - _BOTTOM}"'
        parts.append(f'<line class="mark" {ends}><title>{escape(name)}</title></line>')
    for one in lines:
        path = " ".join(f"{_x(x, xs):.1f},{_y(y, ys):.1f}" for x, y in _thinned(one.points))
        parts.append(f'<polyline class="line {one.style}" points="{path}"><title>{escape(one.name)}</title></polyline>')
        if len(one.points) <= 30 and one.style != "mark":
            parts += [
                f'<circle class="dot {one.style}" cx="{_x(x, xs):.1f}" cy="{_y(y, ys):.1f}" r="2.6"/>' for x, y in one.points
            ]
    return _svg(_WIDTH, _HEIGHT, title, parts)


def whiskers(title: str, rows: Sequence[Interval]) -> Markup:
    """A dot and its interval per row, on one axis."""
    if not rows:
        return Markup("")
    height = 34.0 * len(rows) + 36
    low, high = _padded([end for row in rows for end in (row.low, row.high, row.value)])
    left = 84.0
    base = height - 28

    def place(value: float) -> float:
        return left + (value - low) / (high - low) * (_WIDTH - left - 16)

    parts = []
    for tick in ticks(low, high, 6):
        parts.append(f'<line class="grid" x1="{place(tick):.1f}" x2="{place(tick):.1f}" y1="4" y2="{base}"/>')
        parts.append(f'<text class="tick" x="{place(tick):.1f}" y="{base + 16}" text-anchor="middle">{number(tick)}</text>')
    for index, row in enumerate(rows):
        y = 22 + 34 * index
        ends = f'x1="{place(row.low):.1f}" x2="{place(row.high):.1f}" y1="{y}" y2="{y}"'
        parts.append(f'<text class="name" x="{left - 10}" y="{y + 4}" text-anchor="end">{escape(row.name)}</text>')
        parts.append(f'<line class="whisker {row.style}" {ends}/>')
        said = f"{row.name}: {row.value:.4g} ({row.low:.4g} to {row.high:.4g})"
        parts.append(
            f'<circle class="dot {row.style}" cx="{place(row.value):.1f}" cy="{y}" r="6"><title>{escape(said)}</title></circle>'
        )
    return _svg(_WIDTH, height, title, parts)


def heat_map(title: str, names: Sequence[str], counts: Sequence[Sequence[int]]) -> Markup:
    """Confusion counts: a row per right class, shaded by its share of the row; numbers are drawn while they fit."""
    size, margin = 26.0, 8.0 + 6.2 * min(22, max((len(name) for name in names), default=0))
    side = margin + size * len(names)
    parts = []
    for row, name in enumerate(names):
        at, short = margin + size * (row + 0.5), escape(_short(name, 22))
        total = sum(counts[row])
        parts.append(f'<text class="tick" x="{margin - 6:.1f}" y="{at + 4:.1f}" text-anchor="end">{short}</text>')
        parts.append(f'<text class="tick" transform="translate({at + 4:.1f},{margin - 6:.1f}) rotate(-90)">{short}</text>')
        for column, count in enumerate(counts[row]):
            parts += _cell(margin + size * column, margin + size * row, size, count, total, (name, names[column]))
    svg = _svg(side, side, title, parts)
    return Markup('<div class="scroll"><div style="width:{}px">{}</div></div>').format(round(side), svg)


def _cell(x: float, y: float, size: float, count: int, total: int, names: tuple[str, str]) -> list[str]:
    share = count / total if total else 0.0
    style = "hit" if names[0] == names[1] else "miss"
    said = escape(f"{names[0]} taken for {names[1]}: {count} of {total}")
    box = f'x="{x + 0.5:.1f}" y="{y + 0.5:.1f}" width="{size - 1}" height="{size - 1}" rx="2"'
    found = [
        f'<rect class="void" {box}/>',
        f'<rect class="{style}" {box} fill-opacity="{share:.3f}"><title>{said}</title></rect>',
    ]
    if count:
        ink = " strong" if share > 0.55 else ""
        found.append(
            f'<text class="count{ink}" x="{x + size / 2:.1f}" y="{y + size / 2 + 3.5:.1f}" text-anchor="middle">{count}</text>'
        )
    return found


def _axes(xs: Point, ys: Point, x_label: str) -> list[str]:
    floor, parts = _HEIGHT - _BOTTOM, []
    for tick in ticks(*ys, 4):
        y = _y(tick, ys)
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text class="tick" x="{_LEFT - 6}" y="{y + 3.5:.1f}" text-anchor="end">{number(tick)}</text>')
    parts += [
        f'<text class="tick" x="{_x(tick, xs):.1f}" y="{floor + 15}" text-anchor="middle">{number(tick)}</text>'
        for tick in ticks(*xs, 5)
    ]
    parts.append(f'<line class="axis" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{floor}" y2="{floor}"/>')
    parts.append(f'<text class="tick" x="{_WIDTH - _RIGHT}" y="{_HEIGHT - 4}" text-anchor="end">{escape(x_label)}</text>')
    return parts


def _svg(width: float, height: float, title: str, parts: Sequence[str]) -> Markup:
    head = f'<svg viewBox="0 0 {width:.0f} {height:.0f}" role="img" aria-label="{escape(title)}">'
    return Markup(head + "".join(parts) + "</svg>")  # every text in parts was escaped where it was written


def _finite(points: Sequence[Point]) -> tuple[Point, ...]:
    return tuple((x, y) for x, y in points if math.isfinite(x) and math.isfinite(y))


def _thinned(points: Sequence[Point]) -> Sequence[Point]:
    stride = max(1, math.ceil(len(points) / _MOST_POINTS))
    return points if stride == 1 else [*points[::stride], points[-1]]


def _span(values: Sequence[float]) -> Point:
    low, high = min(values), max(values)
    return (low, high) if high > low else (low - 1, high + 1)


def _padded(values: Sequence[float]) -> Point:
    low, high = min(values), max(values)
    room = (high - low) * 0.06 or abs(high) * 0.1 or 1.0
    return low - (0.0 if low == 0 else room), high + room


def _x(value: float, span: Point) -> float:
    return _LEFT + (value - span[0]) / (span[1] - span[0]) * (_WIDTH - _LEFT - _RIGHT)


def _y(value: float, span: Point) -> float:
    return _HEIGHT - _BOTTOM - (value - span[0]) / (span[1] - span[0]) * (_HEIGHT - _TOP - _BOTTOM)


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
