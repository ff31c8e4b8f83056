"""Rows of a file in pieces: what the whole file gives, in little memory, and refused where all rows are needed at once."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.data.examples import as_csv, as_jsonl, sentence
from tunewright.core.errors import Faults, UserError
from tunewright.datasets import streaming
from tunewright.datasets.prepare import DatasetSplits, prepare
from tunewright.datasets.read import read_pieces, read_table
from tunewright.datasets.rows import Rows, StreamedRows
from tunewright.datasets.streaming import prepare_streamed
from tunewright.modalities.text.modality import encode_texts
from tunewright.modalities.text.on_disk import on_disk

PIECE = 7


def numbered(n: int, labels: tuple[Any, ...] = ("neg", "pos", "so so")) -> list[dict[str, Any]]:
    return [{"text": sentence(number % 576), "label": labels[number % len(labels)]} for number in range(n)]


def as_parquet(path: Path, data: list[dict[str, Any]]) -> None:
    import pyarrow
    from pyarrow import parquet

    parquet.write_table(pyarrow.Table.from_pylist(data), path, row_group_size=11)


WRITERS: dict[str, Callable[[Path, list[dict[str, Any]]], Any]] = {
    ".csv": lambda path, data: path.write_text(as_csv(data)),
    ".tsv": lambda path, data: path.write_text(as_csv(data, delimiter="\t", end="\r\n")),
    ".jsonl": lambda path, data: path.write_text(as_jsonl(data)),
    ".parquet": as_parquet,
}


def written(folder: Path, data: list[dict[str, Any]], suffix: str = ".csv") -> Path:
    path = folder / f"rows{suffix}"
    WRITERS[suffix](path, data)
    return path


def train_texts(prepared: DatasetSplits) -> list[tuple[str, ...]]:
    assert isinstance(prepared.train, StreamedRows)
    return [texts for piece in prepared.train.pieces() for texts in piece]


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "PIECE", PIECE)


@pytest.fixture(scope="module")
def tokenizer(tiny_bert: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(str(tiny_bert))


@pytest.mark.parametrize("suffix", sorted(WRITERS))
def test_pieces_are_the_whole_table_in_order(tmp_path: Path, suffix: str) -> None:
    path = written(tmp_path, [{**row, "text": row["text"] + '\n"and" more, ü'} for row in numbered(50)], suffix)
    whole, pieces = read_table(path), list(read_pieces(path, PIECE))
    assert [len(piece) for piece in pieces[:-1]] == [PIECE] * (len(pieces) - 1)
    assert sum((piece.rows for piece in pieces), ()) == whole.rows
    for name in whole.columns:
        assert [value for piece in pieces for value in piece.columns[name]] == whole.columns[name]


@pytest.mark.parametrize("suffix", sorted(WRITERS))
def test_streamed_rows_are_those_of_the_plain_path(tmp_path: Path, tokenizer: Any, suffix: str) -> None:
    path = written(tmp_path, numbered(120), suffix)
    plain, found = prepare(train=path, near_duplicates="ignore", seed=3), prepare_streamed(train=path, seed=3)
    assert found.labels == plain.labels
    assert found.schema.as_dict() == plain.schema.as_dict()
    assert isinstance(plain.train, Rows)
    assert train_texts(found) == plain.train.inputs
    assert np.array_equal(found.train.targets, plain.train.targets)
    for streamed_part, part in ((found.validation, plain.validation), (found.test, plain.test)):
        assert (streamed_part.inputs, streamed_part.source, streamed_part.unit) == (part.inputs, part.source, part.unit)
        assert np.array_equal(streamed_part.targets, part.targets)
        assert np.array_equal(streamed_part.numbers, part.numbers)
    assert isinstance(found.train, StreamedRows)
    streamed = on_disk((encode_texts(tokenizer, piece, 6) for piece in found.train.pieces()), tmp_path / "ids")
    in_memory = encode_texts(tokenizer, plain.train.inputs, 6)
    for name in ("ids", "segments", "lengths"):
        assert np.array_equal(getattr(streamed, name), getattr(in_memory, name))
    assert streamed.truncated == in_memory.truncated > 0


def test_token_ids_leave_no_file_behind(tmp_path: Path, tokenizer: Any) -> None:
    encoded = on_disk((encode_texts(tokenizer, [(text,)], 6) for text in ("a b", "", "c")), tmp_path)
    assert len(encoded) == 3
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ValueError, match="read-only"):
        encoded.ids[0] = 1

    def broken() -> Any:
        yield encode_texts(tokenizer, [("a",)], 6)
        raise RuntimeError

    with pytest.raises(RuntimeError):
        on_disk(broken(), tmp_path)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="TUNEWRIGHT_CACHE"):
        on_disk([encoded], tmp_path / "file" / "folder")


def test_the_seed_decides_the_split_and_the_hash_follows_the_rows(tmp_path: Path) -> None:
    path = written(tmp_path, numbered(90))
    first, again, other = (prepare_streamed(train=path, seed=seed) for seed in (0, 0, 1))
    assert train_texts(first) == train_texts(again) != train_texts(other)
    assert first.test.inputs == again.test.inputs != other.test.inputs
    assert first.data_hash == again.data_hash == other.data_hash
    assert len({prepare_streamed(train=path, test=numbered(n)).data_hash for n in (9, 9, 12)}) == 2
    changed = written(tmp_path, [*numbered(89), {"text": sentence(89), "label": "neg"}])
    assert prepare_streamed(train=changed).data_hash != first.data_hash


def test_parts_held_out_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "MOST_HELD_OUT", 5)
    found = prepare_streamed(train=written(tmp_path, numbered(100)))
    assert (len(found.train), len(found.validation), len(found.test)) == (90, 5, 5)
    assert any("5 rows are held out for test, not 15" in sentence for sentence in found.said)


def test_given_parts_are_used_as_they_are(tmp_path: Path) -> None:
    found = prepare_streamed(train=written(tmp_path, numbered(60)), test=numbered(20), validation=numbered(30))
    assert (len(found.train), len(found.validation), len(found.test)) == (60, 30, 20)
    with pytest.raises(UserError, match="not among the 3 labels"):
        prepare_streamed(train=written(tmp_path, numbered(60)), test=[{"text": "a", "label": "other"}])


def test_numbers_are_learnt_too(tmp_path: Path) -> None:
    data = [{"text": row["text"], "score": f"{number / 7:.3f}"} for number, row in enumerate(numbered(100))]
    path = written(tmp_path, data)
    found, plain = prepare_streamed(train=path), prepare(train=path, near_duplicates="ignore")
    assert found.schema.task == "regression"
    assert np.array_equal(found.train.targets, plain.train.targets)
    assert (found.labels.mean, found.labels.spread) == pytest.approx((plain.labels.mean, plain.labels.spread))


@pytest.mark.parametrize(
    ("suffix", "change", "fragments"),
    [
        (".csv", {40: {"label": ""}, 41: {"label": " "}}, ("lines 42, 43", "2 rows have no label")),
        (".jsonl", {40: {"label": None}}, ("line 41", "1 rows have no label")),
        (".jsonl", {30: {"text": 5}, 31: {"label": None}}, ("2 faults", "'text' holds a int", "line 32: 1 rows have no label")),
        (".jsonl", {40: {"label": 7}}, ("different types", "text in", "number in", "line 41")),
    ],
)
def test_bad_rows_are_refused_as_without_streaming(
    tmp_path: Path, suffix: str, change: dict[int, dict[str, Any]], fragments: tuple[str, ...]
) -> None:
    path = written(tmp_path, [row | change.get(index, {}) for index, row in enumerate(numbered(60))], suffix)
    for how in (prepare, prepare_streamed):
        with pytest.raises(UserError) as caught:
            how(train=path)
        for fragment in fragments:
            assert fragment in str(caught.value)


@pytest.mark.parametrize(
    ("suffix", "line", "fragments"),
    [
        (".csv", "a,b,c", ("line 42", "3 fields where the header has 2")),
        (".csv", '"open', ("line 42", "never closed")),
        (".csv", "caf\udce9,pos", ("line 42", "0xe9", "not UTF-8")),
        (".csv", "a\0b,pos", ("line 42", "NUL")),
        (".jsonl", '{"text": "a"}', ("line 42", "lacks the key 'label'")),
        (".jsonl", '{"text": "a"', ("line 42", "not whole JSON")),
        (".jsonl", "5", ("line 42", "is a int")),
    ],
)
def test_bad_lines_of_a_later_piece_are_named(tmp_path: Path, suffix: str, line: str, fragments: tuple[str, ...]) -> None:
    lines = written(tmp_path, numbered(60), suffix).read_text().splitlines()
    lines[41] = line
    path = tmp_path / f"rows{suffix}"
    path.write_bytes("\n".join(lines).encode("utf-8", "surrogateescape"))
    with pytest.raises(UserError) as caught:
        prepare_streamed(train=path)
    for fragment in fragments:
        assert fragment in str(caught.value)


def test_the_same_number_in_two_spellings_is_found_across_pieces(tmp_path: Path) -> None:
    data = numbered(40, ("1", "2"))
    data[30]["label"] = "1.0"
    with pytest.raises(UserError, match=r"'1' \(.*line 2\), '1.0' \(.*line 32\)"):
        prepare_streamed(train=written(tmp_path, data), task="classification")


def test_nothing_to_learn_is_refused(tmp_path: Path) -> None:
    for data, said in (
        (numbered(30, ("same",)), "every one of the 30 rows"),
        (numbered(30, tuple(map(str, range(30)))), "only one row"),
        ([{"text": " ", "label": row["label"]} for row in numbered(30)], "the text of all 30 rows is empty"),
    ):
        with pytest.raises(UserError, match=said):
            prepare_streamed(train=written(tmp_path, data), text="text", target="label", task="classification")


def test_what_needs_all_rows_at_once_is_refused_by_name(tmp_path: Path) -> None:
    path = written(tmp_path, numbered(30))
    with pytest.raises(UserError) as caught:
        prepare_streamed(train=numbered(30), group="who", time="when", task="multi_label")
    assert not isinstance(caught.value, Faults)
    for fragment in ("rows given from Python", "data.group", "data.time", "data.task=multi_label"):
        assert fragment in str(caught.value)
    several = written(tmp_path, [{"text": row["text"], "labels": ["a", "b"]} for row in numbered(30)], ".jsonl")
    with pytest.raises(UserError, match="multi-label of rows of text cannot be streamed"):
        prepare_streamed(train=several)
    with pytest.raises(UserError, match="=token_classification"):
        prepare_streamed(train=path, task="token_classification")
    whole = tmp_path / "rows.json"
    whole.write_text(json.dumps(numbered(30)))
    for source, said in ((whole, "cannot be read in pieces"), (tmp_path, "cannot be read in pieces"), (None, "no training rows")):
        with pytest.raises(UserError, match=said):
            prepare_streamed(train=source)
    path = tmp_path / "array.jsonl"
    path.write_text(json.dumps(numbered(30)))
    with pytest.raises(UserError, match="one JSON array"):
        prepare_streamed(train=path)
    with pytest.raises(UserError, match="does not exist"):
        prepare_streamed(train=tmp_path / "none.csv")


def test_a_file_that_changes_meanwhile_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, numbered(60))
    found = prepare_streamed(train=path)
    written(tmp_path, numbered(61))
    with pytest.raises(UserError, match="changed while it was read"):
        train_texts(found)


def test_what_is_odd_is_told_once_and_what_is_not_looked_for_is_said(tmp_path: Path) -> None:
    data = [{**row, **({"more": 1} if index > 20 else {})} for index, row in enumerate(numbered(60))]
    data[3]["text"] = data[50]["text"] = ""
    found = prepare_streamed(train=written(tmp_path, data, ".jsonl"), text="text", target="label")
    codes = [finding.code for finding in found.findings]
    assert codes.count("extra_keys") == codes.count("not_checked") == 1
    empty = next(finding for finding in found.findings if finding.code == "empty_text")
    assert (empty.count, empty.rows) == (2, (4, 51))
    assert next(finding for finding in found.findings if finding.code == "extra_keys").count == 39


MEMORY = """
import sys
from pathlib import Path
from transformers import AutoTokenizer
from tunewright.modalities.text.on_disk import on_disk
from tunewright.modalities.text.modality import encode_texts
from tunewright.datasets.read import read_table
from tunewright.datasets.inputs import texts_of
from tunewright.datasets.schema import guess_schema
from tunewright.datasets.streaming import prepare_streamed

