"""Several labels, grades, two targets at once, and short vectors: text heads on real rows, each beside the plainer way.

    python benchmarks/text_heads.py [--only labels grades several vectors] [--seeds 0 1 2]   # one line per run in results/text_heads.jsonl

- labels: titles of MovieLens' films to their genres; a label from a probability of one half, and from thresholds tuned on the
  validation rows, of a network that trains whole and of a probe on the untouched one, and the most frequent genres for every film.
- grades: 2,000 rows of SST-5's five grades, by the head for ordered classes, as plain classes, and as a number that is rounded;
  the same scores for all three, told from what each predicts for the test rows.
- several: reviews of Amazon to their sentiment and their domain, by one run with two heads and by a run for each.
- vectors: ten questions of each of Banking77's intents; the nearest of them for each of 1,000 test questions by the first 384,
  128, 64 and 32 numbers of a vector. Untouched, tuned by class, with these widths trained too (Matryoshka), and as pairs, with and
  without a hard negative: the nearest question of another intent by the untouched vectors.

Everything trains at the strategy's own rates and epochs, but for three epochs of grades and reviews, and two of vectors at a rate of
1e-4; validation rows choose the epoch. Seconds are the processor's, on one thread in bfloat16, with baselines and predictions.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import random
import statistics
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from common import DATA, few_per_class, grouped, once, read_rows, results, spread

FILE = "text_heads.jsonl"
MODEL = "all-MiniLM-L6-v2"
PARTS = ("labels", "grades", "several", "vectors")
DOMAINS = ("books", "dvd", "electronics", "kitchen")
WIDTHS = (384, 128, 64, 32)
PLAIN = {"precision": "bfloat16", "threads": 1, "checkpoints": False}
QUIET = {"certify": False, "reports": (), "baselines": ()}
BESIDE = QUIET | {"baselines": ("majority", "frozen")}

Row = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=PARTS)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    for seed in options.seeds:
        for part, arm, measure in jobs(seed):
            if not options.only or part in options.only:
                once(FILE, f"{part} {arm} {seed}", measure, part=part, arm=arm, seed=seed)


def jobs(seed: int) -> Iterator[tuple[str, str, Any]]:
    """(part, arm, what measures it) of one seed."""
    for arm in ("always the same", "half", "tuned", "probe, half", "probe, tuned"):
        yield "labels", arm, lambda arm=arm: labels(arm, seed)
    for arm in ("ordinal", "classification", "regression"):
        yield "grades", arm, lambda arm=arm: grades(arm, seed)
    for targets in (("label", "domain"), ("label",), ("domain",)):
        yield "several", " and ".join(targets), lambda targets=targets: several(targets, seed)
    for arm in ("untouched", "by class", "by class, widths", "pairs, widths", "pairs, widths, hard negatives"):
        yield "vectors", arm, lambda arm=arm: vectors(arm, seed)


def tuned(parts: tuple[list[Row], list[Row], list[Row]], seed: int, folder: str, **sections: Any) -> Any:
    """A run on train, validation and test rows."""
    import tunewright

    train, validation, test = parts
    given: Row = {"training": PLAIN, "evaluation": QUIET, "data": {"near_duplicates": "ignore"}} | sections
    given |= {} if "strategy" in sections else {"method": "full"}
    return tunewright.fit(train, validation=validation, test=test, model=MODEL, seed=seed, out=Path(folder) / "run", **given)


# ---- several labels of a row --------------------------------------------------------------------------------------------


def films(seed: int) -> tuple[list[Row], list[Row], list[Row]]:
    """Films of different titles with their genres; the same 400 to test for every seed."""
    with gzip.open(DATA / "movielens100k" / "items.csv.gz", "rt", encoding="utf-8", newline="") as file:
        genres = {row["title"]: row["genres"].split("|") for row in csv.DictReader(file) if row["genres"] != "unknown"}
    rows: list[Row] = [{"text": title, "genres": found} for title, found in sorted(genres.items())]
    random.Random(0).shuffle(rows)
    test, rest = rows[:400], rows[400:]
    random.Random(seed).shuffle(rest)
    return rest[300:], rest[:300], test


def labels(arm: str, seed: int) -> Row:
    """F1 over all labels and of each, with the run's own baselines."""
    parts = films(seed)
    if arm == "always the same":
        return always_the_same(*parts)
    head = {"name": "multi_label", "thresholds": "tuned" if "tuned" in arm else "half"}
    strategy = "feature-extraction" if "probe" in arm else "full"
    with tempfile.TemporaryDirectory() as folder:
        run = tuned(parts, seed, folder, strategy=strategy, target="genres", head=head, evaluation=BESIDE)
        scores = {f"{row['name']}, {row['of']}": interval(row) for row in run.all_scores() if row["name"].endswith("_f1")}
    return {"scores": scores, "rows": len(parts[0]), "n": len(parts[2])}


