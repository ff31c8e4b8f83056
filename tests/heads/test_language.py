"""A language model: the loss is transformers' own, rows are told once, and what was tuned is saved with its chat template."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tunewright.core.errors import UserError
from tunewright.core.types import Labels
from tunewright.datasets.encoded import targets_of
from tunewright.modalities.language.messages import Message
from tunewright.models.form import Form
from tunewright.models.loading import load_network
from tunewright.models.network import Network
from tunewright.models.tiny import tiny_model
from tunewright.pipeline.workflow import fit
from tunewright.strategies import load_strategy
from tunewright.tasks.causal_lm import task as language
from tunewright.training.evaluate import decode_all
from tunewright.training.predict import passes

LABELS = Labels("causal_lm")
QUICK: dict[str, Any] = {"data": {"near_duplicates": "ignore"}, "evaluation": {"certify": False, "resamples": 100}}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model("llama", tmp_path_factory.mktemp("models") / "llama")


def loaded(folder: Path, kind: Any = "conversation") -> Network:
    return load_network(str(folder), LABELS, form=Form(kind, "AutoModelForCausalLM", "vocabulary"))


def talks(count: int) -> list[tuple[tuple[Message, ...]]]:
    return [
        ((Message("user", f"what is {number % 10}"), Message("assistant", "a good old book " * (1 + number % 3) + "now")),)
        for number in range(count)
    ]


def alpaca(count: int) -> list[dict[str, str]]:
    said = ("great love happy", "awful hate sad")
    return [
        {"instruction": f"what is {number}", "input": "", "output": f"{said[number % 2]} {number % 7} now ."}
        for number in range(count)
    ]


@pytest.mark.parametrize("kind", ["conversation", "text"])
def test_the_loss_is_transformers_own(folder: Path, kind: str) -> None:
    network = loaded(folder, kind)
    inputs: list[Any] = (
        talks(5) if kind == "conversation" else [("my card is lost and the bank can not help " * n,) for n in (1, 3, 2)]
    )
    examples = language.encode(network, inputs, None, language.Settings(), 24)
    rows = np.arange(len(examples))
    batch = examples.encoded.collate(rows)
    targets = targets_of(examples, rows, torch.device("cpu"))
    with torch.no_grad():
        output = network({name: values for name, values in batch.items() if name != "labels"})
        theirs = network.inner(**batch).loss
        summed = language.losses(output, targets, LABELS, language.Settings(), None).sum()
    counted = language.counts(targets, None).sum()
    torch.testing.assert_close(summed / counted, theirs)
    values, loss = decode_all(language, LABELS, examples, passes(network, examples, tokens=40), (language.Settings(), None))
    assert loss == pytest.approx(float(theirs), rel=1e-5)
    assert len(values.values) == len(inputs)  # the blocks of a long text are one row again
    assert values.values.sum(0)[:2] == pytest.approx([float(summed), float(counted)], rel=1e-5)


def test_a_fallback_template_is_saved_and_chats_the_same_way(folder: Path, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    run = fit(alpaca(24), model=str(folder), strategy="full", out=tmp_path / "run", training={"max_steps": 1}, **QUICK)
    said = " ".join(run.details["said"])
    assert "Alpaca's headings" in said
    assert "tokens in 16 rows are learned" in said
    assert "linear_probe: not done" in said
    theirs = AutoTokenizer.from_pretrained(str(run.folder / "model"))
    row = talks(1)[0][0]
    shown = theirs.apply_chat_template([{"role": one.role, "content": one.content} for one in row], return_dict=True)
    assert list(shown["input_ids"]) == language.encode(loaded(folder), [(row,)], None, language.Settings(), 64).encoded.row(0)  # type: ignore[attr-defined]
    codes = {finding["code"] for finding in json.loads((run.folder / "data.json").read_text())["findings"]}
    assert "trained_share" in codes


def test_raw_text_in_a_whole_run_that_certifies(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "book.txt"
    path.write_text("\n<|endoftext|>\n".join("my card is lost and the bank can not help " * (1 + n % 9) for n in range(30)))
    run = fit(
        path,
        model=str(folder),
        task="causal_lm",
        strategy="lora",
        out=tmp_path / "run",
        data={"near_duplicates": "ignore"},
        optimization={"learning_rate": 1e-2},
        training={"epochs": 4, "batch_size": 8},
        evaluation={"resamples": 100},
    )
    scores = {(entry["of"], entry["name"]): entry["value"] for entry in run.all_scores()}
    assert scores["fine-tuned", "perplexity"] < scores["before", "perplexity"] / 1.5
    assert run.manifest["certified"]["with"] == ["tunewright", "peft PeftModel"]
    assert run.recipe.data.max_length == language.LONGEST
    given = run.evaluate(path)
    assert [score.name for score in given] == ["perplexity", "bits_per_byte"]


@pytest.mark.parametrize("strategy", ["adapter", "dora", "gradual-unfreezing", "ia3", "lp-ft", "partial", "prefix", "prompt"])
def test_every_strategy_trains(folder: Path, tmp_path: Path, strategy: str) -> None:
    chosen = load_strategy(strategy)
    run = fit(
        alpaca(24), model=str(folder), strategy=strategy, out=tmp_path / "run", training={"epochs": 4, "batch_size": 8}, **QUICK
    )
    assert chosen is not None
    losses = [event["scores"]["loss"] for event in run.history if event["kind"] == "evaluation"]
    assert losses[-1] < losses[0]


@pytest.mark.parametrize(("strategy", "said"), [("feature-extraction", "trains nothing but a new head"), ("bitfit", "bias")])
def test_what_has_nothing_to_train_is_refused(folder: Path, strategy: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        fit(alpaca(24), model=str(folder), strategy=strategy, **QUICK)


def test_rows_of_which_nothing_is_learned_are_refused(folder: Path) -> None:
    with pytest.raises(UserError, match=r"none of the .* would be learned"):
        fit(alpaca(24), model=str(folder), data={"max_length": 5, "near_duplicates": "ignore"})


def test_a_target_beside_raw_text_is_refused(folder: Path) -> None:
    with pytest.raises(UserError, match="the target 'label' was named"):
        fit([{"text": "a b", "label": "x"}] * 9, model=str(folder), task="causal_lm", target="label")
