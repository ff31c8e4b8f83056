"""Fixes: what is safe is mended and told with its rows, the rest stays byte for byte, and no source is written over."""

from __future__ import annotations

import csv
import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from tests.data.examples import as_csv, as_jsonl, rows, sentence
from tunewright.core.errors import UserError
from tunewright.datasets.prepare import prepare
from tunewright.datasets.quality.fix import Fixed, fix
from tunewright.datasets.quality.rewrite import raw_fields


def write(path: Path, data: list[dict[str, Any]]) -> Path:
    path.write_text(as_jsonl(data) if path.suffix == ".jsonl" else as_csv(data), encoding="utf-8", newline="")
    return path


def changes(done: Fixed) -> dict[str, tuple[int, ...]]:
    return {change.fix: change.rows for change in done.changes}


def faulty() -> list[dict[str, Any]]:
    """Forty sound rows, and one of every fault; line numbers are the index plus two."""
    data = rows(40)
    data.append(dict(data[3]))  # 40: again
    data.append({"text": data[4]["text"].upper() + "!", "label": "pos"})  # 41: like 4, which is neg
    data.append({"text": "  ", "label": "neg"})  # 42: empty
    data.append({"text": sentence(100), "label": "Neg "})  # 43: another spelling
    data.append({"text": f"{sentence(101)} mail jane@mail.de", "label": "pos"})  # 44: personal
    data.append({"text": f"{sentence(102)} cafÃ©<br>", "label": "pos"})  # 45: damaged
    return data


def test_each_fault_is_mended_with_its_rows(tmp_path: Path) -> None:
    source, out = write(tmp_path / "rows.csv", faulty()), tmp_path / "fixed.csv"
    before = source.read_bytes()
    done = fix(source, out)
    assert changes(done) == {
        "empty_text": (44,),
        "label_variants": (45,),
        "conflicts": (6, 43),
        "exact_duplicates": (42,),
    }
    assert (done.rows_before, done.rows_after) == (46, 42)
    lines = before.decode().splitlines(keepends=True)
    expected = [line for number, line in enumerate(lines, 1) if number not in (6, 42, 43, 44)]
    expected[lines.index(lines[44]) - 4] = lines[44].replace("Neg ", "neg")
    assert out.read_text() == "".join(expected)
    assert source.read_bytes() == before
    trace = json.loads((tmp_path / "fixed.changes.json").read_text())
    assert trace == done.as_dict()
    assert [one["count"] for one in trace["changes"]] == [1, 1, 2, 1]
    codes = {finding.code for finding in prepare(train=out).findings}
    assert not codes & {"empty_text", "label_variants", "conflicting_labels", "exact_duplicates"}


def test_what_needs_asking_is_done_when_asked(tmp_path: Path) -> None:
    source, out = write(tmp_path / "rows.csv", faulty()), tmp_path / "fixed.csv"
    done = fix(source, out, also=["personal", "text"], skip=["conflicts", "exact_duplicates", "empty_text", "label_variants"])
    assert changes(done) == {"text": (47,), "personal": (46,)}
    written = list(csv.DictReader(out.read_text().splitlines()))
    assert written[44]["text"] == f"{sentence(101)} mail [email]"
    assert written[45]["text"] == f"{sentence(102)} café "
    assert "1 [email]" in done.changes[1].said


def test_rows_that_are_in_test_leave_train_and_never_test(tmp_path: Path) -> None:
    data = rows(60)
    test = [*rows(80)[60:], dict(data[7]), {"text": data[8]["text"] + "!", "label": data[8]["label"]}]
    files = write(tmp_path / "train.csv", data), write(tmp_path / "test.csv", test)
    before = files[1].read_bytes()
    done = fix(files[0], tmp_path / "out.csv", test=files[1])
    assert changes(done) == {"leakage": (9, 10)}
    assert files[1].read_bytes() == before
    found = prepare(train=tmp_path / "out.csv", test=files[1]).findings
    assert "leakage" not in {finding.code for finding in found}


def test_the_majority_of_equal_texts_speaks(tmp_path: Path) -> None:
    data = [*rows(40), *({"text": "the same words", "label": label} for label in ("neg", "neg", "pos"))]
    data += [{"text": "other words here", "label": label} for label in ("neg", "pos")]
    done = fix(data, tmp_path / "out.csv", conflicts="vote", skip=["exact_duplicates"])
    assert changes(done) == {"conflicts": (42, 43, 44)}
    assert changes(fix(data, tmp_path / "out.csv", skip=["exact_duplicates"])) == {"conflicts": (40, 41, 42, 43, 44)}


