"""Pre-training of a table network without labels: some cells are exchanged, and the network says which, and what they were.

Source: Yoon et al. 2020, VIME, section 3 (cells exchanged with those of other rows, detected and restored); Rubachev et al. 2022,
Revisiting Pretraining Objectives for Tabular Deep Learning, section 3 (the same on FT-Transformer, share 0.2 to 0.5).
When: a thousand labeled rows or more, and many more without a label; the gain seen there was small and within its spread.
When not: a hundred labeled rows, or rows of other tables only: no gain was found on four tables (docs/benchmarks/).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor, nn
from torch.nn import functional

from tunewright.core.errors import UserError
from tunewright.models.table import TableConfig, TableTransformer, with_other_columns


@dataclass(frozen=True)
class Cells:
    """Rows of one table: ``numbers`` float and ``missing`` bool, both (n, numbers); ``categories`` int64 (n, categories)."""

    numbers: Tensor
    missing: Tensor
    categories: Tensor

    def __len__(self) -> int:
        return len(self.numbers)

    def rows(self, chosen: Tensor) -> Cells:
        """Some rows, in the order given."""
        return Cells(self.numbers[chosen], self.missing[chosen], self.categories[chosen])


@dataclass(frozen=True)
class PretrainingSettings:
    """How to pre-train; the share of exchanged cells is VIME's, the rate and decay FT-Transformer's defaults.

    ``steps`` optimizer steps, each with ``batch_size`` rows of every table; ``rate`` rises over the first tenth and
    then falls to zero along a cosine (a guess).
    """

    steps: int = 1000
    batch_size: int = 128
    exchanged: float = 0.3
    rate: float = 1e-3
    weight_decay: float = 1e-5
    restoring: float = 1.0  # weight of restoring beside detecting (a guess)

    def __post_init__(self) -> None:
        if self.steps < 1 or self.batch_size < 2 or not 0 < self.exchanged < 1 or not self.rate > 0 or self.restoring < 0:
            raise UserError(
                "these pre-training settings cannot be used",
                expected="steps >= 1, batch_size >= 2, 0 < exchanged < 1, rate > 0, restoring >= 0",
            )


@final
class CellsHead(nn.Module):
    """What pre-training reads from each column's token, and is thrown away afterwards.

    ``detect`` is one linear layer for all columns of all tables, so the blocks must tell an odd cell from its fellows in a way
    that holds for any table. Restoring is by column: a direction for each number, the embeddings themselves for categories.
    """

    def __init__(self, config: TableConfig, detect: nn.Linear) -> None:
        super().__init__()
        self.sizes = config.categories
        self.detect = detect
        self.directions = nn.Parameter(torch.randn(config.numbers, config.width) / math.sqrt(config.width))
        self.number_bias = nn.Parameter(torch.zeros(config.numbers))
        self.place_bias = nn.Parameter(torch.zeros(sum(config.categories)))

    def numbers_of(self, tokens: Tensor) -> Tensor:
        """Restored numbers (batch, numbers) of the number columns' tokens (batch, numbers, width)."""
        return (tokens * self.directions).sum(-1) + self.number_bias

    def places_of(self, tokens: Tensor, embeddings: Tensor) -> list[Tensor]:
        """Logits (batch, places) of each category column, of the tokens (batch, categories, width)."""
        tables, biases = embeddings.split(self.sizes), self.place_bias.split(self.sizes)
        return [tokens[:, column] @ tables[column].T + biases[column] for column in range(len(self.sizes))]


@dataclass(frozen=True)
class PretrainingLosses:
    """Mean losses of one batch: is a cell exchanged (nats), what was it (squares for numbers, nats over their maximum else)."""

    detecting: Tensor
    restoring: Tensor


def exchange_cells(cells: Cells, share: float, generator: torch.Generator) -> tuple[Cells, Tensor]:
    """Each cell with probability ``share`` replaced by the same column's cell in another row of the batch.

    Returns the rows after that, and which cells are other than before, (batch, columns) bool: numbers first, then
    categories. A cell that met its equal counts as not exchanged, because nobody could tell.
    """
    n, numbers = cells.numbers.shape
    columns = numbers + cells.categories.shape[1]
    device = cells.numbers.device
    taken = torch.rand((n, columns), generator=generator).to(device) < share
    # One shuffle for each column: a row drawn at random from the batch, with a distribution that is the column's own.
    source = torch.rand((n, columns), generator=generator).argsort(0).to(device)
    number, missing = cells.numbers.gather(0, source[:, :numbers]), cells.missing.gather(0, source[:, :numbers])
    category = cells.categories.gather(0, source[:, numbers:])
    mixed = Cells(
        torch.where(taken[:, :numbers], number, cells.numbers),
        torch.where(taken[:, :numbers], missing, cells.missing),
        torch.where(taken[:, numbers:], category, cells.categories),
    )
    differs = (mixed.numbers != cells.numbers) | (mixed.missing != cells.missing)
    return mixed, torch.cat([differs, mixed.categories != cells.categories], 1)


