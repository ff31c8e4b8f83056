"""As many tokens as a network has positions for: one token more is too many, whatever the padding id."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModel
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from tests.listener import Listener
from tests.models.conftest import LABELS
from tunewright.core.errors import UserError
from tunewright.core.files import read_json, write_json
from tunewright.models.loading import load_network
from tunewright.models.positions import token_places
from tunewright.tasks.classification import task as classification

ROWS = 40
SMALL: dict[str, Any] = {
    "vocab_size": 50,
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "max_position_embeddings": ROWS,
    "type_vocab_size": 1,
}
# They count from the padding id on, MPNet from 1 whatever its padding id is.
FROM_PADDING = ("roberta", "camembert", "xlm-roberta", "xlm-roberta-xl", "data2vec-text", "roberta-prelayernorm", "ibert", "xmod")
FROM_ZERO = ("bert", "electra", "albert", "rembert", "megatron-bert")


def made(family: str, **changes: Any) -> Any:
    own = {"attention_window": 4} if family == "longformer" else {"languages": ["en_XX"], "default_language": "en_XX"}
    more = own if family in ("longformer", "xmod") else {}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return AutoModel.from_config(CONFIG_MAPPING[family](**{**SMALL, **more, **changes})).eval()


def reads(network: Any, tokens: int) -> None:
    ids = torch.full((1, tokens), 7)
    with torch.inference_mode():
        network(input_ids=ids, attention_mask=torch.ones_like(ids))


@pytest.mark.parametrize("padding", [0, 1, 3, 5])
@pytest.mark.parametrize("family", FROM_PADDING)
def test_positions_begin_after_the_padding_id(family: str, padding: int) -> None:
    network = made(family, pad_token_id=padding)
    places = token_places(network)
    assert places == ROWS - padding - 1
    reads(network, places)
    with pytest.raises((IndexError, RuntimeError)):
        reads(network, places + 1)


@pytest.mark.parametrize("padding", [1, 3])
@pytest.mark.parametrize("family", FROM_ZERO)
def test_positions_that_begin_at_zero_are_all_used(family: str, padding: int) -> None:
    network = made(family, pad_token_id=padding)
    assert token_places(network) == ROWS
    reads(network, ROWS)
    with pytest.raises((IndexError, RuntimeError)):
        reads(network, ROWS + 1)


@pytest.mark.parametrize("padding", [0, 1])
def test_mpnet_counts_from_one_whatever_pads(padding: int) -> None:
    network = made("mpnet", pad_token_id=padding)
    assert token_places(network) == ROWS - 2
    reads(network, ROWS - 2)
    with pytest.raises((IndexError, RuntimeError)):
        reads(network, ROWS - 1)


def test_longformer_has_places_for_whole_windows_alone() -> None:
    network = made("longformer", pad_token_id=3)
    assert token_places(network) == ROWS - 4
    reads(network, ROWS - 4)
    with pytest.raises((IndexError, RuntimeError)):
        reads(network, ROWS - 3)


@pytest.mark.parametrize("padding", [1, 3])
def test_tables_with_more_rows_than_positions(padding: int) -> None:
    small = {"d_model": 16, "encoder_layers": 1, "decoder_layers": 1, "encoder_ffn_dim": 16, "decoder_ffn_dim": 16}
    heads = {"encoder_attention_heads": 2, "decoder_attention_heads": 2}
    network = made("bart", pad_token_id=padding, **small, **heads)
    assert token_places(network) == token_places(network, written=True) == ROWS
    reads(network, ROWS)
    with pytest.raises((IndexError, RuntimeError)):
        reads(network, ROWS + 1)


def test_relative_positions_have_no_end() -> None:
    config = CONFIG_MAPPING["xlnet"](vocab_size=50, d_model=16, n_layer=1, n_head=2, d_inner=16)
    network = AutoModel.from_config(config).eval()
    assert network.config.max_position_embeddings == -1
    assert token_places(network) is None
    reads(network, 200)


def test_what_is_read_and_what_is_written_may_differ() -> None:
    small = {"d_model": 16, "encoder_layers": 1, "decoder_layers": 1, "encoder_ffn_dim": 16, "decoder_ffn_dim": 16}
    heads = {"encoder_attention_heads": 2, "decoder_attention_heads": 2, "attention_window": 4}
    config = CONFIG_MAPPING["led"](
        vocab_size=50, **small, **heads, max_encoder_position_embeddings=64, max_decoder_position_embeddings=24
    )
    network = AutoModel.from_config(config).eval()
    assert token_places(network) == 64
    assert token_places(network, written=True) == 24
    ids = torch.full((1, 64), 7)
    with torch.inference_mode():
        network(input_ids=ids, decoder_input_ids=ids[:, :24])
        with pytest.raises((IndexError, RuntimeError)):
            network(input_ids=ids, decoder_input_ids=ids[:, :25])


def padded_with(folder: Path, padding: int) -> Path:
    """The tiny model as one that pads with another token."""
    tokenizer = read_json(folder / "tokenizer.json")
    word = next(word for word, number in tokenizer["model"]["vocab"].items() if number == padding)
    write_json(folder / "config.json", {**read_json(folder / "config.json"), "pad_token_id": padding})
    write_json(folder / "tokenizer_config.json", {**read_json(folder / "tokenizer_config.json"), "pad_token": word})
    return folder


@pytest.mark.parametrize("padding", [0, 1, 3])
def test_long_texts_are_cut_where_the_positions_end(padding: int, tmp_path: Path) -> None:
    from tunewright.models.tiny import tiny_model

    network = load_network(str(padded_with(tiny_model("roberta", tmp_path, layers=1), padding)), LABELS)
    assert network.tokenizer.pad_token_id == padding
    encoded = classification.encode(network, [("good " * 200,)], None, classification.Settings(), 128).encoded
    assert encoded.lengths.tolist() == [64 - padding - 1]
    with torch.inference_mode():
        network({name: value for name, value in encoded.collate([0]).items() if name in network.reads})


def test_positions_for_padding_alone_are_said(tmp_path: Path) -> None:
    from tunewright.models.tiny import tiny_model

    network = load_network(str(padded_with(tiny_model("roberta", tmp_path, layers=1), 63)), LABELS)
    with pytest.raises(UserError, match="positions for padding alone"):
        network.longest(128)


def test_a_run_tells_the_tokens_that_texts_are_cut_at(tmp_path: Path) -> None:
    from tunewright.models.tiny import tiny_model
    from tunewright.pipeline.workflow import fit

    folder = padded_with(tiny_model("roberta", tmp_path / "model", layers=1), 3)
    rows = [{"text": f"{'good' if row % 2 else 'bad'} {row} " + "card " * 100, "label": "ab"[row % 2]} for row in range(30)]
    said: list[str] = []
    fit(
        rows,
        model=str(folder),
        out=tmp_path / "run",
        data={"near_duplicates": "ignore", "max_length": 90},
        training={"max_steps": 1, "precision": "float32"},
        evaluation={"reports": [], "baselines": (), "certify": False},
        callbacks=(Listener(lambda event: said.extend(event.get("messages", ()))),),
    )
    assert any(line.endswith("train rows are cut at 60 tokens") for line in said)
