"""Rows for language models: ids are those of the whole text, exactly the answers are learned, nothing is lost uncounted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.data import chats
from tests.data.chats import as_dictionaries, byte_tokenizer, chat
from tunewright.core.errors import UserError
from tunewright.modalities.language.audit import audit
from tunewright.modalities.language.causal import Encoded, encode_completions, encode_conversations, encode_raw

TURNS = chat("Hello there", "Hello", "What is two?", "It is\nfour, 二 and é.")
TEMPLATES = {"chatml": chats.CHATML, "llama-3": chats.LLAMA_3, "gemma": chats.GEMMA, "llama-2": chats.LLAMA_2, "none": None}


def learned_of(encoded: Encoded, row: int) -> list[int]:
    start = encoded.starts[row]
    marks = encoded.learn[start : start + encoded.lengths[row]]
    return [token for token, mark in zip(encoded.row(row), marks, strict=True) if mark]


def count_starts(ids: list[int], token: int) -> int:
    return sum(one == token for one in ids)


@pytest.mark.parametrize("name", TEMPLATES)
@pytest.mark.parametrize("bos", [False, True])
def test_ids_are_transformers_own_and_answers_alone_are_learned(name: str, bos: bool) -> None:
    tokenizer = byte_tokenizer(TEMPLATES[name], bos=bos)
    encoded = encode_conversations(tokenizer, [TURNS, TURNS[:2]], 256)
    if TEMPLATES[name] is None:
        from tunewright.modalities.language.chat_template import choose

        tokenizer.chat_template = choose(tokenizer).source
    for row, conversation in enumerate([TURNS, TURNS[:2]]):
        theirs = tokenizer.apply_chat_template(as_dictionaries(conversation), tokenize=True, return_dict=True)["input_ids"]
        assert encoded.row(row) == list(theirs)
        learned = tokenizer.decode(learned_of(encoded, row))
        for mark in ("<|im_end|>", "<|eot_id|>", "<end_of_turn>", "</s>"):
            learned = learned.replace(mark, "|")
        assert learned.replace(" ", "") == "".join(
            message.content.replace(" ", "") + "|" for message in conversation if message.role == "assistant"
        )
    assert len(encoded.ends) == 1
    starts = count_starts(encoded.row(1), tokenizer.bos_token_id)
    assert starts == (1 if name in ("llama-3", "gemma", "llama-2") or (bos and name == "none") else 0)


def test_the_mask_stops_at_the_prompt_token_by_token() -> None:
    tokenizer = byte_tokenizer(chats.CHATML)
    encoded = encode_conversations(tokenizer, [chat("Hello", "Hello there")], 64)
    shown = [(tokenizer.decode([token]), int(mark)) for token, mark in zip(encoded.row(0), encoded.learn, strict=True)]
    end = next(place for place, (text, mark) in enumerate(shown) if mark)
    assert all(mark == 0 for _, mark in shown[:end]) and shown[end - 1] == ("\n", 0)
    assert "".join(text for text, mark in shown[end:] if mark) == "Hello there<|im_end|>"
    assert shown[-1] == ("\n", 0)  # what the template writes after the end is never asked of the model


def test_a_token_that_is_partly_prompt_is_not_learned() -> None:
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    raw = Tokenizer(models.BPE({"</s>": 0, "a": 1, ":": 2, "b": 3, ":b": 4}, [(":", "b")]))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=raw, eos_token="</s>")
    encoded = encode_completions(tokenizer, [("a:", "ba"), ("a:", "ab")], 8)
    assert [encoded.row(0), encoded.row(1)] == [[1, 4, 1, 0], [1, 2, 1, 3, 0]]
    assert encoded.learn.tolist() == [0, 0, 1, 1, 0, 0, 1, 1, 1]


def test_the_last_answer_alone() -> None:
    tokenizer = byte_tokenizer(chats.CHATML)
    every = encode_conversations(tokenizer, [TURNS], 256)
    last = encode_conversations(tokenizer, [TURNS], 256, answers="last")
    assert last.row(0) == every.row(0)
    assert tokenizer.decode(learned_of(last, 0)) == "It is\nfour, 二 and é.<|im_end|>"
    assert 0 < last.learned[0] < every.learned[0]


def test_completions_are_learned_with_one_end_and_nothing_between() -> None:
    tokenizer = byte_tokenizer(bos=True)
    encoded = encode_completions(tokenizer, [("Hello", " there"), ("", "four")], 64)
    assert encoded.row(0) == tokenizer("Hello there</s>")["input_ids"]
    assert tokenizer.decode(learned_of(encoded, 0)) == " there</s>"
    assert encoded.row(1)[0] == tokenizer.bos_token_id and tokenizer.decode(learned_of(encoded, 1)) == "four</s>"


def test_rows_are_cut_at_the_end_and_counted() -> None:
    tokenizer = byte_tokenizer(chats.CHATML)
    long = chat("Hello", "fox " * 50)
    whole = encode_conversations(tokenizer, [long, TURNS[:2]], 512)
    cut = encode_conversations(tokenizer, [long, TURNS[:2]], 40)
    assert whole.truncated == 0 and cut.truncated == 1 and cut.cut.tolist() == [True, False]
    assert cut.row(0) == whole.row(0)[:40] and cut.row(1) == whole.row(1)
    assert cut.learned[0] < whole.learned[0] and cut.learned[1] == whole.learned[1]
    endless = chat("Hello", "fox " * 100_000)
    assert encode_conversations(tokenizer, [endless], 40).row(0) == cut.row(0)


def test_a_row_whose_answer_is_cut_away_learns_nothing_and_all_of_them_are_refused() -> None:
    tokenizer = byte_tokenizer(chats.CHATML)
    long = chat("fox " * 50, "Hello")
    encoded = encode_conversations(tokenizer, [long, TURNS[:2]], 40)
    assert encoded.learned.tolist() == [0, encoded.learned[1]] and encoded.learned[1] > 0
    with pytest.raises(UserError, match=r"a data.max_length greater than 40"):
        audit(encode_conversations(tokenizer, [long, long], 40), tokenizer)


@pytest.mark.parametrize("bos", [False, True])
@pytest.mark.parametrize("ends", [False, True])
def test_every_token_of_raw_text_but_the_first_is_learned_once(bos: bool, ends: bool) -> None:
    tokenizer = byte_tokenizer(bos=bos)
    documents = ["Hello there", "", "the quick brown fox é " * 9, "four"]
    encoded = encode_raw(tokenizer, iter(documents), 16, ends=ends)
    assert set(encoded.rows.tolist()) == {0, 1, 2, 3}
    assert encoded.lengths.max() == 16
    assert encoded.truncated == 0
    for row, document in enumerate(documents):
        whole = tokenizer(document)["input_ids"] + ([tokenizer.eos_token_id] if ends and document else [])
        blocks = np.flatnonzero(encoded.rows == row)
        assert [token for block in blocks for token in learned_of(encoded, block)] == whole[1:]
        first = "" if bos or not document else tokenizer.decode(whole[:1])
        assert encoded.sizes[blocks].sum() == len(document.encode()) - len(first.encode())


def test_blocks_that_come_out_even_have_no_empty_one_behind() -> None:
    tokenizer = byte_tokenizer()
    tokens = len(encode_raw(tokenizer, ["Hello there"], 1000).ids)
    assert encode_raw(tokenizer, ["Hello there"] * 4, tokens).lengths.tolist() == [tokens] * 4
    with pytest.raises(UserError, match="every document is empty"):
        encode_raw(tokenizer, ["", ""], 16)


def test_the_bytes_of_answers_are_counted_without_their_ends() -> None:
    encoded = encode_conversations(byte_tokenizer(chats.CHATML), [TURNS, TURNS[:2]], 256)
    answers = [message.content for message in TURNS if message.role == "assistant"]
    assert encoded.sizes.tolist() == [len("".join(answers).encode()), len(answers[0].encode())]
    cut = encode_conversations(byte_tokenizer(chats.CHATML), [chat("Hi", "fox " * 99)], 60)
    assert 0 < cut.sizes[0] < 60 * 4


@pytest.mark.parametrize("side", ["right", "left"])
def test_batches_are_padded_and_padding_is_never_learned(side: str) -> None:
    import torch

    tokenizer = byte_tokenizer(chats.CHATML)
    tokenizer.padding_side = side
    encoded = encode_conversations(tokenizer, [TURNS, TURNS[:2]], 256)
    batch = encoded.collate(np.array([1, 0]))
    assert set(batch) == {"input_ids", "attention_mask", "labels"}
    assert all(tensor.dtype == torch.int64 and tensor.shape == (2, encoded.lengths.max()) for tensor in batch.values())
    for row, index in enumerate([1, 0]):
        real = batch["attention_mask"][row].bool()
        assert batch["input_ids"][row][real].tolist() == encoded.row(index)
        assert (batch["input_ids"][row][~real] == tokenizer.pad_token_id).all() and (batch["labels"][row][~real] == -100).all()
        labels = batch["labels"][row]
        assert labels[labels != -100].tolist() == learned_of(encoded, index)
        assert torch.equal(labels[labels != -100], batch["input_ids"][row][labels != -100])  # aligned, not shifted
    assert bool(batch["attention_mask"][0][0]) == (side == "right")


def test_padding_is_the_end_where_there_is_no_other_and_is_not_learned() -> None:
    tokenizer = byte_tokenizer()
    tokenizer.pad_token = None
    encoded = encode_completions(tokenizer, [("Hello", "there"), ("Hello", "there, how are you")], 64)
    assert encoded.pad_id == tokenizer.eos_token_id
    labels = encoded.collate(np.array([0, 1]))["labels"]
    assert (labels == tokenizer.eos_token_id).sum(dim=1).tolist() == [1, 1]


def test_subsets_keep_what_belongs_to_their_rows() -> None:
    encoded = encode_conversations(byte_tokenizer(chats.CHATML), [TURNS, TURNS[:2], chat("Hi", "fox " * 99)], 60)
    some = encoded.subset(np.array([2, 0]))
    assert [some.row(0), some.row(1)] == [encoded.row(2), encoded.row(0)]
    assert some.learned.tolist() == encoded.learned[[2, 0]].tolist() and some.cut.tolist() == encoded.cut[[2, 0]].tolist()
    assert len(encoded.subset(np.array([], dtype=int))) == 0
    assert [array.shape[0] for array in encoded.arrays()] == [len(encoded.ids), len(encoded.ids), 3]


def test_the_tokenizer_is_left_as_it_was_and_its_own_cut_does_not_count() -> None:
    tokenizer = byte_tokenizer(chats.CHATML)
    tokenizer.backend_tokenizer.enable_truncation(max_length=3)
    before = tokenizer.backend_tokenizer.to_str()
    encoded = encode_conversations(tokenizer, [TURNS], 256)
    assert encoded.lengths[0] > 3 and tokenizer.backend_tokenizer.to_str() == before


def test_what_cannot_be_encoded_is_refused() -> None:
    with pytest.raises(UserError, match="at least 2 tokens"):
        encode_completions(byte_tokenizer(), [("a", "b")], 1)
    tokenizer = byte_tokenizer()
    tokenizer.eos_token = None
    with pytest.raises(UserError, match="no end-of-text token"):
        encode_raw(tokenizer, ["a"], 8, ends=True)


@pytest.mark.real_data
def test_a_sentencepiece_tokenizer_of_a_real_model(shared_data: Path) -> None:
    from transformers import AutoTokenizer

    folder = shared_data / "weights" / "stories260K"
    if not folder.is_dir():
        pytest.skip("stories260K is not among the shared data")
    tokenizer: Any = AutoTokenizer.from_pretrained(str(folder))
    encoded = encode_conversations(tokenizer, [chat("Hello", "Once upon a time", "more", "The end")], 128)
    pieces = [token.replace("▁", " ") for token in tokenizer.convert_ids_to_tokens(learned_of(encoded, 0))]
    assert "".join(pieces) == "Once upon a time</s>The end</s>"
    assert encoded.row(0)[0] == tokenizer.bos_token_id and encoded.row(0).count(tokenizer.bos_token_id) == 1
    raw = encode_raw(tokenizer, ["Once upon a time", "The end"], 512)
    assert [raw.row(0), raw.row(1)] == [tokenizer(text)["input_ids"] for text in ("Once upon a time", "The end")]
    assert raw.sizes.tolist() == [16, 7]
