"""A command whose plain help has the same groups of options as the drawn one, and whose errors know other libraries' options."""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand

from tunewright.cli._recipe import KEYS
from tunewright.config.aliases import alias_of

_REST = "Options"


class Command(TyperCommand):
    """A typer command; typer itself groups options only where rich draws the help."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except Exception as error:
            hint = _hint(self, error)
            if hint:
                error.message += hint  # type: ignore[attr-defined]
            raise

    def format_options(self, ctx: Any, formatter: Any) -> None:
        groups: dict[str, list[tuple[str, str]]] = {}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is not None:
                own = "Arguments" if param.param_type_name == "argument" else _REST
                groups.setdefault(getattr(param, "rich_help_panel", None) or own, []).append(record)
        for name in sorted(groups, key=_REST.__eq__):  # what belongs to no group comes last
            with formatter.section(name):
                formatter.write_dl(groups[name])


def _hint(command: TyperCommand, error: Exception) -> str:
    """The option or setting that was meant by one that is not known; '' where nothing is close."""
    if not hasattr(error, "possibilities") or error.possibilities:  # another error, or one with a hint of its own
        return ""
    name = str(getattr(error, "option_name", "")).lstrip("-").replace("-", "_")
    options = {option for param in command.params for option in param.opts}
    key = alias_of(name) or _own_key(name)
    if key is None or "--set" not in options:
        return ""
    option = next((f"--{given.replace('_', '-')}" for given, ours in KEYS.items() if ours == key), None)
    return f". Did you mean '{option if option in options else f'--set {key}=…'}'?"


def _own_key(name: str) -> str | None:
    from tunewright.config.reader import known_keys

    return next((key for key in known_keys() if key.rpartition(".")[2] == name), None)
