"""Columns and task: guessed where one reading is possible, asked for where two are."""

from __future__ import annotations

from typing import Any

import pytest

from tests.data.examples import sentence
from tunewright.core.errors import UserError
from tunewright.datasets.inputs import texts_of
from tunewright.datasets.prepare import prepare
from tunewright.datasets.read import read_table
from tunewright.datasets.schema import Schema, guess_schema

TEXTS = [sentence(number) for number in range(40)]
OTHERS = [sentence(number) for number in range(40, 80)]
CLASSES = ["a", "b"] * 20
NOT_COUNTING = [(number * 37) % 101 for number in range(40)]


@pytest.mark.parametrize(
    ("columns", "text", "target", "task"),
    [
        ({"text": TEXTS, "label": CLASSES}, ("text",), ("label",), "classification"),
        ({"Utterance": TEXTS, "Intent": CLASSES}, ("Utterance",), ("Intent",), "classification"),
        ({"kind": CLASSES, "what_was_said": TEXTS}, ("what_was_said",), ("kind",), "classification"),
        ({"id": range(40), "text": TEXTS, "label": CLASSES}, ("text",), ("label",), "classification"),
        ({"n": range(5, 45), "text": TEXTS, "colour": CLASSES}, ("text",), ("colour",), "classification"),
        ({"title": OTHERS, "text": TEXTS, "label": CLASSES}, ("text",), ("label",), "classification"),
        ({"text": TEXTS, "label": CLASSES, "label_text": CLASSES}, ("text",), ("label",), "classification"),
        ({"text": TEXTS, "label": [str(n % 5) for n in range(40)]}, ("text",), ("label",), "classification"),
        ({"text": TEXTS, "label": [f"{n % 30:03}" for n in range(40)]}, ("text",), ("label",), "classification"),
        ({"text": TEXTS, "score": [str(n / 7) for n in range(40)]}, ("text",), ("score",), "regression"),
        ({"text": TEXTS, "price": NOT_COUNTING}, ("text",), ("price",), "regression"),
        (
            {"sentence1": TEXTS, "sentence2": OTHERS, "score": [n / 8 for n in range(40)]},
            ("sentence1", "sentence2"),
            ("score",),
            "sentence_similarity",
        ),
        ({"premise": TEXTS, "hypothesis": OTHERS, "label": [0, 1] * 20}, ("premise", "hypothesis"), ("label",), "classification"),
        ({"text_a": TEXTS, "text_b": OTHERS, "label": CLASSES}, ("text_a", "text_b"), ("label",), "classification"),
        ({"text": TEXTS, "fun": [0, 1] * 20, "sad": ["1", "0"] * 20}, ("text",), ("fun", "sad"), "multi_label"),
        ({"text": TEXTS, "tags": [["x"], ["x", "y"]] * 20}, ("text",), ("tags",), "multi_label"),
        ({"text": TEXTS, "tags": ["x", "x|y"] * 20}, ("text",), ("tags",), "multi_label"),
    ],
)
def test_what_is_unambiguous_is_guessed_and_said(
    columns: dict[str, Any], text: tuple[str, ...], target: tuple[str, ...], task: str
) -> None:
    schema = guess_schema(read_table({name: list(values) for name, values in columns.items()}))
    assert (schema.text, schema.target, schema.task) == (text, target, task)
    said = " ".join(schema.said)
    for name in columns:
        assert f"'{name}'" in said
    assert said.count("guessed") == 3
    assert set(schema.ignored) == set(columns) - {*text, *target}
    assert Schema.from_dict(schema.as_dict()) == schema


@pytest.mark.parametrize(
    ("columns", "fragments"),
    [
        ({"text": TEXTS, "topic": CLASSES, "tone": CLASSES}, ("'topic', 'tone'", "--target topic or --target tone")),
        ({"text": TEXTS, "label": CLASSES, "score": CLASSES}, ("'label', 'score'", "--target label")),
        ({"review": TEXTS, "comment": OTHERS, "label": CLASSES}, ("'review', 'comment'", "--text review")),
        ({"first one": TEXTS, "other": OTHERS, "label": CLASSES}, ("'first one', 'other'", "--text 'first one'")),
        ({"text": TEXTS}, ("no target column", "--target NAME")),
        ({"a": NOT_COUNTING, "label": CLASSES}, ("no text column", "--text NAME")),
    ],
)
def test_what_is_ambiguous_or_missing_is_asked_for(columns: dict[str, Any], fragments: tuple[str, ...]) -> None:
    with pytest.raises(UserError) as caught:
        guess_schema(read_table(columns))
    for fragment in fragments:
        assert fragment in str(caught.value)


def test_what_is_named_is_taken() -> None:
    table = read_table(
        {"text": TEXTS, "other": OTHERS, "topic": CLASSES, "tone": CLASSES, "who": CLASSES, "when": list(range(40))}
    )
    schema = guess_schema(table, text=("other",), target="tone", task="classification", group="who", time="when")
    assert (schema.text, schema.target, schema.group, schema.time) == (("other",), ("tone",), "who", "when")
    assert schema.ignored == ("text", "topic")
    assert " ".join(schema.said).count("as named") == 3


@pytest.mark.parametrize(
    ("named", "fragment"),
    [
        ({"target": "lable"}, "Did you mean 'label'"),
        ({"text": "txet"}, "Did you mean 'text'"),
        ({"task": "classifcation"}, "Did you mean 'classification'"),
        ({"group": "who"}, "column 'who' is not known"),
        ({"text": "text", "target": "text"}, "two purposes"),
        ({"text": ("text", "label", "more")}, "3 text columns"),
    ],
)
def test_wrong_names_are_refused_with_the_nearest(named: dict[str, Any], fragment: str) -> None:
    with pytest.raises(UserError, match=fragment):
        guess_schema(read_table({"text": TEXTS, "label": CLASSES, "more": OTHERS}), **named)


def test_several_target_columns_must_hold_flags() -> None:
    with pytest.raises(UserError, match=r"rows 0, 1.*'topic' is 'a'"):
        prepare(train={"text": TEXTS, "topic": CLASSES, "fun": [0, 1] * 20}, target=("topic", "fun"))
    with pytest.raises(UserError, match="2 target columns"):
        prepare(train={"text": TEXTS, "sad": [1, 0] * 20, "fun": [0, 1] * 20}, target=("sad", "fun"), task="regression")


def test_texts_for_prediction_need_only_the_text_columns() -> None:
    schema = guess_schema(read_table({"sentence1": TEXTS, "sentence2": OTHERS, "label": CLASSES}))
    assert texts_of(read_table({"Sentence1 ": ["a", None], "sentence2": ["c", "d"]}), schema) == [("a", "c"), ("", "d")]
    with pytest.raises(UserError, match=r"'sentence2' is not known.*Did you mean 'sentence1'"):
        texts_of(read_table({"sentence1": ["a"]}), schema)
    with pytest.raises(UserError, match="holds a int"):
        texts_of(read_table({"sentence1": ["a"], "sentence2": [1]}), schema)
    with pytest.raises(UserError, match="half of a character"):
        texts_of(read_table({"sentence1": ["a"], "sentence2": ["\ud83d"]}), schema)
