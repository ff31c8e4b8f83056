"""Write docs/benchmarks/*.md from the lines in results/: python benchmarks/tables.py."""

from __future__ import annotations

import math
import statistics
from pathlib import Path
from typing import Any

import bias
import data_quality
import default_strategy
import forgetting
import imbalance
import recommendation
import segmentation_tasks
import sequence_tasks
import several_modalities
import table_transfer
import text_heads
import trust
from common import difference, grouped, results, spread
from pages import pages

import preferences

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "benchmarks"

NOTES = {
    "from_few": "\nSome minutes of pre-training on English alone did not help here: random values end nearer to the right texts, at both rates.\n",
    "summaries": (
        "\nScores that are the same at both rates come from networks that write the same words whatever they read (looked at for random values): "
        "neither is a summarizer. The right summaries are likelier after pre-training (perplexity of validation rows, where it was kept).\n"
    ),
}

_FULL, _LORA, _GRADUAL, _FEATURES = (
    "full, 1 epoch",
    "LoRA r=8, 1 epoch",
    "gradual unfreezing, 6 stages",
    "feature extraction, 5 epochs",
)
BARS = {  # (job, our side, their side): how many times faster
    (_FEATURES, "tunewright", "Trainer, frozen backbone"): 20,
    (_FEATURES, "tunewright, second run", "Trainer, frozen backbone"): 20,
    (_GRADUAL, "tunewright", "tunewright without the cache"): 3,
    (_GRADUAL, "tunewright", "Lightning"): 3,
    (_LORA, "tunewright, random head", "Trainer + peft"): 3,
    (_LORA, "tunewright", "Trainer + peft, 3 epochs"): 3,
    (_FULL, "tunewright, random head", "Trainer"): 3,
    (_FULL, "tunewright, random head", "Trainer, allocator tuned"): 1.5,
    (_FULL, "tunewright", "Trainer, 3 epochs"): 3,
    ("few-shot contrastive, 8-shot AG News", "tunewright", "SetFit"): 3,
    ("prediction, 10k rows", "tunewright", "pipeline"): 2,
    ("embedding, 10k rows", "tunewright", "sentence-transformers"): 1.2,
    ("first result from a cold start, 500 rows", "tunewright fit", "Trainer script"): 1,
}
LIMITS = (
    "\nWhy not more: on this processor (AVX512-BF16, no AMX) a full step spends 57 % of its time in matrix products and prediction 74 %, by torch's profiler; "
    "with these at their measured best and nothing else changed, full training would be at most 1.9 times and prediction at most 1.45 times as fast as it is. "
    "Feature extraction makes one pass instead of five, which is at most five times faster in a first run; the second run finds what the first kept. The rest of "
    "a step is normalization, GELU, softmax, dropout, casts and the update, in which the other side spends its time as well.\n"
)


def main() -> None:
    sections = [
        strategies(),
        default_strategy.section(),
        precision(),
        trainer(),
        ablation(),
        finder(),
        speed(),
        growth(),
        streamed(),
        language(),
        text_tasks(),
        text_heads.section(),
        preferences.section(),
        written(),
        compiled(),
        pretrained_tables(),
        imbalance.section(),
        recommended(),
        distilled(),
        images(),
        boxes(),
        segmentation_tasks.section(),
        sequence_tasks.section(),
        audio(),
        several_modalities.section(),
        forgetting.table(),
        trust.section(),
        bias.table(),
        checked(),
        estimates(),
    ]
    FOLDER.mkdir(exist_ok=True)
    for name, text in pages("".join(section for section in sections if section)).items():
        (FOLDER / f"{name}.md").write_text(text, encoding="utf-8")
        print(FOLDER / f"{name}.md")


