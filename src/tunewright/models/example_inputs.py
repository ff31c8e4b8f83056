"""The smallest batch that a network takes: enough to trace in which order its layers run."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

_SECOND = 16_000  # samples of sound, long enough for every convolution in front
_FRAMES = 128


def example_inputs(inner: Any, processor: Any, device: torch.device) -> dict[str, Tensor]:
    """One example of the network's main input, (1, …), of zeros or of the first token numbers."""
    config = inner.config
    name = getattr(inner, "main_input_name", "input_ids")
    if hasattr(processor, "example"):
        made: dict[str, Tensor] = {key: value.to(device) for key, value in processor.example().items()}
        return made
    if name == "pixel_values":
        return {name: torch.zeros(1, processor.channels, processor.height, processor.width, device=device)}
    if name == "input_values" and hasattr(config, "num_mel_bins"):
        return {name: torch.zeros(1, config.max_length, config.num_mel_bins, device=device)}
    if name == "input_values":
        return {name: torch.zeros(1, getattr(config, "samples", _SECOND), device=device)}
    if name == "input_features":
        return _features(inner, config, device)
    end = getattr(processor, "eos_token_id", None)
    ids = torch.tensor([[5, 6, 7 if end is None else end]], device=device)
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    return inputs | ({"decoder_input_ids": ids} if getattr(config, "is_encoder_decoder", False) and _has_decoder(inner) else {})


def _features(inner: Any, config: Any, device: torch.device) -> dict[str, Tensor]:
    if hasattr(config, "input_feat_per_channel"):  # frames first, any number of them
        features = torch.zeros(1, _FRAMES, config.input_feat_per_channel, device=device)
    else:
        features = torch.zeros(1, config.num_mel_bins, 2 * config.max_source_positions, device=device)
    decoder = {"decoder_input_ids": torch.tensor([[1, 2]], device=device)} if _has_decoder(inner) else {}
    return {"input_features": features, **decoder}


def _has_decoder(inner: Any) -> bool:
    """Whether the network is the whole of an encoder-decoder; its classifiers make the decoder's input themselves."""
    return type(inner).__name__.endswith(("ForConditionalGeneration", "MTModel"))
