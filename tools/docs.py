"""Write the pages that follow from the code: python tools/docs.py [--check].

docs/strategies/*.md from the strategies' data, docs/parts.md from the parts' first lines, docs/recipe.md and
docs/recipe.schema.json from the recipe's fields, and README's strategies and tree. With --check nothing is written and a stale
page is an error.
"""

from __future__ import annotations

import ast
import io
import json
import re
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import yaml

from tunewright.config.json_schema import recipe_schema
from tunewright.config.recipe import Choice, Recipe, Section
from tunewright.core.registry import FAMILIES, list_parts
from tunewright.strategies import Strategy, list_strategies

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
README = ROOT / "README.md"
MADE = "<!-- Written by tools/docs.py; change the source it names, not this page. -->\n\n"


def main(arguments: list[str]) -> int:
    pages = {**strategy_pages(), "parts.md": parts_page(), "recipe.md": recipe_page(), "../README.md": readme()}
    pages["recipe.schema.json"] = json.dumps(recipe_schema(installed=False), indent=1, ensure_ascii=False) + "\n"
    stale = [name for name, text in pages.items() if not (DOCS / name).is_file() or (DOCS / name).read_text() != text]
    if "--check" in arguments:
        for name in stale:
            print(f"docs/{name} is stale; run python tools/docs.py")
        return 1 if stale else 0
    for name in stale:
        (DOCS / name).parent.mkdir(parents=True, exist_ok=True)
        (DOCS / name).write_text(pages[name], encoding="utf-8")
        print(f"docs/{name}")
    return 0


def strategy_pages() -> dict[str, str]:
    pages = {f"strategies/{strategy.name}.md": strategy_page(strategy) for strategy in list_strategies()}
    rows = "".join(f"| [{one.name}]({one.name}.md) | {answers(one)} |\n" for one in list_strategies())
    head = "# Strategies\n\nEach is a combination of four answers: what trains, when, how fast, from where.\n\n"
    pages["strategies/index.md"] = (
        f"{MADE}{head}| strategy | what | when | how fast | from where |\n|---|---|---|---|---|\n{rows}"
    )
    return pages


def answers(strategy: Strategy) -> str:
    """The four answers, for a table's row."""
    settings = strategy.settings
    if not settings:
        return " | ".join(["decided for the network"] * 4)
    speed = settings.get("optimization", {})
    starts = ", ".join(name_of(one) for one in settings.get("initialization", ())) or "the head's own rule"
    fast = f"{speed.get('learning_rate', '–')} / head {speed.get('head_learning_rate', '–')}, "
    fast += name_of(speed.get("schedule", "linear"))
    if "layer_decay" in speed:
        fast += f", each layer x{speed['layer_decay']:.3g}"
    return " | ".join((name_of(settings.get("method", "full")), name_of(settings.get("unfreezing", "none")), fast, starts))


def name_of(choice: Any) -> str:
    return str(choice["name"] if isinstance(choice, dict) else choice)


def strategy_page(strategy: Strategy) -> str:
    origins = "".join(f"- `{key}`: {text.strip()}\n" for key, text in strategy.origin.items())
    settings = yaml.safe_dump(strategy.settings, sort_keys=False, width=110) if strategy.settings else ""
    shown = f"## Settings\n\n```yaml\n{settings}```\n\n" if settings else ""
    return (
        f"{MADE}# {strategy.name}\n\n{strategy.summary.strip()}\n\n"
        f"**When.** {strategy.when.strip()}\n\n**When not.** {strategy.when_not.strip()}\n\n"
        f"**Source.** {strategy.source.strip()}\n\n"
        f"```\ntunewright fit data.csv --target label --strategy {strategy.name}\n```\n\n"
        f"{shown}## Where the settings come from\n\n{origins}\n"
        "What it reached on real data is in [benchmarks](../benchmarks.md).\n"
    )


def parts_page() -> str:
    page = f"{MADE}# Parts\n\nEverything that can be named in a recipe, one file each; `tunewright parts` prints the same.\n"
    for family in FAMILIES:
        rows = "".join(f"| `{part.name}` | {part.summary} |\n" for part in list_parts(family))
        if rows:
            page += f"\n## {family}\n\n| name | meaning |\n|---|---|\n{rows}"
    return page


def recipe_page() -> str:
    page = f"{MADE}# The recipe\n\nEvery key, its default and its meaning. On the command line: "
    page += "`--set optimization.layer_decay=0.9`.\n"
    out = io.StringIO()
    with redirect_stdout(out):
        print_section(Recipe, "")
    return page + out.getvalue()


def readme() -> str:
    """README with its marked blocks written anew."""
    rows = "".join(f"| [{one.name}](docs/strategies/{one.name}.md) | {one.summary.strip()} |\n" for one in list_strategies())
    blocks = {"strategies": f"| strategy | in one line |\n|---|---|\n{rows}", "tree": f"```\n{tree()}```\n"}
    text = README.read_text(encoding="utf-8")
    for name, block in blocks.items():
        text = re.sub(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", lambda found: found[1] + block + found[2], text, flags=re.S)  # noqa: B023
    return text


def tree() -> str:
    """The package's rooms and top modules, each with the first line of its docstring."""
    package = ROOT / "src" / "tunewright"
    lines = ["src/tunewright/\n"]
    for path in sorted(package.iterdir(), key=lambda path: (path.is_file(), path.name)):
        source = path / "__init__.py" if path.is_dir() else path
        if source.suffix != ".py" or not source.is_file() or path.name.startswith("__"):
            continue
        first = (ast.get_docstring(ast.parse(source.read_text(encoding="utf-8"))) or "").split("\n", 1)[0]
        lines.append(f"  {path.name + ('/' if path.is_dir() else ''):<18}{first}\n")
    return "".join(lines)


def print_section(section: type[Section], prefix: str) -> None:
    plain, nested = [], []
    for name, field in section.model_fields.items():
        kind = field.annotation
        is_section = isinstance(kind, type) and issubclass(kind, Section) and kind is not Choice
        (nested if is_section else plain).append((name, field))
    print(f"\n## {prefix.rstrip('.') or 'at the top'}\n\n| key | default | meaning |\n|---|---|---|")
    for name, field in plain:
        default = field.get_default(call_default_factory=True)
        shown = default.model_dump() if isinstance(default, Choice) else list(default) if isinstance(default, tuple) else default
        print(f"| `{prefix}{name}` | `{shown}` | {field.description or ''} |")
    for name, field in nested:
        print_section(field.annotation, f"{prefix}{name}.")  # type: ignore[arg-type]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
