"""fit, predict, evaluate, runs, reproduce, one after the other, as a user types them."""

from __future__ import annotations

import csv
import json
import signal
from pathlib import Path

import pytest

import tunewright

QUICK = [
    *("--set", "data.near_duplicates=ignore", "--set", "training.epochs=2", "--set", "training.batch_size=8"),
    *("--set", "optimization.learning_rate=1e-3", "--set", "optimization.head_learning_rate=1e-2"),
    *("--set", "evaluation.certify=false", "--set", "evaluation.resamples=100"),  # another process costs seconds
]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder to work in; the module's runs lie below it."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("work")
        patch.chdir(folder)
        yield folder


@pytest.fixture(scope="module")
def fitted(call, place, rows_file, tiny_bert):
    """The reply to `fit --json`."""
    return call("fit", rows_file, "--model", tiny_bert, "--target", "label", "--seed", 3, "--out", "runs/mine", *QUICK, "--json")


def test_fit_prints_one_document_and_says_what_it_does(fitted):
    assert fitted.exit_code == 0, fitted.output
    document = json.loads(fitted.stdout)
    assert (document["run"], document["status"], document["seed"]) == ("runs/mine", "done", 3)
    assert set(document["scores"]["accuracy"]) >= {"value", "low", "high", "n"}
    assert set(document["baselines"]) == {"majority", "frozen"}
    assert Path(document["report"]).is_file()
    for phase in ("data:", "model:", "training:", "epoch 1,", "epoch 2,", "report:"):
        assert phase in fitted.stderr
    assert fitted.stderr.replace("\n", "").isprintable()


def test_fit_without_json_ends_with_a_table(call, place, fitted, rows_file, tiny_bert):
    shown = call("resume", "runs/mine").stdout.splitlines()  # a finished run is shown as it is
    assert [line.split()[0] for line in shown[2:5]] == ["majority", "frozen", "fine-tuned"]
    assert "[" in shown[4]
    assert shown[-2:] == ["run     runs/mine", "report  runs/mine/report.html"]


def test_command_line_python_and_evaluate_agree(call, place, fitted, rows_file):
    typed = json.loads(call("predict", "runs/mine", rows_file, "--json").stdout)["predictions"]
    run = tunewright.load("runs/mine")
    assert typed == json.loads(json.dumps(run.predict(rows_file)))
    rows = list(csv.DictReader(rows_file.read_text().splitlines()))
    right = sum(answer["predicted"] == row["label"] for answer, row in zip(typed, rows, strict=True))
    scores = json.loads(call("evaluate", "runs/mine", rows_file, "--json").stdout)["scores"]
    assert scores["accuracy"]["value"] == pytest.approx(right / len(rows))
    assert scores["accuracy"]["n"] == len(rows)
    assert scores["accuracy"]["low"] <= scores["accuracy"]["value"] <= scores["accuracy"]["high"]


def test_predict_reads_a_file_standard_input_and_words(call, place, fitted, rows_file):
    texts = [row["text"] for row in csv.DictReader(rows_file.read_text().splitlines())][:5]
    lines = json.loads(call("predict", "runs/mine", "-", "--json", text="\n".join(texts) + "\n").stdout)["predictions"]
    words = [word for text in texts for word in ("--text", text)]
    assert json.loads(call("predict", "runs/mine", *words, "--json").stdout)["predictions"] == lines
    from_file = json.loads(call("predict", "runs/mine", rows_file, "--json").stdout)["predictions"]
    assert [answer["predicted"] for answer in lines] == [answer["predicted"] for answer in from_file[:5]]


def test_predict_writes_a_csv_and_never_over_its_rows(call, place, fitted, rows_file):
    ended = call("predict", "runs/mine", rows_file, "--out", "answers.csv")
    assert (ended.exit_code, ended.stdout) == (0, "")
    answers = list(csv.DictReader(Path("answers.csv").read_text().splitlines()))
    assert len(answers) == 60
    assert set(answers[0]) == {"row", "predicted", "probability"}
    before = rows_file.read_bytes()
    assert call("predict", "runs/mine", rows_file, "--out", rows_file).exit_code == 2
    assert rows_file.read_bytes() == before


def test_a_recipe_is_told_by_its_suffix_and_can_be_changed(call, place, fitted):
    ended = call(
        "fit", "runs/mine/recipe.yaml", "--seed", 4, "--out", "runs/other", "--set", "optimization.layer_decay=0.5", "--json"
    )
    assert ended.exit_code == 0, ended.output
    recipe = tunewright.load("runs/other").recipe
    assert (recipe.seed, recipe.optimization.layer_decay, recipe.optimization.head_learning_rate) == (4, 0.5, 1e-2)


