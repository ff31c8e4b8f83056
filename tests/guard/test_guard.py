"""Whole runs end as they did when they were recorded: what may change the code may not change a loss, a score or a weight.

`python -m tests.guard` records them anew; that is for a change of results that is wanted and told in the changelog, never
for a move.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.guard.__main__ import EXPECTED, child, fingerprint

pytestmark = pytest.mark.slow
RECORDED = json.loads(EXPECTED.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return child(tmp_path_factory.mktemp("guard") / "found.json")


@pytest.mark.parametrize("name", sorted(RECORDED["runs"]))
def test_a_run_ends_as_recorded(name: str, found: dict[str, Any]) -> None:
    now, then = found[name], RECORDED["runs"][name]
    assert now["certified"][0]
    if "resumed" in then:
        assert now["resumed"] == now["weights"]
    if fingerprint() == RECORDED["recorded_on"]:  # elsewhere the last bits may differ
        assert now == then
    for key in ("losses", "validation", "scores"):
        assert now[key] == pytest.approx(then[key], rel=1e-3, abs=1e-4), key


def test_the_guard_tells_other_weights(tmp_path: Path) -> None:
    """The negative control: a last bit of one weight is another hash."""
    import torch

    from tests.guard.runs import weights
    from tunewright.core.files import write_tensors

    hashes = []
    for value in (1.0, 1.0 + 2**-23):
        write_tensors(tmp_path / "model.safetensors", {"weight": torch.tensor([value, 2.0])})
        hashes.append(weights(tmp_path))
    assert hashes[0] != hashes[1]
