"""The report: one self-contained page from what a run's folder holds; a block that is missing is left out."""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader
from markupsafe import Markup

from tunewright.analysis.heatmap import drawn_heat
from tunewright.analysis.plots import Interval, Series, heat_map, line_chart, whiskers
from tunewright.callbacks.history import read_history
from tunewright.core.files import read_json, write_text
from tunewright.core.text import count, duration, printable

_STYLES = {"fine-tuned": "c1", "frozen": "c2", "majority": "c3"}
_LARGEST_MATRIX = 40


def write_report(folder: Path) -> Path:
    """Write ``report.html`` from the run's files and return its path."""
    kept = {name: _json(folder / f"{name}.json") for name in ("scores", "details", "data", "manifest")}
    scores, details = kept["scores"], kept["details"]
    reports = scores.get("reports", {})
    history = read_history(folder / "history.jsonl")
    script = (Path(__file__).with_name("errors.js")).read_text(encoding="utf-8")
    view = {
        **kept,
        "script": Markup(script),  # ours, and the only one that the page lets run
        "allowed": f"'sha256-{b64encode(sha256(script.encode()).digest()).decode()}'",
        "name": folder.resolve().name,
        "recipe": _text(folder / "recipe.yaml"),
        "reproduce": f"tunewright reproduce {folder}",
        "sentences": headline(scores),
        "whiskers": _headline_picture(scores),
        "table": _score_table(scores),
        "findings": [*kept["data"].get("findings", []), *details.get("findings", []), *_findings_of(reports)],
        "reports": [_shown(name, one) for name, one in reports.items()],
        "curves": _curves(history, str(scores.get("primary", ""))),
        "layers": _layers(details.get("layers") or []),
        "matrix": _matrix(details.get("confusion")),
        "confused": _top_confusions(details.get("confusion")),
    }
    write_text(folder / "report.html", _environment().get_template("report.html.j2").render(view))
    return folder / "report.html"


def _findings_of(reports: dict[str, Any]) -> list[dict[str, Any]]:
    return [finding for one in reports.values() for finding in one["findings"]]


def _shown(name: str, report: dict[str, Any]) -> dict[str, Any]:
    """A report's block: its pictures drawn, its numbers as people read them."""
    drawn = [{"title": chart["title"], "said": _legend(chart), "svg": _drawn(chart)} for chart in report["charts"]]
    grids = [grid | {"rows": [[_cell(cell) for cell in row] for row in grid["rows"]]} for grid in report["grids"]]
    heats = [{"title": heat["title"], "drawn": drawn_heat(heat)} for heat in report.get("heats", [])]
    return report | {"name": name, "charts": [one for one in drawn if one["svg"]], "grids": grids, "heats": heats}


def _drawn(chart: dict[str, Any]) -> Markup:
    lines = [
        Series(name, f"c{1 + place % 4}", tuple((float(x), float(y)) for x, y in points))
        for place, (name, points) in enumerate(chart["lines"])
    ]
    ends = [at for line in lines for point in line.points for at in point]
    if chart["diagonal"] and ends:
        lines.append(Series("equal", "mark", ((min(ends), min(ends)), (max(ends), max(ends)))))
    return line_chart(chart["title"], lines, x_label=chart["x"])


def _legend(chart: dict[str, Any]) -> str:
    """What is drawn: the colour of each line, in words, and what it rises with."""
    colours = ("blue", "orange", "grey", "green")
    names = [f"{name} ({colours[place % 4]})" for place, (name, _) in enumerate(chart["lines"])]
    return f"{chart['y']}: {', '.join(names)}" if len(names) > 1 else str(chart["y"])


def _cell(cell: Any) -> dict[str, Any]:
    """A cell's text, and whether it is a number."""
    if cell is None:
        return {"text": "undefined", "number": True}
    if isinstance(cell, float):
        tiny = 0 < abs(cell) < 0.0005  # a probability of a chance is never shown as 0
        return {"text": f"{cell:.0e}" if tiny else f"{cell:.3f}" if abs(cell) < 1000 else f"{cell:.4g}", "number": True}
    return {"text": str(cell), "number": isinstance(cell, int)}


def headline(scores: dict[str, Any]) -> list[str]:
    """What was reached and gained, in sentences."""
    primary = scores.get("primary")
    said = [
        f"On {one['n']} {one['split']} rows the fine-tuned model reaches {_name(one['name'])} {with_interval(one)}."
        for one in scores.get("scores", [])
        if one["of"] == "fine-tuned" and one["name"] == primary
    ]
    for pair in scores.get("comparisons", []):
        if pair.get("difference") is None:
            said.append(f"Against the {pair['b']} baseline there is no comparison: {pair.get('test', 'undefined')}.")
            continue
        verb = "more" if pair["difference"] >= 0 else "less"
        bounds = f" ({pair['low']:+.3f} to {pair['high']:+.3f})" if pair.get("low") is not None else ""
        p = "" if pair.get("p") is None else f"; p {_p(pair['p'])}, {pair['test']}"
        said.append(f"That is {abs(pair['difference']):.3f} {verb} than the {pair['b']} baseline on the same rows{bounds}{p}.")
    if scores.get("verdict"):
        said.append(printable(f"{scores['verdict'][0].upper()}{scores['verdict'][1:]}."))
    if scores.get("decided_by"):
        said.append(printable(scores["decided_by"]))
    return said


