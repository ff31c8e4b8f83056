"""Our side of the speed comparison: the same jobs as peers.py, the same command line, the same JSON line.

    python benchmarks/ours.py JOB --rows FILE.jsonl --test FILE.jsonl --threads N --epochs E [--cache on|off|kept]

What is timed: for training, everything between loaded rows and model and the trained network, the linear probe and what
is kept of frozen layers included; for prediction, from texts to answers, tokenizing included. ``--cache kept`` measures a
second run on the same rows, which finds what a first one kept.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from common import Rows
from peers import Found, Watch, lines, probe_of, share_equal

JOBS: dict[str, dict[str, Any]] = {
    "feature_extraction": {"strategy": "feature-extraction"},
    "full": {"strategy": "full"},
    "full_random_head": {"strategy": "full", "initialization": []},
    "lora": {"strategy": "lora", "method": {"name": "lora", "rank": 8, "alpha": 16}},
    "lora_random_head": {"strategy": "lora", "method": {"name": "lora", "rank": 8, "alpha": 16}, "initialization": []},
    # six stages of equal length: the head, then one block more in each; the embeddings stay closed
    "gradual": {
        "strategy": "gradual-unfreezing",
        "method": {"name": "last_layers", "k": 5},
        "unfreezing": {"name": "gradual", "share": 5 / 6},
    },
    "few_shot": {"task": "embedding", "method": "full", "optimization": {"learning_rate": 1e-4}},
    "predict": {},
    "encode": {},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("job", choices=JOBS)
    parser.add_argument("--rows", required=True, type=Path)
    parser.add_argument("--test", required=True, type=Path)
    parser.add_argument("--model", default="all-MiniLM-L6-v2")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--cache", choices=("on", "off", "kept"), default="on")
    parser.add_argument("--precision", default="auto")
    options = parser.parse_args()
    answer = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    rows, test = lines(options.rows), lines(options.test)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["TUNEWRIGHT_CACHE"] = folder
        work: Callable[..., Found] = {"predict": answered, "encode": answered, "few_shot": few_shot}.get(options.job, trained)
        if options.cache == "kept":
            trained(rows, [], options)
        found = work(rows, test, options)
    print(
        json.dumps({"job": options.job, **found, "threads": options.threads, "epochs": options.epochs}), file=answer, flush=True
    )


def recipe_of(options: argparse.Namespace) -> Any:
    from tunewright.pipeline.workflow import make_recipe

    training = {
        "epochs": options.epochs,
        "threads": options.threads,
        "precision": options.precision,
        "cache": options.cache != "off",
        "checkpoints": False,
    }
    return make_recipe(
        model=options.model,
        target="label",
        text="text",
        data={"near_duplicates": "ignore"},
        training=training,
        **JOBS[options.job],
    )


def trained(rows: Rows, test: Rows, options: argparse.Namespace) -> Found:
    """All rows train; four of them stand in for validation rows, which the other side does not have."""
    import torch

    from tunewright.pipeline.steps import InMemoryData, apply_method, initialize, make_job, prepare_rows, set_up, train_features
    from tunewright.training.trainer import train

    torch.set_num_threads(options.threads)
    watch = Watch()
    recipe = recipe_of(options)
    setup = set_up(recipe, prepare_rows(recipe, InMemoryData(rows, rows[:4], test or rows[:4])))
    flops = operations(setup, options.epochs)
    with watch:
        features = train_features(setup)
        applied = apply_method(setup)
        initialize(setup, applied, features)
        job = make_job(setup, applied)
        done = train(job)
    more = {"accuracy": accuracy(setup)} if test else {}
    work = {"flops": flops, "matmul_flops_per_second": matmul(setup.precision)}
    return watch.found(done.steps, **more, **work, precision=setup.precision, why=setup.arithmetic.why)


def answered(rows: Rows, test: Rows, options: argparse.Namespace) -> Found:
    """Answers or features of all rows, from text."""
    import torch

    from tunewright.pipeline.steps import InMemoryData, prepare_rows, set_up
    from tunewright.training.predict import predict_features, predict_logits

    torch.set_num_threads(options.threads)
    watch = Watch()
    recipe = recipe_of(options)
    setup = set_up(recipe, prepare_rows(recipe, InMemoryData(rows[:2000], rows[:4], test or rows[:4])))
    network, compute = setup.network, predict_features if options.job == "encode" else predict_logits

    def answers(part: Rows) -> Any:
        examples = setup.head.encode(network, [(row["text"],) for row in part], None, None, recipe.data.max_length)
        return compute(network, examples, precision=setup.precision)

    answers(rows[:64])
    with watch:
        found = answers(rows)
        if options.job == "predict":
            setup.head.decode(found, setup.prepared.labels)
    work = {"flops": operations(setup, 0, rows), "matmul_flops_per_second": matmul(setup.precision)}
    return watch.found(len(rows), **work, precision=setup.precision, why=setup.arithmetic.why)


def few_shot(rows: Rows, test: Rows, options: argparse.Namespace) -> Found:
    """Vectors of a class drawn together, and a logistic regression on them."""
    import torch

    from tunewright.pipeline.steps import InMemoryData, apply_method, make_job, prepare_rows, set_up
    from tunewright.training.predict import predict_logits
    from tunewright.training.trainer import train

    torch.set_num_threads(options.threads)
    watch = Watch()
    recipe = recipe_of(options)
    setup = set_up(recipe, prepare_rows(recipe, InMemoryData(rows, rows[:8], rows[:8])))

    def vectors(part: Rows) -> Any:
        examples = setup.head.encode(
            setup.network, [(row["text"],) for row in part], None, setup.head_settings, recipe.data.max_length
        )
        return predict_logits(setup.network, examples, precision=setup.precision)

    with watch:
        done = train(make_job(setup, apply_method(setup)))
        probe = probe_of(vectors(rows), rows)
    said = probe.predict(vectors(test))
    return watch.found(done.steps, accuracy=share_equal(said, test), precision=setup.precision, why=setup.arithmetic.why)


def accuracy(setup: Any) -> float:
    from tunewright.pipeline.steps import predicted

    labels, test = setup.prepared.labels, setup.prepared.test
    values = predicted(setup).values
    said = [labels.names[int(value)] for value in values]
    return share_equal(said, [{"label": labels.names[int(value)]} for value in test.targets])


def operations(setup: Any, epochs: int, rows: Rows | None = None) -> float:
    """Multiplications and additions of the blocks' matrices on real tokens, were nothing kept: forward 1, backward 2."""
    names = {name for group in setup.network.stack.blocks for name in group.parameters}
    weights = sum(parameter.numel() for name, parameter in setup.network.named_parameters() if name in names)
    if rows is not None:
        examples = setup.head.encode(setup.network, [(row["text"],) for row in rows], None, None, setup.recipe.data.max_length)
        return 2.0 * weights * len(examples.encoded.ids)
    passes = {"feature-extraction": 1, "lora": 2}.get(str(setup.recipe.strategy), 3)
    return 2.0 * weights * len(setup.examples["train"].encoded.ids) * passes * epochs


def matmul(precision: str) -> float:
    """The best rate of a product of this encoder's shapes, in the same process: the limit."""
    import time

    import torch

    kind = torch.bfloat16 if precision == "bfloat16" else torch.float32
    x, weight, best = torch.randn(640, 384).to(kind), torch.randn(1536, 384).to(kind), 0.0
    for _ in range(5):
        started = time.perf_counter()
        for _ in range(10):
            torch.nn.functional.linear(x, weight)
        best = max(best, 10 * 2.0 * 640 * 384 * 1536 / (time.perf_counter() - started))
    return best


if __name__ == "__main__":
    sys.exit(main())
