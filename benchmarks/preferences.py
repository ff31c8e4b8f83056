"""Instructions, then preferences, on zoo/tiny-lm: what is gained on rows that were held out, before and after.

    python benchmarks/preferences.py [--only instructions preferences] [--seeds 0]      # one line per run in results/preferences.jsonl

- instructions: 699 rows of Alpaca to learn, 100 to choose by, 200 to test; one epoch of full and of lora; perplexity of the
  answers alone. tiny-lm has read children's stories and nothing else.
- preferences: from the model that full made, one epoch of each objective on 300 pairs of answers (polite and impolite, by Raschka),
  two rates of which 80 other pairs choose one, 300 to test. *likelier*: share of pairs whose chosen answer has the higher
  probability per token, which means the same for every objective, before and after; *rewarded*: the tool's own reward accuracy,
  for dpo, ipo and kto by the gain on the model before. LLaMA-Factory's demonstration pairs are too long for tiny-lm's 512 tokens:
  46 of 300 fit, and in 127 the prompt alone has more than 500.

Seconds are the processor's, on one thread in float32, all rates and the scores before included.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

from common import DATA, ROOT, done, machine, results, write

FILE = "preferences.jsonl"
MODEL = ROOT.parent / "zoo" / "tiny-lm"
OBJECTIVES = ("dpo", "ipo", "orpo", "simpo", "kto")
RATES = (1e-4, 5e-4)
BASE_RATES = {"full": 2e-3, "lora": 1e-2}  # those that language_tasks.py has for the same sizes of model
PLAIN = {"precision": "float32", "threads": 1, "checkpoints": False, "epochs": 1, "batch_size": 8}

Row = dict[str, Any]
Parts = tuple[list[Row], list[Row], list[Row]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=("instructions", "preferences"), default=("instructions", "preferences"))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    for seed in options.seeds:
        with tempfile.TemporaryDirectory() as folder:
            base: Path | None = None
            for strategy in BASE_RATES if "instructions" in options.only else ():
                if f"instructions {strategy} {seed}" not in done(FILE):
                    started = time.process_time()
                    run, found = instructed(strategy, seed, Path(folder) / strategy)
                    tell("instructions", strategy, seed, found, started)
                    base = run.folder / "model" if strategy == "full" else base
            for objective in OBJECTIVES if "preferences" in options.only else ():
                if f"polite {objective} {seed}" not in done(FILE):
                    base = base or instructed("full", seed, Path(folder) / "base")[0].folder / "model"
                    started = time.process_time()
                    tell("polite", objective, seed, preferred(objective, seed, base), started)


def tell(part: str, arm: str, seed: int, found: Row, started: float) -> None:
    """Write and print one line."""
    seconds = round(time.process_time() - started, 1)
    write(FILE, f"{part} {arm} {seed}", {"part": part, "arm": arm, "seed": seed, **found, "seconds": seconds} | machine())
    print(part, arm, seed, found, f"{seconds} s", flush=True)


def rows_of(name: str, seed: int, validation: int, test: int, train: int | None = None) -> Parts:
    """Shuffled rows of a file: train, validation and test, this the same for every seed."""
    with gzip.open(DATA / "instruct" / f"{name}.json.gz", "rt", encoding="utf-8") as file:
        rows: list[Row] = json.load(file)
    random.Random(0).shuffle(rows)
    rest = rows[test:]
    random.Random(seed).shuffle(rest)
    return rest[validation:][:train], rest[:validation], rows[:test]


def tuned(parts: Parts, seed: int, out: Path, model: Path, rate: float, **sections: Any) -> Any:
    """A run of one epoch on train, validation and test rows."""
    import tunewright

    train, validation, test = parts
    settings: Row = {
        "strategy": "full",
        "optimization": {"learning_rate": rate},
        "training": PLAIN,
        "data": {"near_duplicates": "ignore"},
    }
    evaluation = {"certify": False, "reports": (), "baselines": ("before",)}
    settings |= {"evaluation": evaluation, "seed": seed, "out": out} | sections
    return tunewright.fit(train, validation=validation, test=test, model=model, **settings)


def instructed(strategy: str, seed: int, out: Path) -> tuple[Any, Row]:
    """The run, and the perplexity of the test rows' answers before and after."""
    parts = rows_of("alpaca_en_demo", seed, 100, 200)
    run = tuned(parts, seed, out, MODEL, BASE_RATES[strategy], strategy=strategy)
    scores = {
        row["of"]: [round(row[name], 3) for name in ("value", "low", "high")]
        for row in run.all_scores()
        if row["name"] == "perplexity"
    }
    return run, {"perplexity": scores, "rate": BASE_RATES[strategy], "rows": len(parts[0]), "n": len(parts[2])}


