"""Tagging, answers, retrieval and few-shot classes on real texts, beside what people use on the same rows and encoder.

    python benchmarks/text_tasks.py [--only tagging retrieval …] [--seeds 0 1 2]     # one line per run in results/text_tasks.jsonl

- tagging: 600 sentences of WNUT17 and of WikiGold, five epochs; beside transformers' Trainer (first piece of a word, length grouping,
  linear schedule with a tenth of warm-up), scored on 400 others.
- retrieval: ten questions of each of Banking77's 77 intents; the nearest of them for each of 1,000 test questions. Untouched, tuned here
  (positives by class), and by sentence-transformers with its multiple-negatives loss on as many pairs drawn as often.
- similarity: 2,000 pairs of STS-B with scores, all test pairs, rank correlation; the untouched encoder's cosine, pairs read together
  here, tuned cosines (head.name=cosine_similarity), and sentence-transformers with its cosine loss, the same rows as often.
- few_shot: eight rows of each class, vectors tuned first and a linear probe on them, as SetFit does; 1,000 test rows.
- answers: XQuAD's English questions, 15 of 100 contexts held out to test; beside the Trainer with run_qa.py's preparation.

Seconds are the processor's, on one thread in float32.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import random
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from common import DATA, UNTOLD, few_per_class, once, read_rows

FILE = "text_tasks.jsonl"
MODEL = "all-MiniLM-L6-v2"
STRATEGIES = ("full", "lora", "feature-extraction")
TAGGED = {"wnut17": 600, "wikigold": 600}
TAGGED_TEST, TEST = 400, 1000
FEW = {"cr": "all", "sst5": "", "ag_news": "test", "emotion": ""}
PLAIN = {"precision": "float32", "threads": 1, "checkpoints": False}
QUIET = {"certify": False, "reports": (), "baselines": ()}

Row = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=("tagging", "retrieval", "similarity", "few_shot", "answers"))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    options = parser.parse_args()
    for seed in options.seeds:
        for task, arm, measure in jobs(seed):
            if not options.only or task.split()[0] in options.only:
                once(FILE, f"{task} {arm} {seed}", measure, task=task, arm=arm, seed=seed)


def jobs(seed: int) -> Iterator[tuple[str, str, Any]]:
    """(task, arm, what measures it) of one seed, the shortest first."""
    for name in FEW:
        for arm in ("contrastive", "probe"):
            yield f"few_shot {name}", arm, lambda name=name, arm=arm: few_shot(name, arm, seed)
    for arm in ("untouched", "tunewright", "sentence-transformers"):
        yield "retrieval banking77", arm, lambda arm=arm: retrieval(arm, seed)
    for arm in ("untouched", "cosine", "sentence-transformers", "full", "feature-extraction"):
        yield "similarity stsb", arm, lambda arm=arm: similarity(arm, seed)
    for name in TAGGED:
        for arm in (*STRATEGIES, "trainer"):
            yield f"tagging {name}", arm, lambda name=name, arm=arm: tagging(name, arm, seed)
    for arm in ("full", "trainer") if seed == 0 else ():
        yield "answers xquad-en", arm, lambda arm=arm: answers(arm, seed)


# ---- tagging ------------------------------------------------------------------------------------------------------------


def tagged(name: str, seed: int) -> tuple[list[Row], list[Row], list[Row]]:
    """Train, validation and test sentences: WNUT17's own parts, WikiGold's shuffled; some of each."""
    parts = ("train", "dev", "test") if name == "wnut17" else ("all",)
    rows = []
    for part in parts:
        with gzip.open(DATA / name / f"{part}.jsonl.gz", "rt", encoding="utf-8") as file:
            rows.append([json.loads(line) for line in file])
    generator = random.Random(seed)
    if len(rows) == 1:
        mixed = random.Random(0).sample(rows[0], len(rows[0]))  # the same test rows for every seed
        rows = [mixed[600:], mixed[400:600], mixed[:400]]
    return generator.sample(rows[0], TAGGED[name]), rows[1][:200], rows[2][:TAGGED_TEST]


def tagging(name: str, arm: str, seed: int) -> Row:
    train, validation, test = tagged(name, seed)
    if arm == "trainer":
        return {"entity_f1": trainer_tagging(train, test, seed), "rows": len(train), "n": len(test)}
    import tunewright

    with tempfile.TemporaryDirectory() as folder:
        run = tunewright.fit(
            train,
            validation=validation,
            test=test,
            model=MODEL,
            strategy=arm,
            seed=seed,
            out=Path(folder) / "run",
            data={"near_duplicates": "ignore"},
            training={"epochs": 5, **PLAIN},
            evaluation={"certify": False, "reports": (), "baselines": ("majority",)},
        )
        return {"entity_f1": value(run, "entity_f1"), "rows": len(train), "n": len(test)}


def value(run: Any, name: str) -> float:
    return next(one.value for one in run.scores if one.name == name)


def trainer_tagging(train: list[Row], test: list[Row], seed: int) -> float:
    """transformers' own way (run_ner.py): labels on first pieces, everything trains at ours' rate."""
    import numpy as np
    from transformers import AutoModelForTokenClassification, AutoTokenizer, DataCollatorForTokenClassification, Trainer, set_seed

    from tunewright.core.arrays import object_array
    from tunewright.core.types import Labels
    from tunewright.metrics import entity_f1
    from tunewright.models.sources import find_model

    set_seed(seed)
    folder = str(find_model(MODEL))
    names = ["O", *sorted({tag for row in [*train, *test] for tag in row["tags"]} - {"O"})]
    tokenizer = AutoTokenizer.from_pretrained(folder)
    network = AutoModelForTokenClassification.from_pretrained(folder, num_labels=len(names))

    def encoded(row: Row) -> Row:
        made = tokenizer(row["tokens"], is_split_into_words=True, truncation=True, max_length=128)
        words = made.word_ids()
        first = [word is not None and (place == 0 or words[place - 1] != word) for place, word in enumerate(words)]
        made["labels"] = [names.index(row["tags"][word]) if new else -100 for word, new in zip(words, first, strict=True)]
        return dict(made)

    with tempfile.TemporaryDirectory() as out:
        trainer = Trainer(
            model=network,
            args=arguments(out, seed, epochs=5, batch=32),
            train_dataset=[encoded(row) for row in train],
            data_collator=DataCollatorForTokenClassification(tokenizer),
        )
        trainer.train()
        trainer.args.train_sampling_strategy = "random"  # else its predictions come in another order than the rows
        output = trainer.predict([encoded(row) for row in test])
    given, wanted = [], []
    for logits, labels, row in zip(output.predictions, output.label_ids, test, strict=True):
        tags = logits.argmax(-1)[labels != -100]
        given.append(np.concatenate([tags, np.zeros(len(row["tags"]) - len(tags), dtype=np.int64)]))  # what was cut is outside
        wanted.append(np.array([names.index(tag) for tag in row["tags"]]))
    return float(entity_f1.value(object_array(wanted), object_array(given), Labels("token_classification", tuple(names))) or 0.0)


def arguments(out: str, seed: int, *, epochs: int, batch: int) -> Any:
    """Ours' rate and schedule, nothing saved or reported."""
    from transformers import TrainingArguments

    return TrainingArguments(
        out,
        num_train_epochs=epochs,
        learning_rate=2e-4,
        per_device_train_batch_size=batch,
        per_device_eval_batch_size=64,
        weight_decay=0.01,
        warmup_steps=0.1,
        lr_scheduler_type="linear",
        train_sampling_strategy="group_by_length",
        **UNTOLD,
        use_cpu=True,
        seed=seed,
    )


