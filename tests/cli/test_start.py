"""What is fast must stay light: help and import load none of the large libraries."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import tunewright.cli as home
from tunewright.cli.main import COMMANDS
from tunewright.cli.runs import COMMANDS as RUNS

HEAVY = {"torch", "transformers", "pydantic", "pandas", "numpy", "sklearn", "datasets", "yaml"}


def loaded_by(code: str) -> set[str]:
    lines = ("import sys", "try:", f"    {code}", "except SystemExit:", "    pass", "print('MODULES', *sys.modules)")
    ended = subprocess.run([sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, check=True)
    return {name.split(".")[0] for name in ended.stdout.rsplit("MODULES", 1)[1].split()}


def test_import_and_help_load_nothing_large():
    assert not HEAVY & loaded_by("import tunewright")
    assert not HEAVY & loaded_by("import tunewright.cli.main as m; sys.argv = ['tunewright', '--help']; m.main()")
    of_fit = loaded_by("import tunewright.cli.main as m; sys.argv = ['tunewright', 'fit', '--help']; m.main()")
    assert not (HEAVY - {"pydantic"}) & of_fit  # the library of the command line reads options with pydantic


def test_what_only_reads_loads_no_torch():
    for command in ("['parts']", "['runs', 'list', '.']"):
        heavy = loaded_by(f"import tunewright.cli.main as m; sys.argv = ['tunewright', *{command}]; m.main()")
        assert not {"torch", "transformers", "pandas", "sklearn", "datasets"} & heavy
    assert "torch" in loaded_by("import tunewright.training.predict")  # the check sees torch where it is


def test_every_command_is_one_file_and_every_file_a_command():
    folder = Path(home.__file__).parent
    files = {path.stem.replace("_", "-") for path in folder.glob("*.py") if not path.stem.startswith("_")} - {"main"}
    assert files | {"runs"} == set(COMMANDS)
    assert {path.stem for path in (folder / "runs").glob("*.py")} - {"__init__"} == set(RUNS)


def test_help_shows_one_line_for_each_command(call):
    ended = call("--help")
    assert ended.exit_code == 0
    for name in COMMANDS:
        line = next(line for line in ended.stdout.splitlines() if line.strip().startswith(f"{name} "))
        assert len(line.split()) > 3
    for name in COMMANDS:
        assert call(name, "--help").exit_code == 0


def test_version(call):
    from tunewright import __version__

    assert call("--version").stdout == f"tunewright {__version__}\n"
