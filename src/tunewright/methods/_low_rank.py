"""What lora and dora share: the two small matrices, where they go, and how they are saved and merged."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn
from torch.nn import functional

from tunewright.core.errors import UserError
from tunewright.core.types import Applied
from tunewright.methods._select import first_match, linears_in, numbered_blocks, select
from tunewright.methods._tree import Wrapper, added, matrix, open_only, unwrap, wrap
from tunewright.models import peft_format as peft_format
from tunewright.models.linear import linear_shape
from tunewright.models.network import Network

# PEFT's name for each of a layer's own tensors.
_SUFFIXES = {"lora_A": "lora_A.weight", "lora_B": "lora_B.weight", "magnitude": "lora_magnitude_vector"}


class LowRankSettings(BaseModel):
    """Where the low-rank change goes and how large it may get."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rank: int = Field(8, ge=1, description="Rank r of the change to each weight (Hu et al. 2022, table 9: 8 on GLUE).")
    alpha: float = Field(16, gt=0, description="The change is scaled by alpha / rank (a common choice: twice the rank).")
    dropout: float = Field(
        0.0, ge=0, lt=1, description="Dropout on what the small matrices read, as a share (Hu et al. 2022: none on GLUE)."
    )
    rank_stabilised: bool = Field(
        False, description="Scale by alpha / √rank, so that high ranks learn (Kalajdzievski 2023, section 3)."
    )
    plus_ratio: float = Field(
        1.0, ge=1, description="LoRA+: learning rate of B as a multiple of A's (Hayou et al. 2024: 16; 1 is plain LoRA)."
    )
    targets: tuple[str, ...] | str = Field(
        "all",
        description="'all' linear layers of the blocks (Dettmers et al. 2023, section 4), or patterns for their names' ends.",
    )
    layers: tuple[int, ...] | None = Field(
        None, description="Blocks to adapt by number, 0 the lowest, -1 the highest; None adapts all."
    )
    rank_pattern: dict[str, Annotated[int, Field(ge=1)]] = Field(
        {}, description="Another rank for the layers that a pattern means, first match wins."
    )
    alpha_pattern: dict[str, Annotated[float, Field(gt=0)]] = Field(
        {}, description="Another alpha for the layers that a pattern means, first match wins."
    )


@dataclass(frozen=True)
class Plan:
    """Rank and alpha of each adapted layer, in the order of the stack."""

    ranks: Mapping[str, int]
    alphas: Mapping[str, float]
    dropout: float
    rank_stabilised: bool

    def scaling(self, name: str) -> float:
        rank = self.ranks[name]
        return self.alphas[name] / (math.sqrt(rank) if self.rank_stabilised else rank)


