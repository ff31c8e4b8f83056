"""tunewright layers: a model's stack of layers, as the recipe's depths count them."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from tunewright.cli._options import Json
from tunewright.cli._output import print_json, print_table, tell


def run(
    model: Annotated[str, typer.Argument(help="Local folder, installed package, or hub id.")],
    as_json: Json = False,
) -> None:
    """A model as a stack of layers, with their parameters."""
    from tunewright.pipeline.planning import model_to_look_at

    network = model_to_look_at(model)
    sizes = {name: tensor.numel() for name, tensor in (*network.named_parameters(), *network.named_buffers())}
    layers: list[dict[str, Any]] = [
        {
            "depth": group.depth,
            "name": group.name,
            "parameters": sum(sizes[name] for name in group.parameters),
            "buffers": sum(sizes[name] for name in group.buffers),
        }
        for group in network.stack.groups
    ]
    total, shared = sum(layer["parameters"] for layer in layers), network.stack.shared
    if as_json:
        print_json({"model": model, "pooling": network.pooling, "parameters": total, "shared": shared, "layers": layers})
        return
    columns = ("depth", "name", "parameters", "buffers")
    print_table(columns, [[layer[key] for key in columns] for layer in layers], title=model)
    tell(f"{total:,} parameters, pooling {network.pooling}, opened as {network.form.auto}; a new head is shown for two classes")
    if shared > 1:
        tell(f"Each block runs {shared} times with the same weights: its layers cannot be frozen apart.")
