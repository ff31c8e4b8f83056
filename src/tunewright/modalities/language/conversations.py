"""Instruction data: its form recognized by the columns, and each row as a conversation, a preference or a judgement.

Source: Taori et al. 2023, Stanford Alpaca (instruction, input, output); ShareGPT (from, value); OpenAI's chat format (role,
content); Ethayarajh et al. 2024, KTO (answers judged one by one).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from tunewright.core.errors import UserError, raise_all
from tunewright.datasets.columns import folded
from tunewright.datasets.table import Table
from tunewright.modalities.language.messages import (
    Conversation,
    Message,
    RowFaults,
    Unreadable,
    checked,
    message_of,
    messages_of,
    text_of,
)

Kind = Literal["conversations", "preferences", "judgements"]

_CHATS = ("messages", "conversations", "conversation")
_QUESTIONS = ("prompt", "question", "query")
_CONTEXTS = ("input", "context")
_ANSWERS = ("output", "response", "completion", "answer")
_LABELS = ("label", "kto_tag")


@dataclass(frozen=True)
class Form:
    """How a table holds instruction data.

    ``kind`` tells which function reads it: ``read``, ``read_preferences`` or ``read_judgements``. ``columns`` maps what a
    column is for (chat, instruction, input, answer, system, history, chosen, rejected, label) to its name in the table.
    ``said`` is one sentence for the user.
    """

    kind: Kind
    name: str
    columns: Mapping[str, str]
    said: str


@dataclass(frozen=True)
class Preference:
    """Of two answers to one prompt the better and the worse."""

    prompt: Conversation
    chosen: Message
    rejected: Message


@dataclass(frozen=True)
class Judgement:
    """One answer to a prompt, and whether it is wanted."""

    prompt: Conversation
    answer: Message
    desirable: bool


def recognize(columns: Iterable[str]) -> Form | None:
    """The form that these column names have, None when they are no instruction data."""
    by_name = {folded(name): name for name in columns}

    def first(names: Iterable[str]) -> str | None:
        return next((by_name[name] for name in names if name in by_name), None)

    chat, question, answer, label = first(_CHATS), first(_QUESTIONS), first(_ANSWERS), first(_LABELS)
    instruction = by_name.get("instruction")
    chosen, rejected = by_name.get("chosen"), by_name.get("rejected")
    asked = {"instruction": instruction, "input": first(_CONTEXTS)} if instruction else {"instruction": question}
    shared = {"system": first(("system", "system_prompt")), "history": by_name.get("history")}
    asks = f"'{asked['instruction']}'" + (f" with '{asked['input']}'" if asked.get("input") else "")

    if chosen and rejected:
        pair = {"chosen": chosen, "rejected": rejected}
        told = f"of the answers '{chosen}' is preferred to '{rejected}'"
        if chat:
            return _form("preferences", "chat preferences", {"chat": chat, **pair}, f"{told}, after the messages of '{chat}'")
        if asked["instruction"]:
            return _form("preferences", "preferences", {**asked, **shared, **pair}, f"{told}, to the prompt {asks}")
        return _form("preferences", "chat preferences", pair, f"{told}; the prompt is what both begin with")
    if label and (chat or (asked["instruction"] and answer)):
        given = {"chat": chat} if chat else {**asked, **shared, "answer": answer}
        told = f"the last message of '{chat}'" if chat else f"'{answer}', the answer to {asks},"
        return _form("judgements", "judged answers", {**given, "label": label}, f"'{label}' says whether {told} is wanted")
    if chat:
        return _form("conversations", "messages", {"chat": chat}, f"'{chat}' holds the messages of each conversation")
    if asked["instruction"] and answer:
        name = "alpaca" if instruction else "prompt and completion"
        given = {**asked, **shared, "answer": answer}
        return _form("conversations", name, given, f"{asks} is the user's message and '{answer}' the answer")
    return None


def _form(kind: Kind, name: str, columns: Mapping[str, str | None], said: str) -> Form:
    present = {use: column for use, column in columns.items() if column}
    extra = [f"'{present[use]}' is {meaning}" for use, meaning in _EXTRA.items() if use in present]
    return Form(kind, name, present, f"read as {kind} ({name}): {'; '.join([said, *extra])}")


_EXTRA = {"system": "the system message", "history": "what was said before"}


def read(table: Table, form: Form) -> list[Conversation]:
    """Each row as a conversation that ends with an answer; all faults are told at once, with their rows."""
    _expect(form, "conversations")
    if "chat" in form.columns:
        return _each(table, form, lambda cells: checked(messages_of(cells["chat"], form.columns["chat"])))
    return _each(table, form, lambda cells: checked((*_asked(cells, form), _answer(cells["answer"], form.columns["answer"]))))


def read_preferences(table: Table, form: Form) -> list[Preference]:
    """Each row as a preference; the prompt is the same for both answers."""
    _expect(form, "preferences")
    return _each(table, form, lambda cells: _preference(cells, form))


def read_judgements(table: Table, form: Form) -> list[Judgement]:
    """Each row as an answer that is wanted or not."""
    _expect(form, "judgements")
    return _each(table, form, lambda cells: _judgement(cells, form))


def read_prompts(table: Table, form: Form) -> list[Conversation]:
    """What each row asks: its messages up to the user's last one; answers are not read, and may be missing from the table."""
    return _each(table, form, lambda cells: _prompt(cells, form))


