"""A base in 4 bits is refused with its reason where it cannot run."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tunewright.core.errors import UserError
from tunewright.pipeline.workflow import fit, make_recipe

ROWS = [{"prompt": f"what is {number}", "completion": "a good old book"} for number in range(20)]


def test_without_a_device_it_is_refused_before_weights_are_read(tmp_path: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a device")
    from tunewright.models.tiny import tiny_model

    folder = tiny_model("llama", tmp_path / "llama")
    with pytest.raises(UserError, match="needs a CUDA device"):
        fit(ROWS, model={"source": str(folder), "quantize": "4bit"}, strategy="lora", evaluation={"certify": False})


def test_methods_that_train_the_base_and_certificates_are_refused() -> None:
    with pytest.raises(UserError, match=r"(?s)which full trains.*cannot be certified"):
        make_recipe(model={"source": "x", "quantize": "4bit"}, strategy="full")
