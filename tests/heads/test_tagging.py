"""Tagging: the first token of a word has its tag, long rows go on in windows, and nothing is lost on the way back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tunewright.callbacks.history import read_history
from tunewright.core.arrays import object_array
from tunewright.core.errors import UserError
from tunewright.core.files import read_json
from tunewright.core.types import Labels
from tunewright.datasets.ragged import IGNORED, Ragged
from tunewright.models.form import Form
from tunewright.models.loading import load_network
from tunewright.models.network import Network
from tunewright.pipeline.workflow import fit
from tunewright.tasks.token_classification import task as tagging

LABELS = Labels("token_classification", ("O", "B-x", "I-x"))
FORM = Form("words", "AutoModelForTokenClassification", "logits")


@pytest.fixture
def network(tiny_bert: Path) -> Network:
    return load_network(str(tiny_bert), LABELS, form=FORM)


def rows_of(lengths: list[int]) -> tuple[list[tuple[tuple[str, ...]]], np.ndarray]:
    words = ("card", "xyz", "money", "the", "qq")
    inputs = [(tuple(words[(row + place) % 5] for place in range(length)),) for row, length in enumerate(lengths)]
    return inputs, object_array(np.arange(length) % 3 for length in lengths)


def test_the_first_token_of_a_word_has_its_tag(network: Network) -> None:
    inputs, targets = rows_of([5, 2])
    examples = tagging.encode(network, inputs, targets, tagging.Settings(), 32)
    assert isinstance(examples.targets, Ragged)
    for row in range(2):
        wanted = examples.targets.row(row)
        assert wanted[wanted != IGNORED].tolist() == targets[row].tolist()
        assert wanted[0] == wanted[-1] == IGNORED  # the tokens around the text


@pytest.mark.parametrize("longest", [4, 7, 12, 64])
def test_windows_give_every_word_its_answer_back(network: Network, longest: int) -> None:
    """Answers made from the targets come back as the targets, whatever the windows."""
    inputs, targets = rows_of([1, 40, 3, 17])
    examples = tagging.encode(network, inputs, targets, tagging.Settings(), longest)
    encoded: Any = examples.encoded
    assert encoded.lengths.max() <= longest
    assert (len(encoded) > 4) == (longest < 64)
    assert isinstance(examples.targets, Ragged)
    kept = [examples.targets.row(window)[encoded.marked(window) >= 0] for window in range(len(encoded))]
    decoded = tagging.decode(kept, LABELS, encoded).values
    assert [row.tolist() for row in decoded] == [row.tolist() for row in targets]


def test_a_word_is_answered_where_it_stands_furthest_from_an_edge(network: Network) -> None:
    inputs, _ = rows_of([10])
    encoded: Any = tagging.encode(network, inputs, None, tagging.Settings(), 8).encoded
    kept = [np.full((encoded.marked(window) >= 0).sum(), window) for window in range(len(encoded))]
    chosen = tagging.decode(kept, LABELS, encoded).values[0]
    assert chosen.tolist() == sorted(chosen.tolist())
    assert set(chosen) == set(range(len(encoded)))


def test_the_loss_is_torchs_mean_over_words(network: Network) -> None:
    logits = torch.randn(2, 4, 3, generator=torch.Generator().manual_seed(0))
    targets = torch.tensor([[0, 1, IGNORED, IGNORED], [2, 1, 0, 0]])
    ours = tagging.losses(logits, targets, LABELS, tagging.Settings(), None).sum() / tagging.counts(targets, None).sum()
    torch.testing.assert_close(ours, torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten()))


def test_padding_side_and_batch_change_no_answer(network: Network) -> None:
    inputs, targets = rows_of([3, 9, 1])
    examples = tagging.encode(network, inputs, targets, tagging.Settings(), 32)
    from tunewright.training.evaluate import decode_all
    from tunewright.training.predict import passes

    found = [
        decode_all(tagging, LABELS, examples, passes(network, examples, tokens=tokens), (tagging.Settings(), None))
        for tokens in (1, 4096)
    ]
    assert [row.tolist() for row in found[0][0].values] == [row.tolist() for row in found[1][0].values]
    assert found[0][1] == pytest.approx(found[1][1], rel=1e-5)


def toy(count: int) -> list[dict[str, Any]]:
    """Words after 'lost' are names of one kind, after 'love' of another."""
    rows = []
    for number in range(count):
        names = ["card", "money", "bank"][number % 3], ["film", "story", "book"][number % 3]
        tokens = ["my", "lost", names[0], "and", "i", "love", names[1], *["the", "now"][: number % 2]]
        tags = ["O", "O", "B-thing", "O", "O", "O", "B-art", *["O"] * (number % 2)]
        rows.append({"tokens": tokens, "tags": tags})
    return rows


def test_a_whole_run_learns_saves_and_answers(tiny_bert: Path, tmp_path: Path) -> None:
    run = fit(
        toy(40),
        model=str(tiny_bert),
        strategy="full",
        out=tmp_path / "run",
        data={"near_duplicates": "ignore"},
        optimization={"learning_rate": 3e-3, "head_learning_rate": 1e-2},
        training={"epochs": 8, "batch_size": 8},
    )
    scores = {(entry["of"], entry["name"]): entry["value"] for entry in run.all_scores()}
    assert scores["fine-tuned", "entity_f1"] == 1.0
    assert scores["majority", "entity_f1"] == 0.0
    assert run.manifest["certified"]["with"] == ["tunewright", "transformers AutoModelForTokenClassification"]
    answer = run.predict({"tokens": [["my", "lost", "card"]]})[0]["predicted"]
    assert len(answer) == 3
    assert answer[2] == "B-thing"


def test_tags_that_do_not_fit_the_words_are_refused_with_their_row(tiny_bert: Path) -> None:
    wrong = [*toy(10), {"tokens": ["a", "b"], "tags": ["O"]}]
    with pytest.raises(UserError, match="1 tags for 2 words"):
        fit(wrong, model=str(tiny_bert))


def test_columns_of_other_names_are_named(tiny_bert: Path, tmp_path: Path) -> None:
    rows = [{"w": " ".join(row["tokens"]), "t": " ".join(row["tags"]), "more": "x"} for row in toy(30)]
    run = fit(
        rows,
        method="full",
        model=str(tiny_bert),
        target="t",
        out=tmp_path / "run",
        data={"input": ["w"], "kind": "words", "task": "token_classification", "near_duplicates": "ignore"},
        training={"max_steps": 1},
        evaluation={"baselines": (), "certify": False},
    )
    assert run.scores[0].name == "entity_f1"
    assert "Words: 'w' (as named)." in run.details["said"]
    with pytest.raises(UserError, match="has no columns that are words"):
        fit([{"text": "a", "label": "b"}], model=str(tiny_bert), data={"kind": "words"})


def plain(count: int, tags: dict[str, str]) -> list[dict[str, Any]]:
    """The rows of ``toy`` with other names of their tags."""
    return [{"tokens": row["tokens"], "tags": [tags[tag] for tag in row["tags"]]} for row in toy(count)]


QUICK: dict[str, Any] = {
    "strategy": "full",
    "data": {"near_duplicates": "ignore"},
    "optimization": {"learning_rate": 3e-3, "head_learning_rate": 1e-2},
}


def test_tags_without_prefixes_are_scored_by_their_runs(tiny_bert: Path, tmp_path: Path) -> None:
    rows = plain(40, {"O": "O", "B-thing": "thing", "B-art": "art"})
    run = fit(rows, model=str(tiny_bert), out=tmp_path / "run", training={"epochs": 8, "batch_size": 8}, **QUICK)
    scores = {(entry["of"], entry["name"]): entry["value"] for entry in run.all_scores()}
    assert scores["fine-tuned", "entity_f1"] == 1.0
    assert scores["majority", "entity_f1"] == 0.0
    assert any("no prefixes, so words of the same tag" in said for said in run.details["said"])


def test_parts_of_speech_are_watched_by_the_share_of_right_tags(tiny_bert: Path, tmp_path: Path) -> None:
    rows = plain(40, {"O": "X", "B-thing": "NOUN", "B-art": "VERB"})
    run = fit(rows, model=str(tiny_bert), out=tmp_path / "run", training={"epochs": 2, "batch_size": 8}, **QUICK)
    assert {entry["name"] for entry in run.all_scores()} == {"token_accuracy"}
    assert read_json(run.folder / "scores.json")["primary"] == "token_accuracy"
    watched = [one["scores"] for one in read_history(run.folder / "history.jsonl") if "scores" in one]
    assert watched
    assert all("token_accuracy" in one and "entity_f1" not in one for one in watched)
    with pytest.raises(UserError, match="'entity_f1' is undefined"):
        fit(rows, model=str(tiny_bert), training={"epochs": 1}, evaluation={"monitor": "entity_f1"}, **QUICK)


def test_tags_of_no_known_scheme_are_refused_with_their_rows_before_a_model_is_opened() -> None:
    rows = plain(40, {"O": "O", "B-thing": "B-thing", "B-art": "B-art"})
    rows[4]["tags"][1] = "K-thing"
    with pytest.raises(UserError) as caught:
        fit(rows, model="no such model", **QUICK)
    for fragment in ("row 4", "'K-thing'", "'B-art'", "BILOU"):
        assert fragment in str(caught.value)
    rows[4]["tags"][1] = "I-thing"
    with pytest.raises(UserError, match="no such model"):  # the control
        fit(rows, model="no such model", **QUICK)
