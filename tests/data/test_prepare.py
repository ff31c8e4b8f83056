"""From sources to rows: faults gathered, parts kept apart, findings counted, content hashed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.data.examples import as_csv, rows, sentence
from tunewright.core.errors import Faults, UserError
from tunewright.datasets.prepare import DatasetSplits, label_rows, prepare
from tunewright.datasets.read import read_table


def numbered(n: int, start: int = 0, labels: tuple[Any, ...] = ("neg", "pos")) -> list[dict[str, Any]]:
    return [{"text": sentence(start + number), "label": labels[number % len(labels)]} for number in range(n)]


def found_in(prepared: DatasetSplits, code: str) -> list[Any]:
    return [finding for finding in prepared.findings if finding.code == code]


def test_parts_hold_texts_targets_and_numbers_that_belong_together() -> None:
    data = numbered(100)
    found = prepare(train=data, seed=4)
    assert sorted(np.concatenate([found.train.numbers, found.validation.numbers, found.test.numbers])) == list(range(100))
    for part in (found.train, found.validation, found.test):
        assert len(part) == len(part.inputs) == len(part.targets) == len(part.numbers)
        for text, target, number in zip(part.inputs, part.targets, part.numbers, strict=True):
            assert text == (data[number]["text"],)
            assert found.labels.names[target] == data[number]["label"]
    assert "Rows: 70 train, 15 validation, 15 test." in found.said


def test_given_parts_are_used_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "test.csv"
    path.write_text(as_csv(numbered(20, 200)))
    found = prepare(train=numbered(100), test=path, validation=numbered(30, 300))
    assert (len(found.train), len(found.validation), len(found.test)) == (100, 30, 20)
    assert found.test.where([0, 1]) == f"{path}, lines 2, 3"
    half = prepare(train=numbered(100), test=path)
    assert (len(half.train), len(half.validation), len(half.test)) == (85, 15, 20)


def test_all_faults_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(Faults) as caught:
        prepare(train=tmp_path / "none.csv", validation=tmp_path / "nothing.csv", test=tmp_path / "rows.xml")
    assert len(caught.value.faults) == 3
    bad = [{"text": 5, "label": "pos"}, {"text": "a", "label": None}, *numbered(10)]
    with pytest.raises(Faults) as caught:
        prepare(train=bad, validation=[{"words": "a", "label": "pos"}])
    told = str(caught.value)
    for fragment in ("3 faults", "row 0: 'text' holds a int", "row 1: 1 rows have no label", "column 'text' is not known"):
        assert fragment in told


def test_near_duplicates_stay_on_one_side_unless_told_otherwise() -> None:
    data = [{"text": sentence(number % 60) + "!" * (number // 60), "label": "ab"[number % 2]} for number in range(120)]
    found = prepare(train=data, seed=1)
    assert not found_in(found, "leakage")
    assert sum(finding.count for finding in found_in(found, "near_duplicates")) == 60
    apart = prepare(train=data, seed=1, near_duplicates="ignore")
    assert sum(finding.count for finding in found_in(apart, "leakage")) > 10


def test_leakage_between_given_parts_is_counted_with_its_rows() -> None:
    train = numbered(100)
    test = [*numbered(30, 200), train[7], {"text": train[8]["text"].upper() + ".", "label": train[8]["label"]}]
    (leak,) = found_in(prepare(train=train, test=test), "leakage")
    assert (leak.level, leak.count, leak.rows) == ("warning", 2, (30, 31))
    assert leak.message.startswith("test: 2 rows have the text of a train row")


def test_groups_and_times_are_kept_whole() -> None:
    data = [
        row | {"who": f"user {number % 20}", "when": f"2026-01-{number // 4 + 1:02}"} for number, row in enumerate(numbered(100))
    ]
    found = prepare(train=data, group="who")
    people = [{data[number]["who"] for number in part.numbers} for part in (found.train, found.validation, found.test)]
    assert not (people[0] & people[1] or people[0] & people[2] or people[1] & people[2])
    found = prepare(train=data, time="when")
    assert max(data[number]["when"] for number in found.train.numbers) <= min(
        data[number]["when"] for number in found.test.numbers
    )
    assert found.test.numbers.tolist() == list(range(85, 100))
    with pytest.raises(UserError, match=r"row 3: 'soon' in 'when' is not a point in time"):
        prepare(train=[row | ({"when": "soon"} if number == 3 else {}) for number, row in enumerate(data)], time="when")
    with pytest.raises(UserError, match=r"row 5: no value in the group column 'who'"):
        prepare(train=[row | ({"who": None} if number == 5 else {}) for number, row in enumerate(data)], group="who")


def test_groups_on_both_sides_of_given_parts_are_counted_with_their_rows() -> None:
    train = [row | {"who": f"user {number % 10}"} for number, row in enumerate(numbered(100))]
    test = [row | {"who": f"user {number + 8}"} for number, row in enumerate(numbered(6, 200))]
    (leak,) = found_in(prepare(train=train, test=test, group="who"), "group_leakage")
    assert (leak.level, leak.count, leak.rows) == ("warning", 2, (0, 1))
    assert leak.message.startswith("test: 2 rows")
    assert not found_in(prepare(train=train, test=numbered(6, 200), group="who"), "group_leakage")
    assert not found_in(prepare(train=train, test=test), "group_leakage")


def test_a_class_missing_in_validation_is_said_not_scored_silently() -> None:
    three = ("neg", "pos", "so so")
    found = prepare(train=numbered(90, labels=three), validation=numbered(20, 200), test=numbered(30, 300, three))
    (missing,) = found_in(found, "class_missing")
    assert (missing.level, missing.count) == ("warning", 1)
    assert "validation has no row of 1 of 3 classes: so so" in missing.message


def test_a_class_of_one_row_stays_in_train_and_is_said() -> None:
    for seed in range(5):
        found = prepare(train=[*numbered(80), {"text": sentence(300), "label": "rare"}], seed=seed)
        assert 80 in found.train.numbers
        (single,) = found_in(found, "one_row_class")
        assert (single.count, "rare" in single.message) == (1, True)


def test_imbalance_and_tiny_data_are_said() -> None:
    found = prepare(train=[{"text": sentence(number), "label": "rare" if number % 20 == 0 else "usual"} for number in range(200)])
    (imbalance,) = found_in(found, "imbalance")
    assert "'usual'" in imbalance.message
    assert not found_in(found, "tiny_data")
    assert found_in(prepare(train=numbered(60)), "tiny_data")[0].count == 42


def test_the_hash_is_of_the_content() -> None:
    data = numbered(60)
    first = prepare(train=data).data_hash
    assert first == prepare(train=data, seed=9).data_hash
    assert first == prepare(train={name: [row[name] for row in data] for name in ("text", "label")}).data_hash
    changed = [dict(row) for row in data]
    changed[30]["text"] += " "
    other = [dict(row) for row in data]
    other[30]["label"], other[31]["label"] = other[31]["label"], other[30]["label"]
    hashes = {first, prepare(train=changed).data_hash, prepare(train=other).data_hash, prepare(train=data[::-1]).data_hash}
    assert len(hashes) == 4


def test_mean_and_spread_come_from_the_train_rows_only() -> None:
    data = [{"text": sentence(number), "score": number / 7} for number in range(100)]
    found = prepare(train=data)
    assert found.labels.mean == pytest.approx(found.train.targets.mean(), rel=1e-6)
    assert found.labels.spread == pytest.approx(found.train.targets.std(), rel=1e-6)
    assert found.labels.mean != pytest.approx(np.mean([row["score"] for row in data]), rel=1e-6)


def test_pairs_and_several_labels() -> None:
    pairs = [{"premise": sentence(n), "hypothesis": sentence(n + 200), "label": n % 3} for n in range(90)]
    found = prepare(train=pairs)
    assert found.labels.names == ("0", "1", "2")
    assert all(len(texts) == 2 for texts in found.test.inputs)
    flags = [{"text": sentence(n), "z": n % 2, "a": int(n % 3 == 0)} for n in range(90)]
    several = prepare(train=flags)
    assert several.labels.names == ("z", "a")
    for texts, target in zip(several.train.inputs, several.train.targets, strict=True):
        row = next(row for row in flags if row["text"] == texts[0])
        assert target.tolist() == [row["z"], row["a"]]


def test_labeled_rows_given_later_are_encoded_the_same_way() -> None:
    found = prepare(train=numbered(60))
    later = label_rows(read_table({"TEXT": ["a", "b"], "label": ["pos", "neg"]}), found.schema, found.labels)
    assert later.inputs == [("a",), ("b",)]
    assert later.targets.tolist() == [1, 0]
    with pytest.raises(UserError, match="'other' is not among the 2 labels"):
        label_rows(read_table({"text": ["a"], "label": ["other"]}), found.schema, found.labels)
    flags = [{"text": sentence(n), "z": n % 2, "a": int(n % 3 == 0)} for n in range(60)]
    several = prepare(train=flags)
    assert label_rows(read_table(flags[:4]), several.schema, several.labels).targets.tolist() == [[0, 1], [1, 0], [0, 0], [1, 1]]


def test_nothing_given_is_refused() -> None:
    with pytest.raises(UserError, match="no training rows"):
        prepare(train=None)


def test_the_rows_of_the_helpers_are_sound() -> None:
    assert not prepare(train=rows(400)).findings


def test_rows_too_many_of_which_are_of_one_form_are_told() -> None:
    def of(texts: list[str]) -> DatasetSplits:
        return prepare(train=[{"text": text, "label": "ab"[number % 2]} for number, text in enumerate(texts)])

    many = of([f"message number {number} about {number % 97} things" for number in range(2000)])
    (note,) = found_in(many, "near_duplicates_cut")
    assert note.level == "note"
    assert note.count > 1000
    assert "some near-duplicates may be overlooked" in note.message
    assert not found_in(of([sentence(number) for number in range(500)]), "near_duplicates_cut")
