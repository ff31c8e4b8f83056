"""Multiple choice against transformers' own logits, and a model that is tuned away from the right answers."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.engine.toy import toy_rows
from tunewright.analysis.references import read_reference
from tunewright.core.errors import UserError
from tunewright.core.files import read_json
from tunewright.models.tiny import tiny_model
from tunewright.pipeline.examine import examine
from tunewright.pipeline.workflow import fit
from tunewright.runs.run import Run

QUESTIONS = [
    {"question": "my card is", "choices": ["late", "not new and not old", "sad"], "answer": 1},
    {"question": "the order is", "choices": ["lost", "early"], "answer": "early"},
    {"question": "we want", "choices": '["money", "the bank to pay", "a b c d"]', "answer": "2"},
] * 8


def written(path: Path, rows: list[dict[str, object]]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    place = tmp_path_factory.mktemp("choices")
    return fit(
        [{"text": f"{row['text']} and the order is lost again"} for row in toy_rows(40)],
        method="full",
        model=str(tiny_model("llama", place / "llama")),
        task="causal_lm",
        out=place / "run",
        training={"epochs": 2},
        optimization={"learning_rate": 1e-2},
        evaluation={"certify": False, "resamples": 100, "reports": ()},
    )


def by_hand(network: torch.nn.Module, tokenizer: object, question: str, choices: list[str]) -> int:
    """The choice with the best mean log-probability of its tokens after the question."""
    means = []
    for choice in choices:
        ids = torch.tensor([tokenizer(f"{question} {choice}", add_special_tokens=False)["input_ids"]])  # type: ignore[operator]
        start = len(tokenizer(question, add_special_tokens=False)["input_ids"])  # type: ignore[operator]
        with torch.no_grad():
            logs = network(input_ids=ids).logits.log_softmax(-1)[0, :-1]
        said = logs.gather(1, ids[0, 1:, None])[:, 0]
        means.append(float(said[start - 1 :].mean()))
    return int(np.argmax(means))


def test_the_likeliest_choice_is_the_one_of_plain_transformers(run: Run, tmp_path: Path) -> None:
    reference = read_reference(written(tmp_path / "questions.jsonl", QUESTIONS), 24, 0)
    assert reference.ask == "choice"
    network = run.model.network
    picked = [by_hand(network.inner.eval(), network.tokenizer, question, choices) for question, *choices in reference.inputs]
    assert reference.targets is not None
    expected = [float(place == target) for place, target in zip(picked, reference.targets, strict=True)]
    found = examine(run, "forgetting", references=[written(tmp_path / "questions.jsonl", QUESTIONS)])["forgetting"]
    assert found["error"] is None
    scores = {score["name"].rpartition("_")[0].partition("_")[0]: score["value"] for score in found["scores"]}
    assert scores["after"] == pytest.approx(np.mean(expected))
    assert "likeliest choice" in " ".join(found["said"])
    assert read_json(run.folder / "scores.json")["reports"]["forgetting"]["scores"]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"question": "a", "choices": ["b"], "answer": 0}, "no question with choices"),
        ({"question": " ", "choices": ["b", "c"], "answer": 0}, "no question with choices"),
        ({"question": "a", "choices": "b or c", "answer": 0}, "no question with choices"),
        ({"question": "a", "choices": ["b", "c"], "answer": 2}, "none of the 2 choices"),
        ({"question": "a", "choices": ["b", "c"], "answer": "d"}, "none of the 2 choices"),
    ],
)
def test_questions_that_cannot_be_asked_are_refused(tmp_path: Path, row: dict[str, object], said: str) -> None:
    with pytest.raises(UserError, match=said):
        read_reference(written(tmp_path / "questions.jsonl", [*QUESTIONS[:2], row]), 24, 0)


def test_an_encoder_is_not_asked(tiny_bert: Path, tmp_path: Path) -> None:
    evaluation = {"certify": False, "resamples": 100, "reports": ()}
    tuned = fit(toy_rows(40), method="full", model=str(tiny_bert), target="label", out=tmp_path / "run", evaluation=evaluation)
    found = examine(tuned, "forgetting", references=[written(tmp_path / "questions.jsonl", QUESTIONS)])["forgetting"]
    assert "causal language model" in found["error"]