def status(name):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) // 1024

way, path, model, cache = sys.argv[1], *map(Path, sys.argv[2:])
tokenizer = AutoTokenizer.from_pretrained(str(model))
encode_texts(tokenizer, [("a b c",)] * 9, 4)
before = status("VmRSS")
if way == "streamed":
    prepared = prepare_streamed(train=path, validation_size=0.005, test_size=0.005)
    encoded = on_disk((encode_texts(tokenizer, texts, 4) for texts in prepared.train.pieces()), cache)
else:
    table = read_table(path)
    encoded = texts_of(table, guess_schema(table))  # that alone is too much
print(len(encoded), status("VmHWM") - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.slow
def test_memory_stays_flat(tmp_path: Path, tiny_bert: Path) -> None:
    """100 MB of rows: streamed they take less than 60 MB more; the plain path takes the file and more, so the test can fail."""
    rows = 50_000
    path = tmp_path / "rows.csv"
    line = " ".join(sentence(number) for number in range(60))[:1960]
    with path.open("w") as file:
        file.write("text,label\n")
        file.writelines(f"{number} {line} {number * 7919},{'ab'[number % 2]}\n" for number in range(rows))
    assert path.stat().st_size > 95e6
    grown = {}
    for way in ("streamed", "plain"):
        command = [sys.executable, "-c", MEMORY, way, str(path), str(tiny_bert), str(tmp_path / "ids")]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        encoded, grown[way] = map(int, done.stdout.split())
        assert encoded >= rows * 0.99
    assert grown["streamed"] < 60, grown
    assert grown["plain"] > 90, grown
