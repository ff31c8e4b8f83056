"""Conversations as text in the words of a model's chat template, with the places that are to be learned.

The template is a Jinja program from a model's folder. It runs in Jinja's sandbox in a process of its own
(``core/guarded_process.py``), sees nothing but plain messages, and is stopped when it takes too long, too much memory,
or writes too much.

Source: the chat templates of Hugging Face's transformers (``chat_template`` of a tokenizer); learning answers alone as in
Ouyang et al. 2022 and Taori et al. 2023. When: conversations. When not: raw text, or a prompt and what follows it as they are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from tunewright.core.errors import UserError
from tunewright.core.guarded_process import Stopped, Worker
from tunewright.modalities.language.messages import Conversation

_SECONDS = 2.0  # for one conversation, which takes well below a millisecond (a guess)
_MEMORY = 512 << 20  # bytes of address space that the process has; it needs about 60 MiB (a guess)
_EXTRA_CHARACTERS = 100_000  # that a template may write beside ten times what the conversation holds (a guess)

CHATML = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
"""OpenAI's Chat Markup Language."""

ALPACA = (
    "{% for message in messages %}"
    "{% if message.role == 'user' %}### Instruction:\n{{ message.content }}\n\n### Response:\n"
    "{% elif message.role == 'assistant' %}{{ message.content }}{{ eos_token }}{% if not loop.last %}{{ '\n\n' }}{% endif %}"
    "{% else %}{{ message.content }}\n\n{% endif %}{% endfor %}"
)
"""The headings of Stanford Alpaca (Taori et al. 2023) without its opening sentence; several turns follow one another."""


@dataclass(frozen=True)
class Template:
    """A chat template: its Jinja ``source``, the special tokens that it may write, and in one sentence why it was chosen.

    ``own``: whether the tokenizer brought it; one that it did not bring has to be saved with the model.
    ``marks``: the texts of all tokens added to the vocabulary, the longest first; ``special`` are those that are no words.
    """

    source: str
    bos: str
    eos: str
    marks: tuple[str, ...]
    special: tuple[str, ...]
    own: bool
    said: str


@dataclass(frozen=True)
class Rendered:
    """A conversation as ``text``; ``answers`` are the (start, stop) of what is learned, each with its end token."""

    text: str
    answers: tuple[tuple[int, int], ...]


def choose(tokenizer: Any) -> Template:
    """The tokenizer's own chat template; else ChatML where it has ChatML's tokens; else Alpaca's headings."""
    if tokenizer.eos_token is None:
        raise UserError(
            "the tokenizer has no end-of-text token, so no answer could end",
            expected="a language model's tokenizer with an eos_token",
            try_="another model",
        )
    known = list(tokenizer.added_tokens_decoder.values())
    special = tuple({str(token) for token in known if token.special} | set(tokenizer.all_special_tokens))
    marks = tuple(sorted({*map(str, known), *special}, key=len, reverse=True))
    source, said, own = _own(tokenizer), "the tokenizer's own chat template", True
    begins = tokenizer.bos_token or ""
    if source is None:
        begins, own = bos_of(tokenizer), False
        if {"<|im_start|>", "<|im_end|>"} <= set(marks):
            source, said = CHATML, "the tokenizer has no chat template but ChatML's tokens: ChatML"
        else:
            source, said = ALPACA, "the tokenizer has no chat template: Alpaca's headings, '### Instruction:' and '### Response:'"
        source = "{{ bos_token }}" + source if begins else source
    return Template(source, begins, tokenizer.eos_token, marks, special, own, said)


def bos_of(tokenizer: Any) -> str:
    """The begin-of-text token if the tokenizer itself puts one before a text, else nothing."""
    first = tokenizer("")["input_ids"][:1]
    # Some put the token that ends texts, which is the same one, after them: an empty text has it first, a real one last.
    alone = first == [tokenizer.bos_token_id] and tokenizer("a")["input_ids"][:1] == first
    return str(tokenizer.bos_token) if alone and tokenizer.bos_token is not None else ""


def _own(tokenizer: Any) -> str | None:
    own = tokenizer.chat_template
    if isinstance(own, dict):
        if "default" not in own:
            raise UserError(f"the tokenizer has the chat templates {', '.join(own)} and none is called 'default'")
        own = own["default"]
    return str(own) if own else None


def render(template: Template, conversation: Conversation) -> Rendered:
    """The whole conversation, and where in it the answers stand.

    What a model is shown before it answers must be what it was trained after: the template's text up to each answer has to be
    the beginning of the whole text. An answer after which the template writes no token gets the end-of-text token. Raises
    ``UserError`` where the template fails or contradicts itself.
    """
    whole = _write(template, conversation, asks=False)
    pieces, answers, copied, added = [], [], 0, 0
    for place, message in enumerate(conversation):
        if message.role != "assistant":
            continue
        prompt = _write(template, conversation[:place], asks=True)
        if not whole.startswith(prompt):
            raise _contradiction(whole, prompt)
        start = len(prompt)
        last = place == len(conversation) - 1
        stop = len(whole) if last else _stop(template, whole, conversation[: place + 1], start)
        end, closed = _end(template, whole[:stop], start, message.content)
        closing = "" if closed else template.eos
        pieces.append(whole[copied:end] + closing)
        answers.append((start + added, end + added + len(closing)))
        copied, added = end, added + len(closing)
    return Rendered("".join(pieces) + whole[copied:], tuple(answers))


