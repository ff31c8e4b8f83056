"""Written answers that can be checked: the right final number, the same words, or JSON that a schema takes.

Source: '#### N' at the end of an answer: Cobbe et al. 2021 (GSM8K), section 2; JSON Schema: draft 2020-12.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from tunewright.core.errors import UserError
from tunewright.core.optional_packages import require
from tunewright.core.types import Score
from tunewright.evaluation.intervals import exact_interval

Check = Literal["number", "words", "json"]

_NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?")


def final_number(text: str) -> float | None:
    """The number behind the last '####', without it the last number of the text; None where there is none."""
    found = _NUMBER.findall(text.rsplit("####", 1)[-1]) if "####" in text else _NUMBER.findall(text)[-1:]
    return float(found[0].replace(",", "")) if found else None


def same_number(answer: str, reference: str) -> bool:
    """Whether both end in the same number."""
    wanted = final_number(reference)
    return wanted is not None and final_number(answer) == wanted


def same_words(answer: str, reference: str) -> bool:
    """Whether both are the same but for white space at the ends."""
    return answer.strip() == reference.strip()


def validator(schema: Mapping[str, Any]) -> Callable[[str], bool]:
    """A function that tells whether a text is one JSON value that the schema takes."""
    jsonschema = require("jsonschema", "schema", "JSON schemas")
    try:
        jsonschema.Draft202012Validator.check_schema(schema)
    except jsonschema.SchemaError as error:
        raise UserError(f"the JSON schema cannot be used: {error.message}", expected="a schema of draft 2020-12") from None
    rules = jsonschema.Draft202012Validator(schema)

    def valid(text: str) -> bool:
        try:
            value = json.loads(text)
        except (json.JSONDecodeError, RecursionError):
            return False
        return bool(rules.is_valid(value))

    return valid


def share(name: str, right: Sequence[bool], confidence: float = 0.95) -> Score:
    """The share of answers that passed a check, with Clopper and Pearson's interval."""
    count, n = sum(right), len(right)
    if not n:
        return Score(name, None, None, None, 0, "share", "given", "no answers")
    low, high = exact_interval(count, n, confidence)
    return Score(name, count / n, low, high, n, "share", "given", "exact binomial interval")