# ---- retrieval and few rows ---------------------------------------------------------------------------------------------


def retrieval(arm: str, seed: int) -> Row:
    train = few_per_class(read_rows("banking77", "train"), 10, seed)
    test = random.Random(0).sample(read_rows("banking77", "test"), TEST)
    texts = [row["text"] for row in (*train, *test)]
    if arm == "tunewright":
        vectors = tuned(
            train, seed, texts, {"optimization": {"learning_rate": 1e-4}, "training": {"epochs": 5, "batch_size": 64, **PLAIN}}
        )
    else:
        vectors = sentence_transformers(train if arm != "untouched" else [], seed, texts)
    return nearest(vectors, train, test) | {"rows": len(train), "n": len(test)}


def tuned(train: list[Row], seed: int, texts: list[str], sections: Row) -> Any:
    """Vectors of texts by an encoder that was tuned so that a class lies together."""
    import numpy as np

    with tempfile.TemporaryDirectory() as folder:
        run = encoder(train, seed, Path(folder) / "run", sections)
        return np.array([row["predicted"] for row in run.predict(texts)])


def encoder(train: list[Row], seed: int, out: Path, sections: Row) -> Any:
    import tunewright

    return tunewright.fit(
        train,
        validation=train,
        test=train,
        model=MODEL,
        method="full",
        text="text",
        target="label",
        task="embedding",
        seed=seed,
        out=out,
        evaluation=QUIET,
        **{"data": {"near_duplicates": "ignore"}, **sections},
    )