def test_runs_are_listed_shown_and_compared(call, place, fitted):
    listed = json.loads(call("runs", "list", "--json").stdout)["runs"]
    assert {row["name"] for row in listed} >= {"mine", "other"}
    assert "mine" in call("runs", "list").stdout
    shown = call("runs", "show", "runs/mine")
    assert "fine-tuned" in shown.stdout
    assert json.loads(call("runs", "show", "runs/mine", "--json").stdout)["seed"] == 3
    compared = json.loads(call("runs", "compare", "runs/mine", "runs/other", "--json").stdout)
    assert compared["recipe"]["optimization.layer_decay"] == [1.0, 0.5]
    assert "optimization.layer_decay" in call("runs", "compare", "runs/mine", "runs/other").stdout


def test_reproduce_is_equal_and_sees_a_difference(call, place, fitted):
    ended = call("reproduce", "runs/mine", "--json")
    assert ended.exit_code == 0, ended.output
    assert json.loads(ended.stdout)["equal"] is True
    changed = tunewright.load("runs/other").folder
    recipe = (changed / "recipe.yaml").read_text()
    (changed / "recipe.yaml").write_text(recipe.replace("seed: 4", "seed: 5"))
    ended = call("reproduce", "runs/other", "--out", "runs/again")
    assert ended.exit_code == 1
    assert "tensors" in ended.stdout


def test_ctrl_c_saves_and_the_resumed_run_is_the_same(call, place, fitted, rows_file, tiny_bert):
    import tunewright.callbacks.progress as module
    from tunewright.training.events import EvaluationEnd

    write = module._write

    def interrupting(stream, event):
        write(stream, event)
        if isinstance(event, EvaluationEnd):
            signal.raise_signal(signal.SIGINT)

    words = (rows_file, "--model", tiny_bert, "--target", "label", "--seed", 3, *QUICK)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_write", interrupting)
        ended = call("fit", *words, "--out", "runs/stopped")
    assert (ended.exit_code, ended.stdout) == (130, "")
    assert "`tunewright resume runs/stopped` continues it" in ended.stderr
    resumed = json.loads(call("resume", "runs/stopped", "--json").stdout)
    assert resumed["status"] == "done"
    assert resumed["scores"] == json.loads(fitted.stdout)["scores"]


def test_check_and_dry_run_write_nothing(call, place, fitted, rows_file, tiny_bert):
    before = sorted(place.rglob("*"))
    words = (rows_file, "--model", tiny_bert, "--target", "label", *QUICK)
    checked = json.loads(call("check", *words, "--json").stdout)
    assert sum(checked["rows"].values()) == 60
    assert call("check", *words).exit_code == 0
    planned = json.loads(call("fit", *words, "--dry-run", "--json").stdout)
    assert planned["recipe"]["optimization"]["head_learning_rate"] == 1e-2
    assert planned["estimate"]["seconds"] > 0
    assert sum(layer["trainable"] for layer in planned["layers"]) > 0
    assert "optimization:" in call("fit", *words, "--dry-run").stdout
    assert sorted(place.rglob("*")) == before


def test_find_rate_suggests_and_draws(call, place, rows_file, tiny_bert):
    words = (rows_file, "--model", tiny_bert, "--target", "label", *QUICK)
    found = json.loads(call("find-rate", *words, "--json").stdout)
    assert 1e-6 <= found["suggestion"] <= 1.0
    assert len(found["rates"]) == len(found["losses"])
    drawn = call("find-rate", *words).stdout
    assert "<- suggested" in drawn
    assert drawn.splitlines()[-1].startswith("--set optimization.learning_rate=")


def test_layers_adds_up(call, tiny_bert):
    document = json.loads(call("layers", tiny_bert, "--json").stdout)
    assert [layer["name"] for layer in document["layers"]][:2] == ["embeddings", "block 0"]
    assert sum(layer["parameters"] for layer in document["layers"]) == document["parameters"]
    assert "embeddings" in call("layers", tiny_bert).stdout


@pytest.mark.parametrize(
    ("name", "opened"),
    [
        ("tiny-vision", "AutoModelForImageClassification"),
        ("tiny-audio", "AutoModelForAudioClassification"),
        ("tiny-table", "TableTransformer"),
    ],
)
def test_layers_of_images_sounds_and_tables(call, name, opened):
    folder = Path(__file__).parents[2] / "zoo" / name
    assert f"opened as {opened}" in call("layers", folder).output
    document = json.loads(call("layers", folder, "--json").stdout)
    assert sum(layer["name"].startswith("block") for layer in document["layers"]) in (3, 4)


def test_layers_says_that_albert_shares_its_blocks(call, tmp_path):
    from tunewright.models.tiny import tiny_model

    folder = tiny_model("albert", tmp_path / "albert")
    assert json.loads(call("layers", folder, "--json").stdout)["shared"] > 1
    assert "same weights" in call("layers", folder).stdout


def test_parts_lists_every_family(call):
    document = json.loads(call("parts", "--json").stdout)
    assert set(document) >= {"strategies", "methods", "tasks", "schedules", "metrics"}
    assert all(summary for parts in document.values() for summary in parts.values())
    assert "lora" in call("parts", "methods").stdout
    assert "gradual" in call("parts", "strategies").stdout
