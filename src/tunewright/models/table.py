"""FT-Transformer: every column of a row is a token, a [CLS] token reads them through attention.

Source: Gorishniy et al. 2021, Revisiting Deep Learning Models for Tabular Data, section 3.3 and appendix E (defaults).
When: tables with some thousand rows, and where rows without labels are there to pre-train on.
When not: hundreds of columns (attention takes their square). Compare with a linear model and boosted trees first: they are
faster, and on most of our tables as good or better (docs/benchmarks/).
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, cast, final

import torch
from torch import Tensor, nn
from torch.nn import functional

from tunewright.core.errors import UserError
from tunewright.core.files import read_object, read_tensors, write_json, write_tensors

MODEL_TYPE = "tunewright_table"


@dataclass(frozen=True)
class TableConfig:
    """Shape of the network: ``numbers`` counts number columns, ``categories`` holds the places of each category column.

    The defaults of the rest are the paper's default configuration (appendix E): about 0.9 million values in the blocks.
    """

    numbers: int
    categories: tuple[int, ...] = ()
    width: int = 192
    blocks: int = 3
    heads: int = 8
    ffn_factor: float = 4 / 3
    attention_dropout: float = 0.2
    ffn_dropout: float = 0.1
    residual_dropout: float = 0.0
    model_type: ClassVar[str] = MODEL_TYPE
    is_encoder_decoder: ClassVar[bool] = False

    def __post_init__(self) -> None:
        whole = (self.numbers, self.width, self.blocks, self.heads, *self.categories)
        if not all(isinstance(value, int) and not isinstance(value, bool) for value in whole):
            raise UserError("a table network was asked for with sizes that are not whole numbers", expected="whole numbers")
        if self.numbers < 0 or self.numbers + len(self.categories) == 0 or any(size < 1 for size in self.categories):
            raise UserError("a table network needs a column", expected="one number or category column or more")
        if min(self.width, self.blocks, self.heads) < 1 or self.width % self.heads:
            raise UserError(f"width {self.width} cannot be shared among {self.heads} heads", expected="a multiple of the heads")
        if not (math.isfinite(self.ffn_factor) and int(self.width * self.ffn_factor) >= 1):
            raise UserError(f"ffn_factor is {self.ffn_factor}", expected="a number above 0")
        for name in ("attention_dropout", "ffn_dropout", "residual_dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise UserError(f"{name} is {getattr(self, name)}", expected="a share from 0 to below 1")

    @property
    def hidden_size(self) -> int:
        """Width of a token's vector, by the name that transformers gives it."""
        return self.width

    @property
    def num_hidden_layers(self) -> int:
        """Number of blocks, by the name that transformers gives it."""
        return self.blocks

    def to_json_string(self, use_diff: bool = True) -> str:
        """As transformers' configs have it."""
        return json.dumps(self.as_dict(), sort_keys=True)

    @property
    def tokens(self) -> int:
        """Tokens of a row, [CLS] among them."""
        return 1 + self.numbers + len(self.categories)

    def as_dict(self) -> dict[str, Any]:
        return {"model_type": MODEL_TYPE, **asdict(self), "categories": list(self.categories)}

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> TableConfig:
        """What ``as_dict`` wrote; another model_type, and missing or unknown keys are a UserError."""
        if saved.get("model_type") != MODEL_TYPE:
            raise UserError(f"the model_type is {saved.get('model_type')!r}", expected=f"'{MODEL_TYPE}'")
        given = {key: value for key, value in saved.items() if key != "model_type"}
        known = {field.name for field in fields(cls)}
        if set(given) != known:
            odd = sorted(set(given) ^ known)
            raise UserError(f"the config of a table network has other keys: {', '.join(odd)}", expected=", ".join(sorted(known)))
        try:
            return cls(**{**given, "categories": tuple(given["categories"])})
        except TypeError as error:
            raise UserError(f"the config of a table network cannot be used: {error}") from None


class TableOutput(NamedTuple):
    """``last_hidden_state`` (batch, tokens, width); the first token is [CLS]."""

    last_hidden_state: Tensor


@final
class FeatureTokenizer(nn.Module):
    """A token for each column: a direction scaled by the number, or a row of an embedding table; plus the column's own bias.

    A missing number has a vector of its own in place of its direction. 'Other', the first place of each category
    column, starts as zero: what training never saw adds nothing beyond the column's bias.
    """

    starts: Tensor  # where each category column's rows begin in the embedding table

    def __init__(self, config: TableConfig) -> None:
        super().__init__()
        width, columns = config.width, config.numbers + len(config.categories)
        self.numbers = config.numbers
        self.cls = nn.Parameter(torch.empty(1, width))
        self.directions = nn.Parameter(torch.empty(config.numbers, width)) if config.numbers else None
        self.missing = nn.Parameter(torch.empty(config.numbers, width)) if config.numbers else None
        self.embeddings = nn.Embedding(sum(config.categories), width) if config.categories else None
        self.bias = nn.Parameter(torch.empty(columns, width))
        starts = torch.tensor([0, *config.categories]).cumsum(0)[:-1]
        self.register_buffer("starts", starts, persistent=False)
        for tensor in self.parameters():
            nn.init.uniform_(tensor, -1 / math.sqrt(width), 1 / math.sqrt(width))
        if self.embeddings is not None:
            with torch.no_grad():
                self.embeddings.weight[starts] = 0.0

    def forward(self, numbers: Tensor, missing: Tensor, categories: Tensor) -> Tensor:
        """Tokens (batch, 1 + columns, width) of numbers and missing (batch, numbers) and categories (batch, categories)."""
        parts = []
        if self.directions is not None and self.missing is not None:
            known = numbers[..., None] * self.directions
            parts.append(torch.where(missing[..., None].bool(), self.missing.to(known.dtype), known))
        if self.embeddings is not None:
            parts.append(self.embeddings(categories + self.starts))
        columns = torch.cat(parts, 1) + self.bias
        return torch.cat([self.cls.expand(len(columns), 1, -1), columns], 1)