def sentence_transformers(train: list[Row], seed: int, texts: list[str]) -> Any:
    """The library's own encoder; trained, where there are rows, on each with a partner of its class, anew for each epoch."""
    from sentence_transformers.losses import MultipleNegativesRankingLoss

    model = sentence_transformer()
    if train:
        generator = random.Random(seed)
        by_class: dict[str, list[str]] = {}
        for row in train:
            by_class.setdefault(row["label"], []).append(row["text"])
        pairs = [
            {
                "anchor": row["text"],
                "positive": generator.choice([text for text in by_class[row["label"]] if text != row["text"]]),
            }
            for _ in range(5)
            for row in train
        ]
        train_sentences(model, pairs, MultipleNegativesRankingLoss(model), seed, epochs=1, rate=1e-4, batch=64)
    return model.encode(texts, batch_size=64, show_progress_bar=False, normalize_embeddings=True)


def sentence_transformer() -> Any:
    from sentence_transformers import SentenceTransformer

    from tunewright.models.sources import find_model

    model = SentenceTransformer(str(find_model(MODEL)), device="cpu")
    model.max_seq_length = 128
    return model


def train_sentences(model: Any, rows: list[Row], loss: Any, seed: int, *, epochs: int, rate: float, batch: int) -> None:
    from datasets import Dataset
    from sentence_transformers import SentenceTransformerTrainer, SentenceTransformerTrainingArguments

    with tempfile.TemporaryDirectory() as out:
        wanted = SentenceTransformerTrainingArguments(
            out,
            num_train_epochs=epochs,
            learning_rate=rate,
            per_device_train_batch_size=batch,
            warmup_steps=0.1,
            batch_sampler="no_duplicates",
            **UNTOLD,
            use_cpu=True,
            seed=seed,
        )
        SentenceTransformerTrainer(model, wanted, Dataset.from_list(rows), loss=loss).train()


def nearest(vectors: Any, train: list[Row], test: list[Row]) -> Row:
    """How often the nearest training row has the test row's class, and the mean reciprocal rank of the first that has."""
    import numpy as np

    known, asked = vectors[: len(train)], vectors[len(train) :]
    labels = np.array([row["label"] for row in train])
    order = np.argsort(-(asked @ known.T), axis=1, kind="stable")
    right = labels[order] == np.array([row["label"] for row in test])[:, None]
    return {"recall_at_1": float(right[:, 0].mean()), "mean_reciprocal_rank": float((1 / (right.argmax(1) + 1)).mean())}


