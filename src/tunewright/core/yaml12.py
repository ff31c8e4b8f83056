"""YAML read as data, with YAML 1.2's meaning: 1e-5 is a number, no is a word, nothing is executed, nothing explodes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from tunewright.core.errors import UserError
from tunewright.core.paths import refuse_address

# Bounds of a settings file written by a person (guesses, far above what one needs).
_BYTES, _NODES, _DEPTH = 1 << 20, 20_000, 32


class _Loader(yaml.SafeLoader):
    """SafeLoader with the core schema of YAML 1.2, duplicate keys refused, and nodes counted."""

    nodes = 0
    depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        self.nodes += 1
        self.depth += 1
        if self.check_event(yaml.AliasEvent):
            raise yaml.constructor.ConstructorError(
                None, None, "aliases (*name) are not allowed here", self.peek_event().start_mark
            )
        if self.nodes > _NODES or self.depth > _DEPTH:
            raise yaml.constructor.ConstructorError(
                None, None, "too large or too deep for settings", self.peek_event().start_mark
            )
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen: dict[Any, int] = {}
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            line = key_node.start_mark.line + 1
            if not isinstance(key, str):
                raise yaml.constructor.ConstructorError(None, None, f"the key {key!r} is not a word", key_node.start_mark)
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key '{key}' stands twice, first in line {seen[key]}", key_node.start_mark
                )
            seen[key] = line
        return super().construct_mapping(node, deep=deep)


def _number(loader: _Loader, node: Any) -> float | int:
    text = loader.construct_scalar(node).lower()
    if text.lstrip("+-") in (".inf", ".nan"):
        return float(text.replace(".", ""))
    if text.startswith("0x"):
        return int(text, 16)
    if text.startswith("0o"):
        return int(text, 8)
    return float(text) if re.search(r"[.e]", text) else int(text)


_Loader.yaml_implicit_resolvers = {}
for _tag, _pattern, _first in (
    ("tag:yaml.org,2002:bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("tag:yaml.org,2002:null", r"null|Null|NULL|~|", ["n", "N", "~", ""]),
    (
        "tag:tunewright,number",
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|0o[0-7]+|0x[0-9a-fA-F]+",
        list("-+.0123456789"),
    ),
    ("tag:tunewright,number", r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)", list("-+.")),
):
    _Loader.add_implicit_resolver(_tag, re.compile(rf"^(?:{_pattern})$"), list(_first))
_Loader.add_constructor("tag:tunewright,number", _number)


def read_yaml(source: Path | str, *, what: str = "") -> Any:
    """The value of a YAML file, which must be a mapping, or of a piece of text (then ``what`` names it)."""
    if isinstance(source, Path):
        value = _parse(_text(source), str(source))
        if not isinstance(value, dict):
            kind = "empty" if value is None else f"a {type(value).__name__}"
            raise UserError(
                f"{source} is {kind}", expected="a recipe: sections such as data, model, method", try_="tunewright fit --help"
            )
        return value
    return _parse(source, what)


def _text(path: Path) -> str:
    refuse_address(path, "the recipe")
    if not path.is_file():
        raise UserError(f"the recipe '{path}' does not exist", expected="a YAML file")
    if path.stat().st_size > _BYTES:
        raise UserError(f"{path} has {path.stat().st_size:,} bytes", expected=f"a recipe of at most {_BYTES:,}")
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8 (byte {error.start})", expected="a text file in UTF-8") from None


def _parse(text: str, what: str) -> Any:
    try:
        return _Loader(text).get_single_data()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"{what}, line {mark.line + 1}" if mark is not None else what
        problem = error.problem or "not YAML"
        if "could not determine a constructor for the tag" in problem:
            tag = problem.rpartition(" ")[2]
            problem = f"the tag {tag} is not allowed: settings are plain data"
        raise UserError(f"{where}: {problem}", expected="plain YAML") from None
    except (yaml.YAMLError, ValueError) as error:
        raise UserError(f"{what} cannot be read: {error}", expected="plain YAML") from None