def prompt_text(template: Template, conversation: Conversation) -> str:
    """What the model is shown to make it answer the last message."""
    return _write(template, conversation, asks=True)


def writes_marks(template: Template, conversation: Conversation) -> bool:
    """Whether a message holds the text of a token such as '</s>', which would be read as that token."""
    return any(mark in message.content for message in conversation for mark in template.special)


def _contradiction(whole: str, prompt: str) -> UserError:
    same = next((place for place, (one, other) in enumerate(zip(whole, prompt, strict=False)) if one != other), len(whole))
    return UserError(
        f"the chat template writes {prompt[same : same + 40]!r} before an answer when it asks for one, but "
        f"{whole[same : same + 40]!r} in the whole conversation",
        expected="a template whose text before an answer is the beginning of the whole text",
        try_="conversations of one turn, or another chat template",
    )


def _stop(template: Template, whole: str, upto: Conversation, start: int) -> int:
    """Where the template's text of an answer ends: where the whole goes on after the conversation so far."""
    sofar = _write(template, upto, asks=False)
    if whole.startswith(sofar) and len(sofar) >= start:
        return len(sofar)
    # Some templates write the last answer differently (with what it thought): then the answer's own words tell.
    said = upto[-1].content.strip()
    begin = len(whole) - len(whole[start:].lstrip())
    if not whole.startswith(said, begin):
        raise UserError(
            f"the chat template changes the answer {said[:40]!r}, so that it cannot be told which words to learn",
            expected="a template that writes answers as they are",
            try_="conversations of one turn, or another chat template",
        )
    end = begin + len(said)
    mark = _mark_after(template, whole, end)
    return mark if mark is not None else end


def _mark_after(template: Template, text: str, place: int) -> int | None:
    """End of the token that follows at this place, perhaps after white space; None where other text follows."""
    while place < len(text) and text[place].isspace():
        place += 1
    found = next((mark for mark in template.marks if mark.strip() and text.startswith(mark, place)), None)
    return place + len(found) if found else None


def _end(template: Template, text: str, start: int, content: str) -> tuple[int, bool]:
    """(end of what is learned, whether a token ends it) of an answer that begins at start and ends in this text."""
    for said in (content, content.rstrip(), content.strip()):
        found = [match.end() for match in re.finditer(re.escape(said), text[start:])]
        # Some templates write a frame before the answer; the answer itself is followed by its end.
        ends = [(start + end, _mark_after(template, text, start + end)) for end in found]
        chosen = next((end for end in ends if end[1] is not None or not text[end[0] :].strip()), next(iter(ends), None))
        if chosen is not None:
            return (chosen[0], False) if chosen[1] is None else (chosen[1], True)
    raise UserError(
        f"the chat template does not write the answer {content[:40]!r}",
        expected="a template that writes answers as they are",
        try_="another chat template",
    )


def _write(template: Template, conversation: Conversation, *, asks: bool) -> str:
    messages = [{"role": message.role, "content": message.content} for message in conversation]
    given = {"messages": messages, "add_generation_prompt": asks, "bos_token": template.bos, "eos_token": template.eos}
    remedy = "remove the system messages" if conversation[0].role == "system" else "another chat template"
    size = sum(len(message.content) for message in conversation)
    return written(template.source, given, size, f"a conversation of {' and '.join(_roles(conversation))}", remedy)


def written(source: str, given: Mapping[str, Any], size: int, what: str, remedy: str = "another chat template") -> str:
    """What a template writes of what it is given, ``what`` in words, ``size`` characters; it may write ten times as much."""
    most = 10 * size + _EXTRA_CHARACTERS
    try:
        found = _worker().ask({"source": source, "given": given, "most": most}, _SECONDS)
    except Stopped:
        found = {"runaway": ""}
    if "runaway" in found:
        raise UserError(
            f"the chat template did not end within {_SECONDS:g} seconds, {_MEMORY >> 20} MiB or {most} characters",
            try_="another chat template",
        )
    if "unreadable" in found:
        raise UserError(f"the chat template cannot be read: {found['unreadable']}", expected="a Jinja template")
    if "refused" in found:
        said = f"the chat template refuses {what}: {found['refused']}"[:400]
        raise UserError(said, expected="conversations of the form that it takes", try_=remedy)
    text: str = found["text"]
    return text


@cache
def _worker() -> Worker:
    return Worker("tunewright.modalities.language.template_worker", _MEMORY)


def _roles(conversation: Conversation) -> Sequence[str]:
    return list(dict.fromkeys(message.role for message in conversation))
