"""Every reader by the same contract, and rows that come from Python or from the hub."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.data.examples import as_csv, as_jsonl, rows
from tunewright.core.errors import UserError
from tunewright.core.registry import list_parts, load_part
from tunewright.datasets.prepare import prepare
from tunewright.datasets.read import read_splits, read_table

ROWS = rows()


def write_parquet(path: Path) -> None:
    import pyarrow
    from pyarrow import parquet

    parquet.write_table(pyarrow.Table.from_pylist(ROWS), path)


def write_folder(path: Path) -> None:
    from datasets import Dataset

    Dataset.from_list(ROWS).save_to_disk(str(path))


WRITERS: dict[str, Callable[[Path], object]] = {
    "csv": lambda path: path.write_text(as_csv(ROWS)),
    "tsv": lambda path: path.write_text(as_csv(ROWS, delimiter="\t")),
    "json": lambda path: path.write_text(json.dumps(ROWS)),
    "jsonl": lambda path: path.write_text(as_jsonl(ROWS)),
    "parquet": write_parquet,
    "datasets_folder": write_folder,
}
PICTURES = ("boxes_csv", "boxes_xml", "coco", "image_folder", "image_zip", "npz")  # tests/data/test_media_readers.py
OTHERS = ("conll", "txt")  # tests/data/test_conll.py, tests/data/test_txt.py: columns of their own
NAMES = [part.name for part in list_parts("readers") if part.name not in (*PICTURES, *OTHERS)]


@pytest.mark.parametrize("name", NAMES)
def test_every_reader_gives_the_same_table(tmp_path: Path, name: str) -> None:
    reader = load_part("readers", name)
    for suffix in reader.SUFFIXES or ("",):
        path = tmp_path / f"rows{suffix}"
        WRITERS[name](path)
        for table in (reader.read(path), read_table(path), read_table(str(path))):
            assert table.columns == {"text": [row["text"] for row in ROWS], "label": [row["label"] for row in ROWS]}
            assert len(table) == len(table.rows) == 24
            assert table.source == str(path)


@pytest.mark.parametrize("name", NAMES)
def test_every_reader_refuses_what_is_not_there_or_damaged(tmp_path: Path, name: str) -> None:
    reader = load_part("readers", name)
    path = tmp_path / f"rows{(reader.SUFFIXES or ('',))[0]}"
    with pytest.raises(UserError, match="rows"):
        reader.read(path)
    WRITERS[name](path)
    damaged = next(path.glob("*.arrow")) if path.is_dir() else path
    damaged.write_bytes(b"\xff\x00" + damaged.read_bytes()[5:])
    with pytest.raises(UserError, match="rows"):
        reader.read(path)


@pytest.mark.parametrize("name", NAMES)
def test_every_reader_tells_its_meaning_source_and_use(name: str) -> None:
    text = load_part("readers", name).__doc__ or ""
    assert all(word in text for word in ("Source:", "When:", "When not:", "Relatives:"))


def python_sources() -> dict[str, Any]:
    import pandas as pd
    from datasets import Dataset

    columns = {name: [row[name] for row in ROWS] for name in ("text", "label")}
    return {
        "list of dicts": ROWS,
        "dict of lists": columns,
        "texts and labels": (columns["text"], columns["label"]),
        "texts and labels, numpy": (np.array(columns["text"]), np.array(columns["label"])),
        "DataFrame": pd.DataFrame(ROWS),
        "Dataset": Dataset.from_list(ROWS),
        "shuffled index": pd.DataFrame(ROWS, index=range(100, 124)),
    }


def test_every_python_source_gives_the_same_table_and_the_same_hash() -> None:
    hashes = set()
    for source in python_sources().values():
        table = read_table(source)
        assert table.columns["text"] == [row["text"] for row in ROWS]
        assert table.columns["label"] == [row["label"] for row in ROWS]
        hashes.add(prepare(train=source).data_hash)
    assert len(hashes) == 1


def test_missing_values_of_pandas_become_none() -> None:
    import pandas as pd

    frame = pd.DataFrame(
        {"a": ["x", None, pd.NA], "b": [1.5, float("nan"), 2.0], "c": pd.to_datetime(["2026-01-01", None, "2026-01-02"])}
    )
    table = read_table(frame)
    assert table.columns["a"] == ["x", None, None]
    assert table.columns["b"] == [1.5, None, 2.0]
    assert table.columns["c"][1] is None


def test_pairs_and_plain_texts_from_python() -> None:
    table = read_table(([("a", "b"), ("c", "d")], [0.5, 1.0]))
    assert table.columns == {"text_a": ["a", "c"], "text_b": ["b", "d"], "label": [0.5, 1.0]}
    assert read_table(["one", "two"]).columns == {"text": ["one", "two"]}


def test_classes_of_a_dataset_come_by_name_and_splits_as_given(tmp_path: Path) -> None:
    from datasets import ClassLabel, Dataset, DatasetDict, Features, Value

    features = Features({"text": Value("string"), "label": ClassLabel(names=["neg", "pos"])})
    numbered = [{"text": row["text"], "label": ["neg", "pos"].index(row["label"])} for row in rows(60)]
    hidden = [{"text": row["text"], "label": -1} for row in rows(6)]
    splits = DatasetDict(
        {
            "train": Dataset.from_list(numbered[:40], features=features),
            "validation": Dataset.from_list(numbered[40:], features=features),
            "test": Dataset.from_list(hidden, features=features),
        }
    )
    splits.save_to_disk(str(tmp_path / "saved"))
    tables = read_splits(tmp_path / "saved")
    assert list(tables) == ["train", "validation", "test"]
    assert tables["train"].columns["label"][:3] == ["neg", "pos", "neg"]
    assert tables["test"].columns["label"] == [None] * 6
    found = prepare(train=tmp_path / "saved", test_size=0.2)
    assert (len(found.train), len(found.validation), len(found.test)) == (32, 20, 8)
    assert any("'test'" in said and "no targets" in said for said in found.said)


@pytest.mark.parametrize(
    ("source", "fragments"),
    [
        (5, ("int", "DataFrame")),
        ([], ("nothing",)),
        ([1, 2], ("int",)),
        ({"text": ["a"], "label": ["x", "y"]}, ("'text'", "1 values", "equal length")),
        ({"text": "abc", "label": ["x"]}, ("'text'", "str")),
        ((["a", "b"], ["x"]), ("2 texts", "1 labels")),
        ([{"text": "a", "label": 1}, {"text": "b"}], ("row 1", "'label'")),
        ([{"text": "a"}, "b"], ("row 1", "str")),
    ],
)
def test_python_data_that_cannot_be_read_is_refused(source: Any, fragments: tuple[str, ...]) -> None:
    with pytest.raises(UserError) as caught:
        read_table(source)
    for fragment in fragments:
        assert fragment in str(caught.value)


def test_names_that_lead_nowhere_are_refused(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text(as_csv(ROWS))
    with pytest.raises(UserError, match=r"Did you mean 'train\.csv'"):
        read_table(tmp_path / "trian.csv")
    with pytest.raises(UserError, match=r"\.xml.*one of \.bio"):
        (tmp_path / "rows.xml").write_text("<a/>")
        read_table(tmp_path / "rows.xml")
    with pytest.raises(UserError, match="no whole gzip file"):
        (tmp_path / "rows.csv.gz").write_bytes(b"\x1f\x8b")
        read_table(tmp_path / "rows.csv.gz")
    with pytest.raises(UserError, match=r"did not save.*Try: .*train\.csv"):
        read_table(tmp_path)


def test_the_hub_offline_is_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    def offline(name: str) -> None:
        raise ConnectionError(f"Couldn't reach '{name}' on the Hub (offline)")

    monkeypatch.setattr(datasets, "load_dataset", offline)
    with pytest.raises(UserError, match=r"owner/name.*neither a path.*connect to the network"):
        read_table("owner/name")


def test_the_hub_online_gives_its_splits(monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    monkeypatch.setattr(datasets, "load_dataset", lambda name: datasets.DatasetDict({"train": datasets.Dataset.from_list(ROWS)}))
    assert read_table("owner/name").source == "owner/name (train)"
