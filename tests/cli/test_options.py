"""The options of fit as people type them, its help in groups, and the shell's completion."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.test_start import HEAVY, loaded_by
from tunewright.cli._recipe import recipe_of
from tunewright.config.reader import resolve

GROUPS = ("Data:", "Model:", "Training:", "Output:")
COMMON = (
    "--epochs",
    "--lr",
    "--batch-size",
    "--seed",
    "--device",
    "--model",
    "--target",
    "--test",
    "--strategy",
    "--out",
    "--set",
)
TUNEWRIGHT = (sys.executable, "-m", "tunewright")


def test_common_options_change_the_recipe_and_set_has_the_last_word() -> None:
    recipe = recipe_of("rows.csv", None, epochs=3, lr=2e-5, batch_size=16, seed=7, device="cpu")
    training = recipe.training
    assert (training.epochs, training.batch_size, training.device, recipe.seed) == (3, 16, "cpu", 7)
    assert recipe.optimization.learning_rate == 2e-5
    assert recipe_of("rows.csv", ["training.epochs=4"], epochs=3).training.epochs == 4
    assert resolve({}).training.epochs != 3  # it came from the option


def test_a_dry_run_shows_what_the_options_asked_for(call, tiny_bert: Path, tmp_path: Path) -> None:
    rows = tmp_path / "rows.csv"
    rows.write_text("text,label\n" + "".join(f"number {row} {'good' if row % 2 else 'bad'},{row % 2}\n" for row in range(40)))
    ended = call(
        *("fit", rows, "--model", tiny_bert, "--target", "label", "--strategy", "full", "--task", "classification"),
        *("--epochs", "2", "--lr", "3e-4", "--batch-size", "4", "--device", "cpu", "--seed", "5", "--dry-run"),
        *("--set", "data.near_duplicates=ignore"),
    )
    assert ended.exit_code == 0, ended.stderr
    for line in ("epochs: 2", "batch_size: 4", "learning_rate: 0.0003", "device: cpu", "seed: 5"):
        assert line in ended.stdout


def test_help_of_fit_is_grouped_and_two_screens_long(call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    lines = call("fit", "--help").stdout.splitlines()
    assert [line for line in lines if line in GROUPS] == list(GROUPS)
    assert len(lines) <= 80
    for option in COMMON:
        assert any(line.strip().startswith(f"{option} ") for line in lines), option
    assert lines.index("Training:") < next(n for n, line in enumerate(lines) if "--epochs" in line) < lines.index("Output:")


@pytest.mark.parametrize("command", ["check", "study", "find-rate"])
def test_other_commands_take_them_where_they_mean_something(call, command: str) -> None:
    said = call(command, "--help").stdout
    for option in COMMON:
        if command == "find-rate" and option in ("--epochs", "--lr", "--test", "--out"):
            assert f" {option} " not in said  # a sweep of the rate has no rate and no epochs
        else:
            assert f" {option} " in said


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("--learning-rate", "'--lr'"),
        ("--output-dir", "'--out'"),
        ("--per-device-train-batch-size", "'--batch-size'"),
        ("--weight-decay", "'--set optimization.weight_decay=…'"),
        ("--lora-alpha", "'--set method.alpha=…'"),
    ],
)
def test_an_option_of_another_library_is_answered_with_ours(call, typed: str, meant: str) -> None:
    ended = call("fit", "rows.csv", typed, "1")
    assert ended.exit_code == 2
    assert f"Did you mean {meant}" in " ".join(ended.stderr.split())
    assert "Did you mean" not in call("fit", "rows.csv", "--zzz", "1").stderr


def test_completion_is_installed_for_the_shell(tmp_path: Path) -> None:
    environment = os.environ | {"HOME": str(tmp_path), "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    ended = subprocess.run([*TUNEWRIGHT, "--install-completion", "bash"], env=environment, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    script = next(tmp_path.rglob("tunewright.sh"))
    assert "_TUNEWRIGHT_COMPLETE" in script.read_text()
    assert str(script) in (tmp_path / ".bashrc").read_text()


@pytest.mark.parametrize(("words", "offered"), [("tunewright fi", "fit\nfind-rate"), ("tunewright fit --ba", "--batch-size")])
def test_completion_offers_commands_and_options(words: str, offered: str) -> None:
    environment = os.environ | {
        "_TUNEWRIGHT_COMPLETE": "complete_bash",
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(words.split()) - 1),
    }
    ended = subprocess.run(TUNEWRIGHT, env=environment, capture_output=True, text=True)
    assert ended.stdout.strip() == offered


def test_completion_loads_nothing_large(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"_TUNEWRIGHT_COMPLETE": "complete_bash", "COMP_WORDS": "tunewright fit --", "COMP_CWORD": "2"}.items():
        monkeypatch.setenv(name, value)
    assert not (HEAVY - {"pydantic"}) & loaded_by("import tunewright.cli.main as m; sys.argv = ['tunewright']; m.main()")
