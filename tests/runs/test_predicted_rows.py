"""predictions.csv: as many fields as names in every row, each input's value under its own name, for rows of every kind."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas
import pytest

from tests.data.pictures import photo, saved, tone
from tests.engine.toy import toy_rows
from tests.heads.test_mixed import rows as mixed_rows
from tests.heads.test_tables import toy
from tunewright.core.registry import load_part
from tunewright.core.types import Predictions
from tunewright.datasets.prepare import DatasetSplits, prepare
from tunewright.models.tiny_audio import tiny_audio_model
from tunewright.models.tiny_images import tiny_image_model
from tunewright.pipeline import predicted_rows
from tunewright.pipeline.workflow import fit
from tunewright.runs.store import compare_runs

OWN = ["row", "target", "predicted", "probability"]
ODD = 'says "no, never"\nand then;\tleft\rat once'
QUICK: dict[str, Any] = {
    "training": {"max_steps": 1, "batch_size": 8},
    "evaluation": {"baselines": (), "reports": [], "certify": False, "resamples": 100},
}


def read_back(content: str) -> list[dict[str, str]]:
    """The rows of a csv whose every row has as many fields as names, by the csv module and pandas alike."""
    lines = list(csv.reader(io.StringIO(content, newline="")))
    assert len(set(lines[0])) == len(lines[0]), lines[0]
    assert {len(line) for line in lines} == {len(lines[0])}
    framed = pandas.read_csv(io.StringIO(content, newline=""), dtype=str, keep_default_na=False, index_col=None)
    assert list(framed.columns) == lines[0]
    assert framed.to_numpy().tolist() == lines[1:]
    return [dict(zip(lines[0], line, strict=True)) for line in lines[1:]]


def stored(folder: Path) -> list[dict[str, str]]:
    return read_back((folder / "predictions.csv").read_bytes().decode())


def said(value: Any) -> str:
    return "" if value is None else str(value)


def refused(content: str) -> bool:
    try:
        read_back(content)
    except (AssertionError, pandas.errors.ParserError):
        return True
    return False


def test_a_table_has_one_field_for_each_name(tmp_path: Path) -> None:
    rows = toy(120)
    run = fit(rows, out=tmp_path / "run", data={"near_duplicates": "ignore"}, **QUICK)
    found = stored(run.folder)
    assert list(found[0]) == ["row", "age", "income", "job", "target", "predicted", "probability"]
    for one in found:
        given = rows[int(one["row"])]
        assert [one[name] for name in ("age", "income", "job")] == [said(given[name]) for name in ("age", "income", "job")]
        assert one["target"] == str(given["label"])
        assert one["predicted"] in ("True", "False")
    again = fit(rows, out=tmp_path / "again", data={"near_duplicates": "ignore"}, **QUICK)
    assert compare_runs(run.folder, again.folder)["paired"] is not None  # what reads the file finds the same rows in both


def test_texts_and_pairs(tiny_bert: Path, tmp_path: Path) -> None:
    rows = [row | {"second": f"{ODD} {number}"} for number, row in enumerate(toy_rows(60))]
    for name, columns in (("text", ["text"]), ("pair", ["text", "second"])):
        run = fit(rows, model=str(tiny_bert), text=columns, target="label", out=tmp_path / name, **QUICK)
        found = stored(run.folder)
        assert list(found[0]) == ["row", *columns, *OWN[1:]]
        assert all(one[column] == rows[int(one["row"])][column] for one in found for column in columns)


def test_images(tmp_path: Path) -> None:
    source = tmp_path / "rows.csv"
    lines = ["image,label"]
    for number in range(30):
        (tmp_path / f"{number}.png").write_bytes(saved(photo(seed=number)))
        lines.append(f"{number}.png,{'ab'[number % 2]}")
    source.write_text("\n".join(lines) + "\n")
    model = str(tiny_image_model("resnet", tmp_path / "resnet"))
    found = stored(fit(source, model=model, out=tmp_path / "run", **QUICK).folder)
    assert list(found[0]) == ["row", "image", *OWN[1:]]
    assert all(f"{one['image']},{one['target']}" == lines[int(one["row"]) - 1] for one in found)  # a row is the file's line


def test_rows_of_several_kinds(tiny_bert: Path, tmp_path: Path) -> None:
    rows, columns = mixed_rows(), ["photo", "note", "clip", "price", "town"]
    image, audio = tiny_image_model("resnet", tmp_path / "resnet"), tiny_audio_model("wav2vec2", tmp_path / "wav2vec2")
    model, data = f"image={image},text={tiny_bert},audio={audio}", {"input": columns, "near_duplicates": "ignore"}
    found = stored(fit(rows, model=model, target="label", data=data, out=tmp_path / "run", **QUICK).folder)
    assert list(found[0]) == ["row", *columns, *OWN[1:]]
    for one in found:
        given = rows[int(one["row"])]
        assert [one[name] for name in ("note", "price", "town")] == [said(given[name]) for name in ("note", "price", "town")]
        assert one["photo"].endswith(" bytes")  # rows from Python keep pictures as files' bytes


def sources() -> dict[str, tuple[list[dict[str, Any]], dict[str, Any]]]:
    """Rows of every kind that no run above has, and how they are named."""
    words = [f"{'good' if number % 2 else 'bad'} thing {number}" for number in range(40)]
    heard = [{"audio": {"array": tone(0.2 + at / 100), "sampling_rate": 16_000}, "text": text} for at, text in enumerate(words)]
    drawn = [photo(seed=number) for number in range(40)]
    shown = [{"box": [1, 2, 9, 12], "label": "cat"}]
    chats = [[{"role": "user", "content": text}, {"role": "assistant", "content": text * 2}] for text in words]
    judged = [{"instruction": text, "input": ODD, "output": f"{text} of {number}"} for number, text in enumerate(words)]
    return {
        "audio": (heard, {}),
        "video": ([{"video": np.stack([one] * 3), "label": "ab"[at % 2]} for at, one in enumerate(drawn)], {}),
        "captioned": ([{"image": one, "caption": text} for one, text in zip(drawn, words, strict=True)], {}),
        "boxes": ([{"image": one, "objects": shown} for one in drawn], {"task": "object_detection"}),
        "image_prompt": (
            [{"image": one, "prompt": "what?", "answer": text} for one, text in zip(drawn, words, strict=True)],
            {"task": "image_text_to_text"},
        ),
        "translation": ([{"text": text, "target_language": "de_DE", "target": text.upper()} for text in words], {}),
        "question": (
            [{"question": f"what is {at}?", "context": f"{text}\n{at}", "answers": text} for at, text in enumerate(words)],
            {"task": "question_answering"},
        ),
        "pairs": ([{"anchor": text, "positive": f"a {text}", "negative": f"no {text}"} for text in words], {}),
        "words": ([{"tokens": text.split(), "tags": ["O", "B-x", "O"]} for text in words], {}),
        "conversation": ([{"messages": chat} for chat in chats], {}),
        "alpaca": (judged, {}),
        "preferences": ([{"prompt": text, "chosen": f"yes {text}", "rejected": f"no {text}"} for text in words], {}),
        "interactions": ([{"user_id": at % 8, "item_id": at // 4} for at in range(40)], {}),
        "causal_lm": ([{"text": text} for text in words], {"task": "causal_lm"}),
        "multi_label": ([{"text": text, "a": at % 2, "b": 1 - at % 2} for at, text in enumerate(words)], {"target": ["a", "b"]}),
    }


KINDS = (
    *("alpaca", "audio", "boxes", "captioned", "conversation", "image_prompt", "interactions", "causal_lm", "multi_label"),
    *("pairs", "preferences", "question", "translation", "video", "words"),
)


def written(prepared: DatasetSplits, predicted: Any = None) -> str:
    """predictions.csv where each row is predicted as its target, which every head can show."""
    setup: Any = SimpleNamespace(prepared=prepared, head=load_part("tasks", prepared.schema.task))
    return predicted_rows.predictions_csv(setup, Predictions(prepared.test.targets if predicted is None else predicted, None))


@pytest.mark.parametrize("kind", KINDS)
def test_rows_of_every_other_kind(kind: str) -> None:
    rows, named = sources()[kind]
    prepared = prepare(train=rows, near_duplicates="ignore", **named)
    found = read_back(written(prepared))
    columns = prepared.schema.text
    assert list(found[0]) == ["row", *columns, *OWN[1:]]
    for one in found:
        given = rows[int(one["row"])]
        plain = [name for name in columns if isinstance(given[name], (str, int))]
        assert [one[name] for name in plain] == [str(given[name]) for name in plain]
        assert all(one[name] for name in columns)


def test_a_row_in_one_field_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The file as it was written before, and a carriage return as the csv module leaves it."""
    prepared = prepare(train=toy(120), near_duplicates="ignore")
    assert not refused(written(prepared))
    monkeypatch.setattr(predicted_rows, "_inputs", lambda given: [(", ".join(map(str, row)),) for row in given.test.inputs])
    assert refused(written(prepared))
    bare = io.StringIO()
    csv.writer(bare, lineterminator="\n").writerows([["row", "text"], ["1", "left\rat once"]])
    assert refused(bare.getvalue())


def test_an_input_called_as_one_of_ours_is_told_apart() -> None:
    rows = [
        {"row": at * 7 % 11, "predicted": at * 3 % 5, "target": at * 5 % 13, "price": at, "label": "ab"[at % 2]}
        for at in range(60)
    ]
    inputs = ["row", "predicted", "target", "price"]
    prepared = prepare(train=rows, text=inputs, target="label", kind="table", near_duplicates="ignore")
    found = read_back(written(prepared))
    assert list(found[0]) == ["row", "row (input)", "predicted (input)", "target (input)", "price", *OWN[1:]]
    for one in found:
        given = rows[int(one["row"])]
        assert [one[f"{name} (input)"] for name in inputs[:3]] == [str(given[name]) for name in inputs[:3]]


def test_a_test_file_without_a_column_that_may_be_missing() -> None:
    rows = [{"anchor": f"a {at}", "positive": f"b {at}", "negative": f"c {at}"} for at in range(40)]
    prepared = prepare(train=rows, test=[{"anchor": f"d {at}", "positive": f"e {at}"} for at in range(8)])
    assert [one["negative"] for one in read_back(written(prepared))] == [""] * 8