def text_tasks() -> str:
    """Tagging, answers, retrieval and few rows, each beside what people use."""
    rows = results("text_tasks.jsonl")
    told = (
        ("tagging", "entity_f1", "entity F1", "600 training sentences, five epochs, 400 test sentences; Trainer as run_ner.py"),
        ("answers", "answer_f1", "F1", "XQuAD's English questions, contexts held out, four epochs; Trainer as run_qa.py"),
        (
            "similarity",
            "spearman",
            "rank correlation",
            "2,000 pairs of STS-B, four epochs, all 1,379 test pairs; *untouched*, *cosine* (`head.name=cosine_similarity`) and sentence-transformers by the cosine of two "
            "vectors, the others read both texts together",
        ),
        ("retrieval", "recall_at_1", "nearest row has the intent", "ten questions of each intent, 1,000 test questions"),
        (
            "few_shot",
            "accuracy",
            "accuracy",
            "eight rows of each class, 1,000 test rows; probe on the encoder as it is, or tuned on them first",
        ),
    )
    page = ""
    for task, metric, name, said in told:
        of_task = [row for row in rows if row["task"].split()[0] == task]
        if not of_task:
            continue
        page += (
            f"\n## {task.replace('_', '-').capitalize()} of texts\n\nall-MiniLM-L6-v2; {said}. Seconds are the processor's.\n\n"
        )
        page += f"| rows of | by | {name}, % | seeds | seconds |\n|---|---|---|---|---|\n"
        for (of, arm), found in grouped(of_task, "task", "arm").items():
            seconds = f"{statistics.median(row['seconds'] for row in found):.0f}"
            page += f"| {of.split()[1]} | {arm} | {spread([row[metric] for row in found])} | {len(found)} | {seconds} |\n"
    return page


def written() -> str:
    """Texts written from texts: directions never trained, few rows, summaries."""
    rows = results("translation.jsonl")
    page = ""
    directions = [row for row in rows if row["part"] == "zero_shot"]
    if directions:
        told = directions[0]
        page += (
            "\n## Translation in directions that were never trained\n\n"
            f"A T5-shaped network of {told['weights'] / 1e6:.1f} million random values learned German to English and English to French from Multi30k's "
            f"captions of at most ten words ({told['rows']:,} rows, {told['epochs']:g} epochs, {told['training'] / 60:.0f} minutes of a core shared with "
            "others), with a tag for the "
            "language to write in, and was then asked for German to French. *In the language*: texts that a classifier of groups of three characters "
            f"takes for the language that was to be written. {told['n']:,} test captions, written greedily.\n\n"
            "| from, to | by | chrF | BLEU | in the language, % |\n|---|---|---|---|---|\n"
        )
        for row in directions:
            page += f"| {row['of']} | {row['arm']} | {bounded(row, 'chrf')} | {bounded(row, 'bleu')} | {100 * row['language']:.0f} |\n"
    told_of = {
        "from_few": "## Translation from few rows\n\nGerman to English, 3,000 of Multi30k's captions to learn and 500 to test",
        "summaries": "## Summaries from few rows\n\nDialogSum, 400 dialogues to learn and 500 to test, with three right summaries each",
    }
    for part, said in told_of.items():
        of_part = [row for row in rows if row["part"] == part]
        if not of_part:
            continue
        page += (
            f"\n{said}; from `zoo/tiny-seq2seq`, which has read 2 MB of English stories, and from random values of the same shape. *Copy* is the text "
            "that is read, *lead* its first sentences. Seconds are the processor's. One seed.\n\n| from | rate | perplexity | chrF | ROUGE-L | BLEU | epochs | seconds |\n|---|---|---|---|---|---|---|---|\n"
        )
        for row in sorted(of_part, key=lambda row: row["chrf"]):
            trained = f"{row['epochs']:g} | {row['seconds']:.0f}" if row["seconds"] else " | "
            rate = f"{row['rate']:g}" if row["seconds"] else ""
            seen = f"{row['perplexity']:.1f}" if "perplexity" in row and row["seconds"] else ""
            page += f"| {row['arm']} | {rate} | {seen} | {bounded(row, 'chrf')} | {100 * row['rouge_l']:.1f} | {row['bleu']:.1f} | {trained} |\n"
        page += NOTES[part]
    return page


def bounded(row: dict[str, Any], name: str) -> str:
    """A value of 100 with its interval, where it has one."""
    return f"{row[name]:.1f} [{row[f'{name}_low']:.1f}, {row[f'{name}_high']:.1f}]"


