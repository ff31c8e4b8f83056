"""The model card: README.md with the metadata that model hubs read, filled from what the run measured."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from tunewright.analysis.html_page import headline, with_interval
from tunewright.artifacts.outside import BASE_CONFIG, ways
from tunewright.core.files import read_json, write_text
from tunewright.core.registry import load_part
from tunewright.core.text import printable
from tunewright.models.peft_format import CONFIG_FILE
from tunewright.models.pooling import METADATA
from tunewright.models.torch_module import FORM

_NAMES = 50  # labels that a card lists


def write_card(folder: Path) -> Path:
    """Write ``README.md`` from the run's files and return its path; what is not known is left out."""
    scores, data, manifest = (_json(folder / f"{name}.json") for name in ("scores", "data", "manifest"))
    name = folder.resolve().name
    tuned = [one for one in scores.get("scores", []) if one["of"] == "fine-tuned" and one["value"] is not None]
    metadata = yaml.safe_dump(_metadata(name, tuned, data, manifest), sort_keys=False, allow_unicode=True)
    write_text(folder / "README.md", f"---\n{metadata}---\n\n{_body(folder, name, scores, data, manifest)}")
    return folder / "README.md"


def _metadata(name: str, tuned: list[dict[str, Any]], data: dict[str, Any], manifest: dict[str, Any]) -> dict[str, Any]:
    """The licence is not ours to state, so it is left out."""
    task = _pipeline_tag(data.get("schema", {}))
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


def _pipeline_tag(schema: dict[str, Any]) -> str:
    """The hubs' word for the task on rows of this modality; the task's first where it has none for them."""
    if "task" not in schema:
        return "text-classification"
    tags: dict[str, str] = load_part("tasks", schema["task"]).PIPELINE_TAGS
    return tags.get(schema.get("kind", ""), next(iter(tags.values())))


def _body(folder: Path, name: str, scores: dict[str, Any], data: dict[str, Any], manifest: dict[str, Any]) -> str:
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
        _opening(folder, manifest),
        *_sections(scores, data, manifest),
        "`report.html` beside this file tells the rest.",
    ]
    return "\n\n".join(block for block in blocks if block) + "\n"


def _opening(folder: Path, manifest: dict[str, Any]) -> str:
    """What somebody types who has nothing of ours, and whether it was tried."""
    model = folder / "model"
    if not (model / METADATA).is_file():
        return ""
    said = read_json(model / METADATA)
    if said["opens_with"] == "peft" and not (model / BASE_CONFIG).is_dir():
        return ""  # saved before there were such lines
    blocks = [f"```python\n{way.lines}```\n\n{_tried(way.name, manifest.get('certified'))}" for way in ways(folder)]
    if not blocks:
        module = said["form"]["auto"] == FORM.auto  # it has to be given again
        given = ", backbone=(module, preprocessing)" if module else ""
        blocks = [f'```python\nimport tunewright\n\nrun = tunewright.load("."{given})\n```\n\nNo other library opens this model.']
    return "\n\n".join(["## Open it\n\nIn this folder:", "\n\nor\n\n".join(blocks), *_said_of_files(model, manifest)])


def _said_of_files(model: Path, manifest: dict[str, Any]) -> list[str]:
    """Where an adapter's base model lies, and what the outputs are called."""
    said, form = [], read_json(model / METADATA)["form"]
    if (model / CONFIG_FILE).is_file() and (model / BASE_CONFIG).is_dir():
        place = f"`base_model_name_or_path` in `model/{CONFIG_FILE}` says where its base model lies, whose weights hash to"
        said.append(f"The adapter's {place} `{manifest.get('base', {}).get('hash', '')}`.")
    config = _json(model / BASE_CONFIG / "config.json") or _json(model / "config.json")
    if form["output"] in ("logits", "boxes") and "id2label" in config:
        names = [printable(str(name)) for name in config["id2label"].values()]
        rest = f" and {len(names) - _NAMES} more" if len(names) > _NAMES else ""
        said.append(f"`num_labels={len(names)}`: {', '.join(names[:_NAMES])}{rest}.")
    return said


def _tried(name: str, proof: dict[str, Any] | None) -> str:
    """What the fresh process found that ran these lines."""
    if proof is None or name not in proof["differences"]:
        return "These lines were not tried."
    moved = proof["differences"][name]
    if moved is None:
        return "**These lines did not open the trained model**, tried in a fresh process without tunewright."
    said = "" if moved <= proof["tolerance"] else "**not as trained**: "
    return f"Tried in a fresh process without tunewright: {said}logits differ by {moved:.1g} from the trained model's."


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
