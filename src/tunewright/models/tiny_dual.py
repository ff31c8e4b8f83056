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

    from tunewright.models.quiet import quiet_transformers

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


def tiny_image_reader(folder: Path, *, size: int = 32, width: int = 32, seed: int = 0) -> Path:
    """Write a random LLaVA-like model for images of ``size`` pixels a side, with its processor; returns ``folder``."""
    from transformers import AutoModelForImageTextToText, CLIPImageProcessor, LlavaConfig, LlavaProcessor

    from tunewright.models.quiet import quiet_transformers

    tokenizer = tiny_tokenizer(ends_only=True)
    tokenizer.add_special_tokens({"additional_special_tokens": ["<image>"]})
    each = {"hidden_size": width, "intermediate_size": 2 * width, "num_hidden_layers": 2, "num_attention_heads": 4}
    ends = {"pad_token_id": 0, "bos_token_id": 4, "eos_token_id": 4}
    config = LlavaConfig(
        vision_config={"model_type": "clip_vision_model", **each, "image_size": size, "patch_size": 8},
        text_config={"model_type": "llama", **each, "vocab_size": len(tokenizer), "max_position_embeddings": 64, **ends},
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        image_seq_length=(size // 8) ** 2,
        pad_token_id=0,
    )
    pictures = CLIPImageProcessor(
        size={"shortest_edge": size},
        crop_size={"height": size, "width": size},
        image_mean=[0.5] * 3,
        image_std=[0.5] * 3,
    )
    with quiet_transformers(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        AutoModelForImageTextToText.from_config(config).save_pretrained(str(folder))
        processor = LlavaProcessor(
            pictures, tokenizer, patch_size=8, vision_feature_select_strategy="default", num_additional_image_tokens=1
        )
        processor.save_pretrained(str(folder))
    return folder
