"""Every case of the suites, and the controls that show that they can fail."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.reliability import controls, faults, resume
from tests.reliability.harness import Problems

ALL = {
    f"{suite} {name}": run
    for suite, cases in (("fault", faults.CASES), ("resume", resume.CASES), ("control", controls.CASES))
    for name, run in cases.items()
}


@pytest.mark.parametrize("name", ALL)
def test_case(name: str) -> None:
    run: Callable[[], Problems] = ALL[name]
    assert run() == []


def test_killed_at_some_operations_of_the_disk() -> None:
    """`make reliability` takes all of them."""
    assert faults.killed_at_every_operation(every=12) == []


def test_the_suites_are_complete() -> None:
    assert len(faults.CASES) >= 42
    assert len(resume.CASES) >= 30