@final
class TableBlock(nn.Module):
    """Self-attention and a gated feed-forward network, each normalized before and added to what came in.

    The first block takes its tokens unnormalized before attention: the paper found normalizing them harmful.
    """

    def __init__(self, config: TableConfig, *, first: bool) -> None:
        super().__init__()
        width, inner = config.width, int(config.width * config.ffn_factor)
        self.heads = config.heads
        self.attention_norm = None if first else nn.LayerNorm(width)
        self.query, self.key, self.value, self.output = (nn.Linear(width, width) for _ in range(4))
        self.ffn_norm = nn.LayerNorm(width)
        self.ffn_in = nn.Linear(width, 2 * inner)
        self.ffn_out = nn.Linear(inner, width)
        self.attention_dropout = config.attention_dropout
        self.ffn_dropout = nn.Dropout(config.ffn_dropout)
        self.residual_dropout = nn.Dropout(config.residual_dropout)
        for linear in (self.query, self.key, self.value, self.output, self.ffn_in, self.ffn_out):
            nn.init.kaiming_uniform_(linear.weight, a=math.sqrt(5))
        for linear in (self.query, self.key, self.value, self.output):
            nn.init.zeros_(linear.bias)

    def forward(self, hidden_states: Tensor) -> Tensor:
        """(batch, tokens, width) to the same."""
        hidden = hidden_states
        read = hidden if self.attention_norm is None else self.attention_norm(hidden)
        query, key, value = (self._split(linear(read)) for linear in (self.query, self.key, self.value))
        seen = functional.scaled_dot_product_attention(
            query, key, value, dropout_p=self.attention_dropout if self.training else 0.0
        )
        joined = self.output(seen.transpose(1, 2).flatten(2))
        hidden = hidden + cast("Tensor", self.residual_dropout(joined))
        content, gate = self.ffn_in(self.ffn_norm(hidden)).chunk(2, -1)
        added: Tensor = self.ffn_out(self.ffn_dropout(content * functional.relu(gate)))  # ReGLU: Shazeer 2020
        return hidden + cast("Tensor", self.residual_dropout(added))

    def _split(self, tokens: Tensor) -> Tensor:
        """(batch, tokens, width) to (batch, heads, tokens, width / heads)."""
        split: Tensor = tokens.unflatten(-1, (self.heads, -1)).transpose(1, 2)
        return split


@final
class TableTransformer(nn.Module):
    """Tokenizer, blocks, final norm. A head reads the first token; the paper's is a ReLU and a linear layer."""

    def __init__(self, config: TableConfig) -> None:
        super().__init__()
        self.config = config
        self.tokenizer = FeatureTokenizer(config)
        self.blocks = nn.ModuleList(TableBlock(config, first=index == 0) for index in range(config.blocks))
        self.final_norm = nn.LayerNorm(config.width)

    def forward(self, numbers: Tensor, missing: Tensor, categories: Tensor) -> TableOutput:
        """``numbers`` float and ``missing`` bool, both (batch, numbers); ``categories`` int64 (batch, categories)."""
        hidden = self.tokenizer(numbers, missing, categories)
        for block in self.blocks:
            hidden = block(hidden)
        return TableOutput(self.final_norm(hidden))


def save_table_network(network: TableTransformer, folder: Path) -> None:
    """config.json and model.safetensors; the embeddings, the blocks and the final norm, not a head."""
    write_json(folder / "config.json", network.config.as_dict())
    write_tensors(folder / "model.safetensors", network.state_dict())


def load_table_network(folder: Path) -> TableTransformer:
    """The network saved in a folder, in evaluation mode; a tensor missing, unknown, misshapen or not finite is a UserError."""
    if not (folder / "config.json").is_file():
        raise UserError(f"the model folder '{folder}' has no config.json", expected="a folder with a table network")
    config = TableConfig.from_dict(read_object(folder / "config.json"))
    network = TableTransformer(config)
    saved = read_tensors(folder / "model.safetensors")
    wanted = {name: tensor.shape for name, tensor in network.state_dict().items()}
    odd = sorted(set(wanted) ^ set(saved)) or sorted(name for name in wanted if wanted[name] != saved[name].shape)
    if odd:
        raise UserError(
            f"the weights in '{folder}' do not fit its config.json: {len(odd)} tensors are missing, unknown or of another shape "
            f"({', '.join(odd[:5])})",
            expected="weights and config of one model",
        )
    for name, tensor in saved.items():
        if not torch.isfinite(tensor).all():
            raise UserError(f"the weight '{name}' of '{folder}' holds NaN or infinity", expected="finite weights")
    network.load_state_dict(saved)
    return network.eval()


def with_other_columns(network: TableTransformer, numbers: int, categories: tuple[int, ...]) -> TableTransformer:
    """A new network for another table: its own new tokenizer; the blocks, the final norm and [CLS] copied from ``network``.

    The columns of two tables have nothing in common, so what can be carried over is how tokens are brought together.
    The tokenizer's values are drawn from torch's generator.
    """
    kept = {field.name: getattr(network.config, field.name) for field in fields(TableConfig)}
    other = TableTransformer(TableConfig(**{**kept, "numbers": numbers, "categories": categories}))
    with torch.no_grad():
        other.tokenizer.cls.copy_(network.tokenizer.cls)
    other.blocks.load_state_dict(network.blocks.state_dict())
    other.final_norm.load_state_dict(network.final_norm.state_dict())
    return other