def preferred(objective: str, seed: int, base: Path) -> Row:
    """The rate that validation prefers, and what the test pairs say of its model and of the one before."""
    parts = rows_of("rasbt_preference_1100", seed, 80, 300, 300)
    head = {"name": "preference_optimization", "objective": objective}
    best: tuple[float, float, Row] | None = None
    tried: dict[str, float] = {}
    for rate in RATES:
        with tempfile.TemporaryDirectory() as folder:
            run = tuned(parts, seed, Path(folder) / "run", base, rate, head=head)
            loss = min(event["scores"]["loss"] for event in run.history if event["kind"] == "evaluation")
            score = max(event["scores"]["reward_accuracy"] for event in run.history if event["kind"] == "evaluation")
            tried[f"{rate:g}"] = round(score, 4)
            scores = {row.name: [round(row.value, 4), round(row.low, 4), round(row.high, 4)] for row in run.scores}
            found: Row = {"rewarded": scores["reward_accuracy"], "margin": scores["reward_margin"]}
            found["likelier"] = likelier(run.folder / "model", parts[2])
        if best is None or (score, -loss) > best[:2]:
            best = (score, -loss, found | {"rate": rate})
    assert best is not None
    return best[2] | {"likelier_before": likelier(base, parts[2]), "tried": tried, "rows": len(parts[0]), "n": len(parts[2])}


def likelier(folder: Path, rows: list[Row]) -> float:
    """Share of pairs whose chosen answer has the higher probability per token; equal ones are wrong."""
    from tunewright.config.recipe import Choice
    from tunewright.core.types import Labels
    from tunewright.datasets.in_memory import from_python
    from tunewright.datasets.schema import guess_schema
    from tunewright.modalities.conversation import modality as conversation
    from tunewright.models.form import Form
    from tunewright.models.loading import load_network
    from tunewright.tasks.preference_optimization import task as preference
    from tunewright.training.evaluate import decode_all
    from tunewright.training.predict import passes

    labels, table = Labels("preference_optimization"), from_python(rows)["train"]
    network = load_network(str(folder), labels, form=Form("text", "AutoModelForCausalLM", "vocabulary"))
    settings = preference.Settings(objective=Choice(name="simpo"))  # whose reward is the mean log-probability
    read = conversation.read(table, guess_schema(table).text)
    examples = preference.encode(network, read, None, settings, 512)
    margins = decode_all(preference, labels, examples, passes(network, examples))[0].values
    return round(float((margins > 0).mean()), 4)


def section() -> str:
    """Instructions and preferences on zoo/tiny-lm."""
    rows = results("preferences.jsonl")
    page = (
        "\n## Language models: instructions, then preferences\n\nzoo/tiny-lm, one epoch each; perplexity of 200 held-out answers of Alpaca, then from the tuned model pairs "
        "of answers. *Likelier*: share of held-out pairs whose chosen answer is likelier per token; *rewarded*: by the objective's own reward. The rate is "
        "chosen on validation pairs. Code and settings: `benchmarks/preferences.py`.\n\n| rows | by | rate | before | after | rewarded | rows to learn, to test | seconds |\n"
        "|---|---|---|---|---|---|---|---|\n"
    )
    for row in rows:
        if row["part"] == "instructions":
            both = (row["perplexity"][of] for of in ("before", "fine-tuned"))
            cells = [*(f"{value:.1f} [{low:.1f}, {high:.1f}]" for value, low, high in both), ""]
        else:
            cells = [f"{100 * row[name]:.1f}" if name in row else "" for name in ("likelier_before", "likelier")]
            cells.append("{:.1f} [{:.1f}, {:.1f}]".format(*(100 * value for value in row["rewarded"])))
        page += f"| {row['part']} | {row['arm']} | {row['rate']:g} | {' | '.join(cells)} | {row['rows']}, {row['n']} | {row['seconds']:.0f} |\n"
    return page if rows else ""


if __name__ == "__main__":
    main()