def pretraining_losses(
    network: TableTransformer, head: CellsHead, before: Cells, after: Cells, exchanged: Tensor
) -> PretrainingLosses:
    """Detecting and restoring on one batch; ``after`` is what ``exchange_cells`` made of ``before``.

    Restoring counts all cells, as VIME does, missing numbers excepted; every column weighs the same.
    """
    tokens = network(after.numbers, after.missing, after.categories).last_hidden_state[:, 1:]
    detecting = functional.binary_cross_entropy_with_logits(head.detect(tokens).squeeze(-1), exchanged.to(tokens.dtype))
    numbers = before.numbers.shape[1]
    columns: list[Tensor] = []
    if numbers:
        known = (~before.missing).to(tokens.dtype)
        squares = (head.numbers_of(tokens[:, :numbers]) - before.numbers) ** 2 * known
        columns += (squares.sum(0) / known.sum(0).clamp(min=1)).unbind()
    embeddings = network.tokenizer.embeddings
    if embeddings is not None:
        logits = head.places_of(tokens[:, numbers:], embeddings.weight)
        for column, places in enumerate(logits):
            nats = functional.cross_entropy(places, before.categories[:, column])
            columns.append(nats / math.log(max(places.shape[1], 2)))
    return PretrainingLosses(detecting, torch.stack(columns).mean())


def pretrain(
    tables: Mapping[str, Cells],
    networks: Mapping[str, TableTransformer],
    settings: PretrainingSettings,
    seed: int,
) -> list[dict[str, float]]:
    """Train ``networks``, one for each table, in place; blocks that they share learn from all of them.

    Returns one line for every fiftieth step and the last: step, and the losses over all tables. Depends on ``seed`` alone.
    Raises UserError where a loss is not finite.
    """
    if set(tables) != set(networks) or not tables:
        raise UserError("pre-training needs a network for each table", expected="tables and networks of the same names")
    for name, cells in tables.items():
        if len(cells) < 2:
            raise UserError(f"the table '{name}' has {len(cells)} rows to pre-train on", expected="two or more")
    generator = torch.Generator().manual_seed(seed)
    devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        width = next(iter(networks.values())).config.width
        detect = nn.Linear(width, 1)
        heads = nn.ModuleDict({f"of_{place}": CellsHead(networks[name].config, detect) for place, name in enumerate(tables)})
        modules = nn.ModuleList([*networks.values(), heads]).to(next(iter(tables.values())).numbers.device).train()
        optimizer = torch.optim.AdamW(modules.parameters(), lr=settings.rate, weight_decay=settings.weight_decay)
        batches = {name: _batches(len(cells), settings.batch_size, generator) for name, cells in tables.items()}
        history = []
        for step in range(settings.steps):
            for group in optimizer.param_groups:
                group["lr"] = settings.rate * _factor(step, settings.steps)
            optimizer.zero_grad()
            told = {"detecting": 0.0, "restoring": 0.0}
            for place, (name, cells) in enumerate(tables.items()):
                before = cells.rows(next(batches[name]).to(cells.numbers.device))
                after, exchanged = exchange_cells(before, settings.exchanged, generator)
                head = heads[f"of_{place}"]
                assert isinstance(head, CellsHead)
                losses = pretraining_losses(networks[name], head, before, after, exchanged)
                loss = (losses.detecting + settings.restoring * losses.restoring) / len(tables)
                if not torch.isfinite(loss):
                    raise UserError(f"the pre-training loss of '{name}' is {loss.item()} at step {step}", try_="a lower rate")
                loss.backward()
                told["detecting"] += losses.detecting.item() / len(tables)
                told["restoring"] += losses.restoring.item() / len(tables)
            optimizer.step()
            if step % 50 == 0 or step == settings.steps - 1:
                history.append({"step": float(step), **told})
    for network in networks.values():
        network.eval()
    return history


def networks_sharing_blocks(
    columns: Mapping[str, tuple[int, tuple[int, ...]]], shape: TableConfig
) -> dict[str, TableTransformer]:
    """One network for each table of (numbers, places of categories), with one set of blocks, final norm and [CLS] for all.

    ``shape`` gives width, blocks, heads and dropouts; its own columns do not matter. Draws from torch's generator.
    """
    trunk = TableTransformer(shape)
    networks = {name: with_other_columns(trunk, *sizes) for name, sizes in columns.items()}
    for network in networks.values():
        network.blocks, network.final_norm, network.tokenizer.cls = trunk.blocks, trunk.final_norm, trunk.tokenizer.cls
    return networks


def _factor(step: int, steps: int) -> float:
    rising = max(1, steps // 10)
    if step < rising:
        return (step + 1) / rising
    return 0.5 * (1 + math.cos(math.pi * (step - rising) / max(1, steps - rising)))


def _batches(rows: int, size: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Row numbers, endlessly: each row once before any comes again; a last part too small for an exchange is left out."""
    size = min(size, rows)
    while True:
        order = torch.randperm(rows, generator=generator)
        for part in order.split(size):
            if len(part) > 1:
                yield part
