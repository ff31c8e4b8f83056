from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from tunewright.core.registry import list_parts, load_part
from tunewright.core.types import EvaluationResult, Stage

NAMES = [part.name for part in list_parts("unfreezing")]


def stages(name: str, depths: int, lowest: int, epochs: int, **settings: Any) -> tuple[Stage, ...]:
    part = load_part("unfreezing", name)
    found: tuple[Stage, ...] = part.stages(depths, lowest, epochs, part.Settings(**settings))
    return found


def evaluations(pattern: str) -> list[EvaluationResult]:
    """'+' is a better evaluation, '-' one that is not."""
    return [EvaluationResult(number, number / 100, {}, 0.0, sign == "+") for number, sign in enumerate(pattern)]


def test_the_folder_holds_what_the_recipe_promises() -> None:
    assert {"none", "gradual", "plateau"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("epochs", [1, 2, 5, 40])
@pytest.mark.parametrize(("depths", "lowest"), [(8, 0), (8, 3), (8, 6), (8, 7), (26, 0), (2, 1)])
def test_contract(name: str, epochs: int, depths: int, lowest: int) -> None:
    found = stages(name, depths, lowest, epochs)
    starts, opened = [stage.start for stage in found], [stage.open_from for stage in found]
    assert starts[0] == 0.0
    assert starts == sorted(starts)
    assert opened == sorted(set(opened), reverse=True)  # each stage opens more, none closes
    assert opened[0] <= depths - 1
    assert opened[-1] == lowest
    assert all(stage.name for stage in found)
    part = load_part("unfreezing", name)
    if not hasattr(part, "advance"):
        assert starts[-1] < 1  # time alone opens everything
    with pytest.raises(ValidationError):
        part.Settings(unknown=1)
    assert all(field.description for field in part.Settings.model_fields.values())


def test_top_down_is_one_layer_per_epoch_as_in_ulmfit() -> None:
    found = stages("gradual", 5, 0, 10, epochs_per_layer=1)
    assert [stage.start * 10 for stage in found] == pytest.approx([0, 1, 2, 3, 4])
    assert [stage.open_from for stage in found] == [4, 3, 2, 1, 0]


def test_top_down_spreads_the_openings_over_a_share() -> None:
    found = stages("gradual", 5, 0, 10, share=0.8)
    assert [stage.start for stage in found] == pytest.approx([0, 0.2, 0.4, 0.6, 0.8])
    assert [stage.open_from for stage in found] == [4, 3, 2, 1, 0]


def test_top_down_opens_several_layers_at_once_when_the_run_is_short_and_says_so() -> None:
    found = stages("gradual", 8, 0, 4, epochs_per_layer=1)
    assert [stage.open_from for stage in found] == [7, 5, 3, 0]
    assert [stage.start for stage in found] == pytest.approx([0, 0.25, 0.5, 0.75])
    assert "2 layers at once" in found[1].name
    assert "3 layers at once" in found[3].name
    assert "at once" not in stages("gradual", 8, 0, 8, epochs_per_layer=1)[1].name
    one = stages("gradual", 8, 0, 1, epochs_per_layer=1)
    assert one == (Stage(0.0, 0, one[0].name),)
    assert "too short" in one[0].name


def test_plateau_opens_when_patience_runs_out_and_then_waits_again() -> None:
    part = load_part("unfreezing", "plateau")
    fired = {}
    for patience in (1, 2, 3):
        pattern = "++--+----"
        fired[patience] = [
            count
            for count in range(len(pattern) + 1)
            if part.advance(evaluations(pattern[:count]), part.Settings(patience=patience))
        ]
    assert fired == {1: [3, 4, 6, 7, 8, 9], 2: [4, 7, 9], 3: [8]}


def test_plateau_stages_are_never_opened_by_time() -> None:
    found = stages("plateau", 6, 1, 3)
    assert [stage.open_from for stage in found] == [5, 4, 3, 2, 1]
    assert all(stage.start > 1 for stage in found[1:])
