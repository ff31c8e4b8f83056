"""Write the pages that follow from the code: python tools/docs.py [--check].

In docs/reference: strategies/ from the strategies' data, parts.md and api/ from the registry, recipe.md and recipe.schema.json
from the recipe's fields, cli.md from the commands, source_tree.md from the packages' docstrings.
With --check nothing is written and a stale page is an error.
"""

from __future__ import annotations

import ast
import inspect
import io
import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import yaml
from typer.main import get_command

import tunewright
from tunewright.cli.main import app
from tunewright.config.json_schema import recipe_schema
from tunewright.config.recipe import Choice, Recipe, Section
from tunewright.core.registry import FAMILIES, list_parts
from tunewright.strategies import Strategy, list_strategies

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs" / "reference"
MADE = "<!-- Written by tools/docs.py; change the source it names, not this page. -->\n\n"


def main(arguments: list[str]) -> int:
    pages = {
        **strategy_pages(),
        **api_pages(),
        "parts.md": parts_page(),
        "recipe.md": recipe_page(),
        "cli.md": cli_page(),
        "source_tree.md": tree_page(),
    }
    pages["recipe.schema.json"] = json.dumps(recipe_schema(installed=False), indent=1, ensure_ascii=False) + "\n"
    stale = [name for name, text in pages.items() if not (DOCS / name).is_file() or (DOCS / name).read_text() != text]
    if "--check" in arguments:
        for name in stale:
            print(f"docs/reference/{name} is stale; run python tools/docs.py")
        return 1 if stale else 0
    for name in stale:
        (DOCS / name).parent.mkdir(parents=True, exist_ok=True)
        (DOCS / name).write_text(pages[name], encoding="utf-8")
        print(f"docs/reference/{name}")
    return 0


def strategy_pages() -> dict[str, str]:
    pages = {f"strategies/{strategy.name}.md": strategy_page(strategy) for strategy in list_strategies()}
    rows = "".join(f"| [{one.name}]({one.name}.md) | {answers(one)} |\n" for one in list_strategies())
    head = "# Strategies\n\nEach is a combination of four answers: what trains, when, how fast, from where.\n\n"
    pages["strategies/index.md"] = (
        f"{MADE}{head}| strategy | what | when | how fast | from where |\n|---|---|---|---|---|\n{rows}\n"
        + toctree(one.name for one in list_strategies())
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
        "Results on real data: [benchmarks](../../benchmarks/strategies.md).\n"
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


def cli_page() -> str:
    page = f"{MADE}# Command line\n\nEvery command takes `--json`. "
    page += "Exit codes: 0 done, 1 our fault, 2 your input, 130 interrupted, 143 SIGTERM.\n"
    return page + "".join(command_section(name, command) for name, command in commands(get_command(app), "tunewright"))


def commands(group: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    """Every command with its whole name, groups opened."""
    for name in group.list_commands(None):
        command = group.get_command(None, name)
        if hasattr(command, "list_commands"):
            yield from commands(command, f"{prefix} {name}")
        else:
            yield f"{prefix} {name}", command


def command_section(name: str, command: Any) -> str:
    rows = "".join(
        f"| {', '.join(f'`{one}`' for one in option_names(param))} | {(getattr(param, 'help', None) or '').replace('|', '/')} |\n"
        for param in command.params
        if not getattr(param, "hidden", False) and "--help" not in param.opts
    )
    described = inspect.cleandoc(command.help or "").replace("\f", "")
    return f"\n## {name}\n\n{described}\n\n| argument or option | meaning |\n|---|---|\n{rows}"


def option_names(param: Any) -> list[str]:
    if param.param_type_name == "argument":
        return [param.metavar or param.name.upper()]
    return [*param.opts, *param.secondary_opts]


def api_pages() -> dict[str, str]:
    """One page for the public names, one for each family of parts; Sphinx reads the docstrings when the site is built."""
    names = sorted(name for name in tunewright.__all__ if name[0].isalpha())
    functions = "".join(f".. autofunction:: tunewright.{name}\n" for name in names if name[0].islower())
    classes = "".join(f".. autoclass:: tunewright.{name}\n   :members:\n\n" for name in names if name[0].isupper())
    families = [family for family in FAMILIES if list_parts(family)]
    index = f"{MADE}# Python API\n\nWhat `import tunewright` offers, from its docstrings. "
    index += f"Each family of [parts](../parts.md) has a page of its own.\n\n{toctree(families)}\n"
    index += f"## Functions\n\n```{{eval-rst}}\n{functions}```\n\n## Classes\n\n```{{eval-rst}}\n{classes}```\n"
    return {f"api/{family}.md": family_page(family) for family in families} | {"api/index.md": index}


def family_page(family: str) -> str:
    modules = "".join(
        f"## {part.name}\n\n```{{eval-rst}}\n.. automodule:: {part.module}\n   :members:\n```\n\n"
        for part in list_parts(family)
        if part.module.startswith("tunewright.")
    )
    return f"{MADE}# {family}\n\n{modules}"


def toctree(names: Iterable[str]) -> str:
    return "```{toctree}\n:hidden:\n\n" + "".join(f"{name}\n" for name in names) + "```\n"


def tree_page() -> str:
    head = "# Source tree\n\nThe first line of each package's docstring. "
    head += "[Architecture](../explanation/architecture.md) explains the design.\n\n"
    return f"{MADE}{head}```\n{tree()}```\n"


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
