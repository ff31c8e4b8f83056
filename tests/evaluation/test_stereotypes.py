"""Stereotypes: likelihoods against a plain computation, Caliskan's effect size by hand, planted prejudice before and after."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.engine.toy import toy_rows
from tests.evaluation.stand_in import subject
from tunewright.analysis.association import effects, nearer, p_value, sentence_vectors
from tunewright.analysis.reports import stereotypes
from tunewright.analysis.reports.stereotypes import Settings
from tunewright.analysis.stereotype_pairs import Pair, pseudo_likelihoods, read_crows_pairs, read_winobias
from tunewright.core.errors import UserError
from tunewright.core.types import Labels
from tunewright.models.form import Form
from tunewright.models.loading import load_network
from tunewright.models.tiny import tiny_model
from tunewright.pipeline.examine import examine
from tunewright.pipeline.workflow import fit

LABELS = Labels("masked_lm")


@pytest.fixture(scope="module")
def masked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny BERT that tells hidden words."""
    from transformers import AutoModelForMaskedLM

    made = tiny_model("bert", tmp_path_factory.mktemp("masked") / "bert")
    AutoModelForMaskedLM.from_pretrained(str(made)).save_pretrained(str(made))
    return made


def write_pairs(path: Path, pairs: list[Pair]) -> str:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["sent_more", "sent_less", "bias_type"])
        writer.writerows([pair.more, pair.less, pair.kind] for pair in pairs)
    return str(path)


def test_a_masked_models_score_is_the_sum_over_shared_tokens(masked: Path) -> None:
    network = load_network(str(masked), LABELS, form=Form("text", "AutoModelForMaskedLM", "vocabulary"))
    pairs = [Pair("my card is lost and bad", "my bank is lost and bad", "x"), Pair("the old order", "the new order", "x")]
    found = pseudo_likelihoods(network.eval(), pairs)
    for row, pair in enumerate(pairs):
        differ = next(at for at, (a, b) in enumerate(zip(pair.more.split(), pair.less.split(), strict=True)) if a != b)
        for side, text in enumerate((pair.more, pair.less)):
            ids = network.tokenizer(text, return_tensors="pt")["input_ids"]
            total = 0.0
            for at in range(1, ids.shape[1] - 1):
                if at - 1 == differ:
                    continue
                hidden = ids.clone()
                hidden[0, at] = network.tokenizer.mask_token_id
                with torch.no_grad():
                    logits = network.inner(input_ids=hidden).logits[0, at]
                total += float(logits.log_softmax(-1)[ids[0, at]])
            assert found[row, side] == pytest.approx(total, abs=1e-4)


def test_the_effect_size_is_caliskans_formula() -> None:
    generator = np.random.default_rng(0)
    first, second, topic, other = (generator.normal(size=(5, 8)) for _ in range(4))

    def cosine(a: np.ndarray, b: np.ndarray) -> float:
        return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))

    def s(word: np.ndarray) -> float:
        return float(np.mean([cosine(word, one) for one in topic]) - np.mean([cosine(word, one) for one in other]))

    one, two = [s(word) for word in first], [s(word) for word in second]
    expected = (np.mean(one) - np.mean(two)) / np.std(one + two, ddof=1)
    assert effects(nearer(first, topic, other), nearer(second, topic, other)) == pytest.approx(expected)
    assert p_value(np.arange(8.0) + 10, np.arange(8.0), 2000, 0) < 0.001
    assert p_value(np.array([0.0, 1.0]), np.array([0.0, 1.0]), 2000, 0) > 0.2


def answered(preferring: dict[bool, float], pairs: int, seed: int = 0) -> Any:
    """Log-likelihoods by which a share of the pairs prefers the stereotype, before and after."""
    kept: dict[bool, np.ndarray] = {}
    for before, share in preferring.items():
        generator = np.random.default_rng([seed, before])
        more = generator.random(pairs) < share
        kept[before] = np.column_stack([more, ~more]).astype(float)
    return lambda texts, before: np.column_stack([-kept[before].ravel(), np.ones(2 * pairs), np.ones(2 * pairs)])


class Causal:
    form = Form("text", "AutoModelForCausalLM", "vocabulary")


