"""Nothing in the package opens what can run code, and importing it costs nothing."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "src" / "tunewright"
MODULES = {"pickle", "cPickle", "cloudpickle", "dill", "joblib", "shelve", "marshal"}
CALLS = {"eval", "exec", "compile", "__import__"}
ATTRIBUTES = {("torch", "load"), ("yaml", "load"), ("yaml", "unsafe_load"), ("yaml", "full_load"), ("os", "system")}
KEYWORDS = {"trust_remote_code", "allow_pickle", "shell"}


def unsafe(source: str) -> list[str]:
    """What a piece of source does that could run somebody's code."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names if alias.name.split(".")[0] in MODULES]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in MODULES:
            found.append(str(node.module))
        elif isinstance(node, ast.Call):
            name = node.func
            if isinstance(name, ast.Name) and name.id in CALLS:
                found.append(name.id)
            if isinstance(name, ast.Attribute) and isinstance(name.value, ast.Name) and (name.value.id, name.attr) in ATTRIBUTES:
                found.append(f"{name.value.id}.{name.attr}")
            found += [str(keyword.arg) for keyword in node.keywords if keyword.arg in KEYWORDS and not _is_off(keyword.value)]
    return found


def _is_off(value: ast.expr) -> bool:
    """The word False, written out."""
    return isinstance(value, ast.Constant) and value.value is False


def test_no_file_of_the_package_can_run_somebodys_code() -> None:
    found = {str(path.relative_to(PACKAGE)): unsafe(path.read_text()) for path in PACKAGE.rglob("*.py")}
    assert not {path: what for path, what in found.items() if what}


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from joblib import load",
        "torch.load('x')",
        "eval('1')",
        "f(trust_remote_code=True)",
        "run('x', shell=True)",
    ],
)
def test_the_search_finds_what_it_looks_for(source: str) -> None:
    assert unsafe(source)


# Imported by every Python that is started with its folder in PYTHONPATH.
_ALONE = """
import os, sys
def alone(event, given):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto") and not isinstance(given[-1], (str, bytes)):
        open(os.environ["REACHED"], "a").write(f"{event} {given[1:]}\\n")
        raise OSError("nobody is to be called")
sys.addaudithook(alone)
"""


def reached(folder: Path, *arguments: str) -> tuple[int, str]:
    """The exit code of `tunewright …` online, and whom it or a process that it started tried to reach."""
    (folder / "sitecustomize.py").write_text(_ALONE)
    told = folder / "reached.txt"
    told.touch()
    environment = {**os.environ, "PYTHONPATH": str(folder), "REACHED": str(told), "HF_HUB_OFFLINE": "0", "HF_HOME": str(folder)}
    ended = subprocess.run(
        [sys.executable, "-m", "tunewright", *arguments], env=environment, capture_output=True, text=True, cwd=folder, check=False
    )
    return ended.returncode, told.read_text()


def test_a_run_on_local_files_calls_nobody(tmp_path: Path, tiny_bert: Path, rows_file: Path) -> None:
    run = ("--set", "training.epochs=1", "--out", str(tmp_path / "run"))
    assert reached(tmp_path, "fit", str(rows_file), "--model", str(tiny_bert), *run) == (0, "")
    assert reached(tmp_path, "predict", str(tmp_path / "run"), str(rows_file)) == (0, "")


def test_control_a_hub_id_is_seen(tmp_path: Path, rows_file: Path) -> None:
    code, told = reached(tmp_path, "fit", str(rows_file), "--model", "someone/model", "--out", str(tmp_path / "run"))
    assert code == 2 and "socket.getaddrinfo" in told


def test_importing_loads_no_heavy_library() -> None:
    code = "import sys, json, tunewright, tunewright.cli.main; print(json.dumps(sorted(sys.modules)))"
    loaded = set(json.loads(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout))
    assert not loaded & {"torch", "transformers", "pandas", "numpy", "sklearn", "datasets", "pydantic"}