def language() -> str:
    """Language models: a domain, the same losses as TRL, tokens per second."""
    rows = results("language.jsonl")
    page = ""
    domains = [row for row in rows if row["part"] == "domain"]
    if domains:
        page += (
            "\n## Language models: adapting to a domain\n\n"
            "stories260K (260,032 weights, vocabulary of 512) before and after two epochs of 60 kB of another domain; perplexity per token on 15 kB of "
            "each domain that were never trained on, the trained one in bold.\n\n"
            "| trained on | strategy | rate | trained values | stories | Darwin | articles |\n|---|---|---|---|---|---|---|\n"
        )
        names = ("stories", "darwin", "articles")
        page += "| nothing | | | | " + " | ".join(f"{domains[0]['before'][name]:.2f}" for name in names) + " |\n"
        for row in domains:
            cells = [f"**{row['after'][name]:.2f}**" if name == row["target"] else f"{row['after'][name]:.2f}" for name in names]
            page += f"| {row['target']} | {row['strategy']} | {row['rate']:g} | {row['trained']:,} | {' | '.join(cells)} |\n"
    equal = [row for row in rows if row["part"] == "equal"]
    if equal:
        page += (
            "\n## Language models: the same losses as TRL\n\n"
            "The same model, token ids, order, batches and constant rate in float32, one epoch; LoRA from the same drawn matrices. Alpaca rows on "
            "stories260K against SFTTrainer; preference pairs on a random Llama of 1.9 million weights against DPOTrainer.\n\n"
            "| task | method | steps | mean loss | TRL's | largest difference of a step |\n|---|---|---|---|---|---|\n"
        )
        for row in equal:
            page += (
                f"| {row['task']} | {row['method']} | {row['steps']} | {row['ours']:.5f} | {row['theirs']:.5f} "
                f"| {row['largest_difference']:.1e} |\n"
            )
    answers = [row for row in rows if row["part"] == "answers"]
    if answers:
        page += (
            "\n## Language models: answers before and after\n\nzoo/tiny-lm (3 million weights, children's stories), everything trains on 1,000 rows; greedy answers to "
            "200 test rows, of which so many pass, %. Emotion's texts are to be answered by a JSON object with one of six words; GSM8K's sums in words by a "
            "text whose last number is right.\n\n| rows of | check | before | after | perplexity before | after |\n|---|---|---|---|---|---|\n"
        )
        for row in answers:
            for check in dict.fromkeys(name.split(",")[0] for name in row["found"]):
                cells = [row["found"][f"{check}, {of}"] for of in ("before", "fine-tuned")]
                shown = " | ".join(f"{100 * value:.1f} [{100 * low:.1f}, {100 * high:.1f}]" for value, low, high in cells)
                seen = " | ".join(f"{row['perplexity'].get(of, math.nan):.1f}" for of in ("before", "fine-tuned"))
                page += f"| {row['data']} | {check.replace('_', ' ')} | {shown} | {seen} |\n"
    speed = [row for row in rows if row["part"] == "speed"]
    if speed:
        page += (
            "\n## Language models: tokens per second\n\n"
            "LoRA of rank 16 on a Llama of 14 million weights, 64 rows of Alpaca in batches of 8, one thread each, in turns; per second of processor time, "
            "which other work on the machine does not change: median (all turns).\n\n| side | arithmetic | tokens per processor second | mean loss |\n|---|---|---|---|\n"
        )
        for (side, precision), found in grouped(speed, "side", "precision").items():
            values = sorted(row["tokens_per_cpu_second"] for row in found)
            shown = ", ".join(f"{value:,.0f}" for value in values)
            name = "tunewright" if side == "ours" else "TRL SFTTrainer + peft"
            page += f"| {name} | {precision} | {statistics.median(values):,.0f} ({shown}) | {found[0]['loss']:.4f} |\n"
    return page


def strategies() -> str:
    rows = results("strategies.jsonl")
    page = ""
    for setting, title in (("10-shot", "ten rows per class"), ("full", "all 10,003 rows")):
        of_setting = [row for row in rows if row["setting"] == setting]
        if not of_setting:
            continue
        page += f"\n## Each strategy at its own defaults: Banking77, {title}\n\n"
        page += (
            "all-MiniLM-L6-v2, 77 intents, accuracy on the 3,080 test rows; one row in ten of the training rows is held out to choose by. "
            "± is the standard deviation over seeds; for one seed the bootstrap interval of the rows. The frozen column is the linear probe "
            "of the same runs.\n\n| strategy | accuracy | frozen | seeds | trained values | training seconds, median |\n|---|---|---|---|---|---|\n"
        )
        table = grouped(of_setting, "strategy")
        for (name,), runs in sorted(table.items(), key=lambda item: -statistics.mean(row["accuracy"] for row in item[1])):
            accuracy = spread([row["accuracy"] for row in runs])
            if len(runs) == 1:
                accuracy += f" [{100 * runs[0]['low']:.1f}, {100 * runs[0]['high']:.1f}]"
            frozen = spread([row["frozen"] for row in runs])
            seconds = statistics.median(row["seconds"] for row in runs)
            page += f"| {name} | {accuracy} | {frozen} | {len(runs)} | {runs[0]['trained']:,} | {seconds:.0f} |\n"
        page += behind(table) if setting == "full" else ""
    return page and page + (
        "\nPublished for scale: with ten rows per class 85.2 (USE+ConveRT) and with all rows 93.4 (USE+ConveRT), 93.7 (BERT-tuned), "
        "by encoders several times larger (Casanueva et al. 2020, table 3). The strategies' rates were chosen on 1,500 rows of "
        "the *training* file that were held out for that; the probe's penalty rule was settled after seeing test accuracy on 10-shot "
        "subsets of this set, so this set is no clean judge of the probe.\n"
    )


