"""Packs: every row once, nothing longer than allowed, and no row's logits know that there are others."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from tests.tiny import folders
from tunewright.core.errors import UserError
from tunewright.modalities.language.causal import Encoded
from tunewright.modalities.language.packing import additive, block_causal, collate_flat, collate_packed, masks_of, pack
from tunewright.models.quiet import quiet_transformers

LENGTHS = [5, 9, 3, 20, 7, 1, 12]


@pytest.fixture(scope="module")
def encoded() -> Encoded:
    generator = np.random.default_rng(0)
    lengths = np.array(LENGTHS, dtype=np.int64)
    ids = generator.integers(6, 90, lengths.sum()).astype(np.int32)
    learn = (generator.random(lengths.sum()) < 0.6).astype(np.uint8)
    nothing = np.zeros(len(lengths), dtype=bool)
    return Encoded(ids, learn, lengths, nothing, np.arange(len(lengths)), np.zeros(len(lengths)), (4,), 0, "right")


@pytest.fixture(scope="module")
def load(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder_of = folders(tmp_path_factory)

    def model(family: str, attention: str = "") -> Any:
        from transformers import AutoModelForCausalLM

        with quiet_transformers():
            found = AutoModelForCausalLM.from_pretrained(
                str(folder_of(family)), attn_implementation=attention or ("eager" if family == "gemma2" else "sdpa")
            )
        return found.eval()

    return model


@torch.no_grad()
def alone(model: Any, encoded: Encoded, row: int) -> torch.Tensor:
    return model(input_ids=torch.tensor([encoded.row(row)]), use_cache=False).logits[0]


def optimal(lengths: list[int], size: int) -> int:
    return -(-sum(lengths) // size)


@pytest.mark.parametrize("size", [20, 31, 64])
def test_every_row_is_in_one_pack_that_is_not_too_long(encoded: Encoded, size: int) -> None:
    packs = pack(encoded.lengths, size, seed=3, epoch=0)
    assert sorted(np.concatenate(packs).tolist()) == list(range(len(LENGTHS)))
    assert all(encoded.lengths[rows].sum() <= size for rows in packs)
    assert optimal(LENGTHS, size) <= len(packs) <= 11 / 9 * optimal(LENGTHS, size) + 4


def test_packs_are_those_of_first_fit_decreasing() -> None:
    generator = np.random.default_rng(1)
    lengths = generator.integers(1, 65, 300)
    bins: list[int] = []
    for length in sorted(lengths.tolist(), reverse=True):
        place = next((place for place, used in enumerate(bins) if used + length <= 64), None)
        if place is None:
            bins.append(length)
        else:
            bins[place] += length
    packs = pack(lengths, 64, seed=0, epoch=0)
    assert sorted(int(lengths[rows].sum()) for rows in packs) == sorted(bins)
    assert sum(bins) / (64 * len(packs)) > 0.95


def test_packs_follow_from_seed_and_epoch() -> None:
    lengths = np.repeat([3, 5, 8], 20)

    def made(seed: int, epoch: int) -> list[list[int]]:
        return [rows.tolist() for rows in pack(lengths, 16, seed=seed, epoch=epoch)]

    assert made(0, 1) == made(0, 1)
    assert made(0, 1) != made(0, 2) and made(0, 1) != made(1, 1)


def test_odd_cases_of_packing() -> None:
    assert pack(np.array([], dtype=np.int64), 8, seed=0, epoch=0) == []
    assert [rows.tolist() for rows in pack(np.array([8]), 8, seed=0, epoch=0)] == [[0]]
    with pytest.raises(UserError, match="a row of 9 tokens is longer than a pack of 8"):
        pack(np.array([3, 9]), 8, seed=0, epoch=0)


def test_a_packed_batch_holds_the_rows_and_no_label_crosses_them(encoded: Encoded) -> None:
    packs = [np.array([1, 0, 2]), np.array([6])]
    batch = collate_packed(encoded, packs)
    assert batch["segments"].tolist()[0] == [1] * 9 + [2] * 5 + [3] * 3
    assert batch["segments"].tolist()[1] == [1] * 12 + [0] * 5
    assert batch["position_ids"].tolist()[0] == [*range(9), *range(5), *range(3)]
    for number, rows in enumerate(packs):
        for place, row in enumerate(rows):
            mine = batch["segments"][number] == place + 1
            assert batch["input_ids"][number][mine].tolist() == encoded.row(row)
            start = encoded.starts[row]
            learn = encoded.learn[start : start + encoded.lengths[row]].tolist()
            wanted = [
                token if mark and at else -100 for at, (token, mark) in enumerate(zip(encoded.row(row), learn, strict=True))
            ]
            assert batch["labels"][number][mine].tolist() == wanted
    assert (batch["labels"][1][12:] == -100).all() and batch["attention_mask"].shape == (2, 1, 17, 17)


def test_the_mask_lets_a_token_see_its_own_row_up_to_itself() -> None:
    mask = block_causal(torch.tensor([[1, 1, 2, 2, 2, 0, 0]]))[0, 0]
    wanted = [[0], [0, 1], [2], [2, 3], [2, 3, 4], [5], [6]]
    assert [row.nonzero().flatten().tolist() for row in mask] == wanted
    near = block_causal(torch.tensor([[1, 1, 2, 2, 2, 0, 0]]), window=2)[0, 0]
    assert [row.nonzero().flatten().tolist() for row in near] == [[0], [0, 1], [2], [2, 3], [3, 4], [5], [6]]
    numbers = additive(mask, torch.float32)
    assert (numbers[mask] == 0).all() and (numbers[~mask] == torch.finfo(torch.float32).min).all()


FAMILIES = ["llama", "qwen2", "gpt2", "gemma", "gemma2"]


@pytest.mark.parametrize(
    ("family", "attention"), [*((family, "sdpa") for family in FAMILIES[:-1]), *((one, "eager") for one in FAMILIES)]
)
@torch.no_grad()
def test_a_packed_row_has_the_logits_that_it_has_alone(load: Any, encoded: Encoded, family: str, attention: str) -> None:
    model = load(family, attention)
    packs = pack(encoded.lengths, 40, seed=0, epoch=0)
    assert any(len(rows) > 2 for rows in packs)
    batch = collate_packed(encoded, packs)
    masks: Any = masks_of(model.config, batch["segments"], torch.float32)
    assert isinstance(masks, dict) == (family == "gemma2")  # its window of 16 is shorter than the longest row
    logits = model(input_ids=batch["input_ids"], attention_mask=masks, position_ids=batch["position_ids"], use_cache=False).logits
    assert torch.isfinite(logits).all()
    for number, rows in enumerate(packs):
        for place, row in enumerate(rows):
            mine = logits[number][batch["segments"][number] == place + 1]
            assert torch.allclose(mine, alone(model, encoded, row), atol=1e-5), (family, row)


@pytest.mark.parametrize("family", FAMILIES)
@torch.no_grad()
def test_changing_a_neighbor_changes_nothing(load: Any, encoded: Encoded, family: str) -> None:
    model = load(family)
    batch = collate_packed(encoded, [np.array([1, 6, 0])])
    masks = masks_of(model.config, batch["segments"], torch.float32)
    changed = batch["input_ids"].clone()
    neighbors = batch["segments"] != 2
    changed[neighbors] = 6 + (changed[neighbors] + 11) % 80
    assert (changed != batch["input_ids"])[neighbors].all()
    one, other = (
        model(input_ids=ids, attention_mask=masks, position_ids=batch["position_ids"], use_cache=False).logits
        for ids in (batch["input_ids"], changed)
    )
    assert torch.allclose(one[~neighbors], other[~neighbors], atol=1e-6, rtol=0)
    assert (one[neighbors] - other[neighbors]).abs().max() > 1e-3
    # the control: with a plain mask of ones the same change is seen
    ones = torch.ones_like(batch["input_ids"])
    seen = [model(input_ids=ids, attention_mask=ones, use_cache=False).logits for ids in (batch["input_ids"], changed)]
    assert (seen[0][~neighbors] - seen[1][~neighbors]).abs().max() > 1e-3


@pytest.mark.parametrize("family", FAMILIES)
@torch.no_grad()
def test_the_flat_form_is_told_apart_by_its_positions(load: Any, encoded: Encoded, family: str) -> None:
    model = load(family)
    rows = np.array([3, 5, 0, 6])
    flat = collate_flat(encoded, rows)
    assert flat["cu_seq_lens_q"].tolist() == [0, 20, 21, 26, 38] and flat["cu_seq_lens_q"].dtype == torch.int32
    assert (flat["max_length_q"], flat["max_length_k"]) == (20, 20)
    logits = model(input_ids=flat["input_ids"], position_ids=flat["position_ids"], use_cache=False).logits[0]
    for place, row in enumerate(rows):
        start, stop = flat["cu_seq_lens_k"][place : place + 2].tolist()
        assert flat["input_ids"][0, start:stop].tolist() == encoded.row(row)
        assert torch.allclose(logits[start:stop], alone(model, encoded, row), atol=1e-5), (family, row)
    # the control: with a cache transformers sees one long row
    cached = model(input_ids=flat["input_ids"], position_ids=flat["position_ids"], use_cache=True).logits[0]
    assert (cached[-12:] - logits[-12:]).abs().max() > 1e-3


@torch.no_grad()
def test_a_window_that_the_mask_does_not_have_is_noticed(load: Any, encoded: Encoded) -> None:
    """Without ``masks_of`` a model with sliding windows would look further than it does."""
    model = load("gemma2")
    batch = collate_packed(encoded, [np.array([3, 0])])
    mask = additive(batch["attention_mask"], torch.float32)
    plain = model(input_ids=batch["input_ids"], attention_mask=mask, position_ids=batch["position_ids"], use_cache=False).logits[
        0, :20
    ]
    assert (plain - alone(model, encoded, 3)).abs().max() > 1e-4


def test_masks_follow_the_kinds_of_layers() -> None:
    from types import SimpleNamespace as Config

    segments = torch.ones((1, 6), dtype=torch.int64)
    full, near = block_causal(segments), block_causal(segments, window=3)
    for config, wanted in [
        (Config(), full),
        (Config(sliding_window=None, layer_types=["full_attention"]), full),
        (Config(sliding_window=3, layer_types=["full_attention"] * 2), full),
        (Config(sliding_window=3, layer_types=["sliding_attention"]), near),
        (Config(sliding_window=3), near),
    ]:
        found = masks_of(config, segments, torch.float32)
        assert isinstance(found, torch.Tensor) and torch.equal(found, wanted)
    both = masks_of(Config(sliding_window=3, layer_types=["full_attention", "sliding_attention"]), segments, torch.float32)
    assert isinstance(both, dict) and torch.equal(both["sliding_attention"], near) and torch.equal(both["full_attention"], full)
    numbers = masks_of(Config(_attn_implementation="eager"), segments, torch.bfloat16)
    assert isinstance(numbers, torch.Tensor) and torch.equal(numbers, additive(full, torch.bfloat16))
    with pytest.raises(UserError, match="a model with linear_attention takes no mask"):
        masks_of(Config(layer_types=["full_attention", "linear_attention"]), segments, torch.float32)
    with pytest.raises(UserError, match="a model with flash_attention_2 takes no mask"):
        masks_of(Config(_attn_implementation="flash_attention_2"), segments, torch.float32)


def test_the_loss_of_a_pack_is_the_loss_of_its_rows(load: Any, encoded: Encoded) -> None:
    model = load("llama")
    rows = np.array([1, 6, 0])
    batch = collate_packed(encoded, [rows])

    def summed(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.cross_entropy(logits[:-1], labels[1:], reduction="sum", ignore_index=-100)

    with torch.no_grad():
        logits = model(
            input_ids=batch["input_ids"],
            attention_mask=batch["attention_mask"],
            position_ids=batch["position_ids"],
            use_cache=False,
        ).logits[0]
        apart = sum(summed(alone(model, encoded, row), encoded.collate(np.array([row]))["labels"][0]) for row in rows)
    assert torch.allclose(summed(logits, batch["labels"][0]), torch.as_tensor(apart), rtol=1e-5)
