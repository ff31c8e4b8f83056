"""tunewright generate: answers to prompts and rows, and the share of right ones before and after."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tunewright.models.tiny import tiny_model

SAID = ["great love", "awful hate"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("work")


@pytest.fixture(scope="module")
def run(call, folder: Path) -> Path:
    rows = [{"prompt": f"{('good', 'bad')[n % 2]} {n % 5}", "completion": SAID[n % 2]} for n in range(60)]
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    model = tiny_model("llama", folder / "llama")
    settings = ["data.near_duplicates=ignore", "optimization.learning_rate=1e-2", "training.epochs=12", "training.batch_size=8"]
    settings += ["evaluation.certify=false", "evaluation.resamples=100"]
    words = [word for setting in settings for word in ("--set", setting)]
    made = call(
        "fit", path, "--model", model, "--strategy", "full", "--out", folder / "run", "--task", "causal_lm", *words, "--json"
    )
    assert made.exit_code == 0, made.output
    return folder / "run"


def test_prompts_are_answered(call, run: Path) -> None:
    made = call("generate", run, "--prompt", "good 1", "--prompt", "bad 2", "--max-new-tokens", 8, "--json")
    assert [answer["answer"] for answer in json.loads(made.stdout)["answers"]] == SAID
    assert json.loads(call("predict", run, "--text", "good 3", "--json").stdout)["predictions"][0]["predicted"] == SAID[0]
    table = call("generate", run, "--prompt", "good 1", "--max-new-tokens", 8).stdout
    assert SAID[0] in table


def test_answers_to_rows_are_checked_before_and_after(call, run: Path, folder: Path) -> None:
    made = json.loads(call("generate", run, folder / "rows.jsonl", "--check", "words", "--max-new-tokens", 8, "--json").stdout)[
        "checks"
    ]
    assert (made["fine-tuned"]["value"], made["before"]["value"]) == (1.0, 0.0)
    assert made["fine-tuned"]["low"] < 1.0
    assert made["fine-tuned"]["n"] == 60


def test_json_is_checked_by_a_schema(call, run: Path, folder: Path) -> None:
    pytest.importorskip("jsonschema")
    schema = folder / "schema.json"
    schema.write_text(json.dumps({"type": "object"}))
    words = ["--check", "json", "--schema", schema, "--max-new-tokens", 4, "--json"]
    made = json.loads(call("generate", run, "--prompt", "good 1", *words).stdout)["checks"]
    assert {name: score["value"] for name, score in made.items()} == {"fine-tuned": 0.0, "before": 0.0}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "there is no prompt"),
        (["nowhere.jsonl"], "is not a file"),
        (["--prompt", "good", "--check", "number"], "needs the right answers"),
        (["--prompt", "good", "--check", "json"], "go together"),
        (["--prompt", "good", "--temperature", -1], "temperature"),
    ],
)
def test_what_cannot_be_done_is_said(call, run: Path, words: list[str], said: str) -> None:
    made = call("generate", run, *words)
    assert made.exit_code == 2
    assert said in made.stderr.replace("\n", " ")
