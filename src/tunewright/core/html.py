"""Short pieces of HTML for notebooks: every value is escaped, and nothing is read from elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from markupsafe import Markup

from tunewright.core.text import printable

MOST_ROWS = 20


def table(columns: Sequence[object], rows: Iterable[Sequence[object]], title: str = "") -> Markup:
    """A table of at most ``MOST_ROWS`` rows; how many more there are is said below it."""
    listed = list(rows)
    head = _joined(Markup("<th>{}</th>").format(shown(one)) for one in columns)
    body = _joined(_row(row) for row in listed[:MOST_ROWS])
    caption = Markup("<caption>{}</caption>").format(shown(title)) if title else Markup("")
    drawn = Markup("<table>{}<thead><tr>{}</tr></thead><tbody>{}</tbody></table>").format(caption, head, body)
    more = len(listed) - MOST_ROWS
    return drawn + (lines([f"and {more:,} more"]) if more > 0 else Markup(""))


def heading(text: object) -> Markup:
    """A title in bold."""
    return Markup("<p><strong>{}</strong></p>").format(shown(text))


def lines(texts: Iterable[object]) -> Markup:
    """A paragraph for each text."""
    return _joined(Markup("<p>{}</p>").format(shown(text)) for text in texts)


def facts(values: Mapping[str, object]) -> Markup:
    """Names and values on one line; a value of None is left out."""
    pairs = [Markup("{} <code>{}</code>").format(name, shown(value)) for name, value in values.items() if value is not None]
    return Markup("<p>{}</p>").format(Markup(" · ").join(pairs))


def interval(value: float | None, low: float | None, high: float | None) -> str:
    """'0.934 [0.921, 0.945]', or a dash where it is undefined."""
    if value is None:
        return shown(None)
    return f"{value:.3f}" + ("" if low is None or high is None else f" [{low:.3f}, {high:.3f}]")


def shown(value: object) -> str:
    """A value in a few characters: four digits, thousands set apart, a dash for None."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.4g}"
    text = printable(str(value))
    return text if len(text) <= 300 else f"{text[:299]}…"


def _row(row: Sequence[object]) -> Markup:
    return Markup("<tr>{}</tr>").format(_joined(Markup("<td>{}</td>").format(shown(cell)) for cell in row))


def _joined(pieces: Iterable[Markup]) -> Markup:
    return Markup("").join(pieces)
