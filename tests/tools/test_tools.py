"""The checks that CI runs: imports point down, pages are fresh; each shown to fail where it must."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]


def tool(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"tools_{name}", ROOT / "tools" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_imports_point_down(capsys: pytest.CaptureFixture[str]) -> None:
    assert tool("imports").main([]) == 0, capsys.readouterr().out


@pytest.mark.parametrize(
    ("where", "what", "said"),
    [
        ("core/bad.py", "from tunewright.training.trainer import train", "core imports training"),
        ("methods/bad.py", "from tunewright.training.parameter_groups import param_groups", "methods imports training"),
        ("datasets/bad.py", "import tunewright.pipeline.workflow", "datasets imports pipeline"),
        ("attic/bad.py", "from tunewright.core import errors", "has no floor"),
    ],
)
def test_an_import_that_points_up_is_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], where: str, what: str, said: str
) -> None:
    path = tmp_path / where
    path.parent.mkdir()
    path.write_text(f"{what}\n")
    assert tool("imports").main([str(tmp_path)]) == 1
    assert said in capsys.readouterr().out


def test_generated_pages_are_fresh(capsys: pytest.CaptureFixture[str]) -> None:
    assert tool("docs").main(["--check"]) == 0, capsys.readouterr().out


def test_a_stale_page_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    docs = tool("docs")
    monkeypatch.setattr(docs, "DOCS", tmp_path)
    assert docs.main(["--check"]) == 1
    assert "docs/reference/parts.md is stale" in capsys.readouterr().out
    assert docs.main([]) == 0
    assert docs.main(["--check"]) == 0


def test_every_test_that_the_correctness_page_names_exists() -> None:
    named = set(re.findall(r"`(test_\w+)`", (ROOT / "docs" / "explanation" / "correctness.md").read_text()))
    written = set(re.findall(r"^def (test_\w+)\(", "\n".join(path.read_text() for path in (ROOT / "tests").rglob("*.py")), re.M))
    assert len(named) > 40
    assert named <= written
