"""A frozen base model in 4 bits: matrices of a quarter of their bytes, which adapters are trained beside.

Source: Dettmers et al. 2023, QLoRA, section 3 (NormalFloat, double quantization, computing in bfloat16).
When: lora on a base that does not fit into the device's memory otherwise. When not: on a processor, or where every weight trains.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import torch

from tunewright.core.errors import UserError


def four_bits() -> dict[str, Any]:
    """What ``from_pretrained`` needs for it; a ``UserError`` where it cannot run."""
    if not torch.cuda.is_available():
        raise UserError(
            "a base model in 4 bits needs a CUDA device, and there is none",
            expected="a CUDA device",
            try_="--set model.quantize=none",
        )
    if find_spec("bitsandbytes") is None:
        raise UserError(
            "a base model in 4 bits needs the package 'bitsandbytes', which is not installed",
            try_="pip install 'tunewright[quantized]'",
        )
    from transformers import BitsAndBytesConfig

    settings = BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype=torch.bfloat16
    )
    return {"quantization_config": settings, "device_map": {"": 0}}
