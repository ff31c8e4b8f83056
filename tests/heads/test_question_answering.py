"""Answers cut from a context: windows lose none, the loss and the choice are the published ones, characters come back."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tunewright.core.arrays import object_array
from tunewright.core.errors import UserError
from tunewright.core.types import Labels
from tunewright.datasets.prepare import prepare
from tunewright.datasets.ragged import IGNORED, Ragged
from tunewright.datasets.read import read_table
from tunewright.datasets.targets.spans import Answer
from tunewright.models.form import Form
from tunewright.models.loading import load_network
from tunewright.models.network import Network
from tunewright.pipeline.workflow import fit
from tunewright.tasks.question_answering import task as head

LABELS = Labels("question_answering", ("start", "end"))
FORM = Form("question", "AutoModelForQuestionAnswering", "spans")
WORDS = ["card", "money", "bank", "lost", "new", "old", "good", "great", "awful", "happy", "sad", "love", "hate", "film", "story"]


@pytest.fixture
def network(tiny_bert: Path) -> Network:
    return load_network(str(tiny_bert), LABELS, form=FORM)


def contexts(words: int, at: int) -> tuple[str, Answer]:
    """A context of many words and an answer of two in it."""
    pieces = [WORDS[place % len(WORDS)] for place in range(words)]
    pieces[at] = "ten"
    text = "  ".join(pieces)
    start = len("  ".join([*pieces[:at], ""]))
    return text, Answer(text[start:].split("  ")[0] + "  " + pieces[at + 1], start)


@pytest.mark.parametrize("longest", [16, 24, 48])
@pytest.mark.parametrize("at", [0, 7, 30, 68])
def test_windows_hold_every_answer_and_give_it_back(network: Network, longest: int, at: int) -> None:
    context, answer = contexts(70, at)
    examples = head.encode(network, [("when?", context)], object_array([(answer,)]), head.Settings(), longest)
    encoded: Any = examples.encoded
    assert encoded.lengths.max() <= longest
    assert isinstance(examples.targets, Ragged)
    logits = torch.zeros(len(encoded), int(encoded.lengths.max()), 2)
    codes = torch.from_numpy(examples.targets.padded(np.arange(len(encoded))))
    found = 0
    for window, row in enumerate(codes):
        for side, bit in enumerate((1, 2)):
            place = int((((row & bit) > 0) & (row != IGNORED)).int().argmax())
            found += place > 0
            logits[window, place, side] = 10.0
    assert found >= 2  # some window holds it whole
    kept = head.keep(logits, encoded, np.arange(len(encoded)))
    given = head.decode(kept, LABELS, encoded).values[0]
    assert given == answer
    assert given.start == answer.start
    assert context[given.start : given.start + len(given)] == given


def test_every_token_of_the_context_is_in_a_window(network: Network) -> None:
    context, _ = contexts(70, 3)
    encoded: Any = head.encode(network, [("when?", context)], None, head.Settings(), 20).encoded
    seen = {tuple(span) for window in range(len(encoded)) for span in encoded.marked(window) if span[0] >= 0}
    assert len(seen) == 70


def test_a_long_question_is_cut_and_counted(network: Network) -> None:
    encoded: Any = head.encode(network, [("card " * 200, "the money"), ("card", "the bank")], None, head.Settings(), 32).encoded
    assert encoded.truncated == 1
    assert encoded.lengths.max() <= 32
    with pytest.raises(UserError, match="leaves no room"):
        head.encode(network, [("card", "the bank")], None, head.Settings(), 5)


def test_the_loss_is_transformers_own_where_all_tokens_may_answer(network: Network) -> None:
    logits = torch.randn(2, 5, 2, generator=torch.Generator().manual_seed(0))
    targets = torch.tensor([[0, 1, 0, 2, 0], [0, 0, 3, 0, 0]])
    ours = head.losses(logits, targets, LABELS, head.Settings(), None)
    start, end = (
        torch.nn.functional.cross_entropy(logits[..., side], torch.tensor(at)) for side, at in ((0, [1, 2]), (1, [3, 2]))
    )
    torch.testing.assert_close(ours.mean(), (start + end) / 2)
    ignored = targets.clone()
    ignored[:, 4] = IGNORED
    masked = head.losses(logits, ignored, LABELS, head.Settings(), None)
    torch.testing.assert_close(masked, head.losses(logits[:, :4], targets[:, :4], LABELS, head.Settings(), None))


def test_the_best_span_is_the_best_of_all_allowed_pairs(network: Network) -> None:
    encoded: Any = head.encode(network, [("when?", contexts(9, 2)[0])], None, head.Settings(longest_answer=3), 32).encoded
    logits = torch.randn(1, int(encoded.lengths[0]), 2, generator=torch.Generator().manual_seed(1))
    score, begin, end, nothing = head.keep(logits, encoded, np.array([0]))[0]
    spans = encoded.marked(0)
    pairs = [
        (float(logits[0, a, 0] + logits[0, b, 1]), spans[a, 0], spans[b, 1])
        for a in range(len(spans))
        for b in range(a, min(a + 3, len(spans)))
        if spans[a, 0] >= 0 and spans[b, 0] >= 0
    ]
    assert (score, begin, end) == pytest.approx(max(pairs))
    assert nothing == pytest.approx(float(logits[0, 0].sum()))


def test_no_answer_is_given_only_where_train_had_some(network: Network) -> None:
    encoded: Any = head.encode(network, [("when?", "the card is lost")], None, head.Settings(), 32).encoded
    kept = np.array([[1.0, 4, 8, 2.0]])
    assert head.decode(kept, LABELS, encoded).values[0] == "card"
    empty = replace(encoded, about=replace(encoded.about, may_be_empty=True))
    assert head.decode(kept, LABELS, empty).values[0] == ""
    eager = replace(encoded, about=replace(empty.about, margin=-2.0))
    assert head.decode(kept, LABELS, eager).values[0] == "card"


def toy(count: int, *, empty: bool = False) -> list[dict[str, Any]]:
    """The answer is the colour."""
    rows = []
    for number in range(count):
        colour, thing = ("blue", "red", "green")[number % 3], ("card", "film", "book", "order", "parcel")[number % 5]
        context = f"{' '.join(WORDS[number % 7 : number % 7 + 3])} the {thing} is {colour} now"
        answers: dict[str, Any] = {"text": [colour], "answer_start": [context.index(colour)]}
        if empty and number % 4 == 0:
            context, answers = context.replace(colour, "bad"), {"text": [], "answer_start": []}
        rows.append({"question": f"what is the {thing}?", "context": context, "answers": answers})
    return rows


def test_a_whole_run_learns_saves_and_answers(tiny_bert: Path, tmp_path: Path) -> None:
    run = fit(
        toy(60, empty=True),
        model=str(tiny_bert),
        strategy="full",
        out=tmp_path / "run",
        data={"near_duplicates": "ignore"},
        optimization={"learning_rate": 3e-3, "head_learning_rate": 1e-2},
        training={"epochs": 12, "batch_size": 8},
    )
    scores = {(entry["of"], entry["name"]): entry["value"] for entry in run.all_scores()}
    assert scores["fine-tuned", "exact_match"] == 1.0
    assert scores["majority", "exact_match"] < 0.6
    assert "before" not in {of for of, _ in scores}  # the head is new
    assert run.manifest["certified"]["with"] == ["tunewright", "transformers AutoModelForQuestionAnswering"]
    assert any("cannot start a head" in said for said in run.details["said"])
    asked = {
        "question": ["what is the film?"] * 2,
        "context": ["lost new old the film is green now", "lost new old the film is bad now"],
    }
    found = run.predict(asked)
    assert (found[0]["predicted"], found[0]["start"]) == ("green", 25)
    assert (found[1]["predicted"], found[1]["start"]) == ("", None)
    again = fit(
        toy(30),
        method="full",
        model=str(run.folder / "model"),
        training={"max_steps": 1},
        evaluation={"certify": False},
        out=tmp_path / "b",
    )
    assert {entry["of"] for entry in again.all_scores()} == {"fine-tuned", "majority", "before"}  # its head is taken over


def squad(answers: list[Any], context: str = "a card and a card, one bank") -> dict[str, Any]:
    asked = [{"id": str(n), "question": f"q {n}", "answers": one} for n, one in enumerate(answers)]
    return {"version": "1.1", "data": [{"title": "t", "paragraphs": [{"context": context, "qas": asked}]}]}


def test_squads_files_are_read_packed_or_not(tmp_path: Path) -> None:
    content = json.dumps(squad([[{"text": "bank", "answer_start": 23}], []]))
    (tmp_path / "a.json").write_text(content)
    with gzip.open(tmp_path / "a.json.gz", "wt") as file:
        file.write(content)
    tables = [read_table(tmp_path / name) for name in ("a.json", "a.json.gz")]
    assert tables[0].columns == tables[1].columns
    assert tables[0].columns["answers"] == [{"text": ["bank"], "answer_start": [23]}, {"text": [], "answer_start": []}]
    (tmp_path / "b.json").write_text(json.dumps(squad([[{"text": "bank"}]])))
    with pytest.raises(UserError, match=r"article 1, paragraph 1, question 1 has no 'answer_start'"):
        read_table(tmp_path / "b.json")
    (tmp_path / "c.json.gz").write_bytes((tmp_path / "a.json.gz").read_bytes()[:40])
    with pytest.raises(UserError, match="no whole gzip file"):
        read_table(tmp_path / "c.json.gz")


def prepared(answers: list[Any]) -> Any:
    rows = [
        {"question": f"q {n}", "context": f"a card and a card, one bank {n}", "answers": one} for n, one in enumerate(answers)
    ]
    return prepare(train=rows, near_duplicates="ignore")


def test_answers_come_as_texts_or_with_starts_and_what_is_mended_is_said() -> None:
    at = {"text": ["bank"], "answer_start": [23]}
    given = prepared(
        [
            at,
            {"text": ["bank"], "answer_start": [20]},
            "bank",
            "card",
            ["bank", "card"],
            "",
            None,
            [{"text": "bank", "answer_start": 23}],
        ]
        + [at] * 12
    )
    everything = [answer for part in (given.train, given.validation, given.test) for row in part.targets for answer in row]
    assert all(isinstance(answer, Answer) for answer in everything)
    assert {(str(answer), answer.start) for answer in everything} == {("bank", 23), ("card", 2)}
    codes = {finding.code: finding.rows for finding in given.findings}
    assert codes["answer_moved"] == (1,)
    assert codes["answer_several"] == (3, 4)
    assert given.labels.mean == pytest.approx(2 / 20)
    assert given.schema.group == "context"


def test_answers_that_are_not_in_their_context_are_refused_with_their_rows() -> None:
    with pytest.raises(UserError, match=r"rows 1, 2: the answer 'money' is not in its context"):
        prepared(["bank", "money", {"text": ["card"], "answer_start": [5]}])
    with pytest.raises(UserError, match=r"row 0: the answer is not text"):
        prepared([7, "bank"])


def test_questions_on_one_context_stay_together(shared_data: Path) -> None:
    """XQuAD's 240 paragraphs of 1,190 questions: no paragraph is on two sides, every answer is where it is told to be."""
    given = prepare(train=str(shared_data / "xquad" / "xquad.en.json.gz"))
    assert isinstance(given.train, object)
    parts = [{row[1] for row in part.inputs} for part in (given.train, given.validation, given.test)]  # type: ignore[union-attr]
    assert sum(map(len, parts)) == len(set.union(*parts)) == 240
    assert not {"answer_moved", "answer_several"} & {finding.code for finding in given.findings}
