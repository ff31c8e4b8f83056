"""What every room stands on: parts by listing, errors that help, files that are whole or absent."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
import torch

from tunewright.core import registry as parts
from tunewright.core.errors import Faults, UserError, nearest, raise_all, unknown
from tunewright.core.files import hash_file, hash_json, read_json, read_tensors, write_json, write_tensors, write_text
from tunewright.core.registry import FAMILIES, list_parts, load_part, name_of


@pytest.mark.parametrize("family", FAMILIES)
def test_every_part_loads_and_says_what_it_is(family: str) -> None:
    for part in list_parts(family):
        assert len(part.summary.split()) >= 3, part
        assert len(part.summary) < 130, part
        module = load_part(family, part.name.replace("_", "-"))
        if part.name == "peft":
            continue  # the bridge hands its settings on to the library, which refuses what it does not know
        if family not in ("metrics", "readers", "modalities"):
            assert module.Settings.model_config["extra"] == "forbid"
            assert module.Settings.model_config["frozen"] is True
            assert all(field.description for field in module.Settings.model_fields.values())


def test_listing_imports_nothing() -> None:
    code = "import sys; from tunewright.core.registry import *; [list_parts(f) for f in FAMILIES]; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_other_packages_bring_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    point = EntryPoint("my-decay", "tunewright.schedules.linear", "tunewright.schedules")
    monkeypatch.setattr(parts, "entry_points", lambda group: [point] if group == "tunewright.schedules" else [])
    list_parts.cache_clear()
    try:
        assert load_part("schedules", "my_decay").factor(1.0, load_part("schedules", "linear").Settings()) == 0
    finally:
        list_parts.cache_clear()


def added(monkeypatch: pytest.MonkeyPatch, family: str, *points: tuple[str, str]) -> None:
    """Entry points of a package that is not there."""
    found = [EntryPoint(name, value, f"tunewright.{family}") for name, value in points]
    monkeypatch.setattr(parts, "entry_points", lambda group: found if group == f"tunewright.{family}" else [])
    list_parts.cache_clear()


def test_a_part_is_known_by_its_registered_name(monkeypatch: pytest.MonkeyPatch) -> None:
    try:
        added(monkeypatch, "tasks", ("Sorted-Mail", "json.decoder"), ("zz_mail", "json.decoder"))
        assert name_of("tasks", load_part("tasks", "sorted_mail")) == "sorted_mail"
        assert name_of("tasks", load_part("tasks", "zz_mail")) == "sorted_mail"  # one name for one module
        assert name_of("tasks", load_part("tasks", "ordinal")) == "ordinal"
        with pytest.raises(UserError, match="not registered among the methods"):
            name_of("methods", load_part("tasks", "sorted_mail"))
    finally:
        list_parts.cache_clear()


@pytest.mark.parametrize(
    ("points", "said"),
    [
        ([("lora", "json.decoder")], "registered for tunewright.methods.lora and for json.decoder"),
        ([("mine", "json.decoder:JSONDecoder")], "Expected a module"),
    ],
)
def test_a_name_stands_for_one_module(monkeypatch: pytest.MonkeyPatch, points: list[tuple[str, str]], said: str) -> None:
    try:
        added(monkeypatch, "methods", *points)
        with pytest.raises(UserError, match=said):
            load_part("methods", points[0][0])
    finally:
        list_parts.cache_clear()


def test_a_wrong_name_shows_the_nearest_and_the_next_command() -> None:
    with pytest.raises(UserError, match=r"Did you mean 'slanted_triangular'\?.*tunewright parts schedules"):
        load_part("schedules", "slanted-triangle")


def test_errors_say_what_was_given_expected_and_next() -> None:
    error = UserError("the file has no rows", expected="at least one", nearest="rows.csv", try_="tunewright check rows.csv")
    assert str(error) == "the file has no rows. Expected at least one. Did you mean 'rows.csv'? Try: tunewright check rows.csv"
    assert nearest("lorra", ["lora", "dora"]) == "lora"
    assert nearest("zzz", ["lora"]) is None
    assert "one of a, b" in str(unknown("thing", "c", ["b", "a"]))
    with pytest.raises(Faults, match="2 faults") as told:
        raise_all([error, UserError("two")])
    assert len(told.value.faults) == 2
    raise_all([])


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "state.json"
    write_json(path, {"step": 1})

    def fail(descriptor: int) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="no space"):
        write_json(path, {"step": 2})
    monkeypatch.undo()
    assert read_json(path) == {"step": 1}
    assert [entry.name for entry in tmp_path.iterdir()] == ["state.json"]


def test_json_has_no_nan(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "x.json", {"loss": float("nan")})
    assert not (tmp_path / "x.json").exists()
    write_text(tmp_path / "bad.json", "{")
    with pytest.raises(UserError, match="not valid JSON"):
        read_json(tmp_path / "bad.json")


def test_tensors_come_back_equal_and_a_cut_file_is_refused(tmp_path: Path) -> None:
    tensors = {"a": torch.randn(3, 4), "b": torch.arange(5), "scalar": torch.tensor(2.5, dtype=torch.float64)}
    path = tmp_path / "x.safetensors"
    write_tensors(path, tensors)
    assert all(torch.equal(tensors[name], value) for name, value in read_tensors(path).items())
    assert path.stat().st_mode & 0o777 == 0o644
    digest = hash_file(path)
    path.write_bytes(path.read_bytes()[:-3])
    assert hash_file(path) != digest
    with pytest.raises(UserError, match="not a whole safetensors file"):
        read_tensors(path)


def test_a_hash_does_not_depend_on_the_order_of_keys() -> None:
    assert hash_json({"a": 1, "b": [2]}) == hash_json(json.loads('{"b": [2], "a": 1}'))
    assert hash_json({"a": 1}) != hash_json({"a": 2})
