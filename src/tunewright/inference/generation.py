"""A run that writes: answers to prompts, and how many of them are right or well-formed, before tuning and after."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from tunewright.core.errors import UserError
from tunewright.core.types import Score
from tunewright.datasets.inputs import inputs_of
from tunewright.datasets.read import read_table
from tunewright.datasets.schema import Schema
from tunewright.datasets.table import Table
from tunewright.evaluation.answers import Check, same_number, same_words, share, validator
from tunewright.modalities.conversation import modality as conversation
from tunewright.modalities.language.messages import Conversation, message_of

if TYPE_CHECKING:
    from tunewright.artifacts.model_folder import Loaded
    from tunewright.inference.predictor import Predictor
    from tunewright.models.network import Network

_CHECKS = {"number": "right_number", "words": "same_words", "json": "valid_json"}


def generated(predictor: Predictor, data: Any, settings: Mapping[str, Any]) -> list[dict[str, Any]]:
    """``row``, ``prompt`` and ``answer`` of each prompt: texts, conversations as lists of messages, or rows of a table."""
    numbers, prompts, _ = _prompts(predictor.loaded, data)
    answers = _answers(predictor, prompts, settings)
    return [
        {"row": number, "prompt": prompt if isinstance(prompt, str) else prompt[-1].content, "answer": answer}
        for number, prompt, answer in zip(numbers, prompts, answers, strict=True)
    ]


def checked(
    predictor: Predictor,
    data: Any,
    check: Check,
    settings: Mapping[str, Any],
    *,
    schema: Mapping[str, Any] | None = None,
    before: bool = True,
    confidence: float = 0.95,
) -> dict[str, Score]:
    """Share of answers that pass a check, *fine-tuned* and, of the untouched base model, *before*.

    ``number`` and ``words`` compare with the rows' own answers; ``json`` asks whether an answer is one JSON value that
    ``schema`` takes.
    """
    if check not in _CHECKS:
        raise UserError(f"'{check}' is no check of answers", expected=f"one of {', '.join(_CHECKS)}")
    if (check == "json") != (schema is not None):
        raise UserError(
            "a JSON schema and the check 'json' go together", expected="both, or neither", try_="--check json --schema FILE"
        )
    loaded = predictor.loaded
    _, prompts, table = _prompts(loaded, data)
    if schema is not None:
        passes: list[Callable[[str], bool]] = [validator(schema)] * len(prompts)
    else:
        if table is None:
            raise UserError(f"the check '{check}' needs the right answers", expected="rows with prompts and answers")
        compare = same_number if check == "number" else same_words
        passes = [partial(compare, reference=wanted) for wanted in _references(loaded, table)]
    found = {}
    asked = {"fine-tuned": predictor}
    if before:
        asked["before"] = type(predictor)(replace(loaded, network=predictor.untouched(), method=""))
    for name, one in asked.items():
        answers = _answers(one, prompts, settings)
        right = [test(answer) for test, answer in zip(passes, answers, strict=True)]
        found[name] = share(_CHECKS[check], right, confidence)
    return found


def _answers(predictor: Predictor, prompts: Sequence[Conversation | str], settings: Mapping[str, Any]) -> list[str]:
    from tunewright.inference.decoding import Settings

    try:
        return predictor.answers(prompts, Settings(**settings))
    except ValidationError as error:
        first = error.errors()[0]
        raise UserError(f"'{'.'.join(map(str, first['loc']))}' of generation: {first['msg']}", nearest="") from None


def _prompts(loaded: Loaded, data: Any) -> tuple[Sequence[int], list[Conversation | str], Table | None]:
    """Row numbers, prompts, and the table that they come from."""
    if loaded.network.form.output != "vocabulary" or loaded.network.form.auto != "AutoModelForCausalLM":
        raise UserError(
            f"a model for {loaded.head.replace('_', ' ')} writes no answers", expected="a run that tuned a language model"
        )
    chats = loaded.network.form.kind == "conversation"
    if isinstance(data, str) and not Path(data).is_file():
        data = [data]
    if isinstance(data, (list, tuple)) and data and all(isinstance(item, str) for item in data):
        prompts = [conversation.text_prompt(text) if chats else text for text in data]
        return range(len(prompts)), prompts, None
    if isinstance(data, (list, tuple)) and data and all(isinstance(item, (list, tuple)) for item in data):
        return range(len(data)), [tuple(message_of(message) for message in item) for item in data], None
    table, schema = read_table(data), Schema.from_dict(loaded.schema)
    if chats:
        return table.rows, list(conversation.read_prompts(table, schema.text)), table
    return table.rows, [str(row[0]) for row in inputs_of(table, schema)], table


def _references(loaded: Loaded, table: Table) -> list[str]:
    """The right answer of each row: its last message, or the preferred one."""
    rows = [row[0] for row in conversation.read(table, Schema.from_dict(loaded.schema).text)]
    return [conversation.best_answer(row).content for row in rows]


def untouched(loaded: Loaded) -> Network:
    """The base model as it was before tuning, with the tuned one's chat template."""
    from tunewright.models.loading import load_network

    network = load_network(loaded.network.base, loaded.labels, form=loaded.network.form, revision=loaded.network.revision)
    network.processor = loaded.network.processor
    return network
