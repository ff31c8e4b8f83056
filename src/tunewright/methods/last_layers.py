"""Train the top k blocks and what runs after them.

Source: Yosinski et al. 2014, "How transferable are features", section 4 (lower layers are general, upper ones specific);
Lee et al. 2019, "What Would Elsa Do?", section 3 (a quarter of the layers reaches 90 % of full fine-tuning's gain).
When: moderate data; the blocks below the k-th never change, so their output can be computed once and kept.
When not: the domain's words themselves are new to the model (lower layers must move: full), or blocks share their weights.
Nearest: frozen (k = 0), full (k = all and the embeddings too).
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from tunewright.core.errors import UserError
from tunewright.core.types import Applied
from tunewright.methods._tree import open_only
from tunewright.models.network import Network


class Settings(BaseModel):
    """How much of the stack trains."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    k: int = Field(2, ge=1, description="Blocks that train, counted from the top (a guess: a third of a six-block encoder).")


def apply(network: Network, settings: Settings) -> Applied:
    """Open the top k blocks, the final norm or pooler above them, and nothing below."""
    stack = network.stack
    if settings.k > len(stack.blocks):
        shared = f"; it runs {stack.shared} times with the same weights" if stack.shared > 1 else ""
        raise UserError(
            f"k = {settings.k} is more than the network's {len(stack.blocks)} block(s){shared}",
            expected=f"k from 1 to {len(stack.blocks)}",
            try_="method: full",
        )
    lowest = stack.blocks[-settings.k].depth
    names = (name for group in stack.groups if group.depth >= lowest for name in group.parameters)
    return Applied(trainable=open_only(network, names))
