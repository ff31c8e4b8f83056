"""Multiple choice: a language model's answer is the choice that it finds likeliest after the question.

Source: Brown et al. 2020, Language Models are Few-Shot Learners, section 2.4: each choice's log-likelihood given the question,
by its number of tokens. When: a causal language model. When not: questions that are longer than the model reads.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from tunewright.analysis.context import AnalysisContext
from tunewright.core.errors import UserError
from tunewright.datasets.table import Table

COLUMNS = ("question", "choices", "answer")


def is_multiple_choice(table: Table) -> bool:
    return set(COLUMNS) <= set(table.columns)


def read_questions(table: Table) -> tuple[list[tuple[str, ...]], np.ndarray]:
    """Each question with its choices, and the number of the right one, from 0, (n,); ``answer`` is that number or the choice."""
    questions, choices, answers = (table.columns[name] for name in COLUMNS)
    inputs, targets = [], []
    for row, (question, cell, answer) in enumerate(zip(questions, choices, answers, strict=True)):
        options = _options(cell)
        if len(options) < 2 or not str(question or "").strip():
            raise UserError(
                f"{table.where([row])}: no question with choices",
                expected="a text in question and two or more texts in choices, as a list or as a JSON list in one cell",
            )
        inputs.append((str(question), *options))
        targets.append(_place(answer, options, table, row))
    return inputs, np.array(targets, dtype=np.int64)


def right_answers(
    questions: Sequence[tuple[Any, ...]], targets: np.ndarray, subject: AnalysisContext, before: bool
) -> np.ndarray:
    """Whether the likeliest choice of each question is the right one, (n,)."""
    network = subject.network(before)
    if network.form.output != "vocabulary" or network.form.auto == "AutoModelForMaskedLM":
        raise UserError("choices are asked of a causal language model, and this is none", expected="reference rows with a class")
    joined = [f"{question} {choice}" for question, *choices in questions for choice in choices]
    alone = subject.likelihoods([question for question, *_ in questions], before)
    whole = subject.likelihoods(joined, before)
    sizes = np.array([len(choices) for _, *choices in questions])
    nats, tokens = (whole - np.repeat(alone, sizes, axis=0))[:, :2].T
    if (tokens < 1).any():
        raise UserError("a choice has no token of its own after its question", expected="choices that are not empty")
    by_token = np.split(-nats / tokens, np.cumsum(sizes)[:-1])
    return np.array([float(values.argmax() == target) for values, target in zip(by_token, targets, strict=True)])


def _options(cell: Any) -> list[str]:
    if isinstance(cell, str):
        try:
            cell = json.loads(cell)
        except json.JSONDecodeError:
            return []
    return [str(choice) for choice in cell] if isinstance(cell, (list, tuple)) else []


def _place(answer: Any, options: list[str], table: Table, row: int) -> int:
    if str(answer) in options:
        return options.index(str(answer))
    if str(answer).isdecimal() and int(answer) < len(options):
        return int(answer)
    raise UserError(
        f"{table.where([row])}: the answer {answer!r} is none of the {len(options)} choices",
        expected="one of them, or its number from 0",
    )
