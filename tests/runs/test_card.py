"""The model card's metadata, as model hubs read it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from huggingface_hub import ModelCard

from tests.runs.sample import sample_run
from tunewright.analysis.model_card import write_card


def test_the_hub_reads_the_metadata_and_the_values(tmp_path: Path) -> None:
    card = ModelCard.load(write_card(sample_run(tmp_path / "run")))
    assert card.data.base_model == "all-MiniLM-L6-v2"
    assert card.data.pipeline_tag == "text-classification"
    assert card.data.license is None
    results = card.data.eval_results
    assert results is not None
    assert [(one.metric_type, one.metric_value) for one in results] == [("accuracy", 0.912)]  # roc_auc is undefined


def test_a_path_of_this_machine_is_not_published(tmp_path: Path) -> None:
    folder = sample_run(tmp_path / "run")
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    manifest["base"]["source"] = str(tmp_path / "models" / "base")
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    assert str(tmp_path) not in write_card(folder).read_text(encoding="utf-8")


def test_what_reports_and_the_meter_said_is_in_the_card(tmp_path: Path) -> None:
    folder = sample_run(tmp_path / "run")
    manifest, scores = (json.loads((folder / f"{name}.json").read_text(encoding="utf-8")) for name in ("manifest", "scores"))
    manifest["energy"] = {"kwh": 0.002, "co2_kg": 0.00096, "how": "estimated: 720 processor seconds at 10 W"}
    said = {"said": ["On 'old' 0.1 was lost."], "findings": [{"message": "less <b>is</b> known", "level": "warning"}]}
    scores["reports"] = {"forgetting": said, "silent": {"said": [], "findings": []}}
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    (folder / "scores.json").write_text(json.dumps(scores), encoding="utf-8")
    card = ModelCard.load(write_card(folder))
    assert card.data.co2_eq_emissions["emissions"] == pytest.approx(0.96)  # grams
    assert "## Forgetting\n\n- On 'old' 0.1 was lost.\n- less" in card.text
    assert "Silent" not in card.text
    assert "0.002 kWh, 0.00096 kg of CO2" in card.text


def test_an_empty_folder_still_gets_a_card(tmp_path: Path) -> None:
    assert ModelCard.load(write_card(tmp_path)).data.library_name == "transformers"
