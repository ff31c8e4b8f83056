"""The table transformer against its formula, its stack of layers, and its files."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from tunewright.core.errors import UserError
from tunewright.core.files import read_tensors, write_tensors
from tunewright.models.stack import find_stack
from tunewright.models.table import TableConfig, TableTransformer, load_table_network, save_table_network, with_other_columns

CONFIG = TableConfig(numbers=3, categories=(4, 2), width=16, blocks=3, heads=2)


def inputs(config: TableConfig = CONFIG, rows: int = 5) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(7)
    numbers = torch.randn((rows, config.numbers), generator=generator)
    missing = torch.rand((rows, config.numbers), generator=generator) < 0.3
    places = [torch.randint(size, (rows, 1), generator=generator) for size in config.categories]
    categories = torch.cat([torch.empty((rows, 0), dtype=torch.int64), *places], 1)
    return {"numbers": numbers.masked_fill(missing, 0.0), "missing": missing, "categories": categories}


@pytest.fixture
def network() -> TableTransformer:
    torch.manual_seed(0)
    made = TableTransformer(CONFIG).eval()
    with torch.no_grad():
        for parameter in made.parameters():  # no norm is the identity, no bias zero
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return made


def by_hand(state: dict[str, Tensor], batch: dict[str, Tensor]) -> Tensor:
    """Section 3.3 written row by row and head by head."""

    def linear(name: str, rows: Tensor) -> Tensor:
        return rows @ state[f"{name}.weight"].T + state[f"{name}.bias"]

    def norm(name: str, rows: Tensor) -> Tensor:
        centred = rows - rows.mean(-1, keepdim=True)
        scaled = centred / (centred.square().mean(-1, keepdim=True) + 1e-5).sqrt()
        return scaled * state[f"{name}.weight"] + state[f"{name}.bias"]

    outputs = []
    for number, gap, place in zip(batch["numbers"], batch["missing"], batch["categories"], strict=True):
        tokens = [state["tokenizer.cls"][0]]
        for column in range(3):
            known = state["tokenizer.missing"][column] if gap[column] else number[column] * state["tokenizer.directions"][column]
            tokens.append(known + state["tokenizer.bias"][column])
        for column, start in enumerate((0, 4)):
            tokens.append(state["tokenizer.embeddings.weight"][start + place[column]] + state["tokenizer.bias"][3 + column])
        hidden = torch.stack(tokens)
        for index in range(3):
            block = f"blocks.{index}"
            read = norm(f"{block}.attention_norm", hidden) if index else hidden
            parts = [linear(f"{block}.{name}", read).chunk(2, -1) for name in ("query", "key", "value")]
            seen = [functional.softmax(q @ k.T / 8**0.5, -1) @ v for q, k, v in zip(*parts, strict=True)]
            hidden = hidden + linear(f"{block}.output", torch.cat(seen, -1))
            content, gate = linear(f"{block}.ffn_in", norm(f"{block}.ffn_norm", hidden)).chunk(2, -1)
            hidden = hidden + linear(f"{block}.ffn_out", content * gate.clamp(min=0))
        outputs.append(norm("final_norm", hidden))
    return torch.stack(outputs)


def test_the_forward_pass_is_the_papers_formula(network: TableTransformer) -> None:
    batch = inputs()
    found = network(**batch).last_hidden_state
    assert found.shape == (5, CONFIG.tokens, 16) == (5, 6, 16)
    assert batch["missing"].any()
    torch.testing.assert_close(found, by_hand(network.state_dict(), batch), rtol=1e-4, atol=1e-5)


def test_the_default_blocks_have_the_published_size() -> None:
    network = TableTransformer(TableConfig(numbers=1))
    held = sum(parameter.numel() for parameter in network.blocks.parameters())
    assert 880_000 < held < 960_000  # the paper says 929K for the whole default network
    assert len(network.blocks) == 3
    assert (network.config.heads, network.config.hidden_size) == (8, 192)


def test_the_stack_of_layers_is_found(network: TableTransformer) -> None:
    class WithHead(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner, self.classifier = network, nn.Linear(16, 2)

        def forward(self) -> Tensor:
            logits: Tensor = self.classifier(self.inner(**inputs()).last_hidden_state[:, 0])
            return logits

    whole = WithHead()
    stack = find_stack(whole, whole, ("classifier.weight", "classifier.bias"))
    assert [group.name for group in stack.groups] == ["embeddings", "block 0", "block 1", "block 2", "final", "head"]
    assert stack.shared == 1
    listed = [name for group in stack.groups for name in group.parameters]
    assert sorted(listed) == sorted(name for name, _ in whole.named_parameters())
    assert {name.split(".")[1] for name in stack.groups[0].parameters} == {"tokenizer"}
    assert all(name.startswith("inner.blocks.1.") for name in stack.groups[2].parameters)


def test_a_missing_number_is_not_the_number_that_stands_in_its_place(network: TableTransformer) -> None:
    batch = inputs(rows=1)
    batch["missing"][:] = torch.tensor([True, False, False])
    there = network(**batch).last_hidden_state
    batch["numbers"][0, 0] = 5.0  # what stands where a number is missing is not read
    torch.testing.assert_close(network(**batch).last_hidden_state, there, rtol=0, atol=0)
    batch["missing"][0, 0] = False
    assert (network(**batch).last_hidden_state - there).abs().max() > 1e-3


def test_the_other_place_of_each_category_column_starts_as_nothing() -> None:
    network = TableTransformer(CONFIG)
    assert network.tokenizer.embeddings is not None
    zero = (network.tokenizer.embeddings.weight == 0).all(1)
    assert zero.tolist() == [True, False, False, False, True, False]


def test_dropout_is_random_in_training_only(network: TableTransformer) -> None:
    batch = inputs()
    torch.testing.assert_close(network(**batch).last_hidden_state, network(**batch).last_hidden_state, rtol=0, atol=0)
    network.train()
    assert (network(**batch).last_hidden_state - network(**batch).last_hidden_state).abs().max() > 1e-3


@pytest.mark.parametrize("config", [replace(CONFIG, categories=()), replace(CONFIG, numbers=0)])
def test_columns_of_one_sort_only(config: TableConfig) -> None:
    network = TableTransformer(config)
    found = network(**inputs(config)).last_hidden_state
    assert found.shape == (5, config.tokens, 16)
    found.sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


def test_saved_and_loaded_bit_for_bit(network: TableTransformer, tmp_path: Path) -> None:
    save_table_network(network, tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["model_type"] == "tunewright_table"
    again = load_table_network(tmp_path)
    assert again.config == CONFIG
    assert not again.training
    torch.testing.assert_close(again(**inputs()).last_hidden_state, network(**inputs()).last_hidden_state, rtol=0, atol=0)


@pytest.mark.parametrize("fault", ["missing", "unknown", "shape", "nan"])
def test_weights_that_do_not_fit_are_refused(network: TableTransformer, tmp_path: Path, fault: str) -> None:
    save_table_network(network, tmp_path)
    tensors = read_tensors(tmp_path / "model.safetensors")
    name = "blocks.1.query.weight"
    if fault == "missing":
        del tensors[name]
    elif fault == "unknown":
        tensors["blocks.3.query.weight"] = torch.zeros(16, 16)
    elif fault == "shape":
        tensors[name] = torch.zeros(16, 8)
    else:
        tensors[name][0, 0] = float("nan")
    write_tensors(tmp_path / "model.safetensors", tensors)
    with pytest.raises(UserError, match="NaN" if fault == "nan" else r"blocks\.[13]\.query\.weight"):
        load_table_network(tmp_path)


def changed(**values: Any) -> dict[str, Any]:
    return {**CONFIG.as_dict(), **values}


@pytest.mark.parametrize(
    "saved",
    [
        changed(model_type="bert"),
        changed(depth=3),
        changed(width=17),
        changed(width="16"),
        changed(blocks=0),
        changed(numbers=0, categories=[]),
        changed(categories=[0]),
        changed(categories=3),
        changed(attention_dropout=1.0),
        changed(ffn_factor=0.0),
        changed(ffn_factor="1"),
        {key: value for key, value in CONFIG.as_dict().items() if key != "heads"},
    ],
)
def test_configs_that_cannot_be_used_are_refused(saved: dict[str, Any]) -> None:
    with pytest.raises(UserError):
        TableConfig.from_dict(saved)


def test_for_another_table_the_blocks_stay_and_the_tokenizer_is_new(network: TableTransformer) -> None:
    other = with_other_columns(network, 1, (7,))
    assert (other.config.numbers, other.config.categories, other.config.width) == (1, (7,), 16)
    assert other(**inputs(other.config)).last_hidden_state.shape == (5, 3, 16)
    for name, tensor in network.state_dict().items():
        if name == "tokenizer.cls" or not name.startswith("tokenizer."):
            assert torch.equal(other.state_dict()[name], tensor), name
    with torch.no_grad():
        other.blocks[0].query.weight.zero_()  # type: ignore[union-attr]
    assert network.state_dict()["blocks.0.query.weight"].any()  # a copy, not a share
