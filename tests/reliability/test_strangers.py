"""Every case of a stranger's files, and the controls that show that they can fail; bad inputs are tested where they are held."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.reliability import inputs, stranger_controls, strangers
from tests.reliability.harness import Problems

ALL = {
    f"{suite} {name}": run
    for suite, cases in (("refused", strangers.CASES), ("control", stranger_controls.CASES))
    for name, run in cases.items()
}


@pytest.mark.parametrize("name", ALL)
def test_case(name: str) -> None:
    run: Callable[[], Problems] = ALL[name]
    assert run() == []


def test_the_suites_are_complete() -> None:
    assert len(strangers.MODEL_FOLDERS) == 36
    assert len(strangers.ARTEFACTS) >= 20
    assert (len(strangers.ARCHIVES), len(strangers.PATHS), len(strangers.URIS)) == (10, 10, 5)
    assert len(inputs.CASES) == 34 + 20 + 22 + 16 + 24
