"""Every metric found by listing: its contract on every kind it reads, and its value against a reference or the formula."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as reference

from tests.metrics.kinds import KINDS, coco, example
from tests.metrics.kinds import TAGS as TAG_NAMES
from tunewright.core.arrays import object_array
from tunewright.core.registry import list_parts, load_part
from tunewright.core.types import Labels

NAMES = [part.name for part in list_parts("metrics")]
CLASSES = Labels("classification", ("a", "b", "c", "d"))
COSTS = tuple(0.5 + place for place in range(len(CLASSES.names)))
TAGS = Labels("multi_label", ("a", "b", "c"))
NUMBERS = Labels("regression")

generator = np.random.default_rng(0)
TARGETS = generator.integers(0, 4, 200)
SHARES = generator.dirichlet(np.ones(4), 200)
GIVEN = SHARES.argmax(1)
SETS = generator.integers(0, 2, (120, 3))
ODDS = generator.uniform(size=(120, 3))
DECIDED = (ODDS > 0.5).astype(np.int64)
X = generator.normal(size=80)
Y = X + generator.normal(size=80)
ONE_HOT = np.eye(4)[TARGETS]

BOXES = example("boxes")
RANKS = example("ranks").values.tolist()
TEXTS = example("texts")
TEXT_ROWS = list(zip(TEXTS.targets, TEXTS.values, strict=True))
ONE_TEXT = (object_array(right[:1] for right in TEXTS.targets), TEXTS.values, TEXTS.labels)  # jiwer knows one right text


def of_kind(kind: str, wanted: Callable[[], float]) -> tuple[np.ndarray, np.ndarray, Labels, Callable[[], float]]:
    one = example(kind)
    return one.targets, one.values, one.labels, wanted


def seqeval(function: str) -> float:
    """The reference's default reading of tags, pooled over rows."""
    rows = example("tags")
    sides = ([[TAG_NAMES[tag] for tag in row] for row in side] for side in (rows.targets, rows.values))
    return float(getattr(pytest.importorskip("seqeval.metrics"), function)(*sides))


def sacrebleu(scorer: str) -> float:
    """The reference's score of the corpus; it wants the first right texts of all rows, then the second …"""
    most = max(len(right) for right in TEXTS.targets)
    columns = [[right[place] if place < len(right) else None for right in TEXTS.targets] for place in range(most)]
    library = pytest.importorskip("sacrebleu.metrics")
    return float(getattr(library, scorer)().corpus_score(TEXTS.values.tolist(), columns).score)


def jiwer(function: str) -> float:
    targets, given, _ = ONE_TEXT
    return float(getattr(pytest.importorskip("jiwer"), function)([right[0] for right in targets], given.tolist()))


def best(score: Callable[[str, str], float], row: tuple[tuple[str, ...], str]) -> float:
    return max(score(right, row[1]) for right in row[0])


def words(text: str) -> list[str]:
    """SQuAD's words of the example's texts, whose only punctuation is in three of them."""
    plain = text.lower().replace(",", "").replace("'", "").replace(".", "")
    return [word for word in plain.split() if word not in ("a", "the")]


def exact(right: str, given: str) -> float:
    return float(words(right) == words(given))


def word_f1(right: str, given: str) -> float:
    common = sum(min(words(right).count(word), words(given).count(word)) for word in {*words(right)})
    if not common:
        return float(words(right) == words(given) == [])
    precision, recall = common / len(words(given)), common / len(words(right))
    return 2 * precision * recall / (precision + recall)


def subsequence_f1(right: str, given: str) -> float:
    first, second = (text.lower().replace(",", "").replace(".", "").replace("'", " ").split() for text in (right, given))
    table = np.zeros((len(first) + 1, len(second) + 1))
    for i, one in enumerate(first):
        for j, other in enumerate(second):
            table[i + 1, j + 1] = table[i, j] + 1 if one == other else max(table[i, j + 1], table[i + 1, j])
    recall, precision = table[-1, -1] / len(first), table[-1, -1] / max(len(second), 1)
    return 2 * precision * recall / (precision + recall) if precision else 0.0