def few_shot(name: str, arm: str, seed: int) -> Row:
    """Eight rows of each class; a probe on the untouched encoder, or on one that was tuned on them first."""
    import tunewright

    rows, test = few_rows(name)
    train = few_per_class(rows, 8, seed)
    chosen = {row["text"] for row in train}
    test = [row for row in test if row["text"] not in chosen]
    test = random.Random(0).sample(test, min(TEST, len(test)))
    with tempfile.TemporaryDirectory() as folder:
        model = MODEL
        if arm == "contrastive":
            training = {"epochs": 20, "batch_size": 16, **PLAIN}
            run = encoder(train, seed, Path(folder) / "first", {"optimization": {"learning_rate": 5e-5}, "training": training})
            model = str(run.folder / "model")
        run = tunewright.fit(
            train,
            validation=train,
            test=test,
            model=model,
            text="text",
            target="label",
            task="classification",
            strategy="feature-extraction",
            seed=seed,
            out=Path(folder) / "run",
            data={"near_duplicates": "ignore"},
            training=PLAIN,
            evaluation=QUIET,
        )
        return {"accuracy": value(run, "accuracy"), "rows": len(train), "n": len(test)}


def few_rows(name: str) -> tuple[list[Row], list[Row]]:
    """What the few rows are drawn from, and what they are tested on; a set of one part is both."""
    part = FEW[name]
    return (read_rows(name, part), read_rows(name, part)) if part else (read_rows(name, "train"), read_rows(name, "test"))


# ---- similarity ---------------------------------------------------------------------------------------------------------


def scored_pairs(part: str) -> list[Row]:
    with gzip.open(DATA / "stsb" / f"en_{part}.csv.gz", "rt", encoding="utf-8", newline="") as file:
        return [{**row, "score": float(row["score"])} for row in csv.DictReader(file)]


def similarity(arm: str, seed: int) -> Row:
    """Rank correlation of the scores of STS-B's test pairs; the pairs of its development part choose the epoch."""
    train, test = random.Random(seed).sample(scored_pairs("train"), 2000), scored_pairs("test")
    about = {"rows": len(train), "n": len(test)}
    if arm in ("cosine", *STRATEGIES):
        import tunewright

        apart: Row = {
            "method": "full",
            "head": {"name": "cosine_similarity"},
            "optimization": {"learning_rate": 1e-4, "schedule": {"name": "linear", "warmup": 0.1}},
        }
        with tempfile.TemporaryDirectory() as folder:
            run = tunewright.fit(
                train,
                validation=random.Random(0).sample(scored_pairs("dev"), 300),
                test=test,
                model=MODEL,
                task="sentence_similarity",
                seed=seed,
                out=Path(folder) / "run",
                data={"near_duplicates": "ignore"},
                training={"epochs": 4, **PLAIN},
                evaluation=QUIET,
                **(apart if arm == "cosine" else {"strategy": arm}),
            )
            return {"spearman": value(run, "spearman")} | about
    from scipy.stats import spearmanr
    from sentence_transformers.losses import CosineSimilarityLoss

    model = sentence_transformer()
    if arm != "untouched":
        rows = [{**row, "score": row["score"] / 5} for row in train]
        train_sentences(model, rows, CosineSimilarityLoss(model), seed, epochs=4, rate=1e-4, batch=32)
    first, second = (
        model.encode([row[key] for row in test], batch_size=64, show_progress_bar=False, normalize_embeddings=True)
        for key in ("sentence1", "sentence2")
    )
    return {"spearman": float(spearmanr((first * second).sum(1), [row["score"] for row in test]).statistic)} | about


# ---- answers ------------------------------------------------------------------------------------------------------------


