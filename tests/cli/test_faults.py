"""Exit codes: what the user did is 2 with one clear error and nothing written; what we did is 1; Ctrl-C is 130."""

from __future__ import annotations

import json
import traceback
from pathlib import Path

import pytest

from tunewright.core.errors import Faults, UserError

HINTS = {
    "fti": "Did you mean 'fit'?",
    "fit ROWS --modle MODEL": "--model",
    "fit ROWS --model MODEL --set optimization.layer_decy=0.9": "layer_decay",
    "fit ROWS --model MODEL --set optimization.layer_decay": "=",
    "fit ROWS --model MODEL --strategy gradual-unfreezin": "gradual-unfreezing",
    "fit ROWS --model MODEL --budget soon": "not a duration",
    "fit ROWS --model MODEL --target lable": "label",
    "fit ROWS --model MODEL --seed -1": "seed",
    "fit ROWS --model nowhere": "nowhere",
    "fit nothing.csv --model MODEL": "nothing.csv",
    "fit nothing.yaml": "nothing.yaml",
    "fit ROWS --model MODEL --out TAKEN": "already holds",
    "fit ROWS --model MODEL --test nothing.csv": "nothing.csv",
    "check ROWS --model MODEL --target lable": "label",
    "check ROWS --model MODEL --set data.streaming=true --set data.group=who": "data.streaming does not go with data.group",
    "find-rate ROWS --model MODEL --target lable": "label",
    "predict nowhere rows.csv": "nowhere",
    "predict TAKEN rows.csv": "manifest.json",
    "predict TAKEN": "nothing to predict",
    "predict TAKEN rows.csv --text a": "one place",
    "predict TAKEN -": "empty",
    "evaluate nowhere rows.csv": "nowhere",
    "zero-shot nowhere pictures": "nowhere",
    "resume nowhere": "nowhere",
    "reproduce nowhere": "nowhere",
    "runs show nowhere": "nowhere",
    "runs list nowhere": "nowhere",
    "runs compare nowhere nowhere": "nowhere",
    "runs shwo": "Did you mean 'show'?",
    "layers nowhere": "nowhere",
    "parts heds": "tasks",
}


@pytest.fixture(scope="module")
def taken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "taken"
    folder.mkdir()
    (folder / "note.txt").write_text("mine")
    return folder


@pytest.fixture
def words(tiny_bert, rows_file, taken, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    known = {"ROWS": rows_file, "MODEL": tiny_bert, "TAKEN": taken}
    return lambda line: [str(known.get(word, word)) for word in line.split()]


@pytest.mark.parametrize("line", HINTS)
def test_a_fault_of_the_user_is_one_error_that_helps(line, words, call, tmp_path, taken):
    ended = call(*words(line))
    assert ended.exit_code == 2, ended.output
    assert ended.stderr.count("Error:") == 1
    assert "Traceback" not in ended.output
    assert HINTS[line] in ended.stderr
    assert ended.stdout == ""
    assert not list(tmp_path.iterdir())
    assert [path.name for path in taken.iterdir()] == ["note.txt"]


@pytest.mark.parametrize(
    "line", [line for line in HINTS if line.split()[0] in ("fit", "check", "predict", "resume", "layers", "parts")]
)
def test_with_json_the_fault_is_the_one_document(line, words, call):
    ended = call(*words(line), "--json")
    if "--modle" in line:  # an option that does not exist is refused before the others are read
        assert ended.stdout == ""
        return
    document = json.loads(ended.stdout)
    assert document["error"]["kind"] == "input"
    assert HINTS[line] in document["error"]["message"]


@pytest.fixture
def failing(monkeypatch):
    """`parts` with a body that raises what the test says."""
    import tunewright.cli.parts as command

    def fail_with(error: BaseException) -> None:
        def run(as_json: bool = False) -> None:
            raise error

        run.__annotations__ = {"as_json": command.Json}
        monkeypatch.setattr(command, "run", run)

    return fail_with


def test_our_own_fault_is_short_and_asks_for_a_report(failing, call, monkeypatch):
    monkeypatch.delenv("TUNEWRIGHT_DEBUG", raising=False)
    failing(RuntimeError("the wheel came off"))
    ended = call("parts")
    assert ended.exit_code == 1
    assert "the wheel came off" in ended.stderr
    assert "report" in ended.stderr
    assert "Traceback" not in ended.stderr
    monkeypatch.setenv("TUNEWRIGHT_DEBUG", "1")
    assert "Traceback" in call("parts").stderr


def test_interruption_is_130(failing, call):
    failing(KeyboardInterrupt("`tunewright resume runs/a` continues it."))
    ended = call("parts")
    assert ended.exit_code == 130
    assert "tunewright resume runs/a" in ended.stderr


def test_a_refusing_file_system_is_for_the_user_to_mend(failing, call):
    failing(PermissionError(13, "Permission denied", "runs/a"))
    ended = call("parts")
    assert (ended.exit_code, ended.stderr) == (2, "Error: runs/a: Permission denied.\n")
    failing(FileNotFoundError(2, "No such file", "weights"))
    assert call("parts").exit_code == 1


def test_several_faults_are_told_together(failing, call):
    failing(Faults([UserError("one is wrong", nearest="won"), UserError("two is wrong")]))
    document = json.loads(call("parts", "--json").stdout)
    assert [fault["what"] for fault in document["error"]["faults"]] == ["one is wrong", "two is wrong"]
    assert document["error"]["faults"][0]["nearest"] == "won"


def test_no_error_hides_behind_the_runner(failing, call):
    failing(RuntimeError("seen"))
    ended = call("parts")
    assert isinstance(ended.exception, SystemExit), traceback.format_exception(ended.exception)