def behind(table: dict[tuple[str, ...], list[dict[str, Any]]]) -> str:
    """What falls more than a point behind full fine-tuning, and what all epochs had brought."""
    whole = statistics.mean(row["accuracy"] for row in table.get(("full",), []) or [{"accuracy": 0.0}])
    far = [name for (name,), runs in table.items() if statistics.mean(row["accuracy"] for row in runs) < whole - 0.01]
    told = f"\nMore than a point behind full: {', '.join(sorted(far)) or 'none'}.\n"
    before = {row["strategy"]: row for row in results("strategies_all_epochs.jsonl")}
    pairs = [(name, before[name], runs[0]) for (name,), runs in table.items() if name in before]
    if not pairs:
        return told
    told += (
        "\nStrategies read 36,000 rows in all here (`training.max_train_examples_seen`), four epochs. With all of their 10 to 12 epochs, as their defaults were before, "
        "the same seed reached:\n\n| strategy | all epochs | best at step | 36,000 rows | best at step |\n|---|---|---|---|---|\n"
    )
    means = [100 * statistics.mean(pair[side]["accuracy"] for pair in pairs) for side in (1, 2)]
    for name, old, new in pairs:
        steps = [f"{100 * row['accuracy']:.1f} | {row['best_step']:,} of {row['steps']:,}" for row in (old, new)]
        told += f"| {name} | {' | '.join(steps)} |\n"
    return told + (
        f"\nOn average {means[0]:.1f} and {means[1]:.1f}: about a third of the steps lose nothing on the whole; single strategies differ either way, by "
        "chance as well (one seed). What fell far behind before had taken weights from the middle of a long run, which a thousand held-out rows had found best.\n"
    )


def precision() -> str:
    """The same runs in both arithmetics."""
    rounded = {row["key"]: row for row in results("strategies.jsonl") if row["precision"] == "bfloat16"}
    pairs = [(row, rounded[row["key"]]) for row in results("strategies_float32.jsonl") if row["key"] in rounded]
    if not pairs:
        return ""
    page = "\n## bfloat16 against float32: the same runs, seed 0, ten rows per class\n\n| strategy | float32 | bfloat16 |\n|---|---|---|\n"
    for exact, other in sorted(pairs, key=lambda pair: str(pair[0]["strategy"])):
        interval = f"[{100 * exact['low']:.1f}, {100 * exact['high']:.1f}]"
        page += f"| {exact['strategy']} | {100 * exact['accuracy']:.1f} {interval} | {100 * other['accuracy']:.1f} |\n"
    inside = sum(exact["low"] <= other["accuracy"] <= exact["high"] for exact, other in pairs)
    return page + f"\n{inside} of {len(pairs)} are within float32's interval.\n"


def trainer() -> str:
    rows = results("trainer_peft.jsonl")
    if not rows:
        return ""
    page = (
        "\n## transformers.Trainer and peft on the same rows\n\n"
        "Same base model, rows, epochs and arithmetic (bfloat16); linear schedule with warm-up, batches by length, LoRA on every linear layer. "
        "The rate is the best of four on the held-out tenth of the first two seeds. Difference: ours at its own defaults less theirs, "
        "paired by seed, with the 95% interval of the mean (t).\n\n"
        "| setting | method | rate | Trainer | ours | difference | seeds |\n|---|---|---|---|---|---|---|\n"
    )
    ours = {(row["setting"], row["strategy"], row["seed"]): row for row in results("strategies.jsonl")}
    for (setting, method), runs in grouped(rows, "setting", "method").items():
        by_rate = grouped(runs, "rate")
        tried = len({row["rate"] for row in rows if row["method"] == method})
        chosen = max(by_rate.values(), key=len)  # the best rate is the one that all seeds were run with
        pairs = [(ours[key], row) for row in chosen if (key := (setting, method, row["seed"])) in ours]
        accuracy = [spread([row["accuracy"] for row in side]) for side in zip(*pairs, strict=True)]
        gained = difference([100 * (mine["accuracy"] - theirs["accuracy"]) for mine, theirs in pairs])
        page += f"| {setting} | {method} | {chosen[0]['rate']:g} of {tried} | {accuracy[1]} | {accuracy[0]} | {gained} | {len(pairs)} |\n"
    return page


