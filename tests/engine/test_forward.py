"""Starting above the frozen layers: the same losses, weights and predictions, and countably less work."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.engine.toy import toy_job, toy_recipe
from tests.listener import Listener
from tunewright.models.tiny import FAMILIES, tiny_model
from tunewright.training.context import TrainingContext
from tunewright.training.feature_cache import default_folder
from tunewright.training.trainer import train

TOP = {"name": "last_layers", "k": 1}
WAYS: dict[str, dict[str, Any]] = {
    "last layers": {"method": TOP},
    "head of the architecture": {"method": "frozen"},
    "lora in the top layer": {"method": {"name": "lora", "layers": [2]}},
    "adapters in the top layer": {"method": {"name": "bottleneck", "layers": [2]}},
    "layer by layer": {"method": "full", "unfreezing": {"name": "gradual", "share": 0.9}},
}


def trained(base: Path, *, cache: bool = True, **sections: Any) -> tuple[TrainingContext, list[float], dict[str, torch.Tensor]]:
    training = {"epochs": 4, "cache": cache, **sections.pop("training", {})}
    job = toy_job(toy_recipe(base, training=training, **sections))
    losses: list[float] = []
    job = replace(job, callbacks=(Listener(lambda event: losses.append(event["loss"]) if event["kind"] == "step" else None),))
    train(job)
    return job, losses, {name: value.clone() for name, value in job.network.state_dict().items()}


def compare(base: Path, **sections: Any) -> TrainingContext:
    """Train with and without the cache; both must tell the same. The bound: sums over other batch shapes round otherwise."""
    kept, losses, weights = trained(base, **sections)
    whole, plain, wanted = trained(base, cache=False, **sections)
    np.testing.assert_allclose(losses, plain, rtol=1e-4)
    for name, value in wanted.items():
        torch.testing.assert_close(weights[name], value, rtol=1e-3, atol=1e-4, msg=name)
    assert whole.forward.replays == 0
    assert kept.forward.passes < whole.forward.passes
    return kept


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_trains_alike_from_kept_states(family: str, tmp_path: Path) -> None:
    base = tiny_model(family, tmp_path / family)
    job = compare(base, method="frozen" if family == "albert" else TOP)
    assert job.forward.passes == 0
    assert job.forward.replays > 0


@pytest.mark.parametrize("way", WAYS)
def test_every_way_to_freeze_trains_alike_from_kept_states(way: str, tiny_bert: Path) -> None:
    job = compare(tiny_bert, model={"pooling": "native"}, **WAYS[way])
    assert job.forward.replays > 0
    assert (job.forward.passes == 0) is (way != "layer by layer")


def test_unfreezing_layer_by_layer_reads_each_row_once_for_all_stages(tiny_bert: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tunewright.models.prefix import capture
    from tunewright.training import frozen_features

    rows: list[int] = []

    def counted(network: Any, prefixes: Any, inputs: dict[str, torch.Tensor]) -> Any:
        rows.append(len(inputs["input_ids"]))
        return capture(network, prefixes, inputs)

    monkeypatch.setattr(frozen_features, "capture", counted)
    job, _, _ = trained(tiny_bert, **WAYS["layer by layer"])
    assert sum(rows) in (0, len(job.train) + len(job.validation))  # none where an earlier test left them in the store


@pytest.mark.parametrize("sections", [{"method": "frozen", "model": {"pooling": "mean"}}, {"method": TOP}], ids=["head", "top"])
def test_weights_are_hashed_once_for_each_set_of_rows(
    sections: dict[str, Any], tiny_bert: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tunewright.training.frozen_features import FrozenFeatures

    hashed: list[int] = []
    below = FrozenFeatures._below
    monkeypatch.setattr(FrozenFeatures, "_below", lambda self, depth: hashed.append(depth) or below(self, depth))
    trained(tiny_bert, **sections)
    assert len(hashed) == 2  # training rows and validation rows, in 4 epochs of several steps


def test_dropout_above_the_cut_draws_the_same_numbers(tiny_bert: Path) -> None:
    job = compare(tiny_bert, method=TOP, model={"dropout": 0.3, "pooling": "native"})
    assert job.forward.replays > 0


def test_nothing_is_kept_where_everything_moves_or_rows_are_read_once(tiny_bert: Path) -> None:
    moving, _, _ = trained(tiny_bert, method="full")
    assert moving.forward.replays == 0
    once, _, _ = trained(tiny_bert, method=TOP, training={"epochs": 1})
    assert once.forward.replays == 0


def test_what_is_larger_than_memory_is_read_from_disk(tiny_bert: Path) -> None:
    job = compare(tiny_bert, method=TOP, training={"cache_memory_gib": 0.0, "cache_disk_gib": 0.01}, seed=7)
    assert job.forward.replays > 0
    none = trained(tiny_bert, method=TOP, training={"cache_memory_gib": 0.0, "cache_disk_gib": 0.0}, seed=7)[0]
    assert none.forward.replays == 0  # no room, so every row goes all the way


def test_the_second_run_finds_what_the_first_one_kept(tiny_bert: Path) -> None:
    first, losses, weights = trained(tiny_bert, method=TOP, seed=11)
    second, again, found = trained(tiny_bert, method=TOP, seed=11)
    assert first.forward.features is not None
    assert second.forward.features is not None
    assert first.forward.features.store.made > 0
    assert second.forward.features.store.made == 0
    assert losses == again
    assert all(torch.equal(weights[name], found[name]) for name in weights)


def test_other_weights_other_rows_and_other_arithmetic_are_other_features(tiny_bert: Path, tmp_path: Path) -> None:
    trained(tiny_bert, method=TOP, seed=12)
    other = tiny_model("bert", tmp_path / "other", seed=1)
    cases: list[tuple[Path, dict[str, Any]]] = [
        (other, {"seed": 12}),
        (tiny_bert, {"seed": 13}),
        (tiny_bert, {"seed": 12, "training": {"precision": "bfloat16"}}),
        (tiny_bert, {"seed": 12, "data": {"max_length": 6}}),
    ]
    for base, sections in cases:
        job, _, _ = trained(base, method=TOP, **sections)
        assert job.forward.features is not None
        assert job.forward.features.store.made > 0


def test_parts_that_a_method_added_below_the_cut_are_never_found_again(tiny_bert: Path) -> None:
    """LoRA everywhere, opened from the top: what lies below the cut has settings that no tensor tells."""
    sections: dict[str, Any] = {"method": "lora", "unfreezing": {"name": "gradual", "share": 0.9}, "seed": 14}
    for _ in range(2):
        job, _, _ = trained(tiny_bert, **sections)
        assert job.forward.features is not None
        assert job.forward.features.store.made > 0


def test_a_damaged_entry_is_made_again(tiny_bert: Path) -> None:
    _, losses, _ = trained(tiny_bert, method=TOP, seed=15)
    for values in default_folder().glob("*/values.bin"):
        content = bytearray(values.read_bytes())
        content[len(content) // 2] ^= 0xFF
        values.write_bytes(content)
    job, again, _ = trained(tiny_bert, method=TOP, seed=15)
    assert losses == again
    assert job.forward.features is not None
    assert job.forward.features.store.made > 0