_T = TypeVar("_T")


def _each(table: Table, form: Form, make: Callable[[Mapping[str, Any]], _T]) -> list[_T]:
    columns = {use: table.column(name) for use, name in form.columns.items()}
    faults, found = RowFaults(table), []
    for index in range(len(table)):
        try:
            found.append(make({use: values[index] for use, values in columns.items()}))
        except Unreadable as fault:
            faults.add(index, fault)
    raise_all(faults.errors())
    if not found:
        raise UserError(f"{table.source} has no rows", expected="at least one conversation")
    return found


def _expect(form: Form, kind: Kind) -> None:
    if form.kind != kind:
        raise UserError(f"the data holds {form.kind}", expected=f"{kind}", try_=f"data with other columns; {form.said}")


def _asked(cells: Mapping[str, Any], form: Form) -> Conversation:
    """System message, history and the user's message of a row that holds them in columns of their own."""
    columns = form.columns
    if isinstance(cells["instruction"], list):
        return messages_of(cells["instruction"], columns["instruction"])
    parts = [text_of(cells[use], f"'{columns[use]}'") for use in ("instruction", "input") if use in columns]
    system = text_of(cells.get("system"), f"'{columns.get('system')}'")
    user = Message("user", "\n\n".join(part for part in parts if part.strip()))
    return (*([Message("system", system)] if system.strip() else []), *_history(cells.get("history")), user)


def _prompt(cells: Mapping[str, Any], form: Form) -> Conversation:
    if "chat" in cells:
        before = messages_of(cells["chat"], form.columns["chat"])
    elif "instruction" in cells:
        before = _asked(cells, form)
    else:
        raise Unreadable("there is no prompt", f"one of the columns {', '.join(map(repr, form.columns.values()))}")
    last = max((place for place, message in enumerate(before) if message.role == "user"), default=-1)
    asked = before[: last + 1]
    checked((*asked, Message("assistant", "-")))
    return asked


def _history(value: Any) -> Conversation:
    if value is None or value == "":
        return ()
    if not isinstance(value, list) or any(not isinstance(turn, (list, tuple)) or len(turn) != 2 for turn in value):
        raise Unreadable("the history is not made of pairs", "a list of pairs [what the user said, what was answered]")
    said = [(text_of(user, "the history"), text_of(assistant, "the history")) for user, assistant in value]
    return tuple(message for user, answer in said for message in (Message("user", user), Message("assistant", answer)))


def _answer(value: Any, name: str) -> Message:
    """An answer as text, as one message, or as a list with one message."""
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], dict) and "type" not in value[0]:
        value = value[0]
    if isinstance(value, dict):
        message = message_of(value)
        if message.role != "assistant":
            raise Unreadable(f"'{name}' is a message of the {message.role}", "the assistant's")
        return message
    return Message("assistant", text_of(value, f"'{name}'"))


def _is_chat(value: Any) -> bool:
    return isinstance(value, list) and len(value) > 1


def _preference(cells: Mapping[str, Any], form: Form) -> Preference:
    names = {use: form.columns[use] for use in ("chosen", "rejected")}
    if "chat" in cells:
        before = messages_of(cells["chat"], form.columns["chat"])
    elif "instruction" in cells:
        before = _asked(cells, form)
    else:
        before = ()
    whole = {use: messages_of(cells[use], name) for use, name in names.items() if _is_chat(cells[use]) or not before}
    if whole:  # the answers come with the messages before them
        prompts = [messages[:-1] for messages in whole.values()]
        if len(whole) < 2 or prompts[0] != prompts[1]:
            raise Unreadable("the conversations of the two answers differ before the last message", "the same prompt for both")
        system = tuple(message for message in before if message.role == "system")
        own = prompts[0] if any(message.role == "system" for message in prompts[0]) else (*system, *prompts[0])
        if before and before[-1] not in own:
            raise Unreadable("the prompt is not what the two answers' conversations begin with", "the same prompt for both")
        before = own
        answers = {use: messages[-1] if messages else Message("assistant", "") for use, messages in whole.items()}
    else:
        answers = {use: _answer(cells[use], name) for use, name in names.items()}
    prompt = checked((*before, answers["chosen"]))[:-1]
    checked((*before, answers["rejected"]))
    return Preference(prompt, answers["chosen"], answers["rejected"])


_WANTED = {True: True, False: False, "true": True, "false": False, "1": True, "0": False}  # True is 1 and False is 0


def _judgement(cells: Mapping[str, Any], form: Form) -> Judgement:
    label = form.columns["label"]
    if "chat" in cells:
        conversation = checked(messages_of(cells["chat"], form.columns["chat"]))
    else:
        conversation = checked((*_asked(cells, form), _answer(cells["answer"], form.columns["answer"])))
    value = cells["label"]
    wanted = _WANTED.get(value.strip().casefold() if isinstance(value, str) else value) if isinstance(value, (str, int)) else None
    if wanted is None:
        raise Unreadable(
            f"'{label}' is the {type(value).__name__} {value!r}"[:120],
            "true where the answer is wanted, false where it is not",
            f"remove or rename the column '{label}' if it judges no answers",
        )
    return Judgement(conversation[:-1], conversation[-1], wanted)
