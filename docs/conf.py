"""Sphinx settings of the site: `make site` builds it into build/site."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import tunewright
from tunewright.core.registry import FAMILIES, list_parts, load_part

ROOT = Path(__file__).resolve().parent.parent
# Pages whose text is a file of the repository's root.
FROM_ROOT = {"contributing": "CONTRIBUTING.md", "changelog": "CHANGELOG.md", "explanation/security": "SECURITY.md"}

project = "tunewright"
author = "the tunewright authors"
release = version = tunewright.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_design"]
source_suffix = {".md": "markdown"}
exclude_patterns: list[str] = []
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

# Recipes on these pages are YAML, but commands and their output are no language that could be colored.
highlight_language = "text"

autodoc_typehints = "signature"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_class_signature = "separated"
nitpicky = True
# Types in signatures are not resolved: those of torch and numpy would need a network. Links between pages are.
nitpick_ignore_regex = [(r"py:.*", r".*")]
# Names that a docstring gives without their module may be found twice.
suppress_warnings = ["ref.python"]

html_theme = "furo"
html_title = "tunewright"
html_static_path: list[str] = []
html_theme_options = {"source_repository": "", "navigation_with_keys": True}
html_show_sourcelink = False
html_copy_source = False


def setup(app: Any) -> None:
    """Every part is imported before autodoc reads it: a second import with TYPE_CHECKING set would define other models.

    Docstrings here are plain text with `code` in single or double backticks; they are no reStructuredText.
    """
    for family in FAMILIES:
        for part in list_parts(family):
            load_part(family, part.name)
    app.connect("source-read", _read_from_root)
    app.connect("autodoc-process-docstring", _as_plain_text)


def _read_from_root(app: Any, docname: str, source: list[str]) -> None:
    """Put the root's file in the page's place; links into docs/ follow, those to other files keep their words alone."""
    if docname not in FROM_ROOT:
        return
    up = "../" * docname.count("/")

    def linked(match: re.Match[str]) -> str:
        label, target = match.groups()
        if target.startswith("docs/"):
            return f"[{label}]({up}{target.removeprefix('docs/')})"
        return match[0] if ":" in target else label

    source[0] = re.sub(r"\[([^\]]+)\]\(([^)\s]+)\)", linked, (ROOT / FROM_ROOT[docname]).read_text(encoding="utf-8"))


def _as_plain_text(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    lines[:] = [_escaped(line) for line in _with_lists_apart(lines)]


def _with_lists_apart(lines: list[str]) -> list[str]:
    """A list has an empty line before and after it, which reStructuredText needs and a reader of the source does not."""
    apart: list[str] = []
    listed = False
    for line in lines:
        begins = line.startswith("- ")
        goes_on = listed and line.startswith("  ")
        if line.strip() and apart and apart[-1].strip() and listed != (begins or goes_on):
            apart.append("")
        listed = begins or goes_on
        apart.append(line)
    return apart


def _escaped(line: str) -> str:
    """One line in which nothing but code is markup."""
    parts = re.split(r"(``.+?``|`[^`]+`)", line)
    return "".join(f"``{part.strip('`')}``" if part.startswith("`") and len(part) > 1 else _literal(part) for part in parts)


def _literal(text: str) -> str:
    return re.sub(r"([*_|\\`])", r"\\\1", text)