def kappa(targets: np.ndarray, given: np.ndarray) -> float:
    return float(reference.cohen_kappa_score(targets, given, weights="quadratic"))


def gain(relevances: np.ndarray) -> float:
    """scikit-learn's NDCG; the order given stands for falling scores."""
    return float(reference.ndcg_score(relevances[None], -np.arange(len(relevances))[None], k=10))


def pixels() -> tuple[np.ndarray, np.ndarray]:
    """Right and predicted class of each pixel of all images."""
    counts = example("confusions").values.sum(0)
    return np.repeat(np.arange(3), counts.sum(1)), np.concatenate([np.repeat(np.arange(3), row) for row in counts])


SIDE = example("columns")
EXPECTED: dict[str, tuple[np.ndarray, np.ndarray, Labels, Callable[[], float]]] = {
    "mean_cost": (
        *(TARGETS, GIVEN, replace(CLASSES, costs=COSTS)),
        lambda: (
            np.sum(reference.confusion_matrix(TARGETS, GIVEN) * np.where(np.eye(len(COSTS)), 0, np.array(COSTS)[:, None]))
            / len(TARGETS)
        ),
    ),
    "accuracy": (TARGETS, GIVEN, CLASSES, lambda: reference.accuracy_score(TARGETS, GIVEN)),
    "balanced_accuracy": (TARGETS, GIVEN, CLASSES, lambda: reference.balanced_accuracy_score(TARGETS, GIVEN)),
    "macro_f1": (TARGETS, GIVEN, CLASSES, lambda: reference.f1_score(TARGETS, GIVEN, average="macro")),
    "weighted_f1": (TARGETS, GIVEN, CLASSES, lambda: reference.f1_score(TARGETS, GIVEN, average="weighted")),
    "micro_f1": (SETS, DECIDED, TAGS, lambda: reference.f1_score(SETS, DECIDED, average="micro")),
    "matthews": (TARGETS, GIVEN, CLASSES, lambda: reference.matthews_corrcoef(TARGETS, GIVEN)),
    "log_loss": (TARGETS, SHARES, CLASSES, lambda: reference.log_loss(TARGETS, SHARES)),
    "top3_accuracy": (TARGETS, SHARES, CLASSES, lambda: reference.top_k_accuracy_score(TARGETS, SHARES, k=3)),
    "roc_auc": (SETS, ODDS, TAGS, lambda: reference.roc_auc_score(SETS, ODDS, average="macro")),
    "average_precision": (SETS, ODDS, TAGS, lambda: reference.average_precision_score(SETS, ODDS, average="macro")),
    "subset_accuracy": (SETS, DECIDED, TAGS, lambda: reference.accuracy_score(SETS, DECIDED)),
    "hamming_loss": (SETS, DECIDED, TAGS, lambda: reference.hamming_loss(SETS, DECIDED)),
    "mean_absolute_error": (X, Y, NUMBERS, lambda: reference.mean_absolute_error(X, Y)),
    "root_mean_squared_error": (X, Y, NUMBERS, lambda: reference.root_mean_squared_error(X, Y)),
    "r2": (X, Y, NUMBERS, lambda: reference.r2_score(X, Y)),
    "pearson": (X, Y, NUMBERS, lambda: np.corrcoef(X, Y)[0, 1]),
    "spearman": (X, Y, NUMBERS, lambda: np.corrcoef(stats.rankdata(X), stats.rankdata(Y))[0, 1]),
    "mean_column_score": (
        SIDE.targets,
        SIDE.values,
        SIDE.labels,
        lambda: (
            (
                reference.accuracy_score(SIDE.targets[:, 0], SIDE.values[:, 0])
                + reference.r2_score(SIDE.targets[:, 1], SIDE.values[:, 1])
            )
            / 2
        ),
    ),
    "brier": (TARGETS, SHARES, CLASSES, lambda: np.square(ONE_HOT - SHARES).sum(1).mean()),
    "expected_calibration_error": (TARGETS, SHARES, CLASSES, lambda: calibration_gap(SHARES.max(1), GIVEN == TARGETS)),
    "quadratic_weighted_kappa": (TARGETS, GIVEN, CLASSES, lambda: kappa(TARGETS, GIVEN)),
    "entity_f1": of_kind("tags", lambda: seqeval("f1_score")),
    "entity_precision": of_kind("tags", lambda: seqeval("precision_score")),
    "entity_recall": of_kind("tags", lambda: seqeval("recall_score")),
    "token_accuracy": of_kind("tags", lambda: seqeval("accuracy_score")),
    "exact_match": of_kind("texts", lambda: np.mean([best(exact, row) for row in TEXT_ROWS])),
    "answer_f1": of_kind("texts", lambda: np.mean([best(word_f1, row) for row in TEXT_ROWS])),
    "rouge_l": of_kind("texts", lambda: np.mean([best(subsequence_f1, row) for row in TEXT_ROWS])),
    "bleu": of_kind("texts", lambda: sacrebleu("BLEU")),
    "chrf": of_kind("texts", lambda: sacrebleu("CHRF")),
    "word_error_rate": (*ONE_TEXT, lambda: jiwer("wer")),
    "character_error_rate": (*ONE_TEXT, lambda: jiwer("cer")),
    "perplexity": of_kind("likelihoods", lambda: np.exp(np.divide(*example("likelihoods").values[:, :2].sum(0)))),
    "masked_accuracy": of_kind("masked", lambda: np.divide(*example("masked").values[:, [3, 1]].sum(0))),
    "bits_per_byte": of_kind("likelihoods", lambda: np.divide(*example("likelihoods").values[:, [0, 2]].sum(0)) / np.log(2)),
    "recall_at_1": of_kind("ranks", lambda: np.mean([rank == 1 for rank in RANKS])),
    "recall_at_10": of_kind("ranks", lambda: np.mean([rank in range(1, 11) for rank in RANKS])),
    "mean_reciprocal_rank": of_kind("ranks", lambda: np.mean([1 / rank if rank else 0 for rank in RANKS])),
    "ndcg_at_10": of_kind("relevances", lambda: np.mean([gain(row) for row in example("relevances").values if row.any()])),
    "mean_average_precision": of_kind("boxes", lambda: coco(BOXES.targets, BOXES.values)[0]),
    "average_precision_50": of_kind("boxes", lambda: coco(BOXES.targets, BOXES.values)[1]),
    "mean_iou": of_kind("confusions", lambda: reference.jaccard_score(*pixels(), average="macro")),
    "pixel_accuracy": of_kind("confusions", lambda: reference.accuracy_score(*pixels())),
    "reward_accuracy": of_kind("margins", lambda: np.mean([margin > 0 for margin in example("margins").values])),
    "reward_margin": of_kind("margins", lambda: np.mean(example("margins").values)),
}


