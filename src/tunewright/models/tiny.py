"""Tiny random models of the real architectures, for tests and for trying a recipe in seconds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from tunewright.core.errors import unknown

_WORDS = (  # noqa: SIM905 - a list of quoted words would hide what it says
    "a the my your is was not and or for with to of in on it i you we they this that card money bank lost new old good bad"
    " great awful happy sad love hate film story book order parcel late early broken works fine help please thanks how why"
    " when where what can cannot want need pay paid refund price cheap dear fast slow blue red green one two three ten"
).split()
_SPECIAL = ("<pad>", "<unk>", "<cls>", "<sep>", "<eos>", "<mask>")


def _plain(layers: int, width: int, **extra: Any) -> dict[str, Any]:
    return {
        "hidden_size": width,
        "num_hidden_layers": layers,
        "num_attention_heads": 4,
        "intermediate_size": 2 * width,
        "max_position_embeddings": 64,
        "pad_token_id": 0,
        **extra,
    }


def _decoder(layers: int, width: int, **extra: Any) -> dict[str, Any]:
    ends = {"bos_token_id": 4, "eos_token_id": 4}
    return _plain(layers, width, num_key_value_heads=2, head_dim=width // 4, tie_word_embeddings=True, **ends, **extra)


_SETTINGS: dict[str, Callable[[int, int], dict[str, Any]]] = {
    "bert": _plain,
    "roberta": _plain,
    "distilbert": lambda layers, width: {
        "dim": width,
        "n_layers": layers,
        "n_heads": 4,
        "hidden_dim": 2 * width,
        "max_position_embeddings": 64,
        "pad_token_id": 0,
    },
    "mpnet": _plain,
    "electra": lambda layers, width: _plain(layers, width, embedding_size=width),
    "deberta-v2": lambda layers, width: _plain(
        layers,
        width,
        relative_attention=True,
        position_buckets=16,
        norm_rel_ebd="layer_norm",
        share_att_key=True,
        pos_att_type=["p2c", "c2p"],
        pooler_hidden_size=width,
    ),
    "modernbert": lambda layers, width: _plain(
        layers,
        width,
        cls_token_id=2,
        sep_token_id=3,
        bos_token_id=2,
        eos_token_id=3,
        global_attn_every_n_layers=2,
        local_attention=16,
    ),
    "albert": lambda layers, width: _plain(layers, width, embedding_size=width // 2),
    "gpt2": lambda layers, width: {
        "n_embd": width,
        "n_layer": layers,
        "n_head": 4,
        "n_positions": 64,
        "pad_token_id": 0,
        "bos_token_id": 4,
        "eos_token_id": 4,
    },
    "llama": _decoder,
    "qwen2": _decoder,
    "qwen3": _decoder,
    "gemma": _decoder,
    "gemma2": lambda layers, width: _decoder(layers, width, sliding_window=16, query_pre_attn_scalar=width // 4),
    "t5": lambda layers, width: {
        "d_model": width,
        "d_kv": width // 4,
        "d_ff": 2 * width,
        "num_layers": layers,
        "num_decoder_layers": layers,
        "num_heads": 4,
        "pad_token_id": 0,
        "eos_token_id": 4,
        "decoder_start_token_id": 0,
    },
}

FAMILIES: tuple[str, ...] = tuple(_SETTINGS)


def tiny_model(family: str, folder: Path, *, layers: int = 3, width: int = 32, seed: int = 0) -> Path:
    """Write a random model of ``family`` and a word-level tokenizer as a transformers folder; returns ``folder``."""
    from transformers import AutoModel
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    from tunewright.models.quiet import quiet_transformers

    if family not in _SETTINGS:
        raise unknown("model family", family, FAMILIES)
    tokenizer = tiny_tokenizer(ends_only=family in {"gpt2", "llama", "qwen2", "qwen3", "gemma", "gemma2", "t5"})
    config = CONFIG_MAPPING[family](vocab_size=len(tokenizer), **_SETTINGS[family](layers, width))
    with quiet_transformers(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        AutoModel.from_config(config).save_pretrained(str(folder))
        tokenizer.save_pretrained(str(folder))
    return folder


def tiny_tokenizer(*, ends_only: bool) -> Any:
    """Words and single letters; encoders get <cls> … <sep>, decoders and T5 a closing <eos>."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    letters = [chr(code) for code in range(ord("a"), ord("z") + 1) if chr(code) not in _WORDS]
    vocabulary = {word: index for index, word in enumerate((*_SPECIAL, *_WORDS, *letters, *"0123456789.,!?'"))}
    raw = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    raw.normalizer = normalizers.Lowercase()
    raw.pre_tokenizer = pre_tokenizers.Whitespace()
    single, pair = ("$A <eos>", "$A $B:1 <eos>:1") if ends_only else ("<cls> $A <sep>", "<cls> $A <sep> $B:1 <sep>:1")
    ids = [(token, vocabulary[token]) for token in ("<cls>", "<sep>", "<eos>")]
    raw.post_processor = processors.TemplateProcessing(single=single, pair=pair, special_tokens=ids)
    return PreTrainedTokenizerFast(
        tokenizer_object=raw,
        pad_token="<pad>",
        unk_token="<unk>",
        cls_token="<cls>",
        sep_token="<sep>",
        eos_token="<eos>",
        mask_token="<mask>",
        model_max_length=64,
    )