def questions() -> tuple[list[Row], list[Row], list[Row]]:
    """Train, validation and test questions of other contexts each."""
    from tunewright.datasets.read import read_table

    table = read_table(DATA / "xquad" / "xquad.en.json.gz")
    rows = [dict(zip(table.columns, cells, strict=True)) for cells in zip(*table.columns.values(), strict=True)]
    contexts = list(dict.fromkeys(row["context"] for row in rows))
    random.Random(0).shuffle(contexts)
    share = len(contexts) * 15 // 100
    places = {context: place // share if place < 2 * share else 2 for place, context in enumerate(contexts)}
    test, validation, train = ([row for row in rows if places[row["context"]] == part] for part in range(3))
    return train, validation, test


def answers(arm: str, seed: int) -> Row:
    train, validation, test = questions()
    about = {"rows": len(train), "n": len(test)}
    if arm == "trainer":
        return trainer_answers(train, test, seed) | about
    import tunewright

    with tempfile.TemporaryDirectory() as folder:
        run = tunewright.fit(
            train,
            validation=validation,
            test=test,
            model=MODEL,
            strategy=arm,
            seed=seed,
            out=Path(folder) / "run",
            data={"near_duplicates": "ignore", "max_length": 256},
            optimization={"head_learning_rate": 1e-3},
            training={"epochs": 4, "batch_size": 16, **PLAIN},
            evaluation=QUIET,
        )
        return {name: value(run, name) for name in ("answer_f1", "exact_match")} | about


def trainer_answers(train: list[Row], test: list[Row], seed: int) -> Row:
    """run_qa.py's preparation and choice: windows of 256 that overlap by 128, twenty best starts and ends, 30 tokens at most."""
    import numpy as np
    from transformers import AutoModelForQuestionAnswering, AutoTokenizer, Trainer, default_data_collator, set_seed

    from tunewright.core.arrays import object_array
    from tunewright.core.types import Labels
    from tunewright.metrics import answer_f1, exact_match
    from tunewright.models.sources import find_model

    set_seed(seed)
    folder = str(find_model(MODEL))
    tokenizer = AutoTokenizer.from_pretrained(folder)
    network = AutoModelForQuestionAnswering.from_pretrained(folder)

    def windows(rows: list[Row]) -> Any:
        return tokenizer(
            [row["question"] for row in rows],
            [row["context"] for row in rows],
            truncation="only_second",
            max_length=256,
            stride=128,
            return_overflowing_tokens=True,
            return_offsets_mapping=True,
            padding="max_length",
        )

    def inputs(made: Any, window: int) -> Row:
        return {name: made[name][window] for name in ("input_ids", "token_type_ids", "attention_mask")}

    made, data = windows(train), []
    for window, row in enumerate(made["overflow_to_sample_mapping"]):
        answer = train[row]["answers"]
        begin, end = answer["answer_start"][0], answer["answer_start"][0] + len(answer["text"][0])
        held = [
            place
            for place, (side, span) in enumerate(zip(made.sequence_ids(window), made["offset_mapping"][window], strict=True))
            if side == 1 and span[1] > begin and span[0] < end
        ]
        spans = made["offset_mapping"][window]
        whole = bool(held) and spans[held[0]][0] <= begin and spans[held[-1]][1] >= end
        places = (held[0], held[-1]) if whole else (0, 0)
        data.append(inputs(made, window) | {"start_positions": places[0], "end_positions": places[1]})
    asked = windows(test)
    with tempfile.TemporaryDirectory() as out:
        trainer = Trainer(
            model=network,
            args=arguments(out, seed, epochs=4, batch=16),
            train_dataset=data,
            data_collator=default_data_collator,
        )
        trainer.train()
        trainer.args.train_sampling_strategy = "random"
        output = trainer.predict([inputs(asked, window) for window in range(len(asked["input_ids"]))]).predictions
    best = [(-np.inf, "")] * len(test)
    for window, row in enumerate(asked["overflow_to_sample_mapping"]):
        start, end, spans, sides = (
            output[0][window],
            output[1][window],
            asked["offset_mapping"][window],
            asked.sequence_ids(window),
        )
        for first in np.argsort(-start)[:20]:
            for last in np.argsort(-end)[:20]:
                if sides[first] == sides[last] == 1 and first <= last < first + 30 and start[first] + end[last] > best[row][0]:
                    best[row] = (start[first] + end[last], test[row]["context"][spans[first][0] : spans[last][1]])
    wanted, given = object_array(tuple(row["answers"]["text"]) for row in test), object_array(text for _, text in best)
    labels = Labels("question_answering", ("start", "end"))
    return {"answer_f1": answer_f1.value(wanted, given, labels), "exact_match": exact_match.value(wanted, given, labels)}


if __name__ == "__main__":
    main()
