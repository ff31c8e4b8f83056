"""--out and --fix as people type them: what must not be written is refused before any work, by one rule for every command."""

from __future__ import annotations

import csv
import os
import stat
from pathlib import Path
from types import SimpleNamespace

import pytest

import tunewright
from tests.cli.test_whole import QUICK
from tests.core.test_outputs import mode, special, umask
from tunewright.core.files import hash_file
from tunewright.core.outputs import holds_ours


@pytest.fixture(scope="module")
def run(call, rows_file, tiny_bert, tmp_path_factory):
    """A finished run made while nobody else may read what is written."""
    folder = tmp_path_factory.mktemp("work") / "mine"
    with umask(0o077):
        ended = call("fit", rows_file, "--model", tiny_bert, "--target", "label", "--out", folder, *QUICK)
    assert ended.exit_code == 0, ended.output
    return folder


def everything(folder):
    return {str(path.relative_to(folder)): hash_file(path) for path in folder.rglob("*") if path.is_file()}


def test_a_runs_files_have_the_mode_that_the_umask_leaves(run):
    open_ones = {str(path.relative_to(run)) for path in run.rglob("*") if mode(path) & 0o077}
    assert open_ones == set()
    assert holds_ours(run)


@pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
def test_predict_refuses_before_it_works(call, run, tmp_path, monkeypatch, kind):
    made = special(kind, tmp_path / "there")
    monkeypatch.setattr("tunewright.runs.run.load", lambda folder: pytest.fail("work began"))
    ended = call("predict", run, "--text", "my card", "--out", tmp_path / "there")
    assert ended.exit_code == 2
    assert f"is a {kind}" in ended.stderr
    assert stat.S_IFMT((tmp_path / "there").stat().st_mode) == made


def test_predict_never_writes_into_a_run(call, run, tmp_path):
    before = everything(run)
    weights = next(name for name in before if name.startswith("model/") and name.endswith(".safetensors"))
    (tmp_path / "link.csv").symlink_to(run / weights)
    for out in (run / weights, run / "manifest.json", run / "answers.csv", tmp_path / "link.csv"):
        ended = call("predict", run, "--text", "my card", "--out", out)
        assert ended.exit_code == 2, ended.output
        assert "folder of a run" in ended.stderr
    assert everything(run) == before
    assert call("predict", run, "--text", "my card", "--out", tmp_path / "answers.csv").exit_code == 0


def test_predict_follows_a_link_and_keeps_the_mode(call, run, tmp_path):
    target = tmp_path / "kept.csv"
    target.write_text("old")
    target.chmod(0o640)
    (tmp_path / "link.csv").symlink_to(target)
    assert call("predict", run, "--text", "my card", "--out", tmp_path / "link.csv").exit_code == 0
    assert (tmp_path / "link.csv").is_symlink()
    assert target.read_text().startswith("row,predicted,probability\n")
    assert mode(target) == 0o640
    with umask(0o027):
        assert call("predict", run, "--text", "my card", "--out", tmp_path / "new.csv").exit_code == 0
    assert mode(tmp_path / "new.csv") == 0o640


def test_fix_obeys_the_same_rule(call, run, rows_file, tmp_path):
    before = everything(run)
    os.mkfifo(tmp_path / "pipe.csv")
    os.mkfifo(tmp_path / "fine.changes.json")
    for out in (tmp_path / "pipe.csv", tmp_path / "fine.csv", run / "mended.csv"):
        ended = call("check", rows_file, "--target", "label", "--fix", out)
        assert ended.exit_code == 2, ended.output
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fine.changes.json", "pipe.csv"]
    assert everything(run) == before
    target = tmp_path / "target.csv"
    (tmp_path / "link.csv").symlink_to(target)
    assert call("check", rows_file, "--target", "label", "--fix", tmp_path / "link.csv").exit_code == 0
    assert (tmp_path / "link.csv").is_symlink()
    assert target.is_file()
    assert tunewright.fix(rows_file, tmp_path / "again.csv", target="label").rows_after > 0


@pytest.mark.parametrize("command", ["fit", "check", "study learning-curve"])
def test_a_run_is_not_made_inside_another_or_in_place_of_a_pipe(call, run, rows_file, tiny_bert, tmp_path, command):
    before = everything(run)
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for out, said in (
        (run / "inside", "folder of a run"),
        (tmp_path / "pipe", "is a pipe"),
        (tmp_path / "link", "leads nowhere"),
    ):
        ended = call(*command.split(), rows_file, "--model", tiny_bert, "--target", "label", "--out", out, *QUICK)
        assert ended.exit_code == 2, ended.output
        assert said in ended.stderr
    assert everything(run) == before
    assert Path(tmp_path / "pipe").is_fifo()


def test_reproduce_obeys_it_too(call, run, tmp_path):
    ended = call("reproduce", run, "--out", run / "again")
    assert ended.exit_code == 2, ended.output
    assert "folder of a run" in ended.stderr


@pytest.mark.parametrize(
    ("predicted", "cell"),
    [
        (["a", "b"], "a|b"),
        ([], ""),
        ([0.5, -1.0], "[0.5, -1.0]"),
        ([{"box": [1.0, 2.0], "label": "cat"}], '[{"box": [1.0, 2.0], "label": "cat"}]'),
        (1.5, "1.5"),
    ],
)
def test_vectors_and_boxes_have_one_field_too(call, monkeypatch, tmp_path, predicted, cell):
    answers = [{"row": 0, "predicted": predicted, "probability": None}]
    monkeypatch.setattr("tunewright.runs.run.load", lambda folder: SimpleNamespace(predict=lambda data, sets: answers))
    assert call("predict", "mine", "--text", "a").exit_code == 0
    assert call("predict", "mine", "--text", "a", "--out", tmp_path / "a.csv").exit_code == 0
    with (tmp_path / "a.csv").open(newline="") as file:
        assert list(csv.reader(file)) == [["row", "predicted", "probability"], ["0", cell, ""]]