def ablation() -> str:
    rows = results("ulmfit_ablation.jsonl")
    if not rows:
        return ""
    page = (
        "\n## ULMFiT's three ideas, one taken away at a time\n\n"
        "Difference to all three, in points, paired by seed, with the 95% interval of the mean (t).\n\n"
        "| data | rows | variant | accuracy | difference | seeds |\n|---|---|---|---|---|---|\n"
    )
    for (data, size), same in grouped(rows, "data", "size").items():
        whole = {row["seed"]: row["accuracy"] for row in same if row["variant"] == "all three"}
        for (variant,), runs in grouped(same, "variant").items():
            gained = [100 * (row["accuracy"] - whole[row["seed"]]) for row in runs if row["seed"] in whole]
            beside = "" if variant == "all three" or not gained else difference(gained)
            page += f"| {data} | {size} | {variant} | {spread([row['accuracy'] for row in runs])} | {beside} | {len(runs)} |\n"
    return page


def finder() -> str:
    rows = results("rate_finder.jsonl")
    page = ""
    for (data, strategy), runs in grouped(rows, "data", "strategy").items():
        swept = [row for row in runs if "suggested" not in row]
        suggested = {row.get("read", "held-back rows"): row for row in runs if "suggested" in row}
        if "held-back rows" not in suggested or len(swept) < 3:
            continue
        best = max(swept, key=lambda row: row["accuracy"])
        ours, batches = suggested["held-back rows"], suggested["batches"]
        lost, lost_by_batches = (100 * (best["accuracy"] - row["accuracy"]) for row in (ours, batches))
        page += (
            f"| {data} | {strategy} | {best['rate']:g} of {len(swept)} | {100 * best['accuracy']:.1f} | {ours['suggested']:.1e} | "
            f"{100 * ours['accuracy']:.1f} | {lost:+.1f} | {batches['suggested']:.1e} | {lost_by_batches:+.1f} |\n"
        )
    head = (
        "\n## The rate finder's error\n\nSuggested against the best of a sweep from 1e-5 to 1e-2, test rows, one seed, so that about two points "
        "either way are chance. *By batches*: the rate that the losses of training batches suggest, as the finder read them before; it reads those of "
        "held-back rows now.\n\n| data | strategy | best of sweep | accuracy | suggested | accuracy | points lost | by batches | points lost |\n"
    )
    return page and head + "|---|---|---|---|---|---|---|---|---|\n" + page


def speed() -> str:
    rows = results("speed.jsonl")
    if not rows:
        return ""
    page = (
        "\n## Speed against what people use\n\nEach run is a process of its own, A B and B A in turns on the same rows; medians. The timed part is "
        "training or prediction without imports and loading; ours includes the linear probe that our strategies start from and everything computed to be "
        "kept. The other side has its best settings: bfloat16, batches by length, fused AdamW. *Limit* is the share of the "
        "best matrix product of the same shapes, measured in the same process, that the job's multiplications would have used had nothing been kept. Page faults "
        "are those of the first steps, in which the process grows, spread over all: once it runs, a step takes none (`tests/core/test_memory.py`). Of the few-shot job each run "
        "draws other rows, the same for both sides.\n\n"
        "| job | side | seconds | against ours | accuracy | limit | peak MiB | page faults per step | runs |\n|---|---|---|---|---|---|---|---|---|\n"
    )
    for (name,), of_job in grouped(rows, "name").items():
        sides = grouped(of_job, "side")
        ours = statistics.median(row["seconds"] for row in next(iter(sides.values())))
        for (side,), runs in sides.items():
            seconds = statistics.median(row["seconds"] for row in runs)
            right = [row["accuracy"] for row in runs if row.get("accuracy") is not None]
            accuracy = f"{100 * statistics.mean(right):.1f}" if right else ""
            limit, peak, faults = "", "", ""
            if "flops" in runs[0]:
                limit = f"{statistics.median(row['flops'] / row['seconds'] / row['matmul_flops_per_second'] for row in runs):.0%}"
            if "peak_bytes" in runs[0]:
                peak = f"{statistics.median(row['peak_bytes'] for row in runs) / 2**20:.0f}"
                faults = f"{statistics.median(row['page_faults'] / max(1, row['steps']) for row in runs):.0f}"
            page += f"| {name} | {side} | {seconds:.1f} | {seconds / ours:.2f} × | {accuracy} | {limit} | {peak} | {faults} | {len(runs)} |\n"
    return page + bars(rows)


