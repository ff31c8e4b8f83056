"""SQuAD's nested JSON as rows: one for each question, with its context and its answers.

Source: Rajpurkar et al. 2016 (version 1.1) and 2018 (version 2.0, questions without an answer).
"""

from __future__ import annotations

from typing import Any

from tunewright.core.errors import UserError
from tunewright.datasets.table import Table

COLUMNS = ("id", "title", "context", "question", "answers")


def is_squad(content: Any) -> bool:
    """Whether a file's value is an object whose ``data`` are articles with paragraphs."""
    data = content.get("data") if isinstance(content, dict) else None
    return isinstance(data, list) and bool(data) and all(isinstance(one, dict) and "paragraphs" in one for one in data)


def from_squad(content: dict[str, Any], source: str) -> Table:
    """Rows counted from 1 in the file's order; a paragraph or question that lacks a part is a ``UserError`` with its place."""
    rows: list[tuple[Any, ...]] = []
    for number, article in enumerate(content["data"], 1):
        for place, paragraph in enumerate(_part(article, "paragraphs", list, f"{source}, article {number}"), 1):
            where = f"{source}, article {number}, paragraph {place}"
            context = _part(paragraph, "context", str, where)
            for asked, question in enumerate(_part(paragraph, "qas", list, where), 1):
                at = f"{where}, question {asked}"
                text, answers = _part(question, "question", str, at), _answers(question, at)
                rows.append((str(question.get("id", len(rows) + 1)), str(article.get("title", "")), context, text, answers))
    columns = {name: [row[place] for row in rows] for place, name in enumerate(COLUMNS)}
    return Table(columns, tuple(range(1, len(rows) + 1)), source, "question")


def _answers(question: dict[str, Any], where: str) -> dict[str, list[Any]]:
    """Texts and starts; none of a question that is marked as impossible, or of a file without answers."""
    found = [] if question.get("is_impossible") else _part({"answers": [], **question}, "answers", list, where)
    return {
        "text": [_part(answer, "text", str, where) for answer in found],
        "answer_start": [_part(answer, "answer_start", int, where) for answer in found],
    }


def _part(holder: Any, name: str, kind: type, where: str) -> Any:
    value = holder.get(name) if isinstance(holder, dict) else None
    if not isinstance(value, kind):
        raise UserError(f"{where} has no '{name}' that is a {kind.__name__}", expected="the shape of SQuAD's files")
    return value
