"""Threads that share one model get the answers that they would get alone, and leave nothing behind."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers.utils import logging

from tests.tiny import folders
from tunewright.artifacts.model_folder import Loaded
from tunewright.core.types import Labels
from tunewright.inference.decoding import Settings
from tunewright.inference.predictor import Predictor
from tunewright.models import network as network_module
from tunewright.models.form import Form
from tunewright.models.loading import load_network
from tunewright.models.quiet import quiet_transformers

THREADS = 8
WORDS = "i love the film . the parcel was late and my card is lost please help no".split(" ")  # noqa: SIM905
CLASSES = Labels("classification", ("good", "bad", "late"))


@pytest.fixture(scope="module")
def folder_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    return folders(tmp_path_factory)


def loaded(folder: Path, labels: Labels, head: str, schema: dict[str, Any], **how: Any) -> Loaded:
    network = load_network(str(folder), labels, **how)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)) * 0.1)
    return Loaded(network, labels, head, {}, 32, schema, "full")


@pytest.fixture(scope="module")
def classifier(folder_of: Callable[[str], Path]) -> Predictor:
    schema = {"text": ["message"], "target": ["label"]}
    return Predictor(loaded(folder_of("bert"), CLASSES, "classification", schema, pooling="native"))


@pytest.fixture(scope="module")
def writer(folder_of: Callable[[str], Path]) -> Predictor:
    form = Form("text", "AutoModelForCausalLM", "vocabulary")
    return Predictor(loaded(folder_of("llama"), Labels("causal_lm"), "causal_lm", {"text": ["text"]}, form=form))


def texts(thread: int) -> list[str]:
    """Texts of each thread's own, of many lengths."""
    return [" ".join((WORDS * 3)[thread + row : thread + 2 * row + 3]) for row in range(6)]


def together(work: Callable[[int], Any]) -> list[Any]:
    """What each thread gets, all of them begun at once, three times over."""
    start = threading.Barrier(THREADS)

    def begun(thread: int) -> list[Any]:
        start.wait()
        return [work(thread) for _ in range(3)]

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(begun, range(THREADS)))


def test_eight_threads_classify_as_one_does(classifier: Predictor) -> None:
    def work(thread: int) -> np.ndarray:
        found = classifier.predictions([(text,) for text in texts(thread)]).probabilities
        assert found is not None
        return found

    serial = [work(thread) for thread in range(THREADS)]
    assert not np.array_equal(serial[0], serial[1])  # the threads' answers can be told apart
    for wanted, each in zip(serial, together(work), strict=True):
        assert all(np.array_equal(wanted, found) for found in each)


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_eight_threads_write_as_one_does(writer: Predictor, temperature: float) -> None:
    def work(thread: int) -> list[str]:
        return writer.answers(texts(thread), Settings(max_new_tokens=6, temperature=temperature, top_p=0.9, seed=thread))

    serial = [work(thread) for thread in range(THREADS)]
    assert serial[0] != serial[1]
    assert together(work) == [[wanted] * 3 for wanted in serial]


def scored(writer: Predictor, thread: int) -> np.ndarray:
    """How likely the texts of a thread are: the pass in which the output layer is read."""
    rows = [(text,) for text in texts(thread)]
    return np.asarray(writer.predictions(rows, np.zeros(len(rows))).values)


def test_eight_threads_score_texts_as_one_does(writer: Predictor) -> None:
    serial = [scored(writer, thread) for thread in range(THREADS)]
    assert not np.array_equal(serial[0], serial[1])
    for wanted, each in zip(serial, together(lambda thread: scored(writer, thread)), strict=True):
        assert all(np.array_equal(wanted, found) for found in each)


def test_a_swapped_forward_is_seen(writer: Predictor, monkeypatch: pytest.MonkeyPatch) -> None:
    """The negative control: what reads the output layer by swapping its ``forward`` mixes the threads up."""
    inside = threading.Barrier(2, timeout=30)
    swapped = network_module._reading

    @contextmanager
    def slow(head: Any) -> Any:
        with swapped(head) as seen:
            inside.wait()  # both threads have swapped it before either runs
            yield seen
            inside.wait()  # and neither puts it back before both have run

    serial = [scored(writer, thread) for thread in range(2)]
    monkeypatch.setattr(network_module, "read_by_output", lambda *_: [])  # as before: always by swapping
    assert all(np.array_equal(scored(writer, thread), serial[thread]) for thread in range(2))  # alone it is the same
    monkeypatch.setattr(network_module, "_reading", slow)
    with ThreadPoolExecutor(2) as pool:
        futures = [pool.submit(scored, writer, thread) for thread in range(2)]
        outcomes = [future.exception(60) or np.array_equal(future.result(), serial[n]) for n, future in enumerate(futures)]
    assert not any(isinstance(one, threading.BrokenBarrierError) for one in outcomes)
    assert outcomes != [True, True]


def test_prediction_leaves_nothing_behind(classifier: Predictor, writer: Predictor) -> None:
    before = torch.random.get_rng_state(), logging.get_verbosity()
    flips: list[str] = []
    real = torch.nn.Module.train

    def told(module: torch.nn.Module, mode: bool = True) -> torch.nn.Module:
        flips.append(type(module).__name__)
        return real(module, mode)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.nn.Module, "train", told)
        patch.setattr(torch, "manual_seed", lambda seed: pytest.fail("the global generator was seeded"))
        classifier.predictions([("no",)])
        writer.answers(["the film"], Settings(max_new_tokens=4, temperature=1.0))
        scored(writer, 0)
        assert flips == []
        classifier.loaded.network.eval()
        assert flips  # the check sees a flip where there is one
    assert torch.equal(before[0], torch.random.get_rng_state())
    assert before[1] == logging.get_verbosity()
    head = writer.loaded.network.inner.get_output_embeddings()
    assert "forward" not in vars(head)
    assert not head._forward_pre_hooks


def test_quiet_ends_when_the_last_one_leaves() -> None:
    before = logging.get_verbosity()
    first, second = quiet_transformers(), quiet_transformers()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)  # in the order of threads, not of a stack
    assert logging.get_verbosity() == logging.ERROR
    second.__exit__(None, None, None)
    assert logging.get_verbosity() == before
    assert before != logging.ERROR
