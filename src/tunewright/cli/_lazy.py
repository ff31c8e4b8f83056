"""A group of commands, each imported only when it is called or listed."""

from __future__ import annotations

import sys
from collections.abc import Callable
from difflib import get_close_matches
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

from tunewright.cli._command import Command
from tunewright.cli._faults import guarded


def lazy_group(package: str, names: tuple[str, ...], added: str | None = None) -> type[TyperGroup]:
    """A group whose command ``find-rate`` is the function ``run`` of ``<package>.find_rate``.

    A module that has ``app`` instead of ``run`` is a group of its own. ``added`` is the entry point group by which other packages
    add commands, each a module like ours; a name of ours is ours.
    """

    class Group(TyperGroup):
        def list_commands(self, ctx: Any) -> list[str]:
            return [*names, *sorted(_modules(added).keys() - set(names))]

        def get_command(self, ctx: Any, cmd_name: str) -> Any:
            path = f"{package}.{cmd_name.replace('-', '_')}" if cmd_name in names else _modules(added).get(cmd_name)
            if path is None:
                return None
            module = import_module(path)
            command = get_command(module.app) if hasattr(module, "app") else _command(module.run, cmd_name)
            command.name = cmd_name
            return command

        def resolve_command(self, ctx: Any, args: list[str]) -> Any:
            if args and args[0] not in names and not args[0].startswith("-") and args[0] not in _modules(added):
                known = self.list_commands(ctx)
                near = get_close_matches(args[0], known, n=1)
                hint = f" Did you mean '{near[0]}'?" if near else f" Known: {', '.join(known)}."
                ctx.fail(f"No such command '{args[0]}'.{hint}")
            return super().resolve_command(ctx, args)

    return Group


def _modules(added: str | None) -> dict[str, str]:
    """The commands of other packages, name -> module."""
    return {} if added is None else {point.name: point.value for point in entry_points(group=added)}


def new_app(group: type[TyperGroup] | None = None, *, completion: bool = False) -> typer.Typer:
    """An application with plain help where nobody watches, and without typer's own tracebacks."""
    return typer.Typer(
        cls=group,
        add_completion=completion,
        no_args_is_help=True,
        rich_markup_mode="rich" if sys.stdout.isatty() else None,
        pretty_exceptions_enable=False,
    )


def _command(run: Callable[..., None], name: str) -> Any:
    app = new_app()
    app.command(name, cls=Command, no_args_is_help=False)(guarded(run))
    return get_command(app)
