"""Tiny random models of the real architectures for images, for tests and for trying a recipe in seconds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from tunewright.core.errors import unknown
from tunewright.core.files import write_json


def _patches(size: int) -> dict[str, Any]:
    return {
        "image_size": size,
        "patch_size": 8,
        "hidden_size": 32,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "intermediate_size": 64,
    }


def _stages(size: int) -> dict[str, Any]:
    return {"embedding_size": 8, "hidden_sizes": [8, 16, 24], "depths": [1, 2, 1]}


def _queries(size: int) -> dict[str, Any]:
    halves = (("layers", 2), ("ffn_dim", 64), ("attention_heads", 4))
    return {
        "use_timm_backbone": False,
        "use_pretrained_backbone": False,
        "backbone_config": {"model_type": "resnet", **_stages(size), "layer_type": "basic", "out_features": ["stage2"]},
        "num_queries": 8,
        "d_model": 32,
        **{f"{half}_{name}": value for half in ("encoder", "decoder") for name, value in halves},
    }


_SETTINGS: dict[str, Callable[[int], dict[str, Any]]] = {
    "vit": _patches,
    "deit": _patches,
    "beit": lambda size: _patches(size) | {"use_mean_pooling": True, "use_relative_position_bias": True},
    "swin": lambda size: {
        "image_size": size,
        "patch_size": 2,
        "embed_dim": 8,
        "depths": [1, 2, 1],
        "num_heads": [2, 2, 4],
        "window_size": 4,
    },
    "resnet": lambda size: _stages(size) | {"layer_type": "basic"},
    "regnet": lambda size: _stages(size) | {"groups_width": 8},
    "convnext": lambda size: {
        "image_size": size,
        "patch_size": 2,
        "num_stages": 3,
        "hidden_sizes": [8, 16, 24],
        "depths": [1, 2, 1],
    },
    "mobilenet_v2": lambda size: {"image_size": size, "depth_multiplier": 0.25, "last_hidden_size": 32},
}

IMAGE_FAMILIES: tuple[str, ...] = tuple(_SETTINGS)

# Families for other tasks than classes of whole images.
_OTHERS: dict[str, Callable[[int], dict[str, Any]]] = {
    "segformer": lambda size: {
        "num_encoder_blocks": 2,
        "depths": [1, 1],
        "sr_ratios": [2, 1],
        "hidden_sizes": [8, 16],
        "patch_sizes": [3, 3],
        "strides": [2, 2],
        "num_attention_heads": [1, 2],
        "mlp_ratios": [2, 2],
        "decoder_hidden_size": 16,
    },
    "yolos": lambda size: (
        _patches(size) | {"image_size": [size, size], "num_detection_tokens": 8, "use_mid_position_embeddings": False}
    ),
    "detr": _queries,
    "conditional_detr": _queries,
    "deformable_detr": lambda size: _queries(size) | {"num_feature_levels": 1, "encoder_n_points": 2, "decoder_n_points": 2},
}


def tiny_image_model(family: str, folder: Path, *, size: int = 32, channels: int = 3, seed: int = 0, **settings: Any) -> Path:
    """Write a random model of ``family`` for images of ``size`` pixels a side and its processor; returns ``folder``."""
    from transformers import AutoModel
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    from tunewright.models.quiet import quiet_transformers

    known = _SETTINGS | _OTHERS
    if family not in known:
        raise unknown("model family", family, known)
    config = CONFIG_MAPPING[family](num_channels=channels, **(known[family](size) | settings))
    with quiet_transformers(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        AutoModel.from_config(config).save_pretrained(str(folder))
    processor = {
        "image_processor_type": "ViTImageProcessor",
        "do_resize": True,
        "size": {"height": size, "width": size},
        "resample": 2,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": [0.5] * channels,
        "image_std": [0.5] * channels,
    }
    write_json(folder / "preprocessor_config.json", processor)
    return folder
