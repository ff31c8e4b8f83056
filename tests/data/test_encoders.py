"""Token ids: the same as the tokenizer gives for one text, what is cut is counted, a panic is no crash."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tunewright.core.errors import UserError
from tunewright.modalities.text.modality import Encoded, encode_texts


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    words = {word: number for number, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *"abcdefghij"])}
    rules = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    rules.pre_tokenizer = pre_tokenizers.Whitespace()
    rules.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    special = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    return PreTrainedTokenizerFast(
        tokenizer_object=rules, **special, model_input_names=["input_ids", "token_type_ids", "attention_mask"]
    )


def rows_of(encoded: Encoded) -> list[list[int]]:
    return [encoded.row(index) for index in range(len(encoded))]


def segments_of(encoded: Encoded) -> list[list[int]]:
    assert encoded.segments is not None
    return [part.tolist() for part in np.split(encoded.segments, encoded.starts[1:])]


def test_texts_become_ragged_ids(tokenizer: Any) -> None:
    encoded = encode_texts(tokenizer, [("a b",), ("c",), ("",)], 8)
    assert rows_of(encoded) == [[2, 4, 5, 3], [2, 6, 3], [2, 3]]
    assert encoded.lengths.tolist() == [4, 3, 2]
    assert encoded.truncated == 0


def test_what_is_cut_is_counted(tokenizer: Any) -> None:
    encoded = encode_texts(tokenizer, [("a " * n,) for n in range(1, 9)], 6)
    assert encoded.truncated == 4  # 5, 6, 7 and 8 words beside [CLS] and [SEP]
    assert encoded.lengths.tolist() == [3, 4, 5, 6, 6, 6, 6, 6]
    assert all(row[-1] == 3 for row in rows_of(encoded))


def test_of_a_pair_the_longer_text_is_cut_first(tokenizer: Any) -> None:
    encoded = encode_texts(tokenizer, [("a b", "c d e f g h i j"), ("a b c d e f g h", "i"), ("a b", "c")], 8)
    assert rows_of(encoded) == [[2, 4, 5, 3, 6, 7, 8, 3], [2, 4, 5, 6, 7, 3, 12, 3], [2, 4, 5, 3, 6, 3]]
    assert segments_of(encoded) == [[0, 0, 0, 0, 1, 1, 1, 1], [0, 0, 0, 0, 0, 0, 1, 1], [0, 0, 0, 0, 1, 1]]
    assert encoded.truncated == 2


def test_the_batch_equals_one_by_one(tokenizer: Any) -> None:
    texts = [("a " * (n % 7) + "b",) for n in range(50)]
    together = encode_texts(tokenizer, texts, 6)
    alone = [encode_texts(tokenizer, [text], 6) for text in texts]
    assert rows_of(together) == [one.row(0) for one in alone]
    assert together.truncated == sum(one.truncated for one in alone)


def test_a_text_of_megabytes_is_cut_before_it_is_tokenized(tokenizer: Any) -> None:
    class Spy:
        is_fast = True
        seen = 0
        backend_tokenizer = tokenizer.backend_tokenizer
        pad_token_id = tokenizer.pad_token_id
        padding_side = tokenizer.padding_side

        def __call__(self, texts: list[str], **settings: Any) -> Any:
            self.seen = max(map(len, texts))
            return tokenizer(texts, **settings)

        def num_special_tokens_to_add(self, pair: bool) -> int:
            return 2

    spy = Spy()
    encoded = encode_texts(spy, [("a " * 1_000_000,), (" " * 5000 + "b",)], 16)
    assert spy.seen == 16 * 64
    assert encoded.truncated == 2
    assert encoded.lengths.tolist() == [16, 2]


def test_a_panic_of_the_tokenizer_is_an_error_for_people() -> None:
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    rules = Tokenizer(models.WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    rules.pre_tokenizer = pre_tokenizers.Split(Regex(r"(a+)+$"), "isolated")
    runaway = PreTrainedTokenizerFast(tokenizer_object=rules, unk_token="[UNK]")
    with pytest.raises(UserError, match=r"tokenizer broke down"):
        encode_texts(runaway, [("a" * 29 + "!",)], 8)


def test_an_interruption_is_not_mistaken_for_a_panic(tokenizer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*texts: Any, **settings: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(type(tokenizer), "__call__", interrupted)
    with pytest.raises(KeyboardInterrupt):
        encode_texts(tokenizer, [("a",)], 8)


def test_the_tokenizer_is_left_as_it_was(tokenizer: Any) -> None:
    before = tokenizer.backend_tokenizer.to_str()
    encode_texts(tokenizer, [("a b c d e f g h",)], 4)
    assert tokenizer.backend_tokenizer.to_str() == before
    # the control: a plain call does leave its settings behind
    tokenizer(["a b c d"], truncation=True, max_length=3)
    assert tokenizer.backend_tokenizer.to_str() != before
    encode_texts(tokenizer, [("a",)], 4)
    assert tokenizer.backend_tokenizer.truncation["max_length"] == 3
    tokenizer.backend_tokenizer.no_truncation()


def test_an_empty_text_has_a_token_where_the_tokenizer_adds_none() -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    rules = Tokenizer(models.WordLevel({"<end>": 0, "a": 1}, unk_token="<end>"))
    rules.pre_tokenizer = pre_tokenizers.Whitespace()
    plain = PreTrainedTokenizerFast(tokenizer_object=rules, eos_token="<end>")
    encoded = encode_texts(plain, [("a",), ("",), (" ",)], 4)
    assert rows_of(encoded) == [[1], [0], [0]]
    assert encoded.lengths.tolist() == [1, 1, 1]


def test_no_room_and_no_fast_tokenizer_are_refused(tokenizer: Any) -> None:
    with pytest.raises(UserError, match="at least 4"):
        encode_texts(tokenizer, [("a", "b")], 3)
    with pytest.raises(UserError, match="not a fast tokenizer"):
        encode_texts(object(), [("a",)], 8)


@pytest.mark.parametrize("side", ["right", "left"])
def test_rows_are_padded_on_the_side_the_model_wants(tokenizer: Any, side: str) -> None:
    import torch

    encoded = encode_texts(tokenizer, [("a b", "c"), ("d", "e"), ("f g h", "i")], 16)
    batch = replace(encoded, pad_id=7, side=side).collate(np.array([1, 0]))
    assert set(batch) == {"input_ids", "attention_mask", "token_type_ids"}
    assert all(tensor.dtype == torch.int64 and tensor.shape == (2, 6) for tensor in batch.values())
    assert batch["attention_mask"].tolist() == ([[1] * 5 + [0], [1] * 6] if side == "right" else [[0] + [1] * 5, [1] * 6])
    for row, index in enumerate([1, 0]):
        kept = batch["attention_mask"][row].bool()
        assert batch["input_ids"][row][kept].tolist() == encoded.row(index)
        assert batch["token_type_ids"][row][kept].tolist() == segments_of(encoded)[index]
        assert (batch["input_ids"][row][~kept] == 7).all()


def test_no_rows_are_no_error(tokenizer: Any) -> None:
    assert encode_texts(tokenizer, [], 8).lengths.shape == (0,)
