"""Does pre-training help a table network? Against itself from scratch, boosted trees and a linear model, on real tables.

python benchmarks/table_transfer.py               # one line per run in results/table_transfer.jsonl
python benchmarks/table_transfer.py --summary     # means and paired differences of the lines that are there

'other tables': the blocks are pre-trained on the rows of the other three tables, the tokenizer is new. 'own rows': everything is
pre-trained on all training rows of the table, without labels. 'tiny-table': the blocks of zoo/tiny-table, which learned who earns more
on adult. Test rows are the same for every seed and are never pre-trained
on; a seed draws the labeled rows. The scaling of the columns is learned from all training rows, without labels, for every arm.
"""

from __future__ import annotations

import argparse
import copy
import csv
import gzip
import statistics
import time
import warnings
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from common import DATA, ROOT, done, machine, results, write

FILE = "table_transfer.jsonl"
ARMS = ("trees", "linear", "scratch", "other tables", "own rows", "tiny-table")
SEEDS = {"100": 10, "1000": 4, "full": 3}
DROPPED = {"titanic": ("PassengerId", "Name", "Ticket", "Cabin")}  # names of rows
TARGETS = {"adult": "income", "german_credit": "class", "titanic": "Survived", "wine_quality": "quality"}
SHAPE = {"width": 64, "blocks": 3, "tasks": 4}  # a third of the published width: one core, many runs
PRETRAINING_STEPS, RATE, STEPS, PATIENCE = 500, 5e-4, 600, 8
LARGEST_FULL = 10_000


@dataclass(frozen=True)
class Task:
    """One table: encoded rows for networks, plain arrays for trees, targets; places of pool and test rows."""

    name: str
    columns: Any
    encoded: Any
    plain: np.ndarray
    targets: np.ndarray
    pool: np.ndarray
    test: np.ndarray
    binary: bool


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--summary", action="store_true")
    parser.add_argument("--sizes", nargs="+", default=["100", "1000", "full"])
    parser.add_argument("--tables", nargs="+", default=list(TARGETS))
    options = parser.parse_args()
    if options.summary:
        print(summary())
        return
    warnings.filterwarnings("ignore")
    tasks = {name: load(name) for name in TARGETS}
    about = machine()
    trained: dict[str, Any] = {}
    for size in options.sizes:
        for name in options.tables:
            task = tasks[name]
            if size == "1000" and len(task.pool) < 1100:
                continue
            for seed in range(SEEDS[size] if len(task.pool) < 6000 or size != "full" else 1):
                for arm in arms_of(name):
                    key = f"{name}|{size}|{seed}|{arm}"
                    if key in done(FILE):
                        continue
                    started = time.process_time()
                    start = starting_point(arm, name, tasks, trained)
                    prepared = time.process_time()
                    rows = labeled_rows(task, size, seed)
                    value = run(task, arm, rows, seed, start)
                    ended = time.process_time()
                    line = {"table": name, "size": size, "rows": len(rows), "seed": seed, "arm": arm, "value": value}
                    seconds = {"seconds": round(ended - prepared, 1), "pretraining_seconds": round(prepared - started, 1)}
                    metric = "roc_auc" if task.binary else "r2"
                    write(FILE, key, {**line, "metric": metric, **seconds, "shape": SHAPE, **about})
                    print(key, round(value, 4), seconds, flush=True)


def arms_of(table: str) -> tuple[str, ...]:
    """tiny-table has seen adult."""
    return tuple(arm for arm in ARMS if (table, arm) != ("adult", "tiny-table"))


