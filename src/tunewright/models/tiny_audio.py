"""Tiny random models of the architectures that read sound, for tests and for trying a recipe in seconds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from tunewright.core.errors import unknown
from tunewright.core.files import write_json
from tunewright.modalities.processor_files import PREPROCESSOR

_LETTERS = "abcdefghijklmnopqrstuvwxyz'"

# wav2vec 2.0's convolutions with fewer channels: 400 samples wide, 320 apart.
_CONVOLUTIONS = {
    "conv_dim": (8,) * 7,
    "conv_kernel": (10, 3, 3, 3, 3, 2, 2),
    "conv_stride": (5, 2, 2, 2, 2, 2, 2),
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 4,
    "classifier_proj_size": 16,
}
_STABLE = {"feat_extract_norm": "layer", "do_stable_layer_norm": True}
_ENDS = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 2}

# Family -> (transformers' name, settings beside width and layers, preprocessor_config.json).
_RAW = {"feature_extractor_type": "Wav2Vec2FeatureExtractor", "feature_size": 1, "sampling_rate": 16_000, "padding_value": 0.0}
_FAMILIES: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "wav2vec2": (
        "wav2vec2",
        _CONVOLUTIONS | {"num_codevectors_per_group": 4, "codevector_dim": 8, "proj_codevector_dim": 8},
        _RAW | {"do_normalize": True, "return_attention_mask": False, "max_seconds": 1.0},
    ),
    "wav2vec2-stable": (
        "wav2vec2",
        _CONVOLUTIONS | _STABLE | {"num_codevectors_per_group": 4, "codevector_dim": 8, "proj_codevector_dim": 8},
        _RAW | {"do_normalize": True, "return_attention_mask": True, "max_seconds": 2.0},
    ),
    "hubert": ("hubert", _CONVOLUTIONS | _STABLE, _RAW | {"do_normalize": True, "return_attention_mask": True}),
    "wavlm": (
        "wavlm",
        _CONVOLUTIONS | {"num_buckets": 16, "max_bucket_distance": 40},
        _RAW | {"do_normalize": False, "return_attention_mask": True},
    ),
    "data2vec-audio": (
        "data2vec-audio",
        {name: value for name, value in _CONVOLUTIONS.items() if name != "num_conv_pos_embeddings"}
        | {"num_conv_pos_embeddings": 2, "conv_pos_kernel_size": 5},
        _RAW | {"do_normalize": True, "return_attention_mask": True},
    ),
    "ast": (
        "audio-spectrogram-transformer",
        {"num_mel_bins": 32, "max_length": 64, "patch_size": 8, "frequency_stride": 8, "time_stride": 8},
        {
            "feature_extractor_type": "ASTFeatureExtractor",
            "feature_size": 1,
            "num_mel_bins": 32,
            "max_length": 64,
            "sampling_rate": 16_000,
        },
    ),
    "whisper": (
        "whisper",
        {"num_mel_bins": 20, "max_source_positions": 50, "max_target_positions": 32, "classifier_proj_size": 16},
        {
            "feature_extractor_type": "WhisperFeatureExtractor",
            "feature_size": 20,
            "chunk_length": 1,
            "hop_length": 160,
            "n_fft": 400,
            "sampling_rate": 16_000,
        },
    ),
    "speech_to_text": (
        "speech_to_text",
        {"input_feat_per_channel": 20, "max_source_positions": 400, "max_target_positions": 32, "conv_channels": 16},
        {
            "feature_extractor_type": "Speech2TextFeatureExtractor",
            "feature_size": 20,
            "num_mel_bins": 20,
            "sampling_rate": 16_000,
            "max_seconds": 2.0,
        },
    ),
}

CLASSIFIERS: tuple[str, ...] = tuple(name for name in _FAMILIES if name != "speech_to_text")
CTC: tuple[str, ...] = tuple(name for name in CLASSIFIERS if name not in ("ast", "whisper"))
SEQUENCE: tuple[str, ...] = ("whisper", "speech_to_text")


def tiny_audio_model(family: str, folder: Path, *, layers: int = 3, width: int = 32, seed: int = 0, **settings: Any) -> Path:
    """Write a random model of ``family`` with its preparation of sounds as a transformers folder; returns ``folder``.

    ``settings`` are further ones of transformers' configuration. Sequence-to-sequence families come whole, with a tokenizer
    of letters.
    """
    from transformers import AutoModel, AutoModelForSpeechSeq2Seq
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    from tunewright.models.quiet import quiet_transformers

    if family not in _FAMILIES:
        raise unknown("model family", family, _FAMILIES)
    name, own, preparation = _FAMILIES[family]
    sequence = family in SEQUENCE
    size = _sequence_size(layers, width) if sequence else _size(layers, width)
    config = CONFIG_MAPPING[name](**size, **own, **settings)
    with quiet_transformers(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        (AutoModelForSpeechSeq2Seq if sequence else AutoModel).from_config(config).save_pretrained(str(folder))
        if sequence:
            _letters().save_pretrained(str(folder))
    write_json(folder / PREPROCESSOR, preparation)
    return folder


def _size(layers: int, width: int) -> dict[str, Any]:
    return {"hidden_size": width, "num_hidden_layers": layers, "num_attention_heads": 4, "intermediate_size": 2 * width}


def _sequence_size(layers: int, width: int) -> dict[str, Any]:
    halves = {"layers": layers, "attention_heads": 4, "ffn_dim": 2 * width}
    both = {f"{half}_{key}": value for half in ("encoder", "decoder") for key, value in halves.items()}
    beginning = {"suppress_tokens": None, "begin_suppress_tokens": None}
    return {"d_model": width, "vocab_size": 4 + len(_LETTERS) + 1, **both, **_ENDS, **beginning}


def _letters() -> Any:
    """Each letter and the space is a token; a text ends in </s>."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    vocabulary = {token: place for place, token in enumerate(("<pad>", "<s>", "</s>", "<unk>", *_LETTERS, " "))}
    raw = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    raw.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    raw.decoder = decoders.Fuse()
    raw.post_processor = processors.TemplateProcessing(single="$A </s>", pair=None, special_tokens=[("</s>", 2)])
    return PreTrainedTokenizerFast(
        tokenizer_object=raw, pad_token="<pad>", bos_token="<s>", eos_token="</s>", unk_token="<unk>", model_max_length=32
    )
