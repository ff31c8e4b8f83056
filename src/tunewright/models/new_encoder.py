"""A new encoder of random values for a tokenizer of one's own: to be pre-trained on unlabeled rows, then tuned.

Source: Devlin et al. 2019, BERT, section 3 (the shape). When: no pre-trained model knows such sequences. When not: one does.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from tunewright.core.errors import UserError


def new_encoder(tokenizer: Any, folder: Path, *, layers: int = 4, width: int = 128, heads: int = 4, seed: int = 0) -> Path:
    """Write a BERT of random values with its masked-language head, and ``tokenizer``; returns ``folder``.

    It reads as many tokens as the tokenizer's ``model_max_length``. The default shape has 0.8 million values beside the tokens'
    own (a guess, for tens of thousands of sequences).
    """
    from transformers import BertConfig, BertForMaskedLM

    from tunewright.models.quiet import quiet_transformers

    if min(layers, width, heads) < 1 or width % heads:
        raise UserError(f"width {width} cannot be shared among {heads} heads", expected="a multiple of the heads, layers >= 1")
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=4 * width,
        max_position_embeddings=tokenizer.model_max_length,
        pad_token_id=tokenizer.pad_token_id,
    )
    with quiet_transformers(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        BertForMaskedLM(config).save_pretrained(str(folder))
        tokenizer.save_pretrained(str(folder))
    return folder
