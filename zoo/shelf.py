"""Where the zoo reads its data and keeps its models: weights in bfloat16, a card with data, licence, recipe and scores."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent
DATA = Path(os.environ.get("TUNEWRIGHT_DATA", ROOT.parent.parent / "shared" / "data"))
KEPT = ("config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "preprocessor_config.json")


def put(name: str, run: Any, *, licence: str, data: str, library: str = "transformers") -> None:
    """Keep the model of a finished run as ``zoo/<name>``: what ``library`` opens, and its card."""
    import torch

    from tunewright.core.files import read_tensors, write_tensors

    folder, model = ROOT / name, run.folder / "model"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    tensors = {key: value.to(torch.bfloat16) for key, value in read_tensors(model / "model.safetensors").items()}
    write_tensors(folder / "model.safetensors", tensors, {"format": "pt"})
    for file in KEPT:
        if (model / file).is_file():
            shutil.copyfile(model / file, folder / file)
    recipe = run.recipe.model_dump(mode="json")
    recipe["data"] |= {"train": None, "test": None}
    recipe["model"]["source"] = recipe["out"] = None
    (folder / "README.md").write_text(card(name, run, licence, data, library, recipe), encoding="utf-8")
    print(folder, sum(file.stat().st_size for file in folder.iterdir()) // 1024, "KiB")


def card(name: str, run: Any, licence: str, data: str, library: str, recipe: dict[str, Any]) -> str:
    """The model card; scores are of the float32 weights before they were stored in bfloat16."""
    scores = [entry for entry in run.all_scores() if entry["of"] == "fine-tuned"]
    lines = [f"| {entry['name']} | {entry['value']:.4g} | {entry['low']} to {entry['high']} | {entry['n']} |" for entry in scores]
    versions = json.dumps(run.manifest["versions"])
    return "\n".join(
        [
            "---",
            f"library_name: {library}",
            "tags: [tunewright]",
            "---",
            "",
            f"# {name}",
            "",
            "TrainingResult from random values by tunewright, to try things without a network. Not for any serious use.",
            "",
            f"Data: {data}. Licence of the data: {licence}.",
            f"Built by `python zoo/{name.replace('-', '_')}.py` in {run.manifest['seconds']:.0f} s, with {versions}.",
            "",
            "| metric on held-out rows | value | interval | n |",
            "|---|---|---|---|",
            *lines,
            "",
            "```yaml",
            yaml.safe_dump(recipe, sort_keys=False, allow_unicode=True).rstrip(),
            "```",
            "",
        ]
    )


if __name__ == "__main__":
    raise SystemExit("run one of the scripts beside this file")