def test_equal_texts_with_different_numbers_are_no_conflict(tmp_path: Path) -> None:
    data = [{"text": sentence(number % 30), "score": number / 7} for number in range(60)]
    assert changes(fix(data, tmp_path / "out.csv")) == {}


def test_near_duplicates_go_when_asked(tmp_path: Path) -> None:
    data = [*rows(40), {"text": rows(40)[5]["text"] + " !!", "label": rows(40)[5]["label"]}]
    assert changes(fix(data, tmp_path / "out.jsonl")) == {}
    assert changes(fix(data, tmp_path / "out.jsonl", also=["near_duplicates"])) == {"near_duplicates": (40,)}


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_what_is_kept_stays_byte_for_byte(tmp_path: Path, end: str) -> None:
    head = f'id,"text",label,note{end}'
    kept = [
        f'007,"quoted, with ""marks"" and{end}two lines",a,1.50{end}',
        f"008,plain , b ,{end}{end}",
        f'"009",émile ☃,a,"x"{end}',
        '010,"write ""me"" at a@b.io",b,"0,5"',
    ]
    source, out = tmp_path / "rows.csv", tmp_path / "out.csv"
    source.write_bytes("".join([head, *kept[:2], f"011,plain ,  b ,{end}", *kept[2:]]).encode())
    assert changes(fix(source, out, text="text", target="label", skip=["label_variants", "conflicts"])) == {}
    assert out.read_bytes() == source.read_bytes()
    done = fix(source, out, text="text", target="label", also=["personal"])
    kept[1], kept[3] = kept[1].replace(" b ", "b"), kept[3].replace("a@b.io", "[email]")
    assert [change.fix for change in done.changes] == ["label_variants", "exact_duplicates", "personal"]
    assert out.read_bytes() == "".join([head, *kept]).encode()


def test_lines_of_json_keep_their_spelling(tmp_path: Path) -> None:
    source, out = tmp_path / "rows.jsonl", tmp_path / "out.jsonl.gz"
    lines = [f'{{"text":"{sentence(n)}",  "label": "{"ab"[n % 2]}", "big": 1234567890123456789, "x": 1.0}}\n' for n in range(30)]
    lines += [lines[3], '{"text": "mail jane@mail.de", "label": "a", "big": 12345678901234567890, "x": 1.50}']
    source.write_text("".join(lines))
    done = fix(source, out, also=["personal"])
    assert changes(done) == {"exact_duplicates": (31,), "personal": (32,)}
    written = gzip.decompress(out.read_bytes()).decode().splitlines(keepends=True)
    assert written[:30] == lines[:30]
    assert json.loads(written[30]) == {"text": "mail [email]", "label": "a", "big": 12345678901234567890, "x": 1.5}


def test_other_sources_are_written_as_tables(tmp_path: Path) -> None:
    data = {"text": [sentence(n) for n in range(30)] + [sentence(2)], "label": [["a"], ["a", "b"], []] * 10 + [[]]}
    with pytest.raises(UserError, match="jsonl"):
        fix(data, tmp_path / "out.csv", task="multi_label")
    done = fix(data, tmp_path / "out.jsonl", task="multi_label")
    assert changes(done) == {"exact_duplicates": (30,)}
    assert [json.loads(line)["label"] for line in (tmp_path / "out.jsonl").read_text().splitlines()] == data["label"][:30]


def test_no_source_is_written_over(tmp_path: Path) -> None:
    train, test = write(tmp_path / "a.csv", rows(40)), write(tmp_path / "b.csv", rows(60)[40:])
    link = tmp_path / "c.csv"
    link.symlink_to(train)
    before = train.read_bytes(), test.read_bytes()
    for out in (train, test, link):
        with pytest.raises(UserError, match="would overwrite"):
            fix(train, out, test=test)
    assert (train.read_bytes(), test.read_bytes()) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "b.csv", "c.csv"]