def calibration_gap(sure: np.ndarray, right: np.ndarray) -> float:
    """Guo et al. 2017, equation 3, bin by bin."""
    gap = 0.0
    for low in range(15):
        inside = (sure > low / 15) & (sure <= (low + 1) / 15)
        if inside.any():
            gap += inside.sum() / len(sure) * abs(right[inside].mean() - sure[inside].mean())
    return gap


def test_every_metric_is_compared() -> None:
    assert sorted(EXPECTED) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_value(name: str) -> None:
    targets, predicted, labels, wanted = EXPECTED[name]
    assert load_part("metrics", name).value(targets, predicted, labels) == pytest.approx(wanted(), rel=1e-9)


READ = [(name, kind) for name in NAMES for kind in load_part("metrics", name).READS]


def test_every_kind_is_read() -> None:
    assert {kind for _, kind in READ} == {*KINDS}


@pytest.mark.parametrize(("name", "kind"), READ)
def test_contract(name: str, kind: str) -> None:
    metric, rows = load_part("metrics", name), example(kind)
    predicted, perfect = rows.read(metric)
    assert metric.NEEDS in ("values", "probabilities")
    assert isinstance(metric.UNIT, str)
    assert metric.value(rows.targets[:0], predicted[:0], rows.labels) is None  # no rows: undefined, never 0 or 1
    better, worse = (metric.value(rows.targets, one, rows.labels) for one in (perfect, predicted))
    assert type(better) is type(worse) is float
    assert (better > worse) is metric.HIGHER_IS_BETTER


