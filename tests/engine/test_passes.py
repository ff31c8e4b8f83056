"""Memory that runs out: a batch is made in smaller passes, and what is learnt stays the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.engine.toy import toy_job, toy_recipe
from tunewright.core.errors import UserError
from tunewright.training.context import TrainingContext
from tunewright.training.microbatches import MicroBatches, is_out_of_memory
from tunewright.training.predict import predict_logits
from tunewright.training.trainer import train

MESSAGE = (
    "[enforce fail at alloc_cpu.cpp:118] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to allocate 4 bytes."
)


def limited(job: TrainingContext, most_rows: int, error: Exception) -> list[int]:
    """Let the network fail as torch does when more rows come at once; returns the list of what passed."""
    passed: list[int] = []
    whole = job.network.forward

    def forward(inputs: dict[str, torch.Tensor]) -> torch.Tensor:
        rows = len(inputs["input_ids"])
        if rows > most_rows:
            raise error
        passed.append(rows)
        return whole(inputs)

    job.network.forward = forward  # type: ignore[method-assign]
    return passed


def weights_of(job: TrainingContext) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in job.network.state_dict().items()}


@pytest.mark.parametrize("error", [RuntimeError(MESSAGE), torch.OutOfMemoryError("CUDA out of memory.")])
def test_a_batch_that_does_not_fit_is_halved_and_the_weights_are_the_same(tiny_bert: Path, error: Exception) -> None:
    settings: dict[str, Any] = {"model": {"dropout": 0.0}, "training": {"epochs": 2, "batch_size": 8}}
    plain, tight = (toy_job(toy_recipe(tiny_bert, **settings)) for _ in range(2))
    train(plain)
    passed = limited(tight, 3, error)
    train(tight)
    assert tight.passes.most_rows == 2
    assert max(passed) <= 3
    wanted = weights_of(plain)
    for name, value in weights_of(tight).items():
        torch.testing.assert_close(value, wanted[name], rtol=1e-3, atol=1e-4, msg=name)


def test_predictions_are_made_in_halves(tiny_bert: Path) -> None:
    job = toy_job(toy_recipe(tiny_bert))
    wanted = predict_logits(job.network, job.train)
    limited(job, 5, RuntimeError(MESSAGE))
    np.testing.assert_allclose(predict_logits(job.network, job.train), wanted, rtol=1e-4, atol=1e-5)


def test_one_row_that_does_not_fit_is_said(tiny_bert: Path) -> None:
    job = toy_job(toy_recipe(tiny_bert))
    limited(job, 0, RuntimeError(MESSAGE))
    with pytest.raises(UserError, match="one row alone does not fit"):
        train(job)


def test_another_error_is_no_lack_of_memory(tiny_bert: Path) -> None:
    job = toy_job(toy_recipe(tiny_bert))
    limited(job, 0, RuntimeError("shapes do not match"))
    with pytest.raises(RuntimeError, match="shapes"):
        train(job)
    assert not is_out_of_memory(ValueError("memory"))


def test_passes_keep_the_token_budget() -> None:
    passes = MicroBatches(np.array([4, 4, 9, 2]), tokens=12)
    assert [part.tolist() for part in passes.cut(np.arange(4))] == [[2], [0, 1, 3]]
    passes.halve(3)
    assert [part.tolist() for part in passes.cut(np.arange(4))] == [[2], [0], [1], [3]]
    with pytest.raises(UserError):
        passes.halve(1)