class LowRank(Wrapper):
    """A frozen linear layer with two small trainable matrices, A (rank, inputs) and B (outputs, rank), in float32."""

    def __init__(self, base_layer: nn.Module, rank: int, scaling: float, dropout: float) -> None:
        super().__init__(base_layer)
        small, wide = self.shapes(base_layer, rank)
        device = self.weight.device
        self.lora_A = nn.Parameter(torch.empty(small, device=device, dtype=torch.float32))
        self.lora_B = nn.Parameter(torch.zeros(wide, device=device, dtype=torch.float32))
        nn.init.kaiming_uniform_(self.lora_A, a=math.sqrt(5))  # uniform within ±1/√inputs, as torch starts a linear layer
        self.scaling = scaling
        self.dropout = dropout

    @staticmethod
    def shapes(base_layer: nn.Module, rank: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Shapes of A and B."""
        inputs, outputs = linear_shape(base_layer)
        return (rank, inputs), (outputs, rank)

    def change(self, x: Tensor) -> Tensor:
        """The change to the output, scaling · B A x; the scale is put on the narrow side, where it costs least."""
        if not torch.is_autocast_enabled(x.device.type):  # which casts by itself
            x = x.to(self.lora_A.dtype)
        if self.dropout and self.training:
            x = functional.dropout(x, self.dropout)
        return functional.linear(functional.linear(x, self.lora_A) * self.scaling, self.lora_B)

    def changed_weight(self) -> Tensor:
        """W + scaling · B A, (outputs, inputs), in float32 even where autocast would round it."""
        plain = matrix(self.base_layer, self.weight).to(torch.float32)
        with torch.autocast(plain.device.type, enabled=False):
            return torch.addmm(plain, self.lora_B, self.lora_A, alpha=self.scaling)

    def merged_weight(self) -> Tensor:
        """The one weight, (outputs, inputs), of the plain layer that computes the same."""
        return self.changed_weight()

    def merge_into(self, base: nn.Module) -> None:
        """Give the base layer the weight that computes the same alone."""
        matrix(base, self.weight).copy_(self.merged_weight())


Make = Callable[[nn.Module, int, float, float], LowRank]


def plan_from_settings(network: Network, settings: LowRankSettings, others: Callable[[nn.Module], bool] | None = None) -> Plan:
    """Resolve patterns to layers; a pattern without a layer is a ``UserError``.

    ``others`` tells which layers are meant where the blocks have no linear one.
    """
    names = linears_in(network, settings.layers)
    if not names and others is not None:
        modules = dict(network.named_modules())
        inside = (name for block in numbered_blocks(network, settings.layers) for name in block.modules)
        names = tuple(name for name in inside if others(modules[name]))
    targets = names if settings.targets == "all" else select(names, settings.targets)
    if not targets:
        raise UserError(
            "no linear layer is targeted",
            expected="'all', or patterns for the ends of layer names",
            try_="method: last_layers" if settings.targets == "all" else "",
        )
    select(targets, settings.rank_pattern, "rank_pattern")
    select(targets, settings.alpha_pattern, "alpha_pattern")
    return Plan(
        ranks={name: first_match(name, settings.rank_pattern) or settings.rank for name in targets},
        alphas={name: first_match(name, settings.alpha_pattern) or settings.alpha for name in targets},
        dropout=settings.dropout,
        rank_stabilised=settings.rank_stabilised,
    )


def plan_from_peft(config: Mapping[str, Any], state: Mapping[str, Tensor]) -> Plan:
    """What PEFT saved: the tensors tell the layers and ranks, the config tells the alphas."""
    peft_format.refuse_uncomputed(config)
    start, end = peft_format.layer_key(""), f".{_SUFFIXES['lora_A']}"
    ranks = {
        f"inner.{key.removeprefix(start).removesuffix(end)}": int(value.shape[0])
        for key, value in state.items()
        if key.endswith(end)
    }
    if not ranks:
        raise UserError("the adapter holds no lora_A matrix", expected="an adapter saved by tunewright or peft")
    patterns = config.get("alpha_pattern") or {}
    default = config.get("lora_alpha", 8)
    return Plan(
        ranks=ranks,
        alphas={name: float(_by_peft_pattern(name.removeprefix("inner."), patterns, default)) for name in ranks},
        dropout=float(config.get("lora_dropout") or 0.0),
        rank_stabilised=bool(config.get("use_rslora")),
    )


def _by_peft_pattern(name: str, patterns: Mapping[str, Any], default: float) -> Any:
    """PEFT's rule: the first regular expression that matches the name or its end."""
    return next((value for pattern, value in patterns.items() if re.match(rf"(.*\.)?({pattern})$", name)), default)


def install(network: Network, plan: Plan, make: Make, plus_ratio: float = 1.0) -> Applied:
    """Put the small matrices beside the planned layers, and nothing else in training."""
    _ = network.stack  # read before the tree changes
    missing = [name for name in plan.ranks if not _has(network, name)]
    if missing:
        raise UserError(
            f"the adapter changes '{missing[0]}', which this network does not have", expected=f"an adapter of '{network.base}'"
        )
    wrappers = wrap(network, plan.ranks, lambda name, base: make(base, plan.ranks[name], plan.scaling(name), plan.dropout))
    names = [name for target, wrapper in wrappers.items() for name in added(target, wrapper)]
    keys = saved_keys(network, plan)
    raised = {name: plus_ratio for name in names if name.endswith(".lora_B")} if plus_ratio != 1 else {}
    return Applied(
        trainable=open_only(network, names),
        rate_factors=raised,
        adapter_config=_config(network, plan, any(name.endswith(".magnitude") for name in names)),
        adapter_state=lambda: peft_format.snapshot(network, keys),
        merge=lambda: _merge(network, plan),
    )


def saved_keys(network: Network, plan: Plan) -> dict[str, str]:
    """Parameter name -> PEFT's key, for every tensor of the adapter."""
    names = [name for target in plan.ranks for name in added(target, network.get_submodule(target))]
    return {name: peft_format.layer_key(f"{name.rpartition('.')[0]}.{_SUFFIXES[name.rpartition('.')[2]]}") for name in names}


def _has(network: Network, name: str) -> bool:
    return any(name == known for known, _ in network.named_modules())


def _config(network: Network, plan: Plan, dora: bool) -> dict[str, Any]:
    plain = {name: name.removeprefix("inner.") for name in plan.ranks}
    rank, alpha = _commonest(plan.ranks.values()), _commonest(plan.alphas.values())
    return {
        **peft_format.base_config(network, "LORA"),
        "r": rank,
        "lora_alpha": _tidy(alpha),
        "lora_dropout": plan.dropout,
        "use_rslora": plan.rank_stabilised,
        "use_dora": dora,
        "target_modules": list(plain.values()),
        "rank_pattern": {re.escape(plain[name]): value for name, value in plan.ranks.items() if value != rank},
        "alpha_pattern": {re.escape(plain[name]): _tidy(value) for name, value in plan.alphas.items() if value != alpha},
        "fan_in_fan_out": any(not isinstance(_base(network, name), (nn.Linear, nn.Conv2d)) for name in plan.ranks),
        "bias": "none",
        "init_lora_weights": True,
        "exclude_modules": None,
        "layers_to_transform": None,
        "layers_pattern": None,
    }


def _base(network: Network, name: str) -> nn.Module:
    wrapper = network.get_submodule(name)
    return wrapper.base_layer if isinstance(wrapper, Wrapper) else wrapper


def _commonest(values: Any) -> Any:
    listed = list(values)
    return max(dict.fromkeys(listed), key=listed.count)


def _tidy(value: float) -> int | float:
    return int(value) if float(value).is_integer() else value


@torch.no_grad()
def _merge(network: Network, plan: Plan) -> None:
    for name in plan.ranks:
        wrapper = network.get_submodule(name)
        assert isinstance(wrapper, LowRank)
        wrapper.merge_into(wrapper.base_layer)
    unwrap(network, plan.ranks)
