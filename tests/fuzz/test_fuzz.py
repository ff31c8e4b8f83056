"""Readers under fire: the corpus with all that was ever found, and a short run that is the same each time."""

from __future__ import annotations

import pytest

pytest.importorskip("hypothesis")

from hypothesis import HealthCheck, given, settings

from tests.fuzz.inputs import CORPUS, corpus, inputs
from tests.fuzz.targets import TARGETS, try_on

FEW = 60  # examples of each target; `make fuzz` tries as many as there is time for


@pytest.mark.parametrize("target", TARGETS)
def test_the_corpus_is_read_or_refused(target: str) -> None:
    ends = [try_on(target, content) for content in corpus(target)]
    assert "read" in ends  # else the reader is never reached


@pytest.mark.parametrize("target", TARGETS)
def test_a_short_run(target: str) -> None:
    @settings(
        max_examples=FEW,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(inputs(target))
    def run(content: bytes) -> None:
        try_on(target, content)

    run()


def test_every_target_has_a_corpus() -> None:
    assert {path.name for path in CORPUS.iterdir()} == set(TARGETS)


def test_control_a_reader_that_fails_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TARGETS, "csv", lambda folder, content: {b"a": 1}[content])
    with pytest.raises(KeyError):
        try_on("csv", b"b")