def with_interval(score: dict[str, Any]) -> str:
    """A score as people read it: '0.912 (0.897 to 0.926)', or that it is undefined."""
    if score.get("value") is None:
        return "undefined"
    bounds = "" if score.get("low") is None else f" ({score['low']:.3f} to {score['high']:.3f})"
    return f"{score['value']:.3f}{bounds}"


def _headline_picture(scores: dict[str, Any]) -> Markup:
    rows = [
        Interval(
            one["of"], _STYLES.get(one["of"], "c4"), one["value"], _or(one["low"], one["value"]), _or(one["high"], one["value"])
        )
        for one in scores.get("scores", [])
        if one["name"] == scores.get("primary") and one["value"] is not None
    ]
    return whiskers(f"{_name(str(scores.get('primary')))} with intervals", rows)


def _score_table(scores: dict[str, Any]) -> dict[str, Any]:
    """Metrics as rows, models as columns."""
    found = scores.get("scores", [])
    models, names = list(dict.fromkeys(one["of"] for one in found)), list(dict.fromkeys(one["name"] for one in found))
    at = {(one["name"], one["of"]): one for one in found}
    cells = [(_name(name), [with_interval(at.get((name, model), {})) for model in models]) for name in names]
    return {"models": models, "rows": cells}


def _curves(history: list[dict[str, Any]], primary: str) -> list[dict[str, Any]]:
    steps = [event for event in history if event.get("kind") == "step"]
    checks = [event for event in history if event.get("kind") == "evaluation"]
    marks = [(float(event["step"]), event.get("name") or "stage") for event in history if event.get("kind") == "stage"]
    losses = [Series("training loss", "c3", _points(steps, "loss")), Series("validation loss", "c1", _measured(checks, "loss"))]
    depths = sorted({depth for event in steps for depth in event.get("rate") or {}}, key=int)
    rates = [Series(f"layer {depth}", f"d{_shade(i, len(depths))}", _rate(steps, depth)) for i, depth in enumerate(depths)]
    pictures = (
        ("Loss", losses, "training (grey) and validation (blue)"),
        (_name(primary).capitalize(), [Series(primary, "c1", _measured(checks, primary))], "on the validation rows"),
        ("Learning rate", rates, "one line per layer, the darker the nearer to the head"),
        ("Gradient norm", [Series("gradient norm", "c2", _points(steps, "grad_norm"))], "before clipping"),
    )
    drawn = [{"title": title, "said": said, "svg": line_chart(title, lines, marks=marks)} for title, lines, said in pictures]
    return [one for one in drawn if one["svg"]]


def _points(events: list[dict[str, Any]], key: str) -> tuple[tuple[float, float], ...]:
    return tuple((float(event["step"]), float(event[key])) for event in events if event.get(key) is not None)


def _measured(events: list[dict[str, Any]], key: str) -> tuple[tuple[float, float], ...]:
    found = ((event["step"], event.get("scores", {}).get(key)) for event in events)
    return tuple((float(step), float(value)) for step, value in found if value is not None)


def _rate(events: list[dict[str, Any]], depth: str) -> tuple[tuple[float, float], ...]:
    return tuple((float(event["step"]), float(event["rate"][depth])) for event in events if depth in (event.get("rate") or {}))


def _shade(index: int, many: int) -> int:
    return round(5 * index / max(1, many - 1))


def _layers(layers: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of the stack's picture, the head on top; widths in percent."""
    largest = max((layer["parameters"] for layer in layers), default=0) or 1
    fastest = max((layer.get("rate") or 0.0 for layer in layers), default=0.0) or 1.0
    return [
        layer
        | {
            "size": max(1.5, 100 * layer["parameters"] / largest),
            "share": 100 * layer["trainable"] / (layer["parameters"] or 1),
            "speed": 100 * ((layer.get("rate") or 0.0) if layer["trainable"] else 0.0) / fastest,
        }
        for layer in reversed(layers)
    ]


def _matrix(confusion: dict[str, Any] | None) -> Markup | None:
    if not confusion or len(confusion["names"]) > _LARGEST_MATRIX:
        return None
    return heat_map("Confusion matrix", [printable(name) for name in confusion["names"]], confusion["counts"])


def _top_confusions(confusion: dict[str, Any] | None, most: int = 12) -> list[dict[str, Any]]:
    """The largest cells off the diagonal."""
    if not confusion:
        return []
    names = confusion["names"]
    cells = [
        {"target": names[i], "predicted": names[j], "count": many, "of": sum(row)}
        for i, row in enumerate(confusion["counts"])
        for j, many in enumerate(row)
        if i != j and many
    ]
    return sorted(cells, key=lambda cell: -cell["count"])[:most]


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("tunewright.analysis", ""), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {
        "words": _name,
        "duration": duration,
        "short": count,
        "clean": printable,
        "size": _bytes,
        "share": _share,
    }
    return environment


def _share(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.3f}"


def _bytes(many: float) -> str:
    return f"{many / 2**30:.2f} GiB" if many >= 2**30 else f"{many / 2**20:.0f} MiB"


def _name(metric: str) -> str:
    return metric.replace("_", " ")


def _p(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"= {p:.3f}"


def _or(value: float | None, other: float) -> float:
    return other if value is None else value


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def _json(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = read_json(path) if path.is_file() else {}
    return found
