"""Negative controls: with one defence off, the case that watches it must find something."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any
from unittest.mock import ANY, patch

from tests.reliability import faults, resume
from tests.reliability.harness import Problems, Training, missed_without, whole
from tunewright.core.storage import Storage
from tunewright.training import checkpoint, checkpoint_folder
from tunewright.training.checkpoint import Checkpoints
from tunewright.training.context import TrainerState
from tunewright.training.interrupts import Asked
from tunewright.training.trainer import _Loop

CASES: dict[str, Callable[[], Problems]] = {}


def off(name: str, watching: Callable[[], Problems], needs: Training | None, *defences: Any) -> None:
    """With ``defences`` patched away, ``watching`` has to find something; the reference is made before."""

    def run() -> Problems:
        if needs is not None:
            whole(needs)
        return missed_without(watching, defences)

    CASES[name] = run


def _nothing(*_: object, **__: object) -> None:
    pass


def _in_place(parent: Path, step: int, files: Any, about: Mapping[str, Any], storage: Storage) -> Path:
    """As most trainers do: straight into the folder."""
    place = parent / f"step-{step}"
    place.mkdir(parents=True, exist_ok=True)
    for name, content in files:
        storage.write(place / name, content)
    return place


@contextmanager
def _not_waiting() -> Iterator[Asked]:
    yield Asked()


def _hiding(parent: Path, step: int, *given: Any) -> Path:
    """An error of the disk that nobody hears of."""
    try:
        return checkpoint_folder.write_folder(parent, step, *given)
    except OSError:
        return parent / f"step-{step}"


class _KeepsTheLastOnly(Checkpoints):  # type: ignore[misc]
    def _rotate(self, kept: set[Path]) -> Iterator[str]:
        return super()._rotate({place for place in kept if place == self._last})


_TRUSTING = patch.object(checkpoint, "verify", lambda place: {"run": ANY})
_PARAMETERS_ALONE = patch.object(_Loop, "_moving", lambda loop: {name: loop.parameters[name] for name in loop._moving_at_end()})

off(
    "written_in_place",
    faults.CASES["killed_amid_the_weights"],
    faults.PLAIN,
    patch.object(checkpoint, "write_folder", _in_place),
    _TRUSTING,
)
off("unverified", faults.CASES["a_bit_of_the_weights_is_flipped"], faults.PLAIN, _TRUSTING)
off(
    "only_the_last_is_kept",
    faults.CASES["a_file_is_empty"],
    faults.PLAIN,
    patch("tests.reliability.harness.Checkpoints", _KeepsTheLastOnly),
)
off(
    "errors_of_the_disk_are_hidden",
    faults.CASES["no_room_for_the_weights"],
    faults.PLAIN,
    patch.object(checkpoint, "write_folder", _hiding),
)
off(
    "signals_are_not_waited_for",
    faults.CASES["term_amid_a_step_saves_and_ends_with_143"],
    None,
    patch("tunewright.training.trainer.waiting_for_the_step", _not_waiting),
)
off(
    "no_lock",
    faults.CASES["a_second_trainer_is_refused"],
    None,
    patch("tunewright.pipeline.workflow.locked", lambda _: nullcontext()),
)
off(
    "random_states_are_not_restored",
    resume.CASES["lora_with_dropout_amid_an_epoch"],
    resume.TRAININGS["lora_with_dropout"],
    patch("tunewright.training.trainer.restore_random_states", _nothing),
)
off(
    "the_optimizer_is_not_restored",
    resume.CASES["plain_amid_an_epoch"],
    resume.TRAININGS["plain"],
    patch("tunewright.training.trainer.restore_optimizer", _nothing),
)
off(
    "the_epoch_begins_anew",
    resume.CASES["plain_amid_an_epoch"],
    resume.TRAININGS["plain"],
    patch("tunewright.training.trainer.TrainerState", lambda **saved: TrainerState(**saved | {"window": 0})),
)
off(
    "lines_after_the_checkpoint_stay",
    resume.CASES["plain_within_a_step"],
    resume.TRAININGS["plain"],
    patch("tunewright.callbacks.history.History._cut", _nothing),
)
off(
    "patience_begins_anew",
    resume.CASES["plateau_and_patience_at_the_last_step"],
    resume.TRAININGS["plateau_and_patience"],
    patch("tunewright.training.trainer.TrainerState", lambda **saved: TrainerState(**saved | {"reason": ""})),
    patch("tunewright.training.trainer._waited", lambda _: 0),
)
off(
    "running_statistics_are_not_saved",
    resume.CASES["augmented_pictures_amid_an_epoch"],
    resume.TRAININGS["augmented_pictures"],
    _PARAMETERS_ALONE,
)
off(
    "averages_are_not_restored",
    resume.CASES["averaged"],
    resume.OTHERS["averaged"],
    patch("tunewright.training.weight_averaging.Averages.restore", _nothing),
)
