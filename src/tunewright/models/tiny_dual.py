"""Tiny random dual encoders of images and texts, for tests and for trying a recipe in seconds."""

from __future__ import annotations

from pathlib import Path

import torch

from tunewright.core.errors import unknown
from tunewright.core.files import write_json
from tunewright.models.tiny import tiny_tokenizer

DUAL_FAMILIES = ("clip", "siglip")


def tiny_dual_model(family: str, folder: Path, *, size: int = 32, width: int = 32, layers: int = 2, seed: int = 0) -> Path:
    """Write a random model of ``family`` for images of ``size`` pixels a side, with its tokenizer; returns ``folder``."""
    from transformers import AutoModel
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    from tunewright.models.loading import quiet_transformers

    if family not in DUAL_FAMILIES:
        raise unknown("model family", family, DUAL_FAMILIES)
    tokenizer = tiny_tokenizer(ends_only=True)
    each = {"hidden_size": width, "intermediate_size": 2 * width, "num_hidden_layers": layers, "num_attention_heads": 4}
    words = {"vocab_size": len(tokenizer), "max_position_embeddings": 16, "pad_token_id": 0, "bos_token_id": 4, "eos_token_id": 4}
    config = CONFIG_MAPPING[family](
        vision_config={**each, "image_size": size, "patch_size": 8},
        text_config={**each, **words, **({"projection_size": width} if family == "siglip" else {})},
        **({"projection_dim": width} if family == "clip" else {}),
    )
    with quiet_transformers(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = AutoModel.from_config(config)
        with torch.no_grad():
            model.logit_scale.fill_(2.0)
            if family == "siglip":
                model.logit_bias.fill_(-1.0)
        model.save_pretrained(str(folder))
        tokenizer.save_pretrained(str(folder))
    processor = {
        "image_processor_type": "CLIPImageProcessor" if family == "clip" else "SiglipImageProcessor",
        "do_resize": True,
        "size": {"shortest_edge": size} if family == "clip" else {"height": size, "width": size},
        "do_center_crop": family == "clip",
        "resample": 3,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5],
    }
    if family == "clip":
        processor["crop_size"] = {"height": size, "width": size}
    write_json(folder / "preprocessor_config.json", processor)
    return folder
