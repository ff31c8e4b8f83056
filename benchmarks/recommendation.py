"""Two towers against popularity and matrix factorisation on MovieLens-100K: five official splits, and one by time.

python benchmarks/recommendation.py               # one line per run in results/recommendation.jsonl
python benchmarks/recommendation.py --summary

A rating of 4 or 5 counts as taken, the others are left out. Lists of ten leave out what a user took in train; users without
an item in test are left out, and so are items in test that train does not have. Recall divides by the smaller of ten and the
number of right items. The towers are a run of ``tunewright.fit`` at its defaults, of which a tenth of train decides when to
stop; the same tenth chooses the factors, penalty and weight of the factorisation, which is then made again from all of train.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import statistics
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from common import DATA, done, machine, results, write

FILE = "recommendation.jsonl"
SPLITS = ("u1", "u2", "u3", "u4", "u5", "time")
ARMS = ("popularity", "als", "two towers", "two towers, titles", "two towers, uncorrected")
K, LEAST = 10, 4

Pairs = list[tuple[str, str]]
Lists = Callable[[list[str]], list[list[str]]]  # the first ten items of each user


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--summary", action="store_true")
    parser.add_argument("--splits", nargs="+", default=SPLITS)
    options = parser.parse_args()
    if options.summary:
        print(summary())
        return
    warnings.filterwarnings("ignore")
    about = machine()
    for name in options.splits:
        for arm in ARMS:
            key = f"{name}|{arm}"
            if key in done(FILE):
                continue
            train, test = split(name)
            started = time.process_time()
            lists, chosen = fitted(arm, train)
            line = {"split": name, "arm": arm, **evaluate(lists, train, test), "chosen": chosen}
            write(FILE, key, {**line, "seconds": round(time.process_time() - started, 1), **about})
            print(key, line, flush=True)


def read(name: str) -> list[dict[str, str]]:
    with gzip.open(DATA / "movielens100k" / f"{name}.csv.gz", "rt", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def split(name: str) -> tuple[Pairs, Pairs]:
    """Train and test pairs: an official split, or the last fifth in time."""
    taken = [row for row in read("ratings") if float(row["rating"]) >= LEAST]
    if name == "time":
        taken.sort(key=lambda row: int(row["timestamp"]))
        pairs = [(row["user"], row["item"]) for row in taken]
        cut = len(pairs) * 4 // 5
        return pairs[:cut], pairs[cut:]
    held = {(row["user"], row["item"]) for row in read(f"{name}_test_index")}
    pairs = [(row["user"], row["item"]) for row in taken]
    return [pair for pair in pairs if pair not in held], [pair for pair in pairs if pair in held]


def by_user(pairs: Pairs) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for user, item in pairs:
        found.setdefault(user, set()).add(item)
    return found


def evaluate(lists: Lists, train: Pairs, test: Pairs) -> dict[str, float]:
    """Recall and ndcg of the first ten, and the share of the catalogue that is ever listed; means over users."""
    known = {item for _, item in train}
    wanted = by_user([pair for pair in test if pair[1] in known])
    users = sorted(wanted)
    discounts = 1 / np.log2(np.arange(2, K + 2))
    recall, ndcg, listed = [], [], set()
    for user, top in zip(users, lists(users), strict=True):
        hits, most = np.isin(top, list(wanted[user])), min(K, len(wanted[user]))
        recall.append(hits.sum() / most)
        ndcg.append((hits * discounts[: len(top)]).sum() / discounts[:most].sum())
        listed.update(top)
    return {
        "users": len(users),
        "recall": float(np.mean(recall)),
        "ndcg": float(np.mean(ndcg)),
        "coverage": len(listed) / len(known),
    }


def fitted(arm: str, train: Pairs) -> tuple[Lists, Any]:
    """An arm's lists, and what was chosen for it."""
    if arm == "popularity":
        order, seen = [item for item, _ in Counter(item for _, item in train).most_common()], by_user(train)
        return lambda users: [[item for item in order if item not in seen.get(user, ())][:K] for user in users], None
    if arm == "als":
        order_of = np.random.default_rng(0).permutation(len(train))
        inner, held = ([train[row] for row in part] for part in np.split(order_of, [len(train) * 9 // 10]))
        grid = list(product((16, 32, 64), (5.0, 20.0, 40.0), (1.0, 2.0, 5.0, 10.0)))
        values = {chosen: evaluate(als(inner, *chosen), inner, held)["ndcg"] for chosen in grid}
        best = max(values, key=values.__getitem__)
        return als(train, *best), {"factors": best[0], "penalty": best[1], "weight": best[2]}
    return two_towers(train, arm)


def two_towers(train: Pairs, arm: str) -> tuple[Lists, Any]:
    """A run of ours; with titles, an item also reads what the frozen sentence encoder makes of its title."""
    import tunewright

    rows: list[dict[str, Any]] = [{"user": user, "item": item} for user, item in train]
    more: dict[str, Any] = {}
    if arm.endswith("titles"):
        titles = {row["item"]: row["title"] for row in read("items")}
        rows = [{**row, "title": titles[row["item"]]} for row in rows]
        more = {"text": ["user", "item", "title"], "task": "recommendation"}
    if arm.endswith("uncorrected"):
        more = {"head": {"name": "recommendation", "corrected": False}}
    with tempfile.TemporaryDirectory() as folder:
        run = tunewright.fit(
            rows,
            out=Path(folder) / "run",
            data={"validation_size": 0.1, "test_size": 0.001},  # the test rows are asked for below, from outside
            evaluation={"baselines": (), "certify": False, "reports": ()},
            training={"checkpoints": False},
            **more,
        )
        everyone = sorted({row["user"] for row in read("ratings")})
        found = {user: one["predicted"] for user, one in zip(everyone, run.predict(everyone), strict=True)}
        chosen = {"best_step": run.details["steps"]["best"]}
    return lambda users: [found[user] for user in users], chosen


def als(train: Pairs, factors: int, penalty: float, weight: float, rounds: int = 8) -> Lists:
    """Implicit matrix factorisation by alternating least squares (Hu, Koren and Volinsky 2008, equations 4 and 5)."""
    generator, seen = np.random.default_rng(0), by_user(train)
    names = [sorted({pair[place] for pair in train}) for place in (0, 1)]
    users, items = (generator.normal(0, 0.1, (len(one), factors)) for one in names)
    places = [{name: place for place, name in enumerate(one)} for one in names]
    taken: list[list[list[int]]] = [[[] for _ in one] for one in names]
    for user, item in train:
        taken[0][places[0][user]].append(places[1][item])
        taken[1][places[1][item]].append(places[0][user])

    def solve(into: np.ndarray, other: np.ndarray, rows: list[list[int]]) -> None:
        gram = other.T @ other + penalty * np.eye(factors)
        for row, near_ones in enumerate(rows):
            near = other[near_ones]
            into[row] = np.linalg.solve(gram + weight * near.T @ near, (1 + weight) * near.sum(0))

    for _ in range(rounds):
        solve(users, items, taken[0])
        solve(items, users, taken[1])

    def lists(asked: list[str]) -> list[list[str]]:
        found = []
        for user in asked:
            scores = users[places[0][user]] @ items.T if user in places[0] else items.sum(1) * 0
            order = [names[1][place] for place in np.argsort(-scores, kind="stable")]
            found.append([item for item in order if item not in seen.get(user, ())][:K])
        return found

    return lists


def summary() -> str:
    """Markdown: mean ± standard deviation over the splits, and the paired difference of ndcg to matrix factorisation."""
    values = {(line["split"], line["arm"]): line for line in results(FILE)}
    complete = [split for split in SPLITS if all((split, arm) in values for arm in ARMS)]
    official = [split for split in complete if split != "time"]
    out = [table(official, values)] + ([table(["time"], values)] if "time" in complete else [])
    return "\n\n".join(out)


def table(splits: list[str], values: dict[Any, dict[str, Any]]) -> str:
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
