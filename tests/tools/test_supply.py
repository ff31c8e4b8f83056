"""What is installed: exact, with hashes; and what is known of its faults is told, also where nobody answers."""

from __future__ import annotations

import json
import re
import tomllib
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from tests.tools.test_tools import tool

audit = tool("audit")
ROOT = Path(__file__).resolve().parents[2]
LOCKS = ROOT / "requirements"


@pytest.mark.parametrize("name", ["quickstart", "test", "docs"])
def test_a_lock_has_what_its_list_has_and_a_hash_for_each(name: str) -> None:
    pins = {_plain(line) for line in (LOCKS / f"{name}.txt").read_text().splitlines() if line and not line.startswith("#")}
    entries = re.split(r"\n(?=\S)", (LOCKS / f"{name}.lock").read_text().split("\n", 1)[1].strip())
    assert {_plain(entry.split()[0]) for entry in entries} == pins
    assert all(re.search(r"--hash=sha256:[0-9a-f]{64}\b", entry) for entry in entries)
    assert "://" not in "".join(entries)


def _plain(pin: str) -> str:
    return re.sub(r"[-_.]+(?=.*==)", "-", pin).lower()


def test_versions_with_known_holes_are_not_allowed() -> None:
    """torch below 2.10: CVE-2026-24747; transformers below 5.3: CVE-2026-4372."""
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    assert {"torch>=2.10", "transformers>=5.3"} <= set(wanted)
    assert tuple(map(int, version("torch").split(".")[:2])) >= (2, 10)
    assert tuple(map(int, version("transformers").split(".")[:2])) >= (5, 3)


SOUND: dict[str, Any] = {"name": "a", "version": "1", "vulns": []}
HOLE = {"id": "PYSEC-1", "aliases": ["CVE-1"], "fix_versions": ["2"]}


@pytest.mark.parametrize(
    ("packages", "code", "said"),
    [
        ([SOUND], 0, "0 known vulnerabilities; answers for 1 of 1"),
        ([SOUND, {"name": "b", "skip_reason": "not found"}], 0, "answers for 1 of 2"),
        ([SOUND | {"vulns": [HOLE]}], 1, "a 1: PYSEC-1, mended in 2"),
        (None, 0, "nothing is known"),
    ],
)
def test_an_audit_fails_for_what_is_known_alone(tmp_path: Path, capsys: Any, packages: Any, code: int, said: str) -> None:
    report = tmp_path / "report.json"
    if packages is not None:
        report.write_text(json.dumps({"dependencies": packages}))
    assert audit.main([str(report)]) == code
    assert said in capsys.readouterr().out


def test_what_is_accepted_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not audit.accepted(HOLE)
    monkeypatch.setitem(audit.ACCEPTED, "CVE-1", "we do not call it")
    assert audit.accepted(HOLE)
