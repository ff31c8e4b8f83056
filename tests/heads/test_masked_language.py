"""Masked language models: what is hidden follows the paper's shares, is new in each step and fixed in evaluation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tunewright.core.errors import UserError
from tunewright.core.types import Labels
from tunewright.datasets.encoded import EncodedDataset, targets_of
from tunewright.datasets.ragged import IGNORED
from tunewright.models.form import Form
from tunewright.models.loading import load_network
from tunewright.models.network import Network
from tunewright.models.tiny import tiny_model
from tunewright.pipeline.workflow import fit
from tunewright.tasks.masked_lm import task as masked_language

LABELS = Labels("masked_lm")
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from transformers import AutoModelForMaskedLM

    made = tiny_model("bert", tmp_path_factory.mktemp("models") / "bert")
    torch.manual_seed(0)
    AutoModelForMaskedLM.from_pretrained(str(made)).save_pretrained(str(made))
    return made


@pytest.fixture(scope="module")
def network(folder: Path) -> Network:
    return load_network(str(folder), LABELS, form=Form("text", "AutoModelForMaskedLM", "vocabulary"))


def encoded(network: Network, texts: list[str], length: int = 32, **settings: Any) -> EncodedDataset:
    return masked_language.encode(network, [(text,) for text in texts], None, masked_language.Settings(**settings), length)


def texts(count: int) -> list[str]:
    words = "my card is lost and the bank can not help me pay the new price".split()  # noqa: SIM905
    return [" ".join(words[(number + place) % len(words)] for place in range(5 + number % 60)) for number in range(count)]


def test_the_shares_are_the_papers(network: Network) -> None:
    examples = masked_language.for_training(encoded(network, [" ".join(texts(60)[-1:] * 20)] * 20, 64), network, False)
    torch.manual_seed(0)
    rows = np.arange(len(examples))
    targets = targets_of(examples, rows, CPU)
    inputs = examples.encoded.collate(rows, training=True)
    flat: Any = examples.encoded
    words = np.concatenate([flat.words[flat._part(row)] >= 0 for row in rows])
    chosen = targets != IGNORED
    assert chosen.sum() / words.sum() == pytest.approx(0.15, abs=0.01)
    masked = inputs["input_ids"][chosen] == network.tokenizer.mask_token_id
    same = inputs["input_ids"][chosen] == targets[chosen]
    assert masked.float().mean() == pytest.approx(0.8, abs=0.03)
    assert same.float().mean() == pytest.approx(0.1, abs=0.03)
    assert (flat.flat.collate(rows)["input_ids"][~chosen] == inputs["input_ids"][~chosen]).all()


def test_masks_are_new_in_each_step_and_the_same_in_evaluation(network: Network) -> None:
    plain = encoded(network, texts(9))
    drawn = masked_language.for_training(plain, network, False)
    rows = np.arange(4)
    for examples, alike in ((plain, True), (drawn, False)):
        torch.manual_seed(0)
        first, second = (targets_of(examples, rows, CPU) for _ in range(2))
        assert torch.equal(first, second) == alike
    torch.manual_seed(0)
    again = targets_of(masked_language.for_training(plain, network, False), rows, CPU)
    torch.manual_seed(0)
    assert torch.equal(again, targets_of(drawn, rows, CPU))  # the generator alone decides
    assert drawn.encoded.varies
    assert not plain.encoded.varies


def test_whole_words_are_hidden_together(network: Network) -> None:
    examples = encoded(network, texts(30), whole_words=True, share=0.3)
    flat: Any = examples.encoded
    for row in range(len(flat)):
        of = flat.words[flat._part(row)]
        hidden = flat.hidden(row)[1] != IGNORED
        assert set(of[hidden]).isdisjoint(of[~hidden & (of >= 0)])


@pytest.mark.parametrize("length", [12, 64])
def test_the_loss_is_transformers_own_and_rows_are_whole(network: Network, length: int) -> None:
    examples = encoded(network, texts(7), length)
    rows = np.arange(len(examples))
    targets, inputs = targets_of(examples, rows, CPU), examples.encoded.collate(rows)
    with torch.no_grad():
        theirs = network.inner(**inputs, labels=targets)
        output = network(inputs)
        summed = masked_language.losses(output, targets, LABELS, masked_language.Settings(), None).sum()
    torch.testing.assert_close(summed / masked_language.counts(targets, None).sum(), theirs.loss)
    kept = masked_language.keep(output, examples.encoded, rows)  # type: ignore[arg-type]
    right = (theirs.logits.argmax(-1) == targets)[targets != IGNORED].sum()
    found = masked_language.decode(kept, LABELS, examples.encoded).values  # type: ignore[arg-type]
    assert found.shape == (7, 4)
    assert found.sum(0)[[0, 1, 3]] == pytest.approx([float(summed), int((targets != IGNORED).sum()), int(right)], rel=1e-5)


def test_a_whole_run_learns_certifies_and_can_be_tuned_further(folder: Path, tmp_path: Path) -> None:
    run = fit(
        {"text": texts(60)},
        model=str(folder),
        task="masked_lm",
        strategy="full",
        out=tmp_path / "run",
        data={"near_duplicates": "ignore"},
        optimization={"learning_rate": 5e-3},
        training={"epochs": 10, "batch_size": 8},
        evaluation={"resamples": 100},
    )
    scores = {(entry["of"], entry["name"]): entry["value"] for entry in run.all_scores()}
    assert scores["fine-tuned", "perplexity"] < scores["before", "perplexity"] / 2
    assert scores["fine-tuned", "masked_accuracy"] > scores["before", "masked_accuracy"]
    assert run.manifest["certified"]["with"] == ["tunewright", "transformers AutoModelForMaskedLM"]


def test_a_model_without_a_mask_is_refused(tmp_path: Path) -> None:
    folder = tiny_model("llama", tmp_path / "llama")
    with pytest.raises(UserError):
        fit({"text": texts(20)}, model=str(folder), task="masked_lm")
