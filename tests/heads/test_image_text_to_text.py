"""Answers about images: the library's own loss on the answer alone, answers as the library writes them, a run certified."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tunewright.core.arrays import object_array
from tunewright.core.errors import UserError
from tunewright.core.types import Labels
from tunewright.datasets.prepare import prepare
from tunewright.datasets.ragged import IGNORED
from tunewright.models.form import Form
from tunewright.models.loading import load_network
from tunewright.models.network import Network
from tunewright.models.tiny_dual import tiny_image_reader
from tunewright.pipeline.workflow import fit
from tunewright.tasks.image_text_to_text import task as head

LABELS = Labels("image_text_to_text")
FORM = Form("image_prompt", "AutoModelForImageTextToText", "vocabulary")
NAMES = ("red", "green", "blue")


def rows(count: int = 36) -> list[dict[str, Any]]:
    generator = np.random.default_rng(0)
    made = []
    for number in range(count):
        picture = generator.integers(0, 60, (32, 32, 3), dtype=np.uint8)
        picture[..., number % 3] += 150
        prompt = ("what is it ?", "is this film red or blue or green ?")[number % 2]
        made.append({"image": picture, "prompt": prompt, "answer": NAMES[number % 3]})
    return made


@pytest.fixture(scope="module")
def llava(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_image_reader(tmp_path_factory.mktemp("models") / "llava")


@pytest.fixture(scope="module")
def network(llava: Path) -> Network:
    return load_network(str(llava), LABELS, form=FORM)


def read(network: Network, count: int, answers: bool = True) -> Any:
    found = rows(count)
    inputs = [(one["image"], one["prompt"]) for one in found]
    targets = object_array([(one["answer"],) for one in found]) if answers else None
    return head.encode(network, inputs, targets, head.Settings(), 64)


def test_the_answer_alone_is_learned_with_the_librarys_loss(network: Network) -> None:
    examples = read(network, 4)
    inputs = examples.encoded.collate(np.arange(4))
    targets = torch.from_numpy(examples.targets.padded(np.arange(4)))
    with torch.inference_mode():
        ours = head.losses(network(inputs), targets, LABELS, head.Settings(), None)
        theirs = network.inner(**inputs, labels=targets).loss
    count = head.counts(targets, None)
    torch.testing.assert_close(ours.sum() / count.sum(), theirs)
    assert count.tolist() == [2, 2, 2, 2]  # a word and the end
    end = network.processor.tokenizer.eos_token_id
    for row in range(4):
        learned = targets[row][targets[row] != IGNORED]
        assert network.processor.tokenizer.decode(learned[:1]) == rows(4)[row]["answer"]
        assert learned[-1] == end
    places = (inputs["input_ids"] == network.inner.config.image_token_id).sum(1)
    assert places.tolist() == [16] * 4
    assert inputs["pixel_values"].shape == (4, 3, 32, 32)


def test_answers_are_those_of_the_library(network: Network) -> None:
    examples = read(network, 5, answers=False)
    found = head.generate(network, examples, head.Settings(longest=4)).values
    for row, one in enumerate(rows(5)):
        made = network.processor.own(images=[one["image"]], text=f"<image>\n{one['prompt']}\n", return_tensors="pt")
        ids = made["input_ids"][:, :-1]  # without the end that this tokenizer adds
        with torch.inference_mode():
            written = network.inner.generate(
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
                pixel_values=made["pixel_values"],
                max_new_tokens=4,
                do_sample=False,
            )
        expected = network.processor.tokenizer.decode(written[0, ids.shape[1] :], skip_special_tokens=True).strip()
        assert found[row] == expected


def test_columns_are_recognized_and_faults_told(network: Network) -> None:
    guessed = prepare(train=rows()).schema
    assert (guessed.kind, guessed.task, guessed.text, guessed.target) == (
        "image_prompt",
        "image_text_to_text",
        ("image", "prompt"),
        ("answer",),
    )
    other = [{"photo": one["image"], "ask": one["prompt"], "say": one["answer"]} for one in rows()]
    named = prepare(train=other, task="image_text_to_text", text=["photo", "ask"], target="say").schema
    assert named.text == ("photo", "ask")
    with pytest.raises(UserError, match="tokens"):
        head.encode(network, [(rows(1)[0]["image"], "a " * 80)], None, head.Settings(), 64)
    with pytest.raises(UserError, match="image"):
        head.encode(network, [(b"no picture", "a")], None, head.Settings(), 64)


def test_the_stack_reads_the_image_first(network: Network) -> None:
    names = [group.modules[0] for group in network.stack.blocks]
    assert ["vision" in name for name in names] == [True, True, False, False]


@pytest.mark.parametrize("strategy", ["full", "lora"])
def test_a_run_learns_to_answer_and_is_certified(strategy: str, llava: Path, tmp_path: Path) -> None:
    run = fit(
        rows(60),
        model=llava,
        strategy=strategy,
        out=tmp_path / "run",
        optimization={"learning_rate": 5e-3},
        data={"near_duplicates": "ignore"},
        training={"epochs": 12, "batch_size": 12, "threads": 1, "precision": "float32"},
        evaluation={"resamples": 100},
    )
    assert run.manifest["certified"]["equal"], run.manifest["certified"]
    assert len(run.manifest["certified"]["with"]) == 2
    found = {(one["of"], one["name"]): one["value"] for one in run.all_scores()}
    assert found["before", "exact_match"] < 0.2
    if strategy == "full":
        assert found["fine-tuned", "exact_match"] > 0.8
        assert run.predict(rows(3))[0]["predicted"] in NAMES
        from transformers import AutoProcessor, LlavaForConditionalGeneration

        LlavaForConditionalGeneration.from_pretrained(str(run.folder / "model"))
        AutoProcessor.from_pretrained(str(run.folder / "model"))
