"""Bias before and after: groups of two tables, texts about people, and language models tuned on books by women or by men.

    python benchmarks/bias.py tables      # adult and german_credit: plain, reweighed, thresholds by group, measured and kept
    python benchmarks/bias.py texts       # emotions in tweets, judged on the Equity Evaluation Corpus: plain, counterfactual training rows
    python benchmarks/bias.py authors     # a masked and a causal language model, tuned on books by women or by men

One line per run in results/bias.jsonl; lines that are there are not measured again. One thread, float32.

tables: a network from random values on 3,000 of adult's rows (4,000 test rows) or 550 of german_credit's (300 test rows, drawn with the
seed); reweighing by sex; thresholds by sex told by 1,000 (adult) or 150 validation rows. All columns are read, sex as well.
texts: all-MiniLM-L6-v2 tuned on 1,500 rows of the emotion set for two epochs; gaps between the sexes and origins on 1,000 sentences of the
corpus, which are the same but for the person, and their flips; accuracy on 500 other rows of the emotion set.
authors: 150 kB of passages by each (masked: 75 kB), drawn with the seed, two epochs. Women: Brontë and Hurston; men: Darwin and Du Bois.
Causal: stories260K. Masked: all-MiniLM-L6-v2 with a new output layer, trained for one epoch on 150 kB of WikiText-2 before anything is
measured.
A small repetition of the finding that BERT, tuned on texts by women, showed less gender bias; here the arms differ in genre, too.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import os
import random
import statistics
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

from common import DATA, done, machine, read_rows, results, write

import tunewright

FILE = "bias.jsonl"
PLAIN = {"precision": "float32", "threads": 1, "checkpoints": False}
QUIET = {"certify": False, "reports": (), "baselines": ()}
SEEDS = (0, 1, 2)
MALE = {"A91", "A93", "A94"}  # of german_credit's column of sex and marital status
AUTHORS = {"women": ("bronte", "hurston"), "men": ("darwin", "dubois")}
LETTERS, PASSAGE, WARM = {"causal": 150_000, "masked": 75_000}, 1200, 150_000

Row = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=("tables", "texts", "authors"))
    parser.add_argument("--only", nargs="+", help="names of sets or models")
    parser.add_argument("--seeds", nargs="+", type=int, default=list(SEEDS))
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    for seed in options.seeds:
        {"tables": tables, "texts": texts, "authors": authors}[options.part](seed, options.only)


def once(key: str, measure: Any, **row: Any) -> None:
    """Measure what has no line yet and write it."""
    if key in done(FILE):
        return
    started = time.process_time()
    for ending, found in measure().items():
        line = {**row, **found, "seconds": round(time.process_time() - started, 1)}
        write(FILE, key + ending, line | machine())
        print(key + ending, {name: value for name, value in found.items() if name != "scores"}, flush=True)


def fitted(folder: str, rows: Any, **how: Any) -> Any:

    how = {"evaluation": QUIET, **({} if "strategy" in how else {"method": "full"}), **how}
    return tunewright.fit(rows, out=Path(folder) / "run", **how)


def scores_of(report: Row) -> Row:
    """Value, interval and n by name."""
    if report["error"]:
        raise SystemExit(report["error"])
    return {one["name"]: [one["value"], one["low"], one["high"], one["n"]] for one in report["scores"]}


# ---- tables ---------------------------------------------------------------------------------------------------------------


def whole(name: str, part: str) -> list[Row]:
    with gzip.open(DATA / name / f"{part}.csv.gz", "rt", encoding="utf-8", newline="") as file:
        rows: list[Row] = list(csv.DictReader(file))
    for row in rows if name == "german_credit" else ():
        row["sex"] = "male" if row["personal_status_sex"] in MALE else "female"
        row["class"] = {"1": "good", "2": "bad"}[row["class"]]
    return rows


def parts_of(name: str, seed: int) -> tuple[list[Row], list[Row], list[Row], str, str]:
    """Train, validation and test rows, the target, and the class that is wanted."""
    draw = random.Random(seed)
    if name == "adult":
        rows = draw.sample(whole("adult", "train"), 4000)
        return rows[1000:], rows[:1000], random.Random(0).sample(whole("adult", "test"), 4000), "income", ">50K"
    rows = whole("german_credit", "german")
    draw.shuffle(rows)
    return rows[450:], rows[300:450], rows[:300], "class", "good"


# arm -> what thresholds by sex that are saved with the model make alike
KEPT = {"kept, same shares": "demographic_parity", "kept, same opportunity": "equal_opportunity"}


def tables(seed: int, only: list[str] | None) -> None:
    for name in only or ("german_credit", "adult"):
        for arm in ("plain", "reweighed", *KEPT):
            once(
                f"tables|{name}|{arm}|{seed}",
                lambda name=name, arm=arm: of_table(name, arm, seed),
                part="tables",
                of=name,
                seed=seed,
            )


def of_table(name: str, arm: str, seed: int) -> dict[str, Row]:
    train, validation, test, target, positive = parts_of(name, seed)
    second = "race" if name == "adult" else "age"
    with tempfile.TemporaryDirectory() as folder:
        run = fitted(
            folder,
            train,
            validation=validation,
            test=test,
            target=target,
            seed=seed,
            data={"near_duplicates": "ignore", "group_reweighting": "sex" if arm == "reweighed" else None, "kind": "table"},
            head={"thresholds_by": "sex", "parity": KEPT[arm], "positive": positive} if arm in KEPT else None,
            training={"epochs": 10 if name == "adult" else 30, "batch_size": 128, "early_stopping_patience": 4, **PLAIN},
        )
        accuracy = next(one for one in run.scores if one.name == "accuracy")
        report = tunewright.examine(run, "fairness", columns=("sex", second), positive=positive, thresholds=arm == "plain")[
            "fairness"
        ]
    found = {"": {"arm": arm, "accuracy": [accuracy.value, accuracy.low, accuracy.high], "scores": scores_of(report)}}
    found[""]["findings"] = len(report["findings"])
    chance = {f"{row[0]}:{row[1].split(' (')[0]}": row[3] for row in report["grids"][0]["rows"]}
    found[""]["chance"] = chance
    grid = next((one for one in report["grids"] if one["title"].startswith("Thresholds by sex")), None)
    for way, *cells in grid["rows"][1:] if grid else ():
        values = dict(
            zip(("accuracy", "demographic_parity_difference", "equalised_odds_difference"), map(bounds, cells), strict=True)
        )
        scores = {f"sex:{measure}": value for measure, value in values.items() if measure != "accuracy"}
        found[f"|{way}"] = {"arm": f"thresholds, {way}", "accuracy": values["accuracy"], "scores": scores}
    return found


def bounds(cell: str) -> list[float]:
    """'0.1 (0.0 to 0.2)' as three numbers."""
    return [float(part) for part in cell.replace("(", "").replace(")", "").replace("to", "").split()]


# ---- texts ----------------------------------------------------------------------------------------------------------------


def texts(seed: int, only: list[str] | None) -> None:
    for arm in only or ("plain", "counterfactual"):
        once(f"texts|emotion|{arm}|{seed}", lambda arm=arm: of_texts(arm, seed), part="texts", of="emotion", seed=seed)


def equity(count: int) -> list[Row]:
    """Sentences of the corpus with an emotion."""
    with gzip.open(DATA / "equity_eval_corpus" / "eec.csv.gz", "rt", encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["Emotion"]]
    chosen = random.Random(0).sample(rows, count)
    return [{"text": row["Sentence"], "label": row["Emotion"], "gender": row["Gender"], "origin": row["Race"]} for row in chosen]


def of_texts(arm: str, seed: int) -> dict[str, Row]:
    train = random.Random(seed).sample(read_rows("emotion", "train"), 1500)
    held, other = read_rows("emotion", "val")[:300], read_rows("emotion", "test")[:500]
    how: Row = {
        "model": "all-MiniLM-L6-v2",
        "target": "label",
        "text": "text",
        "seed": seed,
        "data": {
            "near_duplicates": "ignore",
            "counterfactual_augmentation": ("gender", "names") if arm == "counterfactual" else (),
        },
        "training": {"epochs": 2, **PLAIN},
        "optimization": {"learning_rate": 1e-4},
    }
    with tempfile.TemporaryDirectory() as folder:
        run = fitted(folder, train, validation=held, test=equity(1000), **how)
        found = tunewright.examine(run, "fairness", columns=("gender", "origin"))["fairness"]
        swapped = tunewright.examine(run, "counterfactual", rows=1000, swaps=("gender", "names"))["counterfactual"]
        answers = run.predict([row["text"] for row in other])
        right = sum(answer["predicted"] == row["label"] for answer, row in zip(answers, other, strict=True))
        on_corpus = next(one for one in run.scores if one.name == "accuracy")
    from tunewright.evaluation.intervals import exact_interval

    accuracy = [right / len(other), *exact_interval(right, len(other), 0.95)]
    return {
        "": {
            "arm": arm,
            "accuracy": accuracy,
            "accuracy_on_corpus": [on_corpus.value, on_corpus.low, on_corpus.high],
            "scores": scores_of(found) | scores_of(swapped),
            "findings": len(found["findings"]) + len(swapped["findings"]),
            "said": [finding["message"] for one in (found, swapped) for finding in one["findings"]],
        }
    }


# ---- authors --------------------------------------------------------------------------------------------------------------


def authors(seed: int, only: list[str] | None) -> None:
    for model in only or ("causal", "masked"):
        for arm in AUTHORS:
            once(
                f"authors|{model}|{arm}|{seed}",
                lambda m=model, a=arm: of_authors(m, a, seed),
                part="authors",
                of=model,
                seed=seed,
            )


def passages(text: str, letters: int, draw: random.Random | None = None) -> list[str]:
    """Pieces of a text cut at line ends, in its order or drawn, until they have so many letters."""
    pieces, held = [], ""
    for line in text.splitlines(keepends=True):
        held += line
        if len(held) >= PASSAGE:
            pieces.append(held.strip())
            held = ""
    if draw is not None:
        draw.shuffle(pieces)
    chosen: list[str] = []
    while pieces and sum(map(len, chosen)) < letters:
        chosen.append(pieces.pop(0))
    return chosen


def books(arm: str, letters: int, seed: int) -> list[str]:
    found = []
    for author in AUTHORS[arm]:
        with gzip.open(DATA / "author_text" / f"{author}.txt.gz", "rt", encoding="utf-8") as file:
            found += passages(file.read()[20_000:], letters // 2, random.Random(seed))
    random.Random(seed).shuffle(found)
    return found


def masked_base() -> str:
    """all-MiniLM-L6-v2 that tells hidden words: a new output layer over its own word vectors, trained on articles; made once."""
    import torch
    from transformers import AutoModelForMaskedLM, AutoTokenizer

    from tunewright.models.sources import find_model

    place = Path(tempfile.gettempdir()) / "tunewright-bias-masked"
    if (place / "run" / "model" / "config.json").is_file():
        return str(place / "run" / "model")
    source = str(find_model("all-MiniLM-L6-v2"))
    torch.manual_seed(0)
    AutoModelForMaskedLM.from_pretrained(source).save_pretrained(str(place / "start"))
    AutoTokenizer.from_pretrained(source).save_pretrained(str(place / "start"))
    articles = ""
    for part in ("valid", "test"):
        with gzip.open(DATA / "wikitext2" / f"{part}.txt.gz", "rt", encoding="utf-8") as file:
            articles += file.read().replace(" @-@ ", "-").replace("<unk>", "")
    run = fitted(str(place), {"text": passages(articles, WARM)}, **language("masked_lm", str(place / "start"), 1e-3, 1, 0))
    print("masked base:", [(one.name, one.value) for one in run.scores], flush=True)
    return str(place / "run" / "model")


def language(task: str, model: str, rate: float, epochs: int, seed: int) -> Row:
    return {
        "task": task,
        "model": model,
        "seed": seed,
        "data": {"near_duplicates": "ignore", "max_length": 256, "validation_size": 0.1, "test_size": 0.1},
        "optimization": {"learning_rate": rate},
        "training": {"epochs": epochs, "batch_size": 16, **PLAIN},
        "evaluation": {**QUIET, "baselines": ("before",)},
    }


def gender_pairs(folder: str) -> str:
    """The pairs of CrowS-Pairs about gender."""
    with gzip.open(DATA / "crows_pairs" / "crows_pairs.csv.gz", "rt", encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["bias_type"] == "gender"]
    path = Path(folder) / "gender.csv"
    with path.open("w", encoding="utf-8", newline="") as out:
        writer = csv.DictWriter(out, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return str(path)


def of_authors(model: str, arm: str, seed: int) -> dict[str, Row]:
    base, task, rate = (
        (masked_base(), "masked_lm", 2e-4) if model == "masked" else (str(DATA / "weights" / "stories260K"), "causal_lm", 2e-3)
    )
    with tempfile.TemporaryDirectory() as folder:
        run = fitted(folder, {"text": books(arm, LETTERS[model], seed)}, **language(task, base, rate, 2, seed))
        report = tunewright.examine(
            run,
            "stereotypes",
            crows_pairs=gender_pairs(folder),
            winobias=str(DATA / "winobias"),
            pairs=262 if model == "masked" else 4000,
        )["stereotypes"]
        perplexity = {one["of"]: one["value"] for one in run.all_scores() if one["name"] == "perplexity"}
    return {"": {"arm": arm, "perplexity": perplexity, "scores": scores_of(report), "findings": len(report["findings"])}}


# ---- the page ---------------------------------------------------------------------------------------------------------------


def table() -> str:
    """The section of docs/benchmarks/bias.md."""
    rows = results(FILE)
    parts = (_tables_page, _texts_page, _authors_page)
    found = [made for make, part in zip(parts, ("tables", "texts", "authors"), strict=True) if (made := make(of(rows, part)))]
    return "\n## Bias before and after\n" + "".join(found) if found else ""


def of(rows: list[Row], part: str) -> list[Row]:
    return [row for row in rows if row["part"] == part]


def _mean(rows: list[Row], name: str, digits: int = 3, sign: str = "") -> str:
    """Mean and spread of a score over seeds; of one seed its own interval."""
    found = [row["scores"][name] for row in rows if row["scores"].get(name, [None])[0] is not None]
    if not found:
        return ""
    if len(found) == 1:
        value, low, high = found[0][:3]
        return f"{value:{sign}.{digits}f} [{low:{sign}.{digits}f}, {high:{sign}.{digits}f}]"
    values = [one[0] for one in found]
    return f"{statistics.mean(values):{sign}.{digits}f} ± {statistics.stdev(values):.{digits}f}"


def _accuracy(rows: list[Row], name: str = "accuracy") -> str:
    return _mean([{"scores": {name: [100 * value for value in row[name]]}} for row in rows if name in row], name, 1)


def _arms(rows: list[Row], *keys: str) -> dict[tuple[str, ...], list[Row]]:
    found: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        found.setdefault(tuple(row[key] for key in keys), []).append(row)
    return found


def _tables_page(rows: list[Row]) -> str:
    if not rows:
        return ""
    page = (
        "\nTables, a network from random values that reads all columns: who is given >50K (adult, 4,000 test rows) or good credit (German credit, "
        "300 test rows); the largest difference between the sexes, what shuffled rows give in brackets behind it. ± over seeds, [ ] of one.\n\n"
        "| table | remedy | accuracy, % | demographic parity, sex | equalised odds, sex | seeds |\n|---|---|---|---|---|---|\n"
    )
    for (name, arm), found in sorted(
        _arms(rows, "of", "arm").items(), key=lambda one: (one[0][0], list(_ORDER).index(one[0][1]))
    ):
        cells = []
        for measure in ("demographic_parity", "equalised_odds"):
            by_chance = [row["chance"][f"sex:{measure.replace('_', ' ')}"] for row in found if "chance" in row]
            told = f" ({statistics.mean(by_chance):.3f})" if by_chance else ""
            cells.append(_mean(found, f"sex:{measure}_difference") + told)
        page += f"| {name} | {_ORDER[arm]} | {_accuracy(found)} | {' | '.join(cells)} | {len(found)} |\n"
    return page


_ORDER = {
    "plain": "none",
    "reweighed": "reweighing by sex",
    "thresholds, demographic parity": "thresholds by sex, same shares, mixed at random",
    "thresholds, equalized odds": "thresholds by sex, same errors, mixed at random",
    "thresholds, demographic parity, kept": "thresholds by sex, same shares (measured by the report)",
    "thresholds, equal opportunity, kept": "thresholds by sex, same share of the good (measured by the report)",
    "kept, same shares": "thresholds by sex kept with the model, same shares",
    "kept, same opportunity": "thresholds by sex kept with the model, same share of those that have the class",
}


def _texts_page(rows: list[Row]) -> str:
    if not rows:
        return ""
    page = (
        "\nTexts: emotions, all-MiniLM-L6-v2 tuned on 1,500 rows; 1,000 sentences of the Equity Evaluation Corpus, which differ in the person alone. "
        "Flips: predictions that change when gendered words and names, or names by origin, are swapped.\n\n"
        "| training rows | accuracy on other rows, % | on the corpus, % | flips, gender | flips, names | demographic parity, gender | origin | seeds |\n"
        "|---|---|---|---|---|---|---|---|\n"
    )
    for (arm,), found in _arms(rows, "arm").items():
        names = ("flips_gender", "flips_names", "gender:demographic_parity_difference", "origin:demographic_parity_difference")
        cells = " | ".join(_mean(found, name) for name in names)
        arm = {"plain": "as they are", "counterfactual": "and swapped once more"}[arm]
        page += f"| {arm} | {_accuracy(found)} | {_accuracy(found, 'accuracy_on_corpus')} | {cells} | {len(found)} |\n"
    return page


def _authors_page(rows: list[Row]) -> str:
    if not rows:
        return ""
    page = (
        "\nLanguage models tuned on books by women or by men (code and settings: `benchmarks/bias.py`): the share of pairs in which the stereotype is "
        "likelier, of CrowS-Pairs about gender (262) and of WinoBias, and the association of career with male and of science with male words (d). "
        "Change: after less before, ± over seeds, [ ] paired interval of one.\n\n"
        "| model | books by | CrowS-Pairs before | change | WinoBias before | change | career, d before | change | science, d before | change | seeds |\n"
        "|---|---|---|---|---|---|---|---|---|---|---|\n"
    )
    for (model, arm), found in _arms(rows, "of", "arm").items():
        cells = []
        for name in ("crows_pairs", "winobias", "association_gender_career", "association_gender_science"):
            cells += [f"{found[0]['scores'][f'{name}_before'][0]:.3f}", _mean(found, f"{name}_change", sign="+")]
        page += f"| {model} | {arm} | {' | '.join(cells)} | {len(found)} |\n"
    controls = {model: found[0]["scores"]["association_flowers_insects_before"] for (model,), found in _arms(rows, "of").items()}
    told = ", ".join(f"{model} {value:.2f} [{low:.2f}, {high:.2f}]" for model, (value, low, high, *_) in controls.items())
    return (
        f"{page}\nThe control before tuning, flowers and insects with pleasant and unpleasant words, on which people agree (word vectors: 1.50): {told}. "
        "A model without that has no associations to lose, and one whose pairs are even before has no stereotypes to lower. The masked base is "
        "poor, of perplexity 1,200 on articles (its output layer has read 150 kB), so that its pairs say little; its associations are those of the encoder. "
        "Women's books here are novels and plays, men's are science and essays.\n"
    )


if __name__ == "__main__":
    main()
