"""check --fix as people type it: what was done is shown, traced and never over the source."""

from __future__ import annotations

import json

import tunewright
from tests.data.examples import as_csv, rows


def test_rows_are_mended_and_the_changes_told(call, tmp_path):
    data = [*rows(40), dict(rows(40)[3]), {"text": " ", "label": "neg"}, {"text": "mail jane@mail.de soon", "label": "pos"}]
    source, out = tmp_path / "rows.csv", tmp_path / "fixed.csv"
    source.write_text(as_csv(data))
    checked = json.loads(call("check", source, "--target", "label", "--json").stdout)
    assert {"exact_duplicates", "empty_text", "personal_email"} <= {finding["code"] for finding in checked["findings"]}
    ended = call("check", source, "--target", "label", "--fix", out)
    assert ended.exit_code == 0, ended.output
    for said in ("1 row with an empty text left out", "1 row with the text and target of an earlier row left out"):
        assert said in ended.stdout
    assert "41 of 43 rows written" in ended.stdout
    told = json.loads(call("check", source, "--fix", out, "--also", "personal", "--skip", "empty_text", "--json").stdout)
    assert told == json.loads((tmp_path / "fixed.changes.json").read_text())
    assert [(one["fix"], one["rows"]) for one in told["changes"]] == [("exact_duplicates", [42]), ("personal", [44])]
    assert tunewright.fix(source, out, also=["personal"], skip=["empty_text"]).as_dict() == told


def test_what_makes_no_sense_is_refused(call, tmp_path):
    source = tmp_path / "rows.csv"
    source.write_text(as_csv(rows(40)))
    for words in (("--fix", source), ("--also", "personal"), ("--fix", tmp_path / "a.csv", "--conflicts", "guess")):
        ended = call("check", source, *words)
        assert ended.exit_code == 2
        assert "Traceback" not in ended.output
    assert sorted(path.name for path in tmp_path.iterdir()) == ["rows.csv"]
    clean = call("check", source, "--fix", tmp_path / "a.csv")
    assert "40 of 40 rows written" in clean.stdout
    assert (tmp_path / "a.csv").read_bytes() == source.read_bytes()
