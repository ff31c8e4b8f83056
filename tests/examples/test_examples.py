"""The example files are what their page says: whole, varied, without duplicates, and the recipe reads."""

from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path

from tunewright.config.reader import read_recipe
from tunewright.datasets.quality.duplicates import near_groups

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def messages() -> list[dict[str, str]]:
    with (EXAMPLES / "support_messages.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_support_messages_are_many_and_varied() -> None:
    rows = messages()
    counts = Counter(row["topic"] for row in rows)
    lengths = [len(row["message"].split()) for row in rows]
    assert len(rows) >= 600
    assert f"{len(rows)} messages" in (EXAMPLES / "README.md").read_text()
    assert len(counts) >= 8
    assert min(counts.values()) >= 40
    assert max(lengths) > 20 > 4 > min(lengths)
    assert all(row["message"] == row["message"].strip() and row["message"] for row in rows)


def test_no_two_messages_are_nearly_the_same() -> None:
    groups = near_groups([(row["message"],) for row in messages()])
    assert len(set(groups.tolist())) == len(groups)


def test_the_other_examples_read() -> None:
    with (EXAMPLES / "similarity.csv").open(encoding="utf-8", newline="") as file:
        scores = [float(row["score"]) for row in csv.DictReader(file)]
    assert len(scores) >= 60
    assert 0 <= min(scores) < 1
    assert max(scores) == 5
    notes = [json.loads(line) for line in (EXAMPLES / "tags.jsonl").read_text(encoding="utf-8").splitlines()]
    assert len(notes) >= 60
    assert len({tag for note in notes for tag in note["tags"]}) == 6


def test_the_recipe_reads_and_finds_its_rows() -> None:
    recipe = read_recipe(EXAMPLES / "recipe.yaml")
    assert Path(str(recipe.data.train)).is_file()
    assert recipe.method.settings["rank"] == 8
