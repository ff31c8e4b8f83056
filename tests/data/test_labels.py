"""Labels: a stable order, nothing unseen, numbers in their own unit."""

from __future__ import annotations

import os
import random
import subprocess
import sys

import numpy as np
import pytest

from tunewright.core.errors import UserError
from tunewright.datasets.labels import encode, label_faults, make_labels


def test_numeric_labels_are_ordered_as_numbers() -> None:
    values = [str(number) for number in range(12)]
    random.Random(0).shuffle(values)
    assert make_labels(values, "classification").names == tuple(str(number) for number in range(12))
    assert sorted(values) != [str(number) for number in range(12)]  # the control: as text '10' comes before '9'
    assert make_labels([10, 9, 2], "classification").names == ("2", "9", "10")
    assert make_labels(["-1", "0.5", "-3"], "classification").names == ("-3", "-1", "0.5")


def test_words_are_ordered_by_code_point() -> None:
    assert make_labels(["b", "a", "Z", "é", "10"], "classification").names == ("10", "Z", "a", "b", "é")


@pytest.mark.parametrize("values", ["[str(n % 13) for n in range(39)]", "[f'class {n % 13}' for n in range(39)]"])
def test_the_order_is_the_same_in_every_process(values: str) -> None:
    program = (
        "from tunewright.datasets.labels import make_labels, encode; import random, sys\n"
        f"values = {values}; random.Random(int(sys.argv[1])).shuffle(values)\n"
        "labels = make_labels(values, 'classification')\n"
        "print(labels.names, encode(sorted(values), labels).tolist(), 'torch' in sys.modules)"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", program, seed],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(outputs) == 1
    assert outputs.pop().strip().endswith("False")


def test_encoding_of_each_task() -> None:
    classes = make_labels(["b", "a"], "classification")
    encoded = encode(["a", "b", "a"], classes)
    assert encoded.dtype == np.int64
    assert encoded.tolist() == [0, 1, 0]
    several = make_labels([("x", "y"), (), ("y", "z")], "multi_label")
    flags = encode([("z",), (), ("x", "y")], several)
    assert flags.dtype == np.float32
    assert flags.tolist() == [[0, 0, 1], [0, 0, 0], [1, 1, 0]]
    numbers = make_labels(["1", "2.0", "6"], "regression")
    assert (numbers.mean, numbers.spread) == (3.0, pytest.approx(np.std([1, 2, 6])))
    assert encode(["1.5", 2], numbers).dtype == np.float32
    assert encode(["1.5", 2], numbers).tolist() == [1.5, 2.0]
    assert make_labels([2, 2], "regression").spread == 1.0


def test_columns_fix_the_classes_and_their_order() -> None:
    assert make_labels([("a",), ()], "multi_label", names=("z", "a")).names == ("z", "a")


def test_an_unseen_label_is_refused_with_its_rows_and_the_nearest() -> None:
    labels = make_labels(["card", "cash"], "classification")
    with pytest.raises(UserError, match=r"rows 1, 3.*'crad'.*Did you mean 'card'"):
        encode(["card", "crad", "cash", "crad"], labels)
    with pytest.raises(UserError, match=r"'w'"):
        encode([("v",), ("w",)], make_labels([("v",)], "multi_label"))


@pytest.mark.parametrize(
    ("values", "task", "words"),
    [
        (["a", "", None, " "], "classification", ["rows 1, 2, 3: 3 rows have no label"]),
        (["a", 1, True], "classification", ["different types"]),
        ([["a"], "b"], "classification", ["the label is a list"]),
        (["1", "01"], "classification", ["same number"]),
        (["1", "x"], "regression", ["row 1: 'x' is not a number"]),
        (["1", "nan"], "regression", ["row 1: 'nan' is not a number"]),
        ([None, 1.0, True], "sentence_similarity", ["row 0: 1 rows have no number", "row 2: True is not a number"]),
        ([("a",), (1,)], "multi_label", ["different types"]),
        ([("a",), ()], "multi_label", []),
        (["1", "2.5"], "regression", []),
    ],
)
def test_faults_are_all_told_with_their_rows(values: list[object], task: str, words: list[str]) -> None:
    found = [str(fault) for fault in label_faults(values, task)]  # type: ignore[arg-type]
    assert len(found) == len(words)
    for fault, word in zip(found, words, strict=True):
        assert word in fault
