"""Writing texts: the loss is transformers' own for every rule of beginning, a toy task is learned, and baselines cost nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tunewright.core.arrays import object_array
from tunewright.core.errors import UserError
from tunewright.core.types import Labels
from tunewright.datasets.encoded import batch, targets_of
from tunewright.datasets.rows import Rows
from tunewright.models.form import Form
from tunewright.models.loading import load_network
from tunewright.models.network import Network
from tunewright.models.tiny import tiny_model
from tunewright.pipeline.workflow import fit
from tunewright.tasks.seq2seq import task as generation

LABELS = Labels("seq2seq")
FORM = Form("text", "AutoModelForSeq2SeqLM", "vocabulary")
WORDS = ("card", "money", "bank", "lost", "new", "old", "good", "bad")
SIZES = {"encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 4, "decoder_attention_heads": 4}
SMALL = {"d_model": 32, "encoder_ffn_dim": 64, "decoder_ffn_dim": 64, "max_position_embeddings": 64, "pad_token_id": 0}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """T5, BART, Marian and mBART: four rules of how a decoder begins."""
    from transformers import AutoModelForSeq2SeqLM, AutoTokenizer, BartConfig, MarianConfig, MBartConfig

    folder = tmp_path_factory.mktemp("seq2seq")
    found = {"t5": tiny_model("t5", folder / "t5", layers=2)}
    tokenizer = AutoTokenizer.from_pretrained(str(found["t5"]))
    ends = {"bos_token_id": 2, "eos_token_id": 4, "forced_eos_token_id": 4, "vocab_size": len(tokenizer)}
    for name, config in (
        ("bart", BartConfig(**SIZES, **SMALL, **ends, decoder_start_token_id=4)),
        ("marian", MarianConfig(**SIZES, **SMALL, **ends, decoder_start_token_id=0)),
        ("mbart", MBartConfig(**SIZES, **SMALL, **ends)),
    ):
        torch.manual_seed(0)
        model: Any = AutoModelForSeq2SeqLM.from_config(config)
        model.final_logits_bias.normal_()  # zero in most models, and not in Marian's
        model.save_pretrained(str(folder / name))
        tokenizer.save_pretrained(str(folder / name))
        found[name] = folder / name
    return found


def network_of(folder: Path) -> Network:
    return load_network(str(folder), LABELS, form=FORM)


@pytest.mark.parametrize("name", ["t5", "bart", "marian", "mbart"])
def test_the_loss_is_transformers_own(models: dict[str, Path], name: str) -> None:
    network = network_of(models[name])
    inputs, wanted = [("the card is lost",), ("money",)], object_array([("new card",), ("good good bank or not",)])
    examples = generation.encode(network, inputs, wanted, generation.Settings(), 32)
    rows = np.arange(2)
    given = batch(examples, rows, network.reads, torch.device("cpu"))
    targets = targets_of(examples, rows, torch.device("cpu"))
    with torch.no_grad():
        ours = generation.losses(network(given), targets, LABELS, generation.Settings(), None)
        labels = network.tokenizer(text_target=["new card", "good good bank or not"], padding=True, return_tensors="pt")
        ids = labels["input_ids"].masked_fill(labels["attention_mask"] == 0, -100)
        theirs = network.inner(input_ids=given["input_ids"], attention_mask=given["attention_mask"], labels=ids).loss
    assert generation.counts(targets, None).tolist() == (ids != -100).sum(1).tolist()
    torch.testing.assert_close(ours.sum() / generation.counts(targets, None).sum(), theirs, rtol=1e-5, atol=1e-6)


def test_texts_too_long_are_cut_and_counted(models: dict[str, Path]) -> None:
    network = network_of(models["t5"])
    inputs, wanted = [("card " * 50,), ("money",)], object_array([("new",), ("good " * 50,)])
    examples = generation.encode(network, inputs, wanted, generation.Settings(longest=8), 16)
    encoded: Any = examples.encoded
    assert encoded.truncated == 2
    assert (encoded.read.lengths.max(), encoded.written.lengths.max()) == (16, 9)
    part = examples.subset(np.array([1]))
    assert part.encoded.collate(np.array([0]))["decoder_input_ids"].shape == (1, 9)
    network.inner.config.decoder_start_token_id = None
    with pytest.raises(UserError, match="decoder_start_token_id"):
        generation.encode(network, inputs, wanted, generation.Settings(), 16)


@pytest.mark.parametrize("longest", [63, 64, 200])
@pytest.mark.parametrize("name", ["bart", "mbart"])
def test_texts_end_where_the_positions_do(models: dict[str, Path], name: str, longest: int) -> None:
    network, how = network_of(models[name]), generation.Settings(longest=longest, beams=1)
    inputs, wanted = [("card " * 200,)], object_array([("good " * 200,)])
    examples = generation.encode(network, inputs, wanted, how, 128)
    assert examples.encoded.lengths.max() >= 63
    given = batch(examples, np.arange(1), network.reads, torch.device("cpu"))
    assert given["decoder_input_ids"].shape[1] == 64
    with torch.no_grad():
        network(given)
        longer = {key: torch.cat([value, value[:, -1:]], 1) for key, value in given.items() if key.startswith("decoder")}
        with pytest.raises((IndexError, RuntimeError)):
            network(given | longer)
    network.inner.generation_config.eos_token_id = network.inner.generation_config.forced_eos_token_id = None
    (written,) = generation.generate(network, examples, how).values
    assert written


def test_copy_and_lead() -> None:
    inputs = [("One here. Two there! Three.",), ("Only one",), ("它是。 它不是。",)]
    texts, numbers = object_array([("A. B.",), ("C. D.",), ("E.",)]), np.arange(3)
    train = Rows([("a",)] * 3, texts, numbers, "rows", "row", "text", [("a",)] * 3)
    copied, led = (generation.from_inputs(name, inputs, train).values.tolist() for name in ("copy", "lead"))
    assert copied == [row[0] for row in inputs]
    assert led == ["One here. Two there!", "Only one", "它是。 它不是。"]


def toy(count: int) -> list[dict[str, str]]:
    """The answer is the text from behind."""
    generator = np.random.default_rng(0)
    rows = [[WORDS[place] for place in generator.integers(0, len(WORDS), 2 + number % 2)] for number in range(count)]
    return [{"text": " ".join(row), "reply": " ".join(reversed(row))} for row in rows]


def test_a_whole_run_learns_to_reverse_saves_and_writes(models: dict[str, Path], tmp_path: Path) -> None:
    run = fit(
        toy(600),
        method="full",
        model={"source": str(models["t5"]), "dropout": 0.0},
        task="seq2seq",
        target="reply",
        out=tmp_path / "run",
        head={"name": "seq2seq", "longest": 8, "beams": 2},
        data={"near_duplicates": "ignore"},
        optimization={"learning_rate": 5e-3, "weight_decay": 0.0},
        training={"epochs": 30, "batch_size": 16, "precision": "float32"},
    )
    scores = {(entry["of"], entry["name"]): entry["value"] for entry in run.all_scores()}
    assert scores["fine-tuned", "exact_match"] > 0.9
    assert scores["copy", "exact_match"] < 0.5
    assert scores["before", "exact_match"] < 0.1
    assert {of for of, _ in scores} == {"fine-tuned", "before", "copy", "lead"}
    watched = [event["scores"] for event in run.history if event["kind"] == "evaluation"]
    assert set(watched[0]) == {"loss", "perplexity"}
    assert run.manifest["certified"]["with"] == ["tunewright", "transformers AutoModelForSeq2SeqLM"]
    assert run.predict(["card bank new"])[0]["predicted"] == "new bank card"
    again = {one.name: one.value for one in run.evaluate(toy(20))}
    assert again["exact_match"] > 0.8


def test_an_adapter_on_bart_is_certified(models: dict[str, Path], tmp_path: Path) -> None:
    run = fit(
        toy(40),
        model=str(models["bart"]),
        task="seq2seq",
        target="reply",
        method="lora",
        out=tmp_path / "run",
        head={"name": "seq2seq", "longest": 6, "beams": 1},
        data={"near_duplicates": "ignore"},
        training={"max_steps": 2},
        evaluation={"baselines": ()},
    )
    assert run.manifest["certified"]["equal"]
    assert isinstance(run.predict(["card bank"])[0]["predicted"], str)