def always_the_same(train: list[Row], validation: list[Row], test: list[Row]) -> Row:
    """The most frequent labels for every row, as many of them as score best on the validation rows."""
    import numpy as np
    from sklearn.metrics import f1_score

    names = sorted({name for row in train for name in row["genres"]})
    flags = [np.array([[name in row["genres"] for name in names] for row in rows]) for rows in (train, validation, test)]
    order = np.argsort(-flags[0].sum(0), kind="stable")

    def score(wanted: Any, many: int, average: str) -> float:
        given = np.tile(np.isin(np.arange(len(names)), order[:many]), (len(wanted), 1))
        return round(float(f1_score(wanted, given, average=average, zero_division=0)), 4)

    many = max(range(1, len(names) + 1), key=lambda many: score(flags[1], many, "micro"))
    scores = {f"{kind}_f1, fine-tuned": [score(flags[2], many, kind)] for kind in ("micro", "macro")}
    return {"scores": scores, "labels": many, "rows": len(train), "n": len(test)}


def interval(row: Row) -> list[float]:
    return [round(row[name], 4) for name in ("value", "low", "high")]


# ---- grades -------------------------------------------------------------------------------------------------------------


def grades(arm: str, seed: int) -> Row:
    """Accuracy, distance and weighted kappa of the grades that are predicted, a number to the nearest grade."""
    import numpy as np

    from tunewright.core.types import Labels
    from tunewright.metrics import accuracy, macro_f1, mean_absolute_error, quadratic_weighted_kappa, spearman

    train = random.Random(seed).sample(read_rows("sst5", "train"), 2000)
    test = read_rows("sst5", "test")
    parts = (train, random.Random(0).sample(read_rows("sst5", "dev"), 300), test)
    with tempfile.TemporaryDirectory() as folder:
        run = tuned(parts, seed, folder, strategy="full", target="label", task=arm, training=PLAIN | {"epochs": 3})
        given = np.array([float(row["predicted"]) for row in run.predict([row["text"] for row in test])])
    given = given.round().clip(0, 4).astype(np.int64)
    wanted, five = np.array([int(row["label"]) for row in test]), Labels("classification", tuple("01234"))
    metrics = (accuracy, mean_absolute_error, quadratic_weighted_kappa, spearman, macro_f1)
    scores = {metric.__name__.rsplit(".", 1)[-1]: round(float(metric.value(wanted, given, five) or 0.0), 4) for metric in metrics}
    return scores | {"rows": len(train), "n": len(test)}


# ---- two targets at once ------------------------------------------------------------------------------------------------


def reviews(seed: int) -> tuple[list[Row], list[Row], list[Row]]:
    """As many reviews of each domain: 125 to learn, 50 to choose by, 125 to test, these the same for every seed."""
    parts: tuple[list[Row], list[Row], list[Row]] = ([], [], [])
    for domain in DOMAINS:
        rows = [
            row | {"label": ("bad", "good")[int(row["label"])], "domain": domain}
            for row in read_rows("amazon_multidomain", domain)
        ]
        random.Random(0).shuffle(rows)
        rest = rows[125:]
        random.Random(seed).shuffle(rest)
        for part, some in zip(parts, (rest[:125], rest[125:175], rows[:125]), strict=True):
            part.extend(some)
    return parts


def several(targets: tuple[str, ...], seed: int) -> Row:
    """Accuracy of each target, of one run with a head for each."""
    parts = reviews(seed)
    task, target = ("several", list(targets)) if len(targets) > 1 else ("classification", targets[0])
    with tempfile.TemporaryDirectory() as folder:
        data = {"near_duplicates": "ignore", "max_length": 64}
        run = tuned(
            parts, seed, folder, strategy="full", text="text", target=target, task=task, data=data, training=PLAIN | {"epochs": 3}
        )
        found = {row["name"]: interval(row) for row in run.all_scores() if row["of"] == "fine-tuned"}
        training = round(run.details["time"]["training_seconds"], 1)
    scores = {name: found[f"{name}:accuracy" if len(targets) > 1 else "accuracy"] for name in targets}
    return {"scores": scores, "rows": len(parts[0]), "n": len(parts[2]), "training_seconds": training}


# ---- short vectors ------------------------------------------------------------------------------------------------------


def vectors(arm: str, seed: int) -> Row:
    """How often the nearest training question has the test question's intent, by the first numbers of each vector."""
    import numpy as np

    train = few_per_class(read_rows("banking77", "train"), 10, seed)
    known = {row["text"] for row in train}
    validation = few_per_class([row for row in read_rows("banking77", "train") if row["text"] not in known], 4, seed)
    test = random.Random(0).sample(read_rows("banking77", "test"), 1000)
    texts = [row["text"] for row in (*train, *test)]
    head = {"name": "embedding", "matryoshka": WIDTHS[1:] if "widths" in arm else ()}
    rates, training = {"backbone": 1e-4}, PLAIN | {"epochs": 2, "batch_size": 64}
    with tempfile.TemporaryDirectory() as folder:
        if arm == "untouched":
            found = untouched(texts)
        else:
            parts, columns = (train, validation, validation), {"text": "text", "target": "label"}
            if arm.startswith("pairs"):
                drawn = [pairs(rows, seed, hard="hard" in arm) for rows in (train, validation)]
                parts, columns = (drawn[0], drawn[1], drawn[1]), {}
                training["epochs"] = 1  # the pairs are two partners for each row
            run = tuned(parts, seed, folder, task="embedding", head=head, rates=rates, training=training, **columns)
            found = np.array([row["predicted"] for row in run.predict(texts)])
    return {
        "recall_at_1": {str(width): recall(found[:, :width], train, test) for width in WIDTHS},
        "rows": len(train),
        "n": len(test),
    }


