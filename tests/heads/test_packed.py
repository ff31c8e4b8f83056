"""Packing changes neither the loss of a step nor its gradient, whatever the batch, and is refused where it would be wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.heads.test_language import alpaca
from tunewright.core.errors import UserError
from tunewright.models.tiny import tiny_model
from tunewright.pipeline.steps import InMemoryData, apply_method, make_job, prepare_rows, set_up
from tunewright.pipeline.workflow import fit, make_recipe
from tunewright.training.step import _backward


def job_of(folder: Path, method: str, packing: str) -> Any:
    recipe = make_recipe(
        model=str(folder),
        strategy=method,
        data={"near_duplicates": "ignore"},
        training={"packing": packing, "batch_size": 12, "cache": False},
    )
    rows = alpaca(40)
    for number, row in enumerate(rows):
        row["output"] *= 1 + number % 3
    setup = set_up(recipe, prepare_rows(recipe, InMemoryData(rows)))
    return make_job(setup, apply_method(setup))


@pytest.mark.parametrize("method", ["full", "lora"])
@pytest.mark.parametrize("family", ["llama", "gpt2", "gemma2"])
def test_loss_and_gradient_of_a_step_are_the_same(tmp_path: Path, family: str, method: str) -> None:
    from transformers import AutoModelForCausalLM

    folder = tiny_model(family, tmp_path / "plain")
    AutoModelForCausalLM.from_pretrained(str(folder)).save_pretrained(str(folder))
    found = []
    for packing in ("off", "on"):
        job = job_of(folder, method, packing)
        with torch.no_grad():
            generator = torch.Generator().manual_seed(0)
            for name in job.applied.trainable:
                parameter = job.network.get_parameter(name)
                parameter.requires_grad_(True)
                parameter += 0.05 * torch.randn(parameter.shape, generator=generator)
        job.network.eval()
        loss, count = _backward(job, [rows for window in job.windows(0)[:2] for rows in window], [])
        found.append((loss, count, {name: job.network.get_parameter(name).grad for name in job.applied.trainable}))
        read = job.train.encoded.collate(np.arange(12))["input_ids"]
        assert len(read) == 12 if packing == "off" else len(read) < 12
    assert found[0][1] == found[1][1]
    assert found[0][0] == pytest.approx(found[1][0], rel=1e-5)
    for name, slope in found[0][2].items():
        torch.testing.assert_close(found[1][2][name], slope, rtol=1e-4, atol=1e-5)


def test_a_packed_run_ends_where_a_plain_one_does(tmp_path: Path) -> None:
    folder = tiny_model("llama", tmp_path / "llama")
    ends = []
    for packing in ("off", "on"):
        run = fit(
            alpaca(30),
            model=str(folder),
            strategy="full",
            out=tmp_path / packing,
            data={"near_duplicates": "ignore"},
            training={"epochs": 2, "batch_size": 8, "packing": packing},
            evaluation={"certify": False, "resamples": 100},
        )
        ends.append({score.name: score.value for score in run.scores})
    assert ends[0] == pytest.approx(ends[1], rel=1e-4)


def test_packing_is_refused_where_tokens_stand_before_each_row(tmp_path: Path) -> None:
    folder = tiny_model("llama", tmp_path / "llama")
    with pytest.raises(UserError, match="packing does not go with prefix"):
        job_of(folder, "prefix", "on")
    job = job_of(folder, "lora", "auto")
    assert job.train.encoded.collate(np.arange(3))["input_ids"].shape[0] == 3  # a processor: not packed