def bars(rows: list[dict[str, Any]]) -> str:
    """What was aimed at, and what was reached: medians of ours and of the other side."""
    found = grouped(rows, "name", "side")
    page = "\n| aimed at | times faster | reached | |\n|---|---|---|---|\n"
    for (name, mine, theirs), aim in BARS.items():
        sides = [found.get((name, side)) for side in (mine, theirs)]
        if all(sides):
            ours, other = (statistics.median(row["seconds"] for row in side or ()) for side in sides)
            met = "met" if other / ours >= aim else "**not met**"
            page += f"| {name}: {mine} against {theirs} | {aim:g} | {other / ours:.2f} | {met} |\n"
    return page + LIMITS


def images() -> str:
    rows = results("image_tasks.jsonl")
    if not rows:
        return ""
    found = grouped(rows, "task", "rows", "arm")
    arms = ["from scratch", "feature-extraction", "full", "gradual-unfreezing", "lora"]
    page = (
        "\n## Other images with a network of CIFAR-10\n\nResNet-20 (public weights, a plain torch module) adapted to few labeled rows: accuracy on "
        "the same 1,000 test rows, or fewer where a set has fewer, all pictures at 32 pixels, one setting for each strategy "
        "and no tuning on any set; 50 more rows choose the best step. 'after mnist' starts from the same network, fine-tuned on 2,000 "
        "of MNIST's digits before. 'ShuffleNet': photographs at 160 pixels, by the backbone of a detector (public weights, COCO). Code and settings: "
        "`benchmarks/image_tasks.py`.\n\n"
        f"| task | rows | {' | '.join(arms)} | seeds |\n|---|---|{'---|' * (len(arms) + 1)}\n"
    )
    for task, size in dict.fromkeys((row["task"], row["rows"]) for row in rows):
        by_arm = [{row["seed"]: row["accuracy"] for row in found.get((task, size, arm), [])} for arm in arms]
        seeds = set.intersection(*(set(some) for some in by_arm if some))  # those that every arm has
        cells = [spread([some[seed] for seed in sorted(seeds)]) if some else "–" for some in by_arm]
        page += f"| {task} | {size} | {' | '.join(cells)} | {len(seeds)} |\n" if seeds and sum(map(bool, by_arm)) > 3 else ""
    return page


def boxes() -> str:
    """Detectors from few pictures."""
    rows = results("detection_tasks.jsonl")
    if not rows:
        return ""
    page = (
        "\n## Boxes from few pictures\n\nA DETR of two and two layers over a small ResNet at 128 pixels, from random values, those with half of the pictures mirrored in each "
        "epoch, over the backbone of zoo/tiny-vision, which has seen pictures of clothes, and as a conditional DETR; one seed, 30 epochs. Nothing here has learned to detect before. Average precision, %, with bootstrap intervals. Code and settings: "
        "`benchmarks/detection_tasks.py`.\n\n| pictures of | from | mean over overlaps | at half overlap | pictures to learn | to test | processor seconds |\n"
        "|---|---|---|---|---|---|---|\n"
    )
    for row in sorted(rows, key=lambda row: row["task"]):
        cells = [row[name] for name in ("mean_average_precision", "average_precision_50")]
        shown = " | ".join(
            f"{100 * value:.1f}" + (f" [{100 * low:.1f}, {100 * high:.1f}]" if low is not None else "")
            for value, low, high in cells
        )
        page += f"| {row['task']} | {row['arm']} | {shown} | {row['rows']} | {row['n']} | {row['seconds']:.0f} |\n"
    return page + (
        "\nNo network here is clearly better than the same box in every picture, and blood cells are not found at all, after 250 epochs either: networks of this kind "
        "learn to look only after many more pictures (Carion et al. 2020 train 300 epochs on 118,000). Start from one that has learned to detect; none is at hand here.\n"
    )


