"""Two encoders whose vectors lie in one space: made of two pre-trained models, and read as one answer for each pair.

Source: Radford et al. 2021 (CLIP), section 2.3; Zhai et al. 2022, LiT, section 3 (towers that were pre-trained apart).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from tunewright.core.errors import UserError
from tunewright.models.config import read_config
from tunewright.models.processors import load_processor, save_processor
from tunewright.models.quiet import quiet_transformers
from tunewright.models.sources import find_model

OWN = 2  # numbers that follow each vector: the log of the model's scale, and its bias
_AGREE = 1e-3  # relative distance of two vectors that are one but for rounding


def paired(model: Any, out: Any) -> Tensor:
    """Vectors of length one of each row's image and text, (batch, 2, width + 2), each followed by the model's own two numbers.

    These are the logarithm of what multiplies cosines, and what is added to them, 0 where the model adds nothing; they stand in
    every row so that a batch that is computed in parts gives them the gradient of the whole.
    """
    vectors = torch.stack([functional.normalize(part.float(), dim=-1) for part in (out.image_embeds, out.text_embeds)], 1)
    bias = getattr(model, "logit_bias", None)
    own = (model.logit_scale, torch.zeros_like(model.logit_scale) if bias is None else bias)
    return torch.cat([vectors, *(one.float().reshape(1, 1, 1).expand(*vectors.shape[:2], 1) for one in own)], -1)


def reads_padding(model: Any, ids: list[int], pad: int) -> bool:
    """Whether a text's vector changes when masked padding follows it: the model pools the last place, whatever stands there.

    Such a model (SigLIP) was trained on texts that are filled up to its own length, without a mask.
    """
    texts = [
        torch.tensor([ids], device=model.logit_scale.device),
        torch.tensor([[*ids, pad, pad]], device=model.logit_scale.device),
    ]
    mask = torch.tensor([[1] * len(ids) + [0, 0]], device=model.logit_scale.device)
    with torch.no_grad():
        alone, filled = (
            model.get_text_features(input_ids=text, attention_mask=mask[:, : text.shape[1]]).pooler_output for text in texts
        )
    return bool((alone - filled).norm() > _AGREE * alone.norm())


def refuse_other(model: Any, folder: Path) -> None:
    """A ``UserError`` for what is no dual encoder of images and texts."""
    if not all(hasattr(model, name) for name in ("logit_scale", "get_image_features", "get_text_features")):
        raise UserError(
            f"the model in '{folder}' ({type(model).__name__}) does not encode images and texts into one space",
            expected="CLIP, SigLIP or a dual encoder",
            try_="tunewright.models.dual_encoder.join(IMAGE_MODEL, TEXT_MODEL, FOLDER)",
        )


def join(images: str, texts: str, folder: Path, *, width: int = 256, seed: int = 0) -> Path:
    """Write a dual encoder of two pre-trained encoders, with new projections to ``width`` numbers; returns ``folder``.

    transformers' ``VisionTextDualEncoderModel``; both encoders must pool to one vector. When: no CLIP of the field or language
    exists. When not: photographs with English captions, for which trained ones do.
    """
    from transformers import VisionTextDualEncoderModel

    vision, language = find_model(images), find_model(texts)
    width_of = getattr(read_config(vision), "hidden_size", None)
    if not isinstance(width_of, int):
        raise UserError(f"'{images}' pools to no single vector of one width", expected="an image transformer: ViT, DeiT, BEiT")
    with quiet_transformers(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = VisionTextDualEncoderModel.from_vision_text_pretrained(str(vision), str(language), projection_dim=width)
        model.save_pretrained(str(folder))
    save_processor(load_processor(language, "text", model.config.text_config), folder)
    save_processor(load_processor(vision, "image", model.config.vision_config), folder)
    return folder
