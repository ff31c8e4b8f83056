"""The model card: README.md with the metadata that model hubs read, filled from what the run measured."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from tunewright.core.files import read_json, write_text
from tunewright.core.words import printable
from tunewright.runs.report import headline, with_interval

_TASKS = {
    "classification": "text-classification",
    "multi_label": "text-classification",
    "ordinal": "text-classification",
    "regression": "text-classification",
    "similarity": "sentence-similarity",
}


def write_card(folder: Path) -> Path:
    """Write ``README.md`` from the run's files and return its path; what is not known is left out."""
    scores, data, manifest = (_json(folder / f"{name}.json") for name in ("scores", "data", "manifest"))
    name = folder.resolve().name
    tuned = [one for one in scores.get("scores", []) if one["of"] == "fine-tuned" and one["value"] is not None]
    metadata = yaml.safe_dump(_metadata(name, tuned, data, manifest), sort_keys=False, allow_unicode=True)
    write_text(folder / "README.md", f"---\n{metadata}---\n\n{_body(name, scores, data, manifest)}")
    return folder / "README.md"


def _metadata(name: str, tuned: list[dict[str, Any]], data: dict[str, Any], manifest: dict[str, Any]) -> dict[str, Any]:
    """The licence is not ours to state, so it is left out."""
    task = _TASKS.get(data.get("schema", {}).get("task", ""), "text-classification")
    found: dict[str, Any] = {"library_name": "transformers", "pipeline_tag": task, "tags": ["tunewright"]}
    source = str(manifest.get("base", {}).get("source", ""))
    if source and not Path(source).is_absolute() and not source.startswith("."):
        found["base_model"] = source
    energy = manifest.get("energy")
    if energy:
        found["co2_eq_emissions"] = {
            "emissions": 1000 * energy["co2_kg"],
            "source": energy["how"],
            "training_type": "fine-tuning",
            "hardware_used": str(manifest.get("hardware", {}).get("device", "")),
        }
    if tuned:
        found["metrics"] = [one["name"] for one in tuned]
        measured = [{"type": one["name"], "name": one["name"].replace("_", " "), "value": one["value"]} for one in tuned]
        dataset = {"name": "held-out test rows", "type": "custom", "split": "test"}
        result = {"task": {"type": task}, "dataset": dataset, "metrics": measured}
        found["model-index"] = [{"name": name, "results": [result]}]
    return found


def _body(name: str, scores: dict[str, Any], data: dict[str, Any], manifest: dict[str, Any]) -> str:
    said = "\n".join(headline(scores))
    rows = ", ".join(f"{many} {part}" for part, many in data.get("rows", {}).items())
    lines = [f"| {one['of']} | {one['name'].replace('_', ' ')} | {with_interval(one)} |" for one in scores.get("scores", [])]
    table = "\n".join(["| model | metric | value (interval) |", "|---|---|---|", *lines]) if lines else ""
    made = f"Fine-tuned with tunewright from {Path(str(manifest.get('base', {}).get('source', 'a pre-trained model'))).name}."
    blocks = [
        f"# {name}",
        made,
        said,
        table,
        f"Rows: {rows}." if rows else "",
        *_sections(scores, data, manifest),
        "`report.html` beside this file tells the rest.",
    ]
    return "\n\n".join(block for block in blocks if block) + "\n"


def _sections(scores: dict[str, Any], data: dict[str, Any], manifest: dict[str, Any]) -> list[str]:
    """What was noticed of the rows, each report in its own words, and what the run cost."""
    noticed = [finding["message"] for finding in data.get("findings", []) if finding["level"] != "note"]
    found = ["## Data\n\n" + "\n".join(f"- {printable(one)}" for one in noticed)] if noticed else []
    for name, report in scores.get("reports", {}).items():
        said = [*report["said"], *(finding["message"] for finding in report["findings"])]
        if said:
            title = name.replace("_", " ").capitalize()
            found.append(f"## {title}\n\n" + "\n".join(f"- {printable(one)}" for one in said))
    energy = manifest.get("energy")
    if energy:
        found.append(f"## Energy\n\n{energy['kwh']:.2g} kWh, {energy['co2_kg']:.2g} kg of CO2, {energy['how']}.")
    return found


def _json(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = read_json(path) if path.is_file() else {}
    return found