@pytest.mark.parametrize(("name", "kind"), [one for one in READ if hasattr(load_part("metrics", one[0]), "sums")])
def test_sums(name: str, kind: str) -> None:
    """Weighed sums give what the metric gives on rows that are drawn as often."""
    metric, rows = load_part("metrics", name), example(kind)
    predicted, _ = rows.read(metric)
    draws = np.random.default_rng(1).multinomial(len(predicted), np.full(len(predicted), 1 / len(predicted)), 4)
    sums = metric.sums(rows.targets, predicted, rows.labels)
    assert sums.dtype == np.float64
    assert sums.shape == (len(predicted), sums.shape[1])
    found = metric.of_sums(draws @ sums, rows.labels)
    assert found.shape == (4,)
    drawn = [np.repeat(np.arange(len(predicted)), row) for row in draws]
    assert found == pytest.approx([metric.value(rows.targets[one], predicted[one], rows.labels) for one in drawn])
    assert np.isnan(metric.of_sums(np.zeros((2, sums.shape[1])), rows.labels)).all()
    if getattr(metric, "SHARE_OF_ROWS", False):
        assert {*sums[:, 0]} == {0.0, 1.0}
        assert {*sums[:, 1]} == {1.0}


@pytest.mark.parametrize("name", [name for name in NAMES if hasattr(load_part("metrics", name), "on_draws")])
def test_on_draws(name: str) -> None:
    """Counts of rows give what the metric gives on rows that are drawn as often."""
    metric, rows = load_part("metrics", name), example(load_part("metrics", name).READS[0])
    draws = np.random.default_rng(1).multinomial(len(rows.targets), np.full(len(rows.targets), 1 / len(rows.targets)), 4)
    drawn = [np.repeat(np.arange(len(rows.targets)), row) for row in draws]
    wanted = [metric.value(rows.targets[one], rows.values[one], rows.labels) for one in drawn]
    assert metric.on_draws(rows.targets, rows.values, rows.labels, draws) == pytest.approx(wanted, rel=1e-12)
    assert len({*wanted}) == 4


@pytest.mark.parametrize(
    ("name", "targets", "predicted"),
    [
        ("matthews", np.zeros(5, int), np.zeros(5, int)),
        ("r2", np.ones(5), X[:5]),
        ("r2", np.full(3, 0.1), X[:3]),  # their mean is 0.1 but for its last bits
        ("pearson", X[:5], np.full(5, 0.1 + 0.2)),
        ("spearman", np.full(5, 1e-3), X[:5]),
        ("roc_auc", np.zeros((4, 3), int), ODDS[:4]),
        ("average_precision", np.zeros((4, 3), int), ODDS[:4]),
        ("micro_f1", np.zeros((4, 3), int), np.zeros((4, 3), int)),
        ("top3_accuracy", np.zeros(4, int), SHARES[:4, :3]),
    ],
)
def test_undefined_is_said(name: str, targets: np.ndarray, predicted: np.ndarray) -> None:
    assert load_part("metrics", name).value(targets, predicted, CLASSES) is None


def test_an_absent_class_is_neither_zero_nor_one() -> None:
    targets, given = np.array([0, 0, 1, 1]), np.array([0, 0, 1, 0])
    wanted = reference.f1_score(targets, given, average="macro")  # over the two classes that occur, out of four
    assert load_part("metrics", "macro_f1").value(targets, given, CLASSES) == pytest.approx(wanted)
