"""The strategy auto: what a run does that names none, decided once its network is known.

Source: a probe first, because gradients through a random head distort what was pre-trained (Kumar et al. 2022, section 4); then
LoRA, near full fine-tuning on every encoder tried here and small on disk (Hu et al. 2022). When: no strategy is named. When
not: what trains must be the same for several networks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from tunewright.config.reader import AUTO, completed, is_undecided, merge
from tunewright.config.recipe import Recipe
from tunewright.methods import lora
from tunewright.models.from_scratch import loading_of, models_in
from tunewright.models.network import Network
from tunewright.models.torch_module import SOURCE
from tunewright.strategies import load_strategy

_NAMES = {"lora": "LoRA", "full": "full fine-tuning"}

# A language model: Dettmers et al. 2023, appendix B.2 (2e-4 up to 13B); Taori et al. 2023 (3 epochs).
_WRITES = {"optimization": {"learning_rate": 2e-4}, "training": {"epochs": 3}}
# Others that keep their own output: ten times what was measured for vectors with everything open (benchmarks/text_heads.py).
_KEEPS_OUTPUT = {"optimization": {"learning_rate": 1e-3}, "training": {"epochs": 5}}
# Random values: the upper end of FT-Transformer's search for a rate (Gorishniy et al. 2021, appendix); the epochs are a guess.
_FROM_SCRATCH = {
    "optimization": {"learning_rate": 1e-3, "head_learning_rate": 1e-3},
    "training": {"epochs": 30, "max_train_examples_seen": None},
}
# A new head that no probe can start has farther to go than the layers below it (the default of optimization.head_learning_rate).
_RANDOM_HEAD = {"optimization": {"head_learning_rate": 1e-3}}


@dataclass(frozen=True)
class _Decision:
    strategy: str
    reason: str
    changes: Mapping[str, Any] = field(default_factory=dict)


def decided_strategy(recipe: Recipe, network: Network, head: ModuleType) -> tuple[Recipe, str | None]:
    """The recipe with what auto decides wherever it names nothing itself, and that in words; other recipes as they are."""
    if recipe.strategy != AUTO:
        return recipe, None
    chosen = _decision(recipe, network, head)
    start = {"initialization": ["linear_probe"] if starts_as_probe(network, head) else []}
    settings = merge(merge(load_strategy(chosen.strategy).settings, start), chosen.changes)
    own = not is_undecided(recipe) and recipe.method.name != chosen.strategy
    found = completed(recipe, settings)
    probe = "linear probe, then " if any(one.name == "linear_probe" for one in found.initialization) else ""
    name = _NAMES.get(found.method.name, found.method.name)
    return found, f"strategy: auto → {probe}{name} ({'the method was named' if own else chosen.reason})"


def as_decided(recipe: Recipe, made: Recipe) -> Recipe:
    """The recipe with what a run of it, ``made``, holds of auto's decision."""
    whole = made.model_dump(mode="json")
    decided = {key: whole[key] for key in ("method", "optimization", "initialization")}
    return completed(
        recipe, decided | {"training": {key: whole["training"][key] for key in ("epochs", "max_train_examples_seen")}}
    )


def starts_as_probe(network: Network, head: ModuleType) -> bool:
    """Whether the network has a new head that a linear probe can start."""
    return bool(network.head_names) and hasattr(head, "prior_bias")


def start_of(recipe: Recipe, network: Network, head: ModuleType) -> str | None:
    """What the network of an automatic run is before its first step, where that is worth keeping, in words."""
    if recipe.strategy != AUTO:
        return None
    if not network.head_names:
        return "untouched model" if loading_of(network.form.kind) is None else None
    probed = starts_as_probe(network, head) and any(one.name == "linear_probe" for one in recipe.initialization)
    return "frozen probe" if probed else None


def _decision(recipe: Recipe, network: Network, head: ModuleType) -> _Decision:
    kind = network.form.kind
    if loading_of(kind) is not None:
        said = "no pre-trained model knows the columns of such rows"
        return _Decision("full", said, {} if models_in(kind, recipe.model.source) else _FROM_SCRATCH)
    if recipe.model.source.startswith(SOURCE):
        return _Decision("full", "a Python module is saved whole")
    if not starts_as_probe(network, head) and network.head_names:
        return _Decision("full", "no probe can start the new head", _RANDOM_HEAD)
    unfit = lora.unfit(network)
    if unfit is not None:
        return _Decision("full", unfit)
    if not network.head_names:
        gentle = _WRITES if network.form.output == "vocabulary" else _KEEPS_OUTPUT
        return _Decision("lora", "the model keeps its own output layer, so there is no head to start", gentle)
    return _Decision("lora", "no strategy was named, and the network is pre-trained")
