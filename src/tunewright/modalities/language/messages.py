"""Conversations: who says what, and what a conversation must be to learn from it.

Source: the roles of OpenAI's Chat Markup Language; instruction tuning as in Ouyang et al. 2022 (InstructGPT), section 3.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

from tunewright.core.errors import UserError
from tunewright.datasets.table import Table

Role = Literal["system", "user", "assistant"]


@dataclass(frozen=True)
class Message:
    """One message: who says it, and its text."""

    role: Role
    content: str


Conversation = tuple[Message, ...]


class Unreadable(Exception):  # noqa: N818 - a fault of one row, told with its row number as a UserError
    """Why one row is no conversation; rows with the same fault are told together."""

    def __init__(self, fault: str, expected: str = "", try_: str = "") -> None:
        self.told = (fault, expected, try_)
        super().__init__(fault)


class RowFaults:
    """Collects what is wrong with single rows of a table, and raises it once, grouped, with the rows' numbers."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._rows: dict[tuple[str, str, str], list[int]] = defaultdict(list)

    def add(self, index: int, fault: Unreadable) -> None:
        self._rows[fault.told].append(index)

    def errors(self) -> list[UserError]:
        return [
            UserError(f"{self._table.where(rows)}: {fault}", expected=expected, try_=try_)
            for (fault, expected, try_), rows in self._rows.items()
        ]


_ROLES: dict[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "model": "assistant",
    "bot": "assistant",
    "chatgpt": "assistant",
}
_TOOL_ROLES = frozenset({"tool", "function", "function_call", "observation", "tool_call", "tool_response", "ipython"})


def role_of(name: Any) -> Role:
    """The role that a file's word for it means: 'human' is the user, 'gpt' the assistant."""
    folded = name.strip().casefold() if isinstance(name, str) else name
    if folded in _TOOL_ROLES:
        raise Unreadable(
            f"a message has the role '{name}'; calls of tools cannot be trained on",
            "the roles system, user and assistant",
            "remove these rows, or write the calls into the assistant's text",
        )
    if folded not in _ROLES:
        raise Unreadable(f"a message has the role {name!r}", "one of system, user (human), assistant (gpt)")
    return _ROLES[folded]


def text_of(value: Any, what: str) -> str:
    """A cell that must be text; null is the empty text, and a list of text parts is joined."""
    if value is None:
        return ""
    if isinstance(value, list) and all(isinstance(part, dict) for part in value):
        return "".join(_part(part, what) for part in value)
    if not isinstance(value, str):
        raise Unreadable(f"{what} is a {type(value).__name__}", "text")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise Unreadable(f"{what} holds half of a character (a lone surrogate)", "whole characters") from None
    return value


def _part(part: dict[str, Any], what: str) -> str:
    if part.get("type") != "text" or not isinstance(part.get("text"), str):
        raise Unreadable(f"{what} holds a part of type {part.get('type')!r}", 'text, or parts {"type": "text", "text": "…"}')
    return text_of(part["text"], what)


def message_of(value: Any) -> Message:
    """A message as a dictionary: {role, content} or {from, value}."""
    if not isinstance(value, dict):
        raise Unreadable(f"a message is a {type(value).__name__}", 'an object: {"role": "user", "content": "…"}')
    speaker, said = ("from", "value") if "from" in value and "role" not in value else ("role", "content")
    missing = [key for key in (speaker, said) if key not in value]
    if missing:
        raise Unreadable(
            f"a message lacks '{missing[0]}'", 'each message as {"role": …, "content": …} or {"from": …, "value": …}'
        )
    role = role_of(value[speaker])
    if value.get("tool_calls") or value.get("function_call"):
        raise Unreadable("a message calls a tool; calls of tools cannot be trained on", "messages of text", "remove these rows")
    return Message(role, text_of(value[said], f"a message of the {role}"))


def messages_of(value: Any, what: str) -> Conversation:
    """A list of messages as dictionaries."""
    if not isinstance(value, list):
        raise Unreadable(
            f"'{what}' is a {type(value).__name__}", "a list of messages", "write the file as JSON lines" if value else ""
        )
    return tuple(message_of(message) for message in value)


def checked(messages: Sequence[Message]) -> Conversation:
    """A conversation that can be learnt from: perhaps a system message, then user and assistant in turn, an answer last.

    An empty system message is dropped.
    """
    kept = tuple(messages)
    if kept and kept[0].role == "system" and not kept[0].content.strip():
        kept = kept[1:]
    turns = kept[1:] if kept and kept[0].role == "system" else kept
    for fault in _faults(turns):
        raise fault
    return kept


def _faults(turns: Conversation) -> Iterator[Unreadable]:
    if not turns:
        yield Unreadable("the conversation is empty", "at least one message of the user and one answer")
    if any(message.role == "system" for message in turns):
        yield Unreadable("a system message is not the first", "one system message, before all others")
    if turns and turns[0].role != "user":
        yield Unreadable(f"the conversation starts with the {turns[0].role}", "the user's message first")
    for one, following in pairwise(turns):
        if one.role == following.role:
            yield Unreadable(f"two messages of the {one.role} follow one another", "user and assistant in turn")
    if turns and turns[-1].role != "assistant":
        yield Unreadable(
            f"the conversation ends with the {turns[-1].role}",
            "an answer at the end",
            "add the answer, or remove the last message",
        )
    for role, what in (("user", "a message of the user"), ("assistant", "an answer")):
        if any(message.role == role and not message.content.strip() for message in turns):
            yield Unreadable(f"{what} is empty", "text", "remove these rows")