def untouched(texts: list[str]) -> Any:
    """The encoder's own vectors, the mean over a text's tokens, of length one."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    from tunewright.models.sources import find_model

    folder = str(find_model(MODEL))
    tokenizer, network = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder).eval()
    found = []
    with torch.no_grad():
        for start in range(0, len(texts), 64):
            batch = tokenizer(texts[start : start + 64], padding=True, truncation=True, max_length=128, return_tensors="pt")
            mask = batch["attention_mask"][..., None]
            found.append((network(**batch).last_hidden_state * mask).sum(1) / mask.sum(1))
    return torch.nn.functional.normalize(torch.cat(found), dim=1).numpy()


def pairs(rows: list[Row], seed: int, *, hard: bool) -> list[Row]:
    """Each row twice with another of its class; ``hard``: and the nearest row of another class by the untouched vectors.

    Rows of one class that meet in a batch are taken for negatives here, as by any who has pairs alone.
    """
    import numpy as np

    generator, names = random.Random(seed), np.array([row["label"] for row in rows])
    found = untouched([row["text"] for row in rows])
    foreign = np.where(names[:, None] == names, -np.inf, found @ found.T).argmax(1)
    made = []
    for place, row in [one for _ in range(2) for one in enumerate(rows)]:
        others = [other["text"] for other in rows if other["label"] == row["label"] and other["text"] != row["text"]]
        negative = {"negative": rows[foreign[place]]["text"]} if hard else {}
        made.append({"anchor": row["text"], "positive": generator.choice(others), **negative})
    return made


def recall(found: Any, train: list[Row], test: list[Row]) -> float:
    """Share of test rows whose nearest training row by the cosine has their class."""
    import numpy as np

    found = found / np.linalg.norm(found, axis=1, keepdims=True)
    nearest = (found[len(train) :] @ found[: len(train)].T).argmax(1)
    return float(np.mean([train[place]["label"] == row["label"] for place, row in zip(nearest, test, strict=True)]))


def section() -> str:
    """Several labels, grades, two targets at once and short vectors."""
    rows = results("text_heads.jsonl")
    told = {
        "labels": "Several labels of a text: 962 titles of MovieLens' films to their genres, 300 to choose by, 400 to test. A label from a probability of one half or from "
        "thresholds tuned on the validation rows; everything trains, or a probe; *always the same*: the most frequent genres for every film",
        "grades": "Grades of texts: 2,000 rows of SST-5 and its 2,210 test rows, three epochs of everything; a number is rounded to the nearest grade",
        "several": "Two targets at once: 500 of Amazon's reviews, their sentiment and one of four domains, 500 to test, three epochs of everything, 64 tokens",
        "vectors": "Short vectors: Banking77, ten questions of each intent, two epochs; share of 1,000 test questions whose nearest question has their intent, by the "
        "first numbers of the vectors. *Widths*: these are trained, too (Matryoshka)",
    }
    page = ""
    for part, said in told.items():
        arms = grouped([row for row in rows if row["part"] == part], "arm")
        title, _, about = said.partition(": ")
        names = list(dict.fromkeys(name for (row, *_) in arms.values() for name in values_of(row)))
        if arms:
            page += f"\n## {title}\n\nall-MiniLM-L6-v2; {about}. Scores times 100; seconds are the processor's.\n\n"
            page += f"| by | {' | '.join(names).replace('_', ' ')} | seeds | seconds |\n|---|{'---|' * (len(names) + 2)}\n"
        for (arm,), found in arms.items():
            cells = [spread([values_of(row)[name] for row in found]) if name in values_of(found[0]) else "" for name in names]
            page += f"| {arm} | {' | '.join(cells)} | {len(found)} | {statistics.median(row['seconds'] for row in found):.0f} |\n"
    return page


def values_of(row: dict[str, Any]) -> dict[str, float]:
    """The scores of one run of text_heads.py, by their columns."""
    if "scores" not in row:
        grades = ("accuracy", "quadratic_weighted_kappa", "mean_absolute_error")
        return row["recall_at_1"] if "recall_at_1" in row else {name: row[name] for name in grades}
    tuned = {name.removesuffix(", fine-tuned"): values[0] for name, values in row["scores"].items()}
    return {name: value for name, value in tuned.items() if "," not in name}  # the others are the run's own baselines


if __name__ == "__main__":
    main()
