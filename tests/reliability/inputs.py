"""Bad inputs: the cases of rows, pictures, sounds and recipes that tests/ hold, each in a watched child.

Handled means: refused with the place and the remedy, or read as it was meant, with a counted warning where something was odd; in
either case within 5 seconds of the processor and 1 GB.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

from tests.data import test_audio_cases, test_csv_cases, test_image_cases, test_jsonl_cases
from tests.recipe import test_config_cases
from tests.reliability.confined import bounded
from tests.reliability.harness import Problems, new_folder

CASES: dict[str, Callable[[], Problems]] = {}


def held(test: Callable[..., None], *arguments: Any) -> Problems:
    """A test of tests/, in a child, with a folder of its own."""
    return bounded(lambda: test(new_folder(), *arguments))


def _of(module: ModuleType) -> Iterator[tuple[str, Callable[[], Problems]]]:
    """The cases that a module lists, and its tests that are a case each."""
    for listed, test in (
        ("REFUSED", "test_refused"),
        ("ACCEPTED", "test_accepted"),
        ("WARNED", "test_accepted_with_a_counted_warning"),
    ):
        cases = getattr(module, listed, ())
        rows = [(name, (name,)) for name in cases] if isinstance(cases, dict) else [(one[0], one[1:]) for one in cases]
        for name, arguments in rows:
            yield name, partial(held, getattr(module, test), *arguments)


def _orientations(folder: Path) -> None:
    for orientation in range(1, 9):
        place = folder / str(orientation)
        place.mkdir()
        test_image_cases.test_exif_orientation_1_to_8(place, orientation)


def _renamed(folder: Path) -> None:
    for start, kind in ((b"PK\x03\x04", "Excel"), (b"\x1f\x8b\x08", "gzip"), (b"<!DOCTYPE html>\n<html>", "HTML")):
        test_csv_cases.test_another_kind_of_file_renamed_is_refused(folder, start, kind)


_ALONE: dict[str, tuple[Callable[..., None], ...]] = {
    "csv separated by semicolons or tabs": (test_csv_cases.test_separated_by_semicolons_or_tabs_is_refused_with_a_hint,),
    "csv unseen label in validation": (test_csv_cases.test_unseen_label_in_validation_is_refused,),
    "csv another kind of file renamed": (_renamed,),
    "image EXIF orientation 1 to 8": (_orientations,),
    "image 1 x 10000": (test_image_cases.test_1_x_10000_is_accepted_with_a_warning,),
    "image link that leads out": (test_image_cases.test_a_link_that_leads_out_is_refused,),
}
for _kind, _module in (
    ("csv", test_csv_cases),
    ("jsonl", test_jsonl_cases),
    ("image", test_image_cases),
    ("audio", test_audio_cases),
    ("recipe", test_config_cases),
):
    CASES |= {f"{_kind} {_name}": _run for _name, _run in _of(_module)}
CASES |= {name: partial(held, *tests) for name, tests in _ALONE.items()}
CASES = {name.replace(" ", "_"): run for name, run in CASES.items()}