def asked(tmp_path: Path, preferring: dict[bool, float], pairs: int = 300, seed: int = 0, **settings: Any) -> Any:
    path = write_pairs(
        tmp_path / "pairs.csv", [Pair(f"a{number}", f"b{number}", "age" if number % 2 else "gender") for number in range(pairs)]
    )
    made = subject(
        {},
        {},
        Labels("causal_lm"),
        likelihoods=answered(preferring, pairs, seed),
        network=lambda before: Causal,
    )
    return stereotypes.report(made, Settings(crows_pairs=path, associations=False, **settings))


def test_a_change_is_found_and_its_size_told(tmp_path: Path) -> None:
    found = asked(tmp_path, {True: 0.5, False: 0.75})
    scores = {one.name: one for one in found.scores}
    assert scores["crows_pairs"].value == pytest.approx(0.75, abs=0.09)
    assert scores["crows_pairs_change"].value == pytest.approx(scores["crows_pairs"].value - scores["crows_pairs_before"].value)
    assert scores["crows_pairs"].n == 300
    assert [finding.level for finding in found.findings] == ["warning"]
    assert "raised the share of crows pairs" in found.findings[0].message
    assert [row[:2] for row in found.grids[0].rows] == [("all", 300), ("age", 150), ("gender", 150)]
    assert [finding.level for finding in asked(tmp_path, {True: 0.8, False: 0.5}).findings] == ["note"]
    assert "winobias: not asked, no path was named; --set winobias=PATH." in found.said


def test_no_change_is_seldom_called_one(tmp_path: Path) -> None:
    accused = sum(bool(asked(tmp_path, {True: 0.6, False: 0.6}, 200, seed).findings) for seed in range(60))
    assert accused <= 8  # 3 of 60 are expected by chance


def test_some_pairs_are_drawn_and_that_is_said(tmp_path: Path) -> None:
    path = write_pairs(tmp_path / "p.csv", [Pair("a", "b", "age")] * 50)
    said: list[str] = []
    made = subject({}, {}, Labels("causal_lm"))
    assert len(stereotypes._pairs(made, "crows_pairs", path, read_crows_pairs, 20, said)) == 20
    assert said == ["crows_pairs: 20 of 50 pairs, drawn with the seed."]
    assert stereotypes._pairs(made, "winobias", str(tmp_path / "no"), read_winobias, 20, said) == []
    assert "is not there" in said[-1]


def test_winobias_pairs_sentences_that_differ_in_a_pronoun(tmp_path: Path) -> None:
    for side, sentences in {
        "pro": ["[The cook] said [she] left.", "[The guard] saw [him]."],
        "anti": ["[The cook] said [he] left.", "[The guard] really saw [her]."],
    }.items():
        with (tmp_path / f"{side}_type1_dev.csv").open("w", newline="") as file:
            csv.writer(file).writerows([["id", "sentence"], *enumerate(sentences)])
    assert read_winobias(str(tmp_path)) == [Pair("The cook said she left.", "The cook said he left.", "type1")]
    (tmp_path / "anti_type1_dev.csv").unlink()
    with pytest.raises(UserError, match="no counterpart"):
        read_winobias(str(tmp_path))


def test_an_encoder_is_asked_for_associations_before_and_after(tiny_bert: Path, tmp_path: Path) -> None:
    run = fit(
        toy_rows(60),
        method="full",
        model=str(tiny_bert),
        target="label",
        out=tmp_path / "run",
        training={"epochs": 1},
        optimization={"learning_rate": 1e-2, "head_learning_rate": 1e-2},
        evaluation={"certify": False, "resamples": 100, "reports": ()},
    )
    found = examine(run, "stereotypes", crows_pairs="pairs.csv")["stereotypes"]
    assert found["error"] is None
    assert found["said"][0].startswith("crows_pairs: not asked; classification says nothing")
    assert len(found["scores"]) == 15
    for one in found["scores"]:  # its vocabulary has none of these words
        assert one["value"] is None
        assert one["note"] == "undefined: all words are alike"


