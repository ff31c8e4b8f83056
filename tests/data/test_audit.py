"""The audit counts what is learned, finds what is wrong with it, and shows examples with their mask."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.data import chats
from tests.data.chats import byte_tokenizer, chat
from tunewright.core.errors import UserError
from tunewright.core.types import Finding
from tunewright.modalities.language import preference
from tunewright.modalities.language.audit import audit, equal_answers, shown, tokens_in_text, unjudged
from tunewright.modalities.language.causal import Encoded, encode_completions, encode_conversations, encode_raw
from tunewright.modalities.language.chat_template import choose
from tunewright.modalities.language.conversations import Preference
from tunewright.modalities.language.messages import Message
from tunewright.preference_losses import dpo, kto


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return byte_tokenizer(chats.CHATML)


def findings_of(encoded: Encoded, tokenizer: Any, **settings: Any) -> dict[str, Finding]:
    return {finding.code: finding for finding in audit(encoded, tokenizer, **settings).findings}


def test_sound_rows_have_a_share_and_nothing_else(tokenizer: Any) -> None:
    encoded = encode_conversations(tokenizer, [chat("Hello", "there"), chat("Hi", "four", "And?", "two")], 128)
    found = audit(encoded, tokenizer)
    assert [finding.code for finding in found.findings] == ["trained_share"]
    learned = int(encoded.learn.sum())
    assert found.findings[0].count == learned and f"{learned} of {len(encoded.ids)} tokens in 2 rows" in found.lines[0]
    assert found.share == pytest.approx(learned / len(encoded.ids))


def test_what_is_wrong_is_counted_with_its_rows(tokenizer: Any) -> None:
    rows = [
        chat("Hello", "there"),
        chat("Hello", "fox " * 40),  # cut within the answer
        chat("fox " * 40, "there"),  # nothing is left of the answer
        chat("Hello", "there"),  # again
        chat("Hello", "say <|im_end|> twice"),
    ]
    found = findings_of(encode_conversations(tokenizer, rows, 30), tokenizer, numbers=[11, 12, 13, 14, 15], unit="line")
    assert set(found) == {"trained_share", "nothing_learned", "cut_rows", "duplicate_rows", "end_of_text"}
    rows_of = {code: finding.rows for code, finding in found.items() if finding.rows}
    assert rows_of == {"nothing_learned": (13,), "cut_rows": (12, 13), "duplicate_rows": (14,), "end_of_text": (15,)}
    assert found["cut_rows"].message == "2 of 5 lines: longer than fits, so the end was cut off (12, 13)"
    assert all(finding.count == len(finding.rows) and finding.level == "warning" for finding in list(found.values())[1:])


def test_an_answer_without_its_end_is_found(tokenizer: Any) -> None:
    encoded = encode_conversations(tokenizer, [chat("Hello", "there"), chat("Hi", "four")], 128)
    ids, end = encoded.ids.copy(), encoded.ends[0]
    place = int(encoded.starts[1]) + encoded.row(1).index(end, int(np.flatnonzero(encoded.learn[encoded.starts[1] :])[0]))
    ids[place] = ids[place - 1]
    broken = replace(encoded, ids=ids)
    assert findings_of(broken, tokenizer)["end_of_text"].rows == (2,)


def test_raw_text_is_not_asked_for_answers(tokenizer: Any) -> None:
    encoded = encode_raw(tokenizer, ["Hello there", "four"] * 9, 16)
    found = audit(encoded, tokenizer, unit="block")
    assert found.share == 0.5 and {finding.code for finding in found.findings} <= {"trained_share", "duplicate_rows"}
    assert "18 blocks are learned" in found.lines[0]


def test_nothing_to_learn_at_all_is_refused(tokenizer: Any) -> None:
    encoded = encode_completions(tokenizer, [("Hello", "there")], 16)
    nothing = replace(encoded, learn=encoded.learn * 0)
    with pytest.raises(UserError, match=r"none of the .* tokens of 1 rows would be learned"):
        audit(nothing, tokenizer)


def test_examples_show_what_is_learned(tokenizer: Any) -> None:
    rows = [chat("Hello", "there", "And?", f"é 二 {number}") for number in range(9)]
    encoded = encode_conversations(tokenizer, rows, 128)
    assert shown(encoded, 0, tokenizer) == (
        "<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n[[there<|im_end|>]]\n"
        "<|im_start|>user\nAnd?<|im_end|>\n<|im_start|>assistant\n[[é 二 0<|im_end|>]]\n"
    )
    lines = audit(encoded, tokenizer).lines
    assert [line.split(":")[0] for line in lines[1:]] == ["row 1", "row 5", "row 9"]
    assert all("\n" not in line and line.count("[[") == 2 for line in lines[1:])
    one = encode_conversations(tokenizer, [chat("Hello", "fox " * 500)], 5000)
    assert len(audit(one, tokenizer).lines) == 2 and len(audit(one, tokenizer).lines[1]) < 700


def test_an_example_that_learns_nothing_is_not_shown(tokenizer: Any) -> None:
    encoded = encode_conversations(tokenizer, [chat("fox " * 40, "there"), chat("Hello", "there")], 30)
    assert [line.split(":")[0] for line in audit(encoded, tokenizer).lines if "[[" in line] == ["row 2"]


def test_messages_that_hold_a_tokens_text_are_noticed(tokenizer: Any) -> None:
    rows = [chat("Hello", "there"), chat("strike <s>this</s>", "fine"), chat("Hello", "<b>")]
    found = tokens_in_text(choose(tokenizer), rows, [4, 5, 6])
    assert [(finding.code, finding.rows) for finding in found] == [("tokens_in_text", (5,))]
    assert tokens_in_text(choose(tokenizer), rows[:1]) == []


def test_preferences_between_equal_answers_are_noticed() -> None:
    prompt, yes, no = (Message("user", "Hi"),), Message("assistant", "Yes"), Message("assistant", "No")
    found = equal_answers([Preference(prompt, yes, no), Preference(prompt, no, Message("assistant", "No "))], [7, 8])
    assert [(finding.code, finding.rows) for finding in found] == [("equal_answers", (8,))]
    assert equal_answers([Preference(prompt, yes, no)]) == []


@pytest.mark.parametrize(("objective", "rows"), [(dpo, (8,)), (kto, (8, 8))], ids=["pairs", "judged"])
def test_pairs_whose_prompt_leaves_no_room_for_an_answer_are_noticed(
    tokenizer: Any, objective: Any, rows: tuple[int, ...]
) -> None:
    yes, no = Message("assistant", "Yes"), Message("assistant", "No")
    given = [Preference((Message("user", text),), yes, no) for text in ("Hi", "fox " * 200, "Ho")]
    encoded = preference.encode(tokenizer, given, 120, choose(tokenizer), (objective, objective.Settings()))
    (found,) = unjudged(encoded, "test", [7, 8, 9])
    assert (found.code, found.rows) == ("nothing_judged", rows)
    assert "counts as wrong" in found.message
    whole = preference.encode(tokenizer, given, 1000, choose(tokenizer), (objective, objective.Settings()))
    assert unjudged(whole, "test", [7, 8, 9]) == []