def distilled() -> str:
    """A teacher's half, with and without what the teacher says."""
    rows = results("distillation.jsonl")
    if not rows:
        return ""
    found = grouped(rows, "arm")
    names = {
        "teacher": "teacher, six blocks",
        "student": "student, its blocks 0, 2, 4, true labels alone",
        "distilled": "the same student, with the teacher",
    }
    page = (
        "\n## Distillation\n\nBanking77 with ten rows of each class, 1,000 test rows; all-MiniLM-L6-v2, everything trains for six epochs, the best by "
        "200 other rows. The student starts from every second block of the teacher; nine parts of ten of the loss are the teacher's, at "
        "temperature 2. Seconds are the processor's. Code and settings: `benchmarks/distillation.py`.\n\n"
        "| network | accuracy | seconds to predict 1,000 texts | seeds |\n|---|---|---|---|\n"
    )
    for arm, name in names.items():
        runs = found.get((arm,), [])
        if runs:
            seconds = statistics.mean(row["predicting"] for row in runs)
            page += f"| {name} | {spread([row['accuracy'] for row in runs])} | {seconds:.1f} | {len(runs)} |\n"
    return page


def audio() -> str:
    rows = results("audio_tasks.jsonl")
    if not rows:
        return ""
    found = grouped(rows, "model", "task", "arm")
    arms = ["scratch", "feature-extraction", "full", "gradual-unfreezing"]
    page = (
        "\n## Few sounds\n\nAccuracy on digits by a speaker never heard (`fsdd`, 30 training clips of each digit from five speakers) and on "
        "thirty words (`speech_commands_mini`, about seven training clips of each, the official test part of 51). "
        "res8-narrow was trained on Speech Commands by others and is tuned as a module from Python; random values have higher rates and twice the "
        "epochs; a twentieth of the digits' clips chooses the epoch. Some of the thirty words' clips may be among those that it "
        "was trained on. Code and settings: `benchmarks/audio_tasks.py`.\n\n"
        f"| model | task | {' | '.join(arms)} | seeds |\n|---|---|{'---|' * (len(arms) + 1)}\n"
    )
    for model, task in dict.fromkeys((row["model"], row["task"]) for row in rows):
        runs = [found.get((model, task, arm), []) for arm in arms]
        cells = [spread([row["accuracy"] for row in some]) if some else "–" for some in runs]
        page += f"| {model} | {task} | {' | '.join(cells)} | {max(map(len, runs))} |\n"
    return page


def growth() -> str:
    """Seconds against rows, with the slope of a straight line through logarithms."""
    page = ""
    for (name,), runs in grouped(results("growth.jsonl"), "name").items():
        if len(runs) > 1:
            points = [(math.log(row["rows"]), math.log(row["seconds"])) for row in sorted(runs, key=lambda row: int(row["rows"]))]
            slope = statistics.linear_regression(*zip(*points, strict=True)).slope
            shown = ", ".join(f"{row['rows']:,}: {row['seconds']:.1f} s, {row['peak_bytes'] / 2**20:.0f} MiB" for row in runs)
            page += f"| {name} | {shown} | {slope:.2f} |\n"
    head = "\n## How time and memory grow with rows\n\n| job | rows: seconds, peak | exponent |\n|---|---|---|\n"
    return page and head + page


def streamed() -> str:
    rows = results("streaming.jsonl")
    if not rows:
        return ""
    page = (
        f"\n## Memory of a file that is streamed\n\nA run of {rows[0]['steps']} steps of LoRA on all-MiniLM-L6-v2 in a process that may allocate "
        f"{rows[0]['limit_bytes'] / 2**20:,.0f} MiB, model and training included. The peak counts pages read from the mapped file, too.\n\n"
        "| file | rows | way | peak MiB | seconds |\n|---|---|---|---|---|\n"
    )
    for row in rows:
        peak = "out of memory" if row["peak_bytes"] is None else f"{row['peak_bytes'] / 2**20:.0f}"
        way = "streamed" if row["streaming"] else "in memory"
        page += f"| {row['megabytes']:,} MB | {row['rows']:,} | {way} | {peak} | {row['seconds']:.0f} |\n"
    return page