@pytest.mark.real_data
def test_an_encoder_has_what_people_have(sentence_encoder: Path) -> None:
    network = load_network(str(sentence_encoder), Labels("classification", ("a", "b")), pooling="mean").eval()
    other = load_network(str(sentence_encoder), Labels("classification", ("a", "b")), pooling="mean").eval()
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.add_(
                0.05 * parameter.std(correction=0) * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(0))
            )
    made = subject({}, {}, Labels("classification", ("a", "b")), network=lambda before: network if before else other)
    found = stereotypes.report(made, Settings())
    values = {one.name: one for one in found.scores}
    flowers = values["association_flowers_insects"]
    assert flowers.low is not None and flowers.low > 0.5  # the control: Caliskan et al. found 1.50 in word vectors
    assert flowers.n == 32
    for name in ("gender_career", "gender_science", "flowers_insects"):
        now, was, change = (values[f"association_{name}{ending}"].value for ending in ("", "_before", "_change"))
        assert now is not None and was is not None and change is not None
        assert change == pytest.approx(now - was, abs=1e-6)
        assert change != 0


def test_what_a_sentence_becomes_does_not_depend_on_its_neighbors(tiny_bert: Path) -> None:
    network = load_network(str(tiny_bert), Labels("classification", ("a", "b")), pooling="mean").eval()
    together = sentence_vectors(network, ["This is bad.", "the order is lost and late and old"])
    assert together[0] == pytest.approx(sentence_vectors(network, ["This is bad."])[0], abs=1e-5)


def test_a_tuned_language_model_answers_for_both(masked: Path, tmp_path: Path) -> None:
    for base, task in ((tiny_model("llama", tmp_path / "llama"), "causal_lm"), (masked, "masked_lm")):
        path = write_pairs(tmp_path / "pairs.csv", [Pair("my card is late", "my bank is late", "age")] * 12)
        run = fit(
            [{"text": f"{row['text']} and the order was late again"} for row in toy_rows(40)],
            method="full",
            model=str(base),
            task=task,
            out=tmp_path / f"run-{task}",
            training={"epochs": 1},
            optimization={"learning_rate": 1e-2},
            evaluation={"certify": False, "resamples": 100, "reports": ()},
        )
        found = examine(run, "stereotypes", crows_pairs=path)["stereotypes"]
        assert found["error"] is None
        assert next(one["n"] for one in found["scores"] if one["name"] == "crows_pairs") == 12


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_an_effect_is_undefined_where_words_differ_by_rounding_alone_whatever_the_last_bits(kind: type[np.floating]) -> None:
    eps = np.finfo(kind).eps
    for seed in range(20):
        generator = np.random.default_rng(seed)
        first, second = (generator.integers(-8, 9, (5, 8)) * eps for _ in range(2))
        assert np.concatenate([first, second], -1).std(-1).min() > 0  # by equality with 0 they would be defined
        assert np.isnan(effects(first.astype(kind), second.astype(kind))).all()


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_an_effect_of_words_that_differ_little_is_defined(kind: type[np.floating]) -> None:
    generator = np.random.default_rng(0)
    first, second = generator.normal(size=8), generator.normal(size=8)
    plain = (first.mean() - second.mean()) / np.concatenate([first, second]).std(ddof=1)
    small = 1000 * np.finfo(kind).eps  # a millionth or less of a cosine
    assert effects((first * small).astype(kind), (second * small).astype(kind)) == pytest.approx(plain, rel=1e-3)


def test_words_of_one_vector_have_no_association_in_any_order_of_the_sums() -> None:
    generator = np.random.default_rng(0)
    for width in (32, 100, 384):
        vector = generator.normal(size=width)
        noise = 1 + np.finfo(np.float32).eps * generator.integers(-4, 5, (4, 16, width))
        words, others, topic, opposite = (vector * noise).astype(np.float32)
        found = effects(nearer(words, topic, opposite), nearer(others, topic, opposite))
        assert np.isnan(found)


def test_ties_count_as_reached_in_float32_too() -> None:
    values = np.array([0.1, 0.2, 0.3, 0.7], dtype=np.float32)
    first, second = values[[3, 2]], values[[0, 1]]  # the largest difference: only it and its like reach it, one draw of six
    assert p_value(first, second, 6000, 0) == pytest.approx(1 / 6, abs=0.02)
    assert p_value(first, second, 6000, 0) == p_value(first.astype(np.float64), second.astype(np.float64), 6000, 0)