def test_what_cannot_be_done_is_refused(tmp_path: Path) -> None:
    data = rows(40)
    for wrong, said in (
        ({"out": tmp_path / "out.xlsx"}, "not written as"),
        ({"also": ["personel"]}, "Did you mean 'personal'"),
        ({"skip": ["conflict"]}, "Did you mean 'conflicts'"),
        ({"conflicts": "guess"}, "way with conflicts"),
        ({"drop_noise": tmp_path / "none"}, "does not exist"),
    ):
        with pytest.raises(UserError, match=said):
            fix(data, **({"out": tmp_path / "out.csv"} | wrong))
    with pytest.raises(UserError, match="no row is left"):
        fix([{"text": "same", "label": label} for label in "ab" * 10], tmp_path / "out.csv")
    with pytest.raises(UserError, match="'personal' is not known"):
        fix(cells(), tmp_path / "out.csv", kind="table", target="label", also=["personal"])
    with pytest.raises(UserError, match="rows of words are not mended"):
        fix([{"tokens": ["a", "b"], "tags": ["O", "O"]}] * 4, tmp_path / "out.csv", kind="words", target="tags")
    assert not list(tmp_path.iterdir())


def test_a_class_that_is_gone_is_said(tmp_path: Path) -> None:
    data = [*rows(40), {"text": "same", "label": "rare"}, {"text": "same", "label": "neg"}]
    assert fix(data, tmp_path / "out.csv").said == ("No row is left of the labels rare.",)


def test_rows_with_a_label_that_is_probably_wrong_are_left_out(tmp_path: Path) -> None:
    data = rows(40)
    noise = tmp_path / "label_noise.csv"
    listed = [{"row": 5, "label": data[5]["label"], "suggested": "neg", "text": data[5]["text"]}]
    noise.write_text(as_csv(listed))
    assert changes(fix(data, tmp_path / "out.csv", drop_noise=tmp_path)) == {"label_noise": (5,)}
    data[5]["text"] = "changed since"
    with pytest.raises(UserError, match="lists row 5 with other content"):
        fix(data, tmp_path / "out.csv", drop_noise=noise)


@pytest.mark.parametrize(
    ("record", "fields"),
    [
        ("a,b\n", ["a", "b"]),
        ('"a,""b""",c\r\n', ['"a,""b"""', "c"]),
        (',"",\n', ["", '""', ""]),
        ('"two\nlines",x', ['"two\nlines"', "x"]),
        ('a"b,c\n', ['a"b', "c"]),
        ('a""b,"c"', ['a""b', '"c"']),
    ],
)
def test_raw_fields_are_those_that_the_reader_sees(record: str, fields: list[str]) -> None:
    found, end = raw_fields(record, ",")
    assert found == fields
    assert ",".join(found) + end == record
    read = next(csv.reader([record], strict=True))
    if "\n" not in record[:-2]:
        assert read == [one[1:-1].replace('""', '"') if one.startswith('"') else one for one in fields]


def cells() -> list[dict[str, Any]]:
    """A sound table, and one of every fault; line numbers are the index plus two."""
    data: list[dict[str, Any]] = [{"age": 20 + n, "city": "abcde"[n % 5], "label": ("no", "yes")[n % 2]} for n in range(30)]
    data.append(dict(data[3]))  # 30: again
    data.append({"age": "24.0", "city": " e ", "label": "yes"})  # 31: says what row 4 does, which is no
    data.append({"age": 90, "city": "a", "label": " No"})  # 32: another spelling
    return data


def test_of_tables_labels_are_mended_and_equal_rows_only_where_that_is_asked(tmp_path: Path) -> None:
    source, test = write(tmp_path / "rows.csv", cells()), write(tmp_path / "test.csv", [cells()[7], {**cells()[8], "age": 99}])
    how: dict[str, Any] = {"target": "label", "kind": "table", "test": test}
    done = fix(source, tmp_path / "out.csv", **how)
    assert changes(done) == {"label_variants": (34,)}
    lines = source.read_text().splitlines()
    assert (tmp_path / "out.csv").read_text().splitlines() == [*lines[:33], lines[33].replace(" No", "no")]
    done = fix(source, tmp_path / "out.csv", also=["exact_duplicates", "conflicts", "leakage"], skip=["label_variants"], **how)
    assert changes(done) == {"conflicts": (6, 33), "exact_duplicates": (32,), "leakage": (9,)}
    assert "1 row whose cells are in test left out of train" in [one.said for one in done.changes]
    kept = [line for number, line in enumerate(lines, 1) if number not in (6, 9, 32, 33)]
    assert (tmp_path / "out.csv").read_text().splitlines() == kept
