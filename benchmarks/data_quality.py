"""Faults planted in real rows, and what the data checks find of them and falsely accuse: Banking77 and AG News, ten seeds.

python benchmarks/data_quality.py               # one line per set and seed in results/data_quality.jsonl
python benchmarks/data_quality.py --summary

Each seed draws 2,000 training and 500 test rows of a set and plants faults of every kind in the training rows; ``prepare`` then
says what it notices, as ``tunewright check`` does. The ways of writing personal data are our own list, so that their recall is that of
these ways and not of all that people write. A pair of duplicates is found where either row is told. Rows that are accused
without being planted count as false alarms, although some of them are true: both sets have duplicates, and AG News has remains of
web pages in a third of its rows. ``fix`` is asked which planted rows it leaves and which sound ones it takes. Labels are flipped
apart from that, in 2,000 rows of which the frozen all-MiniLM-L6-v2's features are computed once. The far numbers of tables are
planted in the columns of three sets.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import random
import string
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from common import DATA, Rows, done, machine, read_rows, results, write
from sklearn.model_selection import StratifiedKFold

from tunewright.analysis.reports import label_noise
from tunewright.core.types import Labels
from tunewright.datasets.numbers import as_number
from tunewright.datasets.prepare import prepare
from tunewright.datasets.quality.fix import fix
from tunewright.datasets.quality.national import _FINNISH, _SPANISH
from tunewright.datasets.quality.outliers import far_numbers
from tunewright.datasets.quality.personal import KINDS
from tunewright.evaluation.trees import boosted
from tunewright.modalities.table.columns import learn_columns
from tunewright.modalities.table.modality import encode

FILE = "data_quality.jsonl"
SETS = {"banking77": "train", "ag_news": "test"}
TABLES = {"adult": "train", "wine_quality": "white", "german_credit": "german"}
NOISY_TABLES = {  # file, target, and columns that name or number somebody
    "adult": ("train", "income", ()),
    "titanic": ("titanic", "Survived", ("Name", "Ticket", "Cabin", "PassengerId")),
    "german_credit": ("german", "class", ()),
    "wine_quality": ("white", "quality", ()),
}
SEEDS = range(10)
TRAIN, TEST, POOL, FLIPPED = 2000, 500, 3000, 0.1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--summary", action="store_true")
    options = parser.parse_args()
    if options.summary:
        print(summary())
        return
    warnings.filterwarnings("ignore")
    about = machine()
    for name, part in SETS.items():
        rows = read_rows(name, part)
        for seed in SEEDS:
            if f"{name}|{seed}" not in done(FILE):
                write(FILE, f"{name}|{seed}", {"set": name, "seed": seed, **planted(rows, seed), **about})
        if all(f"noise|{name}|{seed}" in done(FILE) for seed in SEEDS):
            continue
        pool = random.Random(0).sample(rows, POOL)
        features = frozen([row["text"] for row in pool])
        for seed in SEEDS:
            if f"noise|{name}|{seed}" not in done(FILE):
                write(FILE, f"noise|{name}|{seed}", {"set": name, "seed": seed, **flipped(pool, features, seed), **about})
    for name in NOISY_TABLES:
        for seed in range(3):
            if f"noise|{name}|{seed}" not in done(FILE):
                write(FILE, f"noise|{name}|{seed}", {"set": name, "seed": seed, **flipped_cells(name, seed), **about})
    for name, part in TABLES.items():
        if f"numbers|{name}" not in done(FILE):
            write(FILE, f"numbers|{name}", {"set": name, **numbers(name, part), **about})


# Planting: each function changes or adds rows in place and returns the places that it touched, in pairs where two belong together.


def planted(all_rows: Rows, seed: int) -> dict[str, Any]:
    generator = random.Random(seed)
    drawn = [dict(row) for row in generator.sample(all_rows, TRAIN + TEST)]
    train, test = drawn[:TRAIN], drawn[TRAIN:]
    free = list(range(TRAIN))
    generator.shuffle(free)
    take = lambda many: [free.pop() for _ in range(many)]  # noqa: E731 - each row gets one fault at most
    names = sorted({row["label"] for row in all_rows})
    groups: dict[str, list[tuple[int, ...]]] = {}

    def add(kind: str, makers: list[tuple[int, dict[str, str]]]) -> None:
        groups[kind] = []
        for place, row in makers:
            train.append(row)
            groups[kind].append((place, len(train) - 1) if place >= 0 else (len(train) - 1,))

    def change(kind: str, many: int, how: Callable[[str], str]) -> None:
        groups[kind] = []
        for place in take(many):
            train[place]["text"] = how(train[place]["text"])
            groups[kind].append((place,))

    def other(label: str) -> str:
        return generator.choice([name for name in names if name != label])

    add("exact_duplicates", [(place, dict(train[place])) for place in take(50)])
    for kind, edit in EDITS.items():
        copies = take(40)
        add(kind, [(place, train[place] | {"text": edit(train[place]["text"], generator)}) for place in copies])
    add("conflicting_labels", [(place, train[place] | {"label": other(train[place]["label"])}) for place in take(40)])
    add("leaked, exact", [(-1, dict(row)) for row in test[:25]])
    add("leaked, near", [(-1, row | {"text": EDITS["near: a typing error"](row["text"], generator)}) for row in test[25:50]])
    for kind in KINDS:
        change(kind, 20, lambda text, kind=kind: into(text, personal(kind, generator), generator))
    change("near_misses", 100, lambda text: into(text, near_miss(generator), generator))
    strays = multi30k(generator, 30)
    add("languages", [(-1, {"text": text, "label": generator.choice(names)}) for text in strays])
    change("mojibake", 30, lambda text: broken(f"{text} – “{generator.choice(['très', 'über', 'naïve', 'café'])}”"))
    change(
        "html_remains", 30, lambda text: into(text, generator.choice(["<br />", "&nbsp;&amp;", "<b>so</b>", "&#39;"]), generator)
    )
    change("odd_characters", 30, lambda text: into(text, generator.choice(["\x93ok\x94", "\ufffd", "\x07", "\ufeff"]), generator))
    groups["odd_length"] = [(place,) for place in take(10)]
    for (place,) in groups["odd_length"]:
        train[place]["text"] = " ".join(row["text"] for row in generator.sample(drawn[TRAIN:], 80))
    groups["empty_text"] = [(place,) for place in take(10)]
    for (place,) in groups["empty_text"]:
        train[place]["text"] = generator.choice(["", "  "])
    order = list(range(len(train)))
    generator.shuffle(order)
    moved = {old: new for new, old in enumerate(order)}
    train = [train[old] for old in order]
    groups = {kind: [tuple(moved[place] for place in group) for group in found] for kind, found in groups.items()}
    started = time.process_time()
    prepared = prepare(train=train, test=test, target="label", text="text", seed=seed)
    seconds = time.process_time() - started
    told: dict[str, set[int]] = {}
    for finding in prepared.findings:
        if finding.message.startswith("test") == (finding.code == "leakage"):
            told.setdefault(finding.code, set()).update(finding.rows)
    counts = {kind: _count(kind, groups, told, train, test) for kind in groups if kind != "near_misses"}
    missed = {place for (place,) in groups["near_misses"]}
    accused = set().union(*(told.get(f"personal_{kind}", set()) for kind in KINDS))
    counts["near_misses"] = {"planted": len(missed), "found": len(missed & accused), "sound": 0, "accused": 0}
    return {"checks": counts, "fixed": _fixed(train, test, groups), "seconds": round(seconds, 2), "rows": len(train)}


CODES = {"leaked, exact": "leakage", "leaked, near": "leakage"}


def _count(kind: str, groups: Any, told: dict[str, set[int]], train: Rows, test: Rows) -> dict[str, int]:
    """Groups of which a row is told, and rows told that no fault was planted in which this check should see."""
    code = CODES.get(kind) or (f"personal_{kind}" if kind in KINDS else "near_duplicates" if kind.startswith("near") else kind)
    seen = told.get(code, set()) | (told.get("exact_duplicates", set()) if kind.startswith("near") else set())
    if code == "leakage":  # told of the test rows: those that were copied are the first fifty
        places = range(25) if kind == "leaked, exact" else range(25, 50)
        return {"planted": 25, "found": len(seen & set(places)), "sound": TEST - 50, "accused": len(seen - set(range(50)))}
    mine = {place for group in groups[kind] for place in group}
    also = {place for name in RELATED.get(code, ()) for group in groups[name] for place in group}
    sound = len(train) - len(mine | also)
    found = sum(any(place in seen for place in group) for group in groups[kind])
    return {"planted": len(groups[kind]), "found": found, "sound": sound, "accused": len(seen - mine - also)}


def _fixed(train: Rows, test: Rows, groups: Any) -> dict[str, int]:
    """What ``fix`` does with the planted rows that it should take, and with sound ones."""
    with tempfile.TemporaryDirectory() as folder:
        done_ = fix(train, Path(folder) / "out.csv", test=test, text="text", target="label", also=("near_duplicates",))
    dropped = {row for change in done_.changes for row in change.rows}
    kinds = [kind for kind in groups if kind.startswith(("exact", "near:", "conflicting", "leaked", "empty"))]
    mine = {place for kind in kinds for group in groups[kind] for place in group}
    left = sum(not any(place in dropped for place in group) for kind in kinds for group in groups[kind])
    return {
        "planted": sum(len(groups[kind]) for kind in kinds),
        "left": left,
        "sound": len(train) - len(mine),
        "lost": len(dropped - mine),
    }


def _case(text: str, generator: random.Random) -> str:
    return generator.choice([text.upper(), text.rstrip(".?!") + "!!", text.lower().replace(",", "") + " ."])


def _typo(text: str, generator: random.Random) -> str:
    places = [
        place
        for place in range(1, len(text) - 1)
        if text[place].isalpha() and text[place + 1].isalpha() and text[place] != text[place + 1]
    ]
    place = generator.choice(places)
    return generator.choice(
        [
            text[:place] + text[place + 1] + text[place] + text[place + 2 :],
            text[:place] + text[place + 1 :],
            text[:place] + generator.choice(string.ascii_lowercase) + text[place:],
        ]
    )


def _word(text: str, generator: random.Random) -> str:
    words = text.split()
    place = generator.randrange(len(words))
    return generator.choice([f"{text} please", " ".join(words[:place] + words[place + 1 :]), f"Hi, {text}"])


EDITS = {"near: case and punctuation": _case, "near: a typing error": _typo, "near: a word more or less": _word}
# Rows in which other planted faults are rightly told by the same check.
_ALIKE = ("exact_duplicates", *EDITS, "conflicting_labels", "empty_text")
RELATED: dict[str, tuple[str, ...]] = {
    "exact_duplicates": ("conflicting_labels", "near: case and punctuation", "empty_text"),
    "near_duplicates": _ALIKE,
    "conflicting_labels": ("empty_text",),
    "odd_characters": ("mojibake",),
    "odd_length": ("languages",),  # captions of pictures are shorter than news
}


def into(text: str, piece: str, generator: random.Random) -> str:
    """A piece between two words of a text."""
    words = text.split()
    place = generator.randint(0, len(words))
    return " ".join([*words[:place], piece, *words[place:]])


def digits(generator: random.Random, many: int) -> str:
    return "".join(generator.choice(string.digits) for _ in range(many))


def personal(kind: str, generator: random.Random) -> str:
    """A piece of personal data of a kind, in one of the ways in which people write it, with its right check digits."""
    d = lambda many: digits(generator, many)  # noqa: E731
    first, last = generator.choice(["jane", "omar", "li", "eva"]), generator.choice(["smith", "haddad", "wei", "o-neil"])
    if kind == "email":
        where = generator.choice(["mail.com", "web.de", "uni-halle.de", "company.co.uk"])
        return generator.choice(
            [f"{first}.{last}@{where}", f"<{first}{d(2)}@{where}>", f"{first}+x@{where},", f"mailto:{first}_{last}@{where}"]
        )
    if kind == "phone":
        area = f"{generator.randint(2, 9)}{d(2)}"
        return generator.choice(
            [
                f"+49 {generator.randint(30, 99)} {d(7)}",
                f"+44 20 {generator.randint(2, 9)}{d(3)} {d(4)}",
                f"({area}) {generator.randint(2, 9)}{d(2)}-{d(4)}",
                f"{area}-{generator.randint(2, 9)}{d(2)}-{d(4)}",
                f"0{generator.randint(1, 9)}{d(2)} {d(3)} {d(4)}",
                f"0{generator.randint(1, 9)} {d(2)} {d(2)} {d(2)} {d(2)}",
                f"phone {generator.randint(2, 9)}{d(6)}",
            ]
        )
    if kind == "iban":
        country, length = generator.choice([("DE", 22), ("FR", 27), ("GB", 22), ("NL", 18), ("ES", 24)])
        bank = {"GB": "NWBK", "NL": "ABNA"}.get(country, "")
        body = bank + d(length - 4 - len(bank))
        check = 98 - int("".join(str(int(c, 36)) for c in body + country + "00")) % 97
        plain = f"{country}{check:02}{body}"
        return generator.choice([plain, " ".join(plain[at : at + 4] for at in range(0, len(plain), 4))])
    if kind == "card":
        body = generator.choice(["4", "51", "55", "2221", "37", "6011"])
        body += d((14 if body == "37" else 15) - len(body))
        plain = next(body + last_ for last_ in string.digits if _luhn(body + last_))
        cuts = [4, 10, 15] if len(plain) == 15 else [4, 8, 12, 16]
        parts = [plain[a:b] for a, b in zip([0, *cuts], cuts, strict=False)]
        return generator.choice([plain, " ".join(parts), "-".join(parts)])
    if kind == "ip_address":
        if generator.random() < 0.3:
            return "2001:" + ":".join(f"{generator.randint(0x1000, 0xFFFF):x}" for _ in range(7))
        return f"{generator.choice([62, 81, 93, 134, 185])}.{generator.randint(10, 255)}.{generator.randint(0, 255)}.{generator.randint(1, 254)}"
    number = int(d(8))
    born = f"{generator.randint(1, 28):02}{generator.randint(1, 12):02}{d(2)}"
    tail = f"{generator.randint(2, 899):03}"
    cpf = [int(one) for one in d(9)]
    for length in (9, 10):
        cpf.append(-sum(one * (length + 1 - at) for at, one in enumerate(cpf[:length])) % 11 % 10)
    c = "".join(map(str, cpf))
    return generator.choice(
        [
            f"{number:08}{_SPANISH[number % 23]}",
            f"{born}-{tail}{_FINNISH[int(born + tail) % 31]}",
            f"{c[:3]}.{c[3:6]}.{c[6:9]}-{c[9:]}",
        ]
    )


def near_miss(generator: random.Random) -> str:
    """What looks like personal data and is none: a check that fails, an order, a date, a version, a price, a book."""
    d = lambda many: digits(generator, many)  # noqa: E731
    wrong_card = next(body for body in iter(lambda: f"4{d(15)}", "") if not _luhn(body))
    return generator.choice(
        [
            wrong_card,
            f"DE{d(2)}{d(17)}",
            f"order {generator.randint(1, 9)}{d(9)}",
            f"#{d(12)}",
            f"{d(2)}.{d(2)}.20{d(2)}",
            f"20{d(2)}-0{generator.randint(1, 9)}-1{d(1)} 1{d(1)}:3{d(1)}:1{d(1)}",
            f"version {d(1)}.{d(2)}.{d(1)}.{d(2)}",
            f"192.168.{generator.randint(0, 255)}.{generator.randint(0, 255)}",
            f"${generator.randint(1, 9)},{d(3)},{d(3)}.{d(2)}",
            f"@{generator.choice(['jane', 'omar'])}_{d(3)}",
            f"icon@{generator.randint(2, 3)}x.png",
            f"+{generator.randint(1, 9)}{d(1)} points",
            f"{generator.randint(1000, 9999)} of {generator.randint(10000, 99999)}",
            f"3.{d(12)}",
        ]
    )


def _luhn(plain: str) -> bool:
    doubled = [int(one) * (1 + at % 2) for at, one in enumerate(reversed(plain))]
    return sum(one - 9 * (one > 9) for one in doubled) % 10 == 0


def broken(text: str) -> str:
    """UTF-8 that was read as Windows-1252."""
    return "".join(bytes([byte]).decode("cp1252", "ignore") or chr(byte) for byte in text.encode())


def multi30k(generator: random.Random, many: int) -> list[str]:
    with gzip.open(DATA / "multi30k" / "val.csv.gz", "rt", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return [row[generator.choice(["de", "fr", "cs"])] for row in generator.sample(rows, many)]


def frozen(texts: list[str]) -> np.ndarray:
    """What the untouched sentence encoder makes of each text."""
    from tunewright.pipeline.steps import InMemoryData, prepare_rows, set_up
    from tunewright.pipeline.workflow import make_recipe
    from tunewright.tasks.classification import task as classification
    from tunewright.training.predict import predict_features

    rows = [{"text": text, "label": "ab"[place % 2]} for place, text in enumerate(texts)]
    recipe = make_recipe(target="label", text="text", data={"max_length": 64, "near_duplicates": "ignore"})
    network = set_up(recipe, prepare_rows(recipe, InMemoryData(rows[:200]))).network
    settings = classification.Settings()
    return predict_features(network, classification.encode(network, [(text,) for text in texts], None, settings, 64))


def flipped(pool: Rows, features: np.ndarray, seed: int) -> dict[str, Any]:
    """Label noise: as the set is, and with a tenth of the labels flipped to another class at random."""
    generator = np.random.default_rng(seed)
    chosen = generator.permutation(len(pool))[:TRAIN]
    settings = label_noise.Settings()
    values = [pool[at]["label"] for at in chosen]
    return _flipped(values, lambda labels: label_noise.out_of_fold(features[chosen], labels, settings, seed), generator)


def flipped_cells(name: str, seed: int) -> dict[str, Any]:
    """The same of a table, by gradient-boosted trees that did not see the row: why the report does not judge tables."""
    part, target, left_out = NOISY_TABLES[name]
    with gzip.open(DATA / name / f"{part}.csv.gz", "rt", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    generator = np.random.default_rng(seed)
    rows = [rows[at] for at in generator.permutation(len(rows))[:TRAIN]]
    columns = [column for column in rows[0] if column != target and column not in left_out]
    inputs = [tuple(row[column] for column in columns) for row in rows]
    encoded = encode(inputs, learn_columns(columns, inputs))

    def judged(labels: np.ndarray) -> np.ndarray:
        shares = np.zeros((len(labels), labels.max() + 1))
        for inside, asked in StratifiedKFold(5, shuffle=True, random_state=seed).split(inputs, labels):
            kept, names = encoded.subset(inside), Labels("classification", tuple(map(str, range(labels.max() + 1))))
            found = boosted(kept, labels[inside], encoded.subset(asked), names, seed).probabilities
            assert found is not None
            shares[asked] = found
        return shares

    return _flipped([row[target] for row in rows], judged, generator)


def _flipped(values: list[str], judged: Callable[[np.ndarray], np.ndarray], generator: np.random.Generator) -> dict[str, Any]:
    names = sorted(set(values))
    true = np.array([names.index(value) for value in values])
    wrong = generator.random(len(true)) < FLIPPED
    noisy = np.where(wrong, (true + generator.integers(1, len(names), len(true))) % len(names), true)
    found = {}
    started = time.process_time()
    for name, labels in (("as it is", true), ("flipped", noisy)):
        shares = judged(labels)
        guesses = label_noise.confident_class(shares, labels)
        statistic = label_noise.noise_share(labels, guesses)
        share = float(statistic(np.ones((1, len(labels))))[0])
        listed = label_noise.ranked(shares, labels, "self_confidence")[: round(share * len(labels))]
        off = (guesses >= 0) & (guesses != labels)
        found[name] = {
            "share": share,
            "right": float((shares.argmax(1) == labels).mean()),
            "largest": float(np.bincount(labels).max() / len(labels)),
            "listed": len(listed),
            "flipped": int(wrong.sum()) if name == "flipped" else 0,
            "found": int(wrong[listed].sum()) if name == "flipped" else 0,
            "found_off_diagonal": int(wrong[off].sum()) if name == "flipped" else 0,
            "off_diagonal": int(off.sum()),
            "suggested_right": int((shares[listed].argmax(1) == true[listed])[wrong[listed]].sum()) if name == "flipped" else 0,
        }
    return {
        "noise": found,
        "seconds": round(time.process_time() - started, 2),
        "labels": Labels("classification", tuple(names)).outputs,
    }


def numbers(name: str, part: str) -> dict[str, Any]:
    """Columns of numbers as they are, and each with a code in one row of a hundred: which are told, and which rows."""
    with gzip.open(DATA / name / f"{part}.csv.gz", "rt", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))[:5000]
    counts = {"columns": 0, "accused": [], "planted": 0, "found": 0}
    for column in rows[0]:
        values = [as_number(row[column]) for row in rows]
        if any(value is None for value in values) or len(set(values)) < 11:
            continue
        plain = np.array(values, dtype=float)
        counts["columns"] += 1
        already = len(far_numbers(plain)) > 0
        if already:
            counts["accused"].append(column)
        for seed, code in ((seed, code) for seed in range(5) for code in (-999.0, 99999.0)):
            if plain.min() <= code <= plain.max():
                continue
            places = np.random.default_rng(seed).permutation(len(plain))[: len(plain) // 100]
            bad = plain.copy()
            bad[places] = code
            counts["planted"] += 1
            counts["found"] += set(places.tolist()) <= set(far_numbers(bad).tolist())
    return {"numbers": counts}


def exact(count: int, of: int, digits: int = 1) -> str:
    """A share in percent with its exact interval."""
    from tunewright.evaluation.intervals import exact_interval

    if not of:
        return "–"
    low, high = exact_interval(count, of, 0.95)
    return f"{100 * count / of:.{digits}f} [{100 * low:.{digits}f}, {100 * high:.{digits}f}]"


def _tables_of_noise(noise: list[dict[str, Any]]) -> list[str]:
    """Why labels of tables are not judged: what trees would estimate."""
    out = [
        "Labels of tables, at most 2,000 rows, judged by gradient-boosted trees that did not see the row; this is why the report `label_noise` leaves tables out:",
        "",
        "| table | trees right (largest class), % | labels wrong by us, % | estimated, % | estimated as it is, % | flipped rows among those listed, % |",
        "|---|---|---|---|---|---|",
    ]
    for name in NOISY_TABLES:
        runs = [line["noise"] for line in noise if line["set"] == name]
        if runs:
            total = {key: sum(run["flipped"][key] for run in runs) for key in ("flipped", "found")}
            shares = (f"{100 * np.mean([run[how]['share'] for run in runs]):.1f}" for how in ("flipped", "as it is"))
            right, largest = (f"{100 * np.mean([run['as it is'][key] for run in runs]):.0f}" for key in ("right", "largest"))
            rows = {"adult": TRAIN, "titanic": 891, "german_credit": 1000, "wine_quality": TRAIN}[name] * len(runs)
            out.append(
                f"| {name}, {len(runs)} seeds | {right} ({largest}) | {100 * total['flipped'] / rows:.1f} | {' | '.join(shares)} | "
                f"{exact(total['found'], total['flipped'])} |"
            )
    return out if len(out) > 4 else []


def summary() -> str:
    """Markdown: recall and false alarms pooled over seeds, with exact intervals."""
    lines = results(FILE)
    out = []
    for name in SETS:
        runs = [line for line in lines if line["set"] == name and "checks" in line]
        if not runs:
            continue
        out += [
            f"**{name}**, {len(runs)} seeds, {runs[0]['rows']:,} training rows each:",
            "",
            "| planted | of | found, % | sound rows accused, % |",
            "|---|---|---|---|",
        ]
        for kind in runs[0]["checks"]:
            total = {key: sum(run["checks"][kind][key] for run in runs) for key in ("planted", "found", "sound", "accused")}
            label = "near misses of personal data (accused)" if kind == "near_misses" else kind.replace("_", " ")
            out.append(
                f"| {label} | {total['planted']} | {exact(total['found'], total['planted'])} | {exact(total['accused'], total['sound'], 2)} |"
            )
        fixed = {key: sum(run["fixed"][key] for run in runs) for key in runs[0]["fixed"]}
        out += [
            "",
            f"`check --fix --also near_duplicates` took {exact(fixed['planted'] - fixed['left'], fixed['planted'])} % of the planted duplicates, "
            f"contradictions, leaked and empty rows, and {exact(fixed['lost'], fixed['sound'])} % of the others.",
            "",
        ]
    noise = [line for line in lines if "noise" in line]
    if noise:
        out += [
            "| label noise, 2,000 rows | labels wrong by us, % | estimated, % | estimated as it is, % | flipped rows among those listed, % | of the listed flipped, % | found off the diagonal, % |",
            "|---|---|---|---|---|---|---|",
        ]
    for name in SETS:
        runs = [line["noise"] for line in noise if line["set"] == name]
        if runs:
            share = [
                f"{100 * np.mean([run[how]['share'] for run in runs]):.1f} ± {100 * np.std([run[how]['share'] for run in runs], ddof=1):.1f}"
                for how in ("flipped", "as it is")
            ]
            total = {key: sum(run["flipped"][key] for run in runs) for key in runs[0]["flipped"]}
            out.append(
                f"| {name}, {len(runs)} seeds | {100 * total['flipped'] / (TRAIN * len(runs)):.1f} | {share[0]} | {share[1]} | {exact(total['found'], total['flipped'])} | "
                f"{exact(total['found'], total['listed'])} | {exact(total['found_off_diagonal'], total['flipped'])} |"
            )
    out += ["", *_tables_of_noise(noise)]
    tables = [line for line in lines if "numbers" in line]
    if tables:
        out += [
            "",
            "| far numbers in tables | columns | columns accused as they are | codes planted | found, % |",
            "|---|---|---|---|---|",
        ]
        for line in tables:
            counts = line["numbers"]
            accused = ", ".join(counts["accused"]) or "none"
            out.append(
                f"| {line['set']} | {counts['columns']} | {accused} | {counts['planted']} | {exact(counts['found'], counts['planted'])} |"
            )
    return "\n".join(out)


if __name__ == "__main__":
    main()