def pretrained_tables() -> str:
    if not results(table_transfer.FILE):
        return ""
    return (
        "\n## Does pre-training help a table network?\n\n"
        "An FT-Transformer of width 64 and 3 blocks, from scratch, with blocks pre-trained on the rows of the other three tables, "
        "pre-trained whole on the table's own training rows without labels, and with the blocks of zoo/tiny-table, which learned adult's labels; beside boosted trees (leaf size and rate chosen on a held-out "
        "fifth) and a linear model. Area under the ROC curve, for wine quality R²; ± is the standard deviation over seeds, which draw "
        "the labeled rows; test rows and pre-training are the same for all seeds, so ± leaves their part out. The full adult table is "
        f"cut to {table_transfer.LARGEST_FULL:,} rows.\n\n{table_transfer.summary()}\n\n"
        "No difference to the network from scratch is clearly larger than its spread: blocks of other tables, and those of tiny-table, bring nothing here, and "
        "a table's own unlabeled rows at best a little, from a thousand labeled rows on.\n"
    )


def recommended() -> str:
    if not results(recommendation.FILE):
        return ""
    return (
        "\n## Recommendation: MovieLens-100K, official splits and one by time\n\n"
        "Ratings of 4 and 5 count as taken; lists of ten without what was taken in train; recall over the smaller of ten and the number "
        "of right films that train has. Mean ± standard deviation over the splits. The towers are `tunewright.fit` at its defaults, whose "
        f"temperature and rate were chosen on held-out training rows of the first split.\n\n{recommendation.summary()}\n"
    )


def checked() -> str:
    if not results(data_quality.FILE):
        return ""
    return (
        "\n## Data checks: faults planted in real rows\n\n"
        "2,000 training and 500 test rows of a set for each seed, in which faults of every kind are planted; shares pooled over seeds with exact 95 % intervals. "
        "A pair of duplicates is found where either row is told. Rows accused that were not planted count as false alarms although some are "
        "rightly told: both sets have near-duplicates, AG News has remains of web pages in a third of its rows. Personal data is written in ways of our own list, so that its "
        "recall is that of these ways, not of all that people write. Labels are flipped apart from that "
        f"and judged by the report `label_noise` on the frozen all-MiniLM-L6-v2.\n\n{data_quality.summary()}\n"
    )


def compiled() -> str:
    rows = results("compile.jsonl")
    if not rows:
        return ""
    row = rows[-1]
    pays = "never" if row["steps_to_pay_back"] is None else f"after {row['steps_to_pay_back']:,} steps"
    return (
        f"\n## torch.compile\n\nFull fine-tuning, {row['precision']}, six lengths of batches: {row['compile_seconds']:.0f} s to compile, then "
        f"{1e3 * row['compiled_seconds']:.0f} ms per step against {1e3 * row['eager_seconds']:.0f} ms: it pays back {pays}. It is not used.\n"
    )


def estimates() -> str:
    rows = [row for row in results("strategies.jsonl") if row["seconds"] > 1]
    if not rows:
        return ""
    ratios = [row["estimated_seconds"] / row["seconds"] for row in rows]
    page = (
        f"\n## The estimate against the truth\n\nTraining time estimated before the run over time taken, over {len(ratios)} runs of the strategies' tables on a "
        f"machine that was shared with other work: {_off(ratios)}.\n"
    )
    alone = results("estimate.jsonl")
    if not alone:
        return page
    seconds = [row["estimated_seconds"] / row["training_seconds"] for row in alone]
    memory = [row["estimated_bytes"] / row["peak_bytes"] for row in alone]
    page += (
        f"\nEach run a process of its own, so that its peak is its own: two epochs on 1,000 rows of Banking77. Time: {_off(seconds)}. "
        f"Memory: {_off(memory)}.\n\n| strategy | seconds, estimated | taken | MiB, estimated | taken |\n|---|---|---|---|---|\n"
    )
    for row in alone:
        values = [row["estimated_seconds"], row["training_seconds"], row["estimated_bytes"] / 2**20, row["peak_bytes"] / 2**20]
        page += f"| {row['strategy']} | {' | '.join(f'{value:.0f}' for value in values)} |\n"
    return page


def _off(ratios: list[float]) -> str:
    inside = sum(0.5 <= ratio <= 2 for ratio in ratios)
    return f"median {statistics.median(ratios):.2f}, from {min(ratios):.2f} to {max(ratios):.2f}; {inside} of {len(ratios)} within a factor of two"


if __name__ == "__main__":
    main()
