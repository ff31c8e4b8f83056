"""Conversations, preferences and judged answers: instruction data in any of its forms, told by the columns.

When: language models that are to answer. When not: raw text (kind ``text`` with ``data.task: causal_lm``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tunewright.core.errors import UserError
from tunewright.core.types import Finding
from tunewright.datasets import columns as look
from tunewright.datasets.table import Table
from tunewright.modalities.language import conversations
from tunewright.modalities.language.conversations import Form, Judgement, Preference
from tunewright.modalities.language.messages import Conversation, Message
from tunewright.modalities.processor_files import load_tokenizer

RECOGNITION_ORDER = 70
TOKENIZED = True
SCRATCH_LOADING = None
load_processor = load_tokenizer

Row = Conversation | Preference | Judgement

_TASKS: Mapping[str, str] = {
    "conversations": "causal_lm",
    "preferences": "preference_optimization",
    "judgements": "preference_optimization",
}


def recognize(table: Table, named: Mapping[str, Any]) -> tuple[tuple[str, ...], tuple[str, ...], str] | None:
    """The columns of a form of instruction data; under other names a chat column, or a prompt with its answer as target.

    Where no task is named, only what cannot be a table with labels is taken: answers are texts, and judged answers that
    are not a chat are called so (``kto_tag``).
    """
    wanted, text, target = named.get("task"), tuple(named.get("text") or ()), tuple(named.get("target") or ())
    if wanted not in (None, "causal_lm", "preference_optimization"):
        return None
    if text or target:
        return _named(table, text, target, wanted, named.get("kind") == "conversation")
    form = conversations.recognize(table.columns)
    if form is None or (wanted is not None and _TASKS[form.kind] != wanted):
        return None
    if wanted is None and not _is_certain(table, form):
        return None
    return tuple(form.columns.values()), (), _TASKS[form.kind]


def _named(
    table: Table, text: tuple[str, ...], target: tuple[str, ...], wanted: str | None, certain: bool
) -> tuple[tuple[str, ...], tuple[str, ...], str] | None:
    if wanted != "causal_lm" and not certain:
        return None
    if len(text) == 1 and not target and all(isinstance(cell, list) for cell in table.columns[text[0]]):
        return text, (), "causal_lm"
    return ((text[0], target[0]), (), "causal_lm") if len(text) == len(target) == 1 else None


def _is_certain(table: Table, form: Form) -> bool:
    if form.kind == "judgements":
        return "chat" in form.columns or look.folded(form.columns["label"]) == "kto_tag"
    told = {"instruction", "prompt"} & set(map(look.folded, table.columns))  # names that nothing else has
    return "answer" not in form.columns or bool(told) or _are_texts(table, form)


def _are_texts(table: Table, form: Form) -> bool:
    """Whether the answers are sentences, most of them given once: no class names."""
    cells = table.columns[form.columns["answer"]]
    if not look.is_wordy(cells):
        return any(isinstance(cell, (list, dict)) for cell in cells)
    return 2 * len(set(cells)) > len(cells)


def form_of(columns: tuple[str, ...]) -> Form:
    """The form that was recognized by these columns."""
    form = conversations.recognize(columns)
    if form is not None:
        return form
    uses = ("chat",) if len(columns) == 1 else ("instruction", "answer")
    return Form("conversations", "as named", dict(zip(uses, columns, strict=True)), "")


def read(table: Table, columns: tuple[str, ...], findings: list[Finding] | None = None) -> list[tuple[Row]]:
    """Each row as a conversation, a preference or a judgement; all faults are told at once."""
    form = form_of(_present(table, columns))
    if findings is not None:
        findings += _unread(table, form)
    readers: dict[str, Callable[[Table, Form], Sequence[Row]]] = {
        "conversations": conversations.read,
        "preferences": conversations.read_preferences,
        "judgements": conversations.read_judgements,
    }
    return [(row,) for row in readers[form.kind](table, form)]


def _unread(table: Table, form: Form) -> list[Finding]:
    """Columns of this table that belong to its prompts, and that the training rows had not."""
    whole = conversations.recognize(table.columns)
    asked = {} if whole is None or "answer" not in form.columns else whole.columns
    missed = [asked[use] for use in ("input", "system", "history") if use in asked and use not in form.columns]
    filled = [name for name in missed if any(table.columns[name])]
    return [
        Finding(
            "unread_column", f"{table.source}: '{name}' belongs to a prompt, but is not read from the training rows", "warning"
        )
        for name in filled
    ]


def read_prompts(table: Table, columns: tuple[str, ...]) -> list[Conversation]:
    """What is to be answered in each row: its messages up to the last one of the user; answers may be missing."""
    names = [name for name in columns if any(look.folded(name) == look.folded(known) for known in table.columns)]
    form = form_of(columns)
    asked = {use: look.find(table, name, "text")[0] for use, name in form.columns.items() if name in names}
    return conversations.read_prompts(table, Form(form.kind, form.name, asked, form.said))


def _present(table: Table, columns: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(look.find(table, name, "text")[0] for name in columns)


def messages_of(row: Row) -> Conversation:
    """All that is said in a row; of a preference the chosen answer, then the rejected one."""
    if isinstance(row, Preference):
        return (*row.prompt, row.chosen, row.rejected)
    if isinstance(row, Judgement):
        return (*row.prompt, row.answer)
    return row


def best_answer(row: Row) -> Message:
    """The answer that is wanted: a conversation's last message, of a preference the chosen one."""
    if isinstance(row, Preference):
        return row.chosen
    return row.answer if isinstance(row, Judgement) else row[-1]


def shown(row: tuple[Any, ...]) -> str:
    """The messages, each behind who says it."""
    return "\n".join(f"{message.role}: {message.content}" for message in messages_of(row[0]))


def compared(row: tuple[Any, ...]) -> tuple[str, ...]:
    """What duplicates are looked for in."""
    extra = (str(row[0].desirable),) if isinstance(row[0], Judgement) else ()
    return (*(message.content for message in messages_of(row[0])), *extra)


def text_prompt(text: str) -> Conversation:
    """A text as what the user says."""
    if not text.strip():
        raise UserError("a prompt is empty", expected="text to answer")
    return (Message("user", text),)
