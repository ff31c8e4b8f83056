"""Answers are the network's own likeliest words, whatever the method and the batch; draws follow the seed."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tunewright.core.errors import UserError
from tunewright.core.registry import load_part
from tunewright.core.types import Labels
from tunewright.inference.decoding import Settings, generate, prompt_ids
from tunewright.modalities.language.messages import Message
from tunewright.models.form import Form
from tunewright.models.loading import load_network
from tunewright.models.network import Network
from tunewright.models.tiny import tiny_model

PROMPTS = ["my card is", "why", "the bank can not help me and"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model("llama", tmp_path_factory.mktemp("models") / "llama")


def loaded(folder: Path) -> Network:
    network = load_network(str(folder), Labels("causal_lm"), form=Form("text", "AutoModelForCausalLM", "vocabulary"))
    network.tokenizer.chat_template = "{% for m in messages %}{{ m.content }}{{ eos_token }}{% endfor %}"
    return network


@torch.no_grad()
def by_hand(network: Network, ids: list[int], count: int) -> list[int]:
    """Greedy, the whole text read again for every word."""
    read = list(ids)
    for _ in range(count):
        inputs = {"input_ids": torch.tensor([read]), "attention_mask": torch.ones(1, len(read), dtype=torch.long)}
        read.append(int(network(inputs).logits()[0, -1].argmax()))
        if read[-1] == network.tokenizer.eos_token_id:
            break
    return read[len(ids) :]


@pytest.mark.parametrize("method", ["full", "lora", "prefix", "prompt"])
def test_greedy_answers_are_the_likeliest_words(folder: Path, method: str) -> None:
    network = loaded(folder)
    part = load_part("methods", method)
    part.apply(network, part.Settings(**({"tokens": 5} if method in ("prefix", "prompt") else {})))
    with torch.no_grad():
        generator = torch.Generator().manual_seed(0)
        for name, parameter in network.named_parameters():
            if parameter.requires_grad and method != "full":
                parameter += 0.2 * torch.randn(parameter.shape, generator=generator)
            assert name
    wanted = [
        network.tokenizer.decode(by_hand(network.eval(), ids, 6), skip_special_tokens=True)
        for ids in prompt_ids(network, PROMPTS)
    ]
    assert generate(network, PROMPTS, Settings(max_new_tokens=6), method) == wanted
    assert len(set(wanted)) > 1


def test_draws_follow_the_seed_and_leave_the_callers_alone(folder: Path) -> None:
    network, before = loaded(folder), torch.get_rng_state()
    drawn = [generate(network, PROMPTS, Settings(max_new_tokens=12, temperature=1.0, top_p=0.9, seed=seed)) for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]
    assert torch.equal(before, torch.get_rng_state())


def test_conversations_are_asked_in_the_words_of_the_template(folder: Path) -> None:
    network = loaded(folder)
    asked = (Message("user", "why"), Message("assistant", "now"), Message("user", "how"))
    end = network.tokenizer.eos_token
    assert prompt_ids(network, [asked]) == [network.tokenizer(f"why{end}now{end}how{end}", add_special_tokens=False)["input_ids"]]


def test_prompts_that_leave_no_room_or_hold_nothing_are_refused(folder: Path) -> None:
    network = loaded(folder)
    with pytest.raises(UserError, match="prompt 2 has 64 tokens"):
        generate(network, ["why", "why " * 64], Settings())
    with pytest.raises(UserError, match="holds no token"):
        generate(network, [""], Settings())
    assert len(generate(network, ["why " * 62], Settings(max_new_tokens=9))[0].split()) <= 2
