"""Instruction data: the form is recognized by its columns, every fault is told with its rows, real files read whole."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from tunewright.core.errors import UserError
from tunewright.datasets.formats.records import from_records
from tunewright.datasets.prepare import prepare
from tunewright.datasets.table import Table
from tunewright.modalities.language.conversations import (
    Form,
    Judgement,
    Preference,
    read,
    read_judgements,
    read_preferences,
    recognize,
)
from tunewright.modalities.language.messages import Message

USER, ANSWER = Message("user", "Hi"), Message("assistant", "Hello")
CHAT = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]
SHARED = [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hello"}]


def table(*rows: dict[str, Any]) -> Table:
    return from_records(rows, range(1, len(rows) + 1), "chat.jsonl", "line")


def form_of(data: Table) -> Form:
    form = recognize(data.columns)
    assert form is not None
    return form


@pytest.mark.parametrize(
    ("columns", "kind", "name"),
    [
        ("instruction input output", "conversations", "alpaca"),
        ("instruction context response category", "conversations", "alpaca"),
        ("instruction output system history", "conversations", "alpaca"),
        ("conversations", "conversations", "messages"),
        ("id messages", "conversations", "messages"),
        ("prompt completion", "conversations", "prompt and completion"),
        ("Prompt Response", "conversations", "prompt and completion"),
        ("question answer", "conversations", "prompt and completion"),
        ("prompt chosen rejected", "preferences", "preferences"),
        ("instruction input output rejected chosen", "preferences", "preferences"),
        ("chosen rejected", "preferences", "chat preferences"),
        ("conversations chosen rejected", "preferences", "chat preferences"),
        ("messages label", "judgements", "judged answers"),
        ("prompt completion label", "judgements", "judged answers"),
    ],
)
def test_columns_tell_the_form_and_it_is_said(columns: str, kind: str, name: str) -> None:
    form = recognize(columns.split())
    assert form is not None and (form.kind, form.name) == (kind, name)
    assert set(form.columns.values()) <= set(columns.split())
    assert all(f"'{column}'" in form.said for column in form.columns.values())


@pytest.mark.parametrize(
    "columns", ["text label", "prompt", "answer", "chosen", "instruction instances", "sentence1 sentence2 score", ""]
)
def test_other_columns_are_no_instruction_data(columns: str) -> None:
    assert recognize(columns.split()) is None


@pytest.mark.parametrize(
    "row",
    [
        {"instruction": "Hi", "output": "Hello"},
        {"instruction": "Hi", "input": "", "output": "Hello", "system": None, "history": []},
        {"prompt": "Hi", "completion": "Hello"},
        {"question": "Hi", "answer": "Hello"},
        {"messages": CHAT},
        {"messages": [{"role": "system", "content": " "}, *CHAT]},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}, CHAT[1]]},
        {"conversations": SHARED},
        {"prompt": [CHAT[0]], "completion": [CHAT[1]]},
    ],
)
def test_every_form_makes_the_same_conversation(row: dict[str, Any]) -> None:
    data = table(row)
    assert read(data, form_of(data)) == [(USER, ANSWER)]


def test_alpaca_with_all_its_columns() -> None:
    data = table({"instruction": "Add", "input": "1 2", "output": "3", "system": "Be exact.", "history": [["Hi", "Hello"]]})
    assert read(data, form_of(data)) == [
        (Message("system", "Be exact."), USER, ANSWER, Message("user", "Add\n\n1 2"), Message("assistant", "3"))
    ]


@pytest.mark.parametrize(
    "row",
    [
        {"prompt": "Hi", "chosen": "Hello", "rejected": "No"},
        {"instruction": "Hi", "input": "", "output": "Hello", "chosen": "Hello", "rejected": "No"},
        {"conversations": SHARED[:1], "chosen": SHARED[1], "rejected": {"from": "gpt", "value": "No"}},
        {"prompt": [CHAT[0]], "chosen": [CHAT[1]], "rejected": [{"role": "assistant", "content": "No"}]},
        {"chosen": CHAT, "rejected": [CHAT[0], {"role": "assistant", "content": "No"}]},
        {"prompt": "Hi", "chosen": CHAT, "rejected": [CHAT[0], {"role": "assistant", "content": "No"}]},
    ],
)
def test_every_form_makes_the_same_preference(row: dict[str, Any]) -> None:
    data = table(row)
    assert read_preferences(data, form_of(data)) == [Preference((USER,), ANSWER, Message("assistant", "No"))]


def test_a_system_message_in_its_own_column_stands_before_whole_conversations() -> None:
    other = [CHAT[0], {"role": "assistant", "content": "No"}]
    data = table({"prompt": "Hi", "system": "Be kind.", "chosen": CHAT, "rejected": other})
    assert read_preferences(data, form_of(data))[0].prompt == (Message("system", "Be kind."), USER)


@pytest.mark.parametrize("label", [True, 1, "true", "1"])
def test_judged_answers(label: Any) -> None:
    for row in ({"messages": CHAT, "label": label}, {"prompt": "Hi", "completion": "Hello", "label": label}):
        data = table(row)
        assert read_judgements(data, form_of(data)) == [Judgement((USER,), ANSWER, True)]
    data = table({"messages": CHAT, "label": False})
    assert not read_judgements(data, form_of(data))[0].desirable


SYSTEM = {"role": "system", "content": "Be kind."}


@pytest.mark.parametrize(
    ("messages", "fault"),
    [
        ([CHAT[0], {"role": "assistant", "content": "  "}], "an answer is empty"),
        ([CHAT[0], {"role": "assistant", "content": None}], "an answer is empty"),
        ([{"role": "user", "content": ""}, CHAT[1]], "a message of the user is empty"),
        ([CHAT[0], *CHAT], "two messages of the user follow one another"),
        ([*CHAT, CHAT[1]], "two messages of the assistant follow one another"),
        ([*CHAT, CHAT[0]], "ends with the user"),
        ([CHAT[1], *CHAT], "starts with the assistant"),
        ([*CHAT, SYSTEM, *CHAT], "a system message is not the first"),
        ([], "the conversation is empty"),
        ([SYSTEM], "the conversation is empty"),
        ("Hi", "'messages' is a str"),
        (None, "'messages' is a NoneType"),
        (["Hi"], "a message is a str"),
        ([{"role": "user", "content": 3}, CHAT[1]], "a message of the user is a int"),
        ([{"role": "user", "content": "\ud800"}, CHAT[1]], "half of a character"),
        ([{"role": "user", "text": "Hi"}, CHAT[1]], "a message lacks 'content'"),
        ([{"role": "narrator", "content": "Hi"}, CHAT[1]], "role 'narrator'.*one of system, user"),
        ([{"role": 5, "content": "Hi"}, CHAT[1]], "role 5"),
        ([*CHAT, {"role": "tool", "content": "4"}, CHAT[1]], "role 'tool'; calls of tools cannot"),
        ([{"from": "function_call", "value": "4"}], "role 'function_call'; calls of tools cannot"),
        ([CHAT[0], {"role": "assistant", "content": "", "tool_calls": [{"id": 1}]}], "calls a tool"),
        ([{"role": "user", "content": [{"type": "image", "url": "x"}]}, CHAT[1]], "a part of type 'image'"),
    ],
)
def test_faults_are_told_with_their_rows(messages: Any, fault: str) -> None:
    data = table({"messages": CHAT}, {"messages": messages}, {"messages": CHAT}, {"messages": messages})
    with pytest.raises(UserError, match=rf"(?s)chat\.jsonl, lines 2, 4: .*{fault}"):
        read(data, form_of(data))


def test_different_faults_are_told_together() -> None:
    data = table({"messages": []}, {"messages": CHAT}, {"messages": CHAT[:1]}, {"messages": [*CHAT, *CHAT, CHAT[0]]})
    with pytest.raises(UserError, match=r"(?s)2 faults:.*line 1: the conversation is empty.*lines 3, 4: .*ends with the user"):
        read(data, form_of(data))


def test_faults_of_preferences_and_judgements() -> None:
    other = [{"role": "user", "content": "Ho"}, CHAT[1]]
    for row, fault in [
        ({"chosen": CHAT, "rejected": other}, "differ before the last message"),
        ({"prompt": "Ho", "chosen": CHAT, "rejected": CHAT}, "the prompt is not what"),
        ({"prompt": "Hi", "chosen": "Hello", "rejected": ""}, "an answer is empty"),
        ({"prompt": "Hi", "chosen": 3, "rejected": "No"}, "'chosen' is a int"),
        ({"prompt": "Hi", "chosen": CHAT[0], "rejected": "No"}, "'chosen' is a message of the user"),
        ({"chosen": "Hello", "rejected": "No"}, "'chosen' is a str"),
    ]:
        data = table(row)
        with pytest.raises(UserError, match=fault):
            read_preferences(data, form_of(data))
    data = table({"messages": CHAT, "label": "good"})
    with pytest.raises(UserError, match=r"'label' is the str 'good'.*true where"):
        read_judgements(data, form_of(data))
    with pytest.raises(UserError, match=r"data holds judgements. Expected conversations"):
        read(data, form_of(data))
    data = table({"instruction": "Hi", "output": "Hello", "history": [["Hi"]]})
    with pytest.raises(UserError, match="not made of pairs"):
        read(data, form_of(data))


REAL = {
    "instruct/alpaca_en_demo.json.gz": (999, "conversations"),
    "instruct/gpteacher_codegen.json.gz": (4535, "conversations"),
    "instruct/gpteacher_roleplay.json.gz": (1923, "conversations"),
    "instruct/identity.json.gz": (91, "conversations"),
    "instruct/rasbt_instruction_1100.json.gz": (1100, "conversations"),
    "instruct/dpo_en_demo.json.gz": (300, "preferences"),
    "instruct/rasbt_preference_1100.json.gz": (1100, "preferences"),
    "instruct/kto_en_demo.json.gz": (300, "judgements"),
    "instruct/self_instruct_seed_tasks.jsonl.gz": (175, None),
    "gsm8k/train.jsonl.gz": (7473, "conversations"),
    "gsm8k/test.jsonl.gz": (1319, "conversations"),
}


@pytest.mark.real_data
@pytest.mark.parametrize("name", REAL)
def test_real_files_read_whole(shared_data: Path, name: str) -> None:
    path = shared_data / name
    if not path.is_file():
        pytest.skip(f"{name} is not among the shared data")
    with gzip.open(path, "rt", encoding="utf-8") as file:
        records = [json.loads(line) for line in file] if ".jsonl" in name else json.load(file)
    data = from_records(records, range(1, len(records) + 1), name, "row")
    rows, kind = REAL[name]
    form = recognize(data.columns)
    assert len(data) == rows and (form.kind if form else None) == kind
    if form:
        reader = {"conversations": read, "preferences": read_preferences, "judgements": read_judgements}[form.kind]
        assert len(reader(data, form)) == rows  # type: ignore[operator]


FIRST_WITHOUT = [
    {"instruction": "Say hi", "output": "Hello there, my friend."},
    *({"instruction": f"Add {n}", "input": f"{n} and 2", "output": f"The sum is {n + 2} here."} for n in range(30)),
]


@pytest.mark.parametrize("suffix", [".json", ".jsonl", ""])
def test_a_key_that_the_first_object_lacks_is_read_from_the_others(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"rows{suffix}"
    lines = "\n".join(map(json.dumps, FIRST_WITHOUT))
    path.write_text(lines if suffix == ".jsonl" else json.dumps(FIRST_WITHOUT))
    found = prepare(train=path if suffix else FIRST_WITHOUT)
    assert found.schema.text == ("instruction", "input", "output")
    asked = {row[0][0].content for part in (found.train, found.validation, found.test) for row in part.inputs}
    assert asked == {"Say hi", *(f"Add {n}\n\n{n} and 2" for n in range(30))}
    assert [(one.code, one.count) for one in found.findings if one.code.endswith("_keys")] == [("optional_keys", 30)]


def test_a_key_that_the_first_object_has_is_still_needed() -> None:
    with pytest.raises(UserError, match="row 30 lacks the key 'input'"):
        prepare(train=[*FIRST_WITHOUT[1:], FIRST_WITHOUT[0]])


def test_an_input_that_only_test_rows_have_is_told() -> None:
    bare = [{"instruction": f"Say {n} now", "output": f"It is {n} that I say."} for n in range(30)]
    codes = [one.code for one in prepare(train=bare, test=FIRST_WITHOUT[1:]).findings]
    assert codes.count("unread_column") == 1
    empty = [{**row, "input": ""} for row in FIRST_WITHOUT]
    assert "unread_column" not in [one.code for one in prepare(train=bare, test=empty).findings]
