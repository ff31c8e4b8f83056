"""The findings of one source: each planted fault is told with its rows, and clean rows with nothing."""

from __future__ import annotations

import pytest

from tests.data.examples import rows, sentence
from tunewright.core.types import Finding
from tunewright.datasets.prepare import prepare
from tunewright.datasets.quality.look import look_at_columns
from tunewright.datasets.table import Table

FAULTS = {
    "personal_email": "please write to jane.doe@mail.de about it",
    "personal_iban": "my account is DE89 3704 0044 0532 0130 00 there",
    "mojibake": "the cafÃ© was very good and cheap today",
    "html_remains": "so good<br />and cheap all of it today",
    "odd_characters": "so good \x93and\x94 cheap all of it today",
    "odd_length": "far too long " * 400,
}


def found_in(data: list[dict[str, object]]) -> dict[str, Finding]:
    return {finding.code: finding for finding in prepare(train=data).findings}


@pytest.mark.parametrize("code", FAULTS)
def test_a_planted_fault_is_told_with_its_row(code: str) -> None:
    data = rows(200)
    data[17]["text"] = FAULTS[code]
    found = found_in(data)
    assert set(found) == {code}
    assert found[code].rows == (17,)
    assert found[code].count == 1
    assert "row 17" in found[code].message
    assert found[code].level == ("note" if code in ("html_remains", "odd_length") else "warning")


def test_the_mixture_of_languages_and_its_strays_are_told() -> None:
    data = [{"text": f"the {sentence(number)} and you were there with it", "label": "ab"[number % 2]} for number in range(200)]
    assert not found_in(data)
    data[9]["text"] = "Ich habe die Karte noch nicht bekommen, wo ist sie"
    (stray,) = found_in(data).values()
    assert (stray.code, stray.level, stray.rows) == ("languages", "warning", (9,))
    assert "English 199, German 1" in stray.message
    for number in range(60):
        data[number]["text"] = f"ich habe {sentence(number)} nicht mit der Karte und ist noch da"
    (mixture,) = found_in(data).values()
    assert (mixture.code, mixture.level, mixture.rows, mixture.count) == ("languages", "note", (), 2)


def test_columns_that_say_nothing_are_told() -> None:
    many = range(100)
    columns = {
        "same": ["x"] * 100,
        "id": [str(number) for number in many],
        "age": [str(20 + number % 40) for number in many],
        "empty": [""] * 100,
        "kind": ["abc"[number % 3] for number in many],
    }
    columns["age"][4] = "-999"
    found = look_at_columns(Table(columns, tuple(range(2, 102)), "rows.csv", "line"), tuple(columns))
    assert [(one.code, one.rows) for one in found] == [("constant_column", ()), ("row_number", ()), ("far_number", (6,))]
    assert "column 'age': 1 row holds -999, far from the others (20 to 59)" in found[2].message


def test_a_table_is_looked_at_by_check() -> None:
    data = [{"age": 20 + number % 40, "size": number % 17 / 3, "label": "ab"[number % 2]} for number in range(200)]
    assert not found_in(data)
    data[5]["age"] = 9999
    assert found_in(data)["far_number"].rows == (5,)
