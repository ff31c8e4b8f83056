"""Several processes are one: the same losses and weights, every row once, and a resumed run that is the uninterrupted one."""

from __future__ import annotations

import json
import os
import socket
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.engine.toy import toy_rows
from tests.listener import Listener
from tunewright.core.distributed import ALONE, DistributedContext, join
from tunewright.core.errors import UserError
from tunewright.core.files import read_tensors
from tunewright.models.tiny import tiny_model
from tunewright.pipeline.workflow import fit, load

ROWS = toy_rows(45)  # neither a batch nor a window divides them


def together(size: int, work: Callable[[DistributedContext], Any]) -> list[int]:
    """Exit codes of forked processes that form a world and do the same work."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    children = []
    for rank in range(size):
        child = os.fork()
        if child == 0:
            code = 1
            try:
                os.environ.update(RANK=str(rank), WORLD_SIZE=str(size), MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
                torch.set_num_threads(1)
                work(join())
                code = 0
            except UserError as error:
                sys.stderr.write(f"{error}\n")
                code = 2
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stderr.flush()
                os._exit(code)
        children.append(child)
    return [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]


def run(model: Path, out: Path, **sections: Any) -> Any:
    training = {"epochs": 2, "batch_size": 4, "precision": "float32", "threads": 1} | sections.pop("training", {})
    evaluation = {"certify": False, "resamples": 100, "reports": (), "baselines": ()}
    sections |= {} if {"strategy", "method"} & sections.keys() else {"method": "full"}
    return fit(ROWS, model=model, target="label", out=out, training=training, evaluation=evaluation, **sections)


def losses(folder: Path) -> list[float]:
    return [event["loss"] for event in load(folder).history if event["kind"] == "step"]


def answers(folder: Path) -> list[float]:
    return [one["probability"] for one in load(folder).predict([row["text"] for row in ROWS])]


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return read_tensors(next((folder / "model").glob("*.safetensors")))


HOW: dict[str, dict[str, Any]] = {
    "full": {"strategy": "full", "training": {"gradient_accumulation_steps": 2}},
    "lora": {"strategy": "lora", "model": {"dropout": 0.0}},
    "gradual": {"strategy": "gradual-unfreezing", "training": {"epochs": 5}},
    "l2_sp": {"strategy": "full", "regularizers": ["l2_sp"]},
    "shards, full": {"strategy": "full", "training": {"gradient_accumulation_steps": 2, "shard": True}},
    "shards, short passes": {"strategy": "full", "training": {"max_tokens_per_microbatch": 8, "shard": True}},
    "shards, lora": {"strategy": "lora", "training": {"shard": True}},
    "shards, gradual": {"strategy": "gradual-unfreezing", "training": {"epochs": 5, "shard": True}},
    "shards, l2_sp": {"strategy": "full", "regularizers": ["l2_sp"], "training": {"shard": True}},
}


@pytest.mark.parametrize("name", HOW)
def test_two_processes_make_the_steps_of_one(tiny_bert: Path, tmp_path: Path, name: str) -> None:
    how = HOW[name] | {"optimization": {"learning_rate": 1e-3, "head_learning_rate": 1e-2}}
    base = how.pop("model", {}) | {"source": str(tiny_bert), "dropout": 0.0}
    run(base, tmp_path / "one", **how)  # type: ignore[arg-type]
    assert together(2, lambda world: run(base, tmp_path / "two", **how)) == [0, 0]  # type: ignore[arg-type]
    assert losses(tmp_path / "two") == pytest.approx(losses(tmp_path / "one"), rel=1e-5, abs=1e-6)
    first, second = (answers(tmp_path / name) for name in ("one", "two"))
    assert second == pytest.approx(first, abs=1e-4)  # weights whose gradient is nothing but rounding may differ by Adam's step


@pytest.mark.parametrize("strategy", ["full", "lora"])
def test_a_language_model_in_shares_makes_the_steps_of_one(tmp_path: Path, strategy: str) -> None:
    base = tiny_model("llama", tmp_path / "llama")
    texts = [{"text": row["text"]} for row in ROWS]

    def tune(out: Path) -> None:
        training = {"epochs": 2, "batch_size": 4, "precision": "float32", "threads": 1, "shard": True}
        evaluation = {"certify": False, "resamples": 100, "reports": (), "baselines": ()}
        model = {"source": str(base), "dropout": 0.0}
        data = {"near_duplicates": "ignore"}
        fit(texts, model=model, task="causal_lm", strategy=strategy, out=out, data=data, training=training, evaluation=evaluation)

    tune(tmp_path / "one")
    assert together(2, lambda world: tune(tmp_path / "two")) == [0, 0]
    assert losses(tmp_path / "two") == pytest.approx(losses(tmp_path / "one"), rel=1e-5, abs=1e-6)


def test_shares_overlap_nowhere_and_lose_nothing() -> None:
    rows = np.random.default_rng(0).permutation(37)
    for size in (1, 2, 3, 50):
        parts = [DistributedContext(rank, size).share(rows) for rank in range(size)]
        assert sorted(np.concatenate(parts).tolist()) == sorted(rows.tolist())


def test_sums_words_and_tensors_travel(tmp_path: Path) -> None:
    def work(world: DistributedContext) -> None:
        own = [torch.full((3,), float(world.rank + 1)), torch.ones(2, 2, dtype=torch.float64) * world.rank]
        world.all_reduce_gradients(own)
        assert own[0].tolist() == [6.0] * 3
        assert own[1].sum() == 12
        assert world.all_reduce_sum(world.rank) == 3
        assert world.all_reduce_max(world.rank) == 2
        assert world.broadcast_number(world.rank + 7) == 7
        assert world.broadcast_object({"of": world.rank}) == {"of": 0}
        kept = world.gather({"a": torch.tensor([world.rank])})
        assert world.own(kept) == {"a": torch.tensor([world.rank])}
        assert DistributedContext(3, 4).own(kept) is None
        if world.is_main_process:
            (tmp_path / "done").write_text(json.dumps(sorted(kept)))

    assert together(3, work) == [0, 0, 0]
    assert json.loads((tmp_path / "done").read_text()) == ["a", "rank1/a", "rank2/a"]
    assert ALONE.all_reduce_sum(2.0) == 2.0
    assert ALONE.broadcast_object("x") == "x"


@pytest.mark.parametrize("shard", [False, True])
@pytest.mark.parametrize("then", [1, 2, 4])
def test_what_two_began_is_continued_by_one_two_or_four(tiny_bert: Path, tmp_path: Path, then: int, shard: bool) -> None:
    how = {"strategy": "full", "optimization": {"learning_rate": 1e-3, "head_learning_rate": 1e-2}}
    base = {"source": str(tiny_bert), "dropout": 0.0 if then != 2 else 0.1}

    def work(world: DistributedContext) -> None:
        sections = {"training": {"epochs": 4, "batch_size": 4, "precision": "float32", "threads": 1, "shard": shard}}
        evaluation = {"certify": False, "resamples": 100, "reports": (), "baselines": ()}
        seen: list[int] = []

        def watch(event: dict[str, Any]) -> None:
            if event["kind"] == "evaluation":
                seen.append(event["step"])
                if len(seen) == 3:
                    os._exit(9)

        fit(
            ROWS,
            model=base,
            target="label",
            out=tmp_path / "broken",
            callbacks=[Listener(watch)],
            evaluation=evaluation,
            **sections,
            **how,
        )

    codes = together(2, work)
    assert codes[0] == 9
    again = lambda world: run(base, tmp_path / "broken", training={"epochs": 4, "shard": shard}, **how)  # type: ignore[arg-type]  # noqa: E731
    if then == 1:
        again(ALONE)
    else:
        assert together(then, again) == [0] * then
    whole = tmp_path / "whole"
    assert together(2, lambda world: run(base, whole, training={"epochs": 4, "shard": shard}, **how)) == [0, 0]  # type: ignore[arg-type]
    assert len(losses(tmp_path / "broken")) == len(losses(whole))
    if then == 2:
        first, second = weights(tmp_path / "broken"), weights(whole)
        assert all(torch.equal(first[key], second[key]) for key in first)
    else:
        assert losses(tmp_path / "broken") == pytest.approx(losses(whole), rel=1e-4, abs=1e-5)