def read(path: str) -> list[dict[str, str]]:
    with gzip.open(DATA / path, "rt", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def load(name: str) -> Task:
    from tunewright.modalities.table.columns import learn_columns
    from tunewright.modalities.table.modality import encode

    if name == "adult":
        parts = [read("adult/train.csv.gz"), read("adult/test.csv.gz")]
        rows = parts[0] + parts[1]
        pool, test = np.arange(len(parts[0])), np.arange(len(parts[0]), len(rows))
    else:
        rows = {
            "german_credit": lambda: read("german_credit/german.csv.gz"),
            "titanic": lambda: read("titanic/titanic.csv.gz"),
            "wine_quality": lambda: [
                {**row, "colour": colour} for colour in ("red", "white") for row in read(f"wine_quality/{colour}.csv.gz")
            ],
        }[name]()
        order = np.random.default_rng(0).permutation(len(rows))
        test, pool = order[: len(rows) // 4], order[len(rows) // 4 :]
    target = TARGETS[name]
    names = tuple(column for column in rows[0] if column != target and column not in DROPPED.get(name, ()))
    cells = [tuple(None if row[column] == "?" else row[column] for column in names) for row in rows]
    columns = learn_columns(names, [cells[row] for row in pool])
    encoded = encode(cells, columns)
    answers = [row[target] for row in rows]
    binary = name != "wine_quality"
    positive = sorted(set(answers))[1]
    targets = np.array([answer == positive for answer in answers] if binary else answers, dtype=np.float32)
    # Trees get the numbers on their own scale; order is all they read of them, and the transform keeps it.
    plain = np.concatenate([np.where(encoded.missing, np.nan, encoded.numbers), encoded.categories], 1)
    return Task(name, columns, encoded, plain, targets, pool, test, binary)


def labeled_rows(task: Task, size: str, seed: int) -> np.ndarray:
    count = min(len(task.pool), LARGEST_FULL) if size == "full" else int(size)
    return np.random.default_rng(1000 + seed).permutation(task.pool)[:count]


def starting_point(arm: str, name: str, tasks: dict[str, Task], trained: dict[str, Any]) -> Any:
    """The pre-trained network of an arm, made once for each table."""
    import torch

    from tunewright.models.table import TableConfig, load_table_network
    from tunewright.models.table_pretraining import Cells, PretrainingSettings, networks_sharing_blocks, pretrain

    if arm == "tiny-table":
        return load_table_network(ROOT.parent / "zoo" / "tiny-table")
    if arm not in ("other tables", "own rows"):
        return None
    key = f"{arm}|{name}"
    if key not in trained:
        chosen = [name] if arm == "own rows" else [other for other in tasks if other != name]
        torch.manual_seed(0)
        columns = {one: (len(tasks[one].columns.numbers), tasks[one].columns.sizes) for one in chosen}
        networks = networks_sharing_blocks(columns, TableConfig(numbers=1, **SHAPE))
        cells = {one: Cells(**tasks[one].encoded.collate(tasks[one].pool)) for one in chosen}
        history = pretrain(cells, networks, PretrainingSettings(steps=PRETRAINING_STEPS), seed=0)
        print(f"  pre-trained {key}:", history[0], history[-1], flush=True)
        trained[key] = networks[chosen[0]]
    return trained[key]


def run(task: Task, arm: str, rows: np.ndarray, seed: int, start: Any) -> float:
    cut = len(rows) // 5
    held, train = rows[:cut], rows[cut:]
    if arm == "trees":
        predicted = trees(task, rows, train, held, seed)
    elif arm == "linear":
        predicted = linear(task, rows)
    else:
        predicted = network(task, arm, train, held, seed, start)
    return score(task, task.test, predicted)


def score(task: Task, rows: np.ndarray, predicted: np.ndarray) -> float:
    from sklearn.metrics import r2_score, roc_auc_score

    measure = roc_auc_score if task.binary else r2_score
    return float(measure(task.targets[rows], predicted))


def trees(task: Task, rows: np.ndarray, train: np.ndarray, held: np.ndarray, seed: int) -> np.ndarray:
    """scikit-learn's boosted trees; leaf size and rate chosen on the held-out fifth, then all labeled rows."""
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    kind = HistGradientBoostingClassifier if task.binary else HistGradientBoostingRegressor
    numbers = len(task.columns.numbers)
    categorical = list(range(numbers, task.plain.shape[1]))

    def fitted(on: np.ndarray, leaf: int, rate: float) -> Any:
        model = kind(min_samples_leaf=leaf, learning_rate=rate, categorical_features=categorical, random_state=seed)
        return model.fit(task.plain[on], task.targets[on])

    def predict(model: Any, on: np.ndarray) -> np.ndarray:
        return model.predict_proba(task.plain[on])[:, 1] if task.binary else model.predict(task.plain[on])

    grid = [(leaf, rate) for leaf in (5, 20) for rate in (0.03, 0.1)]
    best = max(grid, key=lambda pair: score(task, held, predict(fitted(train, *pair), held)))
    return predict(fitted(rows, *best), task.test)


def linear(task: Task, rows: np.ndarray) -> np.ndarray:
    """Logistic or ridge regression on the same inputs, categories as one column each, penalty by cross-validation."""
    from sklearn.linear_model import LogisticRegressionCV, RidgeCV

    hot = [np.eye(size)[task.encoded.categories[:, place]] for place, size in enumerate(task.columns.sizes)]
    inputs = np.concatenate([task.encoded.numbers, task.encoded.missing, *hot], 1)
    if task.binary:
        model = LogisticRegressionCV(Cs=np.logspace(-3, 1, 5), scoring="neg_log_loss", max_iter=500, cv=5)
        return model.fit(inputs[rows], task.targets[rows]).predict_proba(inputs[task.test])[:, 1]
    return RidgeCV(alphas=np.logspace(-1, 3, 9)).fit(inputs[rows], task.targets[rows]).predict(inputs[task.test])


def network(task: Task, arm: str, train: np.ndarray, held: np.ndarray, seed: int, start: Any) -> np.ndarray:
    """Fine-tuning of everything with AdamW; the step with the lowest held-out loss counts."""
    import torch
    from torch import nn
    from torch.nn import functional

    from tunewright.models.table import TableConfig, TableTransformer, with_other_columns

    torch.manual_seed(seed)
    columns = (len(task.columns.numbers), task.columns.sizes)
    if arm == "own rows":
        body = copy.deepcopy(start)
    elif arm in ("other tables", "tiny-table"):
        body = with_other_columns(start, *columns)
    else:
        body = TableTransformer(replace(TableConfig(numbers=1, **SHAPE), numbers=columns[0], categories=columns[1]))
    model = nn.ModuleDict({"body": body, "head": nn.Linear(body.config.width, 1)})
    mean, spread = (0.0, 1.0) if task.binary else (task.targets[train].mean(), task.targets[train].std())
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=1e-5)
    size = 32 if len(train) < 500 else 64 if len(train) < 4000 else 128
    generator = np.random.default_rng(seed)

    def outputs(rows: np.ndarray) -> Any:
        hidden = body(**task.encoded.collate(rows)).last_hidden_state[:, 0]
        return model["head"](functional.relu(hidden)).squeeze(-1)

    def loss(found: Any, rows: np.ndarray) -> Any:
        wanted = torch.from_numpy((task.targets[rows] - mean) / spread).float()
        return (functional.binary_cross_entropy_with_logits if task.binary else functional.mse_loss)(found, wanted)

    def predict(rows: np.ndarray) -> Any:
        model.eval()
        with torch.no_grad():
            found = [outputs(part) for part in np.array_split(rows, max(1, len(rows) // 512))]
        model.train()
        return torch.cat(found)

    best, kept, waited, step = np.inf, None, 0, 0
    every = max(10, min(50, len(train) // size))
    model.train()
    while step < STEPS and waited < PATIENCE:
        order = generator.permutation(train)
        for begin in range(0, len(order) - size // 2, size):
            part = order[begin : begin + size]
            optimizer.zero_grad()
            loss(outputs(part), part).backward()
            optimizer.step()
            step += 1
            if step % every == 0:
                value = loss(predict(held), held).item()
                waited += 1
                if value < best:
                    best, kept, waited = value, copy.deepcopy(model.state_dict()), 0
    assert kept is not None
    model.load_state_dict(kept)
    return predict(task.test).numpy() * spread + mean


def summary() -> str:
    """Markdown: mean ± standard deviation over seeds, and the paired difference to the network from scratch."""
    found = {(line["table"], line["size"], line["seed"], line["arm"]): line["value"] for line in results(FILE)}
    cells = sorted({key[:2] for key in found}, key=lambda cell: (cell[0], list(SEEDS).index(cell[1])))
    pretrained = ARMS[3:]
    out = [f"| table | labeled rows | seeds | {' | '.join(ARMS)} | {' | '.join(f'{arm} − scratch' for arm in pretrained)} |"]
    out.append("|---" * (3 + len(ARMS) + len(pretrained)) + "|")
    for table, size in cells:
        arms = arms_of(table)
        seeds = [seed for seed in range(10) if all((table, size, seed, arm) in found for arm in arms)]
        if not seeds:
            continue
        values = {arm: [found[table, size, seed, arm] for seed in seeds] for arm in arms}
        shown = [spread(values[arm]) if arm in arms else "–" for arm in ARMS]
        for arm in pretrained:
            pairs = zip(values[arm], values["scratch"], strict=True) if arm in arms else ()
            shown.append(spread([one - other for one, other in pairs], sign=True) if arm in arms else "–")
        out.append(f"| {table} | {size} | {len(seeds)} | {' | '.join(shown)} |")
    return "\n".join(out)


def spread(values: list[float], *, sign: bool = False) -> str:
    mean = f"{statistics.mean(values):+.3f}" if sign else f"{statistics.mean(values):.3f}"
    return f"{mean} ± {statistics.stdev(values):.3f}" if len(values) > 1 else mean


if __name__ == "__main__":
    main()
