"""What the child process does that writes conversations with a model's chat template: Jinja's sandbox, and nothing of ours."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from functools import lru_cache
from typing import Any

from jinja2 import TemplateError, nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

_DAY = date(2024, 7, 26)  # what templates are told for today, so that a run can be repeated; Llama 3's own fallback


def answer(question: dict[str, Any]) -> dict[str, str]:
    """The text under *text*, or what is wrong under *unreadable*, *refused* or *runaway*."""
    try:
        compiled = _compiled(question["source"])
    except (TemplateError, RecursionError, MemoryError, ValueError, SyntaxError, OverflowError) as error:
        return {"unreadable": f"{error or type(error).__name__}"[:400]}
    pieces, size = [], 0
    try:
        for piece in compiled.generate(**question["given"]):
            size += len(piece)
            pieces.append(piece)
            if size > question["most"]:
                return {"runaway": ""}
    except MemoryError:
        return {"runaway": ""}
    except Exception as error:  # whatever a stranger's program raises is its own fault
        return {"refused": str(error)[:400]}
    return {"text": "".join(pieces)}


class _Generation(Extension):
    """Reads {% generation %} … {% endgeneration %}, which marks answers in some templates, as its content."""

    tags = {"generation"}  # noqa: RUF012 - Jinja's own way

    def parse(self, parser: Parser) -> list[nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def _refused(message: str) -> None:
    raise TemplateError(message)


def _as_json(value: Any, indent: int | None = None, ensure_ascii: bool = False, sort_keys: bool = False) -> str:
    return json.dumps(value, indent=indent, ensure_ascii=ensure_ascii, sort_keys=sort_keys)


@lru_cache(maxsize=8)
def _compiled(source: str) -> Any:
    rules = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, loopcontrols])
    rules.filters["tojson"] = _as_json
    told: dict[str, Callable[..., Any]] = {"raise_exception": _refused, "strftime_now": _DAY.strftime}
    rules.globals.update(told)
    return rules.from_string(source)
