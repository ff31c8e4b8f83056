"""Translation: languages are told by tags or by the tokenizer's codes, kept with the run, and asked for again by predict."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from tunewright.cli.main import app
from tunewright.core.arrays import object_array
from tunewright.core.errors import UserError
from tunewright.core.types import Labels
from tunewright.datasets.encoded import batch, targets_of
from tunewright.datasets.read import read_table
from tunewright.datasets.schema import Schema, guess_schema
from tunewright.modalities.translation import modality as translation
from tunewright.models.form import Form
from tunewright.models.loading import load_network
from tunewright.models.network import Network
from tunewright.models.tiny import tiny_model
from tunewright.pipeline.workflow import fit
from tunewright.tasks.seq2seq import task as generation

LABELS = Labels("seq2seq")
FORM = Form("translation", "AutoModelForSeq2SeqLM", "vocabulary")
WORDS = {"card": ("money", "bank"), "lost": ("old", "new"), "good": ("bad", "not"), "the": ("is", "or")}
ROW = {"text": "the card", "target_language": "fr", "target": "le card"}


@pytest.fixture(scope="module")
def t5(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model("t5", tmp_path_factory.mktemp("translation") / "t5", layers=2)


def toy(count: int) -> list[dict[str, str]]:
    """Each word has another one in each of two languages."""
    generator = np.random.default_rng(0)
    words = list(WORDS)
    rows = []
    for number in range(count):
        chosen = [words[place] for place in generator.integers(0, len(words), 3)]
        place = number % 2
        written = " ".join(WORDS[word][place] for word in chosen)
        rows.append({"text": " ".join(chosen), "target_language": ("good", "bad")[place], "target": written})
    return rows


# ---- columns ------------------------------------------------------------------------------------------------------------


def schema_of(row: dict[str, Any], **named: Any) -> Schema:
    return guess_schema(read_table([row, row], "train"), **named)


def test_a_column_of_target_languages_is_recognized_and_said() -> None:
    found = schema_of(ROW)
    assert (found.kind, found.task, found.text, found.target) == (
        "translation",
        "seq2seq",
        ("text", "target_language"),
        ("target",),
    )
    assert found.said[0] == "Translation: 'text' and 'target_language' (guessed)."
    assert Schema.from_dict(json.loads(json.dumps(found.as_dict()))).text == found.text


def test_named_columns_and_source_languages() -> None:
    row = {"de": "die Karte", "fr": "la carte", "Target_Lang": "fr", "source_lang": "de"}
    assert schema_of(row, text="de", target="fr").text == ("de", "Target_Lang", "source_lang")
    named = {"a": "die Karte", "b": "fr", "c": "la carte"}
    assert schema_of(named, text=("a", "b"), target="c", kind="translation", task="seq2seq").text == ("a", "b")
    assert schema_of(ROW | {"label": "x"}, text="text", target="label", task="classification").kind == "text"
    assert schema_of({"text": "two words here", "label": "x"}).kind == "text"


def test_rows_without_a_language_are_refused_together() -> None:
    table = read_table([ROW, ROW | {"target_language": " "}, ROW | {"text": 3}], "train")
    with pytest.raises(UserError, match=r"2 faults[\s\S]*row 2: 'text' is 3[\s\S]*row 1: 'target_language' is ' '"):
        translation.read(table, ("text", "target_language"))
    assert translation.read(read_table([ROW | {"target_language": " fr "}], "train"), ("text", "target_language")) == [
        ("the card", "fr")
    ]


# ---- tags ---------------------------------------------------------------------------------------------------------------


def test_the_tag_stands_before_the_prefix_and_the_text(t5: Path) -> None:
    network = load_network(str(t5), LABELS, form=FORM)
    settings = generation.Settings(tag="{language} or ", prefix="the ", languages=("bad", "good"))
    made: Any = generation.encode(network, [("card", "good"), ("card", "bad")], None, settings, 32).encoded
    plain = [network.tokenizer(text)["input_ids"] for text in ("good or the card", "bad or the card")]
    assert [made.read.row(row) for row in range(2)] == plain
    assert made.given is None
    with pytest.raises(UserError, match=r"target language 'god' is not known. Expected one of bad, good. Did you mean 'good'"):
        generation.encode(network, [("card", "god")], None, settings, 32)
    with pytest.raises(ValueError, match="language"):
        generation.Settings(tag="to good: ")


def test_tags_that_are_read_alike_are_refused(t5: Path) -> None:
    network = load_network(str(t5), LABELS, form=FORM)
    rows = [("card", "fr", "en"), ("card", "de", "en")]
    with pytest.raises(UserError, match="reads the tags of 'de' and 'fr' alike"):
        translation.said(rows, "<2{language}> ", network.tokenizer)
    assert translation.said([("card", "bad"), ("card", "good")], "{language} ", network.tokenizer) == (
        "languages to write in: bad (1 rows), good (1 rows); told by a tag before the text, such as 'bad '"
    )


def test_a_whole_run_writes_the_language_that_is_asked_for(t5: Path, tmp_path: Path) -> None:
    run = fit(
        toy(400),
        method="full",
        model={"source": str(t5), "dropout": 0.0},
        out=tmp_path / "run",
        head={"name": "seq2seq", "longest": 8, "beams": 1, "tag": "{language} . "},
        data={"near_duplicates": "ignore"},
        optimization={"learning_rate": 5e-3, "weight_decay": 0.0},
        training={"epochs": 15, "batch_size": 16, "precision": "float32"},
        evaluation={"baselines": ("copy",)},
    )
    assert run.manifest["certified"]["equal"]
    assert run.model.head_settings["languages"] == ["bad", "good"]
    said = json.loads((tmp_path / "run" / "data.json").read_text())["schema"]["said"]
    assert said[0].startswith("Translation: ")
    asked = [{"text": "the card lost", "target_language": language} for language in ("good", "bad")]
    assert [row["predicted"] for row in run.predict(asked)] == ["is money old", "or bank new"]
    by = run.evaluate_by(toy(40), ["target_language"])
    assert {key: scores[0].n for key, scores in by.items()} == {("bad",): 20, ("good",): 20}
    with pytest.raises(UserError, match="target language 'zz' is not known"):
        run.predict([{"text": "the card", "target_language": "zz"}])
    with pytest.raises(UserError, match="no column 'target_language', as the training rows had"):
        run.predict([{"text": "the card"}])
    command_line_is_python(tmp_path, asked, run)


def command_line_is_python(folder: Path, asked: list[dict[str, str]], run: Any) -> None:
    for name, rows in (("asked.csv", asked), ("right.csv", toy(40))):
        with (folder / name).open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    called = CliRunner().invoke(app, ["predict", str(folder / "run"), str(folder / "asked.csv"), "--json"])
    assert called.exit_code == 0
    assert json.loads(called.stdout)["predictions"] == run.predict(str(folder / "asked.csv"))
    called = CliRunner().invoke(
        app, ["evaluate", str(folder / "run"), str(folder / "right.csv"), "--by", "target_language", "--json"]
    )
    found = json.loads(called.stdout)["slices"]
    theirs = run.evaluate_by(toy(40), ["target_language"])
    assert [(one["of"], one["scores"]["chrf"]["value"]) for one in found] == [
        ({"target_language": key[0]}, next(s.value for s in scores if s.name == "chrf")) for key, scores in theirs.items()
    ]


# ---- codes --------------------------------------------------------------------------------------------------------------

SIZES = {"encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 4, "decoder_attention_heads": 4}
SMALL = {"d_model": 32, "encoder_ffn_dim": 64, "decoder_ffn_dim": 64, "max_position_embeddings": 64}
PIECES = ["▁the", "▁card", "▁new", "▁old", "▁", "a", "b"]


@pytest.fixture(scope="module", params=["mbart", "mbart50", "nllb"])
def coded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Network:
    """Tiny networks under the three tokenizers that have codes: after the text, and before it."""
    from transformers import AutoModelForSeq2SeqLM, M2M100Config, MBart50Tokenizer, MBartConfig, MBartTokenizer, NllbTokenizer

    folder = tmp_path_factory.mktemp(request.param) / "model"
    scored = [("<s>", 0.0), ("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), *((piece, -1.0) for piece in PIECES)]
    tokenizer: Any
    if request.param == "nllb":
        tokenizer = NllbTokenizer(vocab={piece: place for place, (piece, _) in enumerate(scored)}, merges=[])
    else:
        tokenizer = (MBartTokenizer if request.param == "mbart" else MBart50Tokenizer)(vocab=scored)
    ends = {"bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2, "forced_eos_token_id": 2, "vocab_size": len(tokenizer)}
    config: Any = MBartConfig(**SIZES, **SMALL, **ends) if request.param != "nllb" else M2M100Config(**SIZES, **SMALL, **ends)
    config.decoder_start_token_id = None if request.param == "mbart" else 2
    torch.manual_seed(0)
    AutoModelForSeq2SeqLM.from_config(config).save_pretrained(str(folder))
    tokenizer.save_pretrained(str(folder))
    return load_network(str(folder), LABELS, form=FORM)


def languages_of(network: Network) -> tuple[str, str, str]:
    return ("deu_Latn", "fra_Latn", "eng_Latn") if "Nllb" in type(network.tokenizer).__name__ else ("de_DE", "fr_XX", "en_XX")


def test_codes_stand_where_the_tokenizer_itself_puts_them(coded: Network) -> None:
    german, french, english = languages_of(coded)
    inputs = [("the card", french, german), ("new", english, german), ("old card", french, english)]
    wanted = object_array([("new card",), ("the",), ("the old card",)])
    before = coded.tokenizer.src_lang
    examples = generation.encode(coded, inputs, wanted, generation.Settings(), 32)
    assert coded.tokenizer.src_lang == before
    given = batch(examples, np.arange(3), coded.reads, torch.device("cpu"))
    targets = targets_of(examples, np.arange(3), torch.device("cpu"))
    with torch.no_grad():
        ours = generation.losses(coded(given), targets, LABELS, generation.Settings(), None)
        for row, (text, into, origin) in enumerate(inputs):
            coded.tokenizer.src_lang, coded.tokenizer.tgt_lang = origin, into
            made = coded.tokenizer(text, text_target=wanted[row][0], return_tensors="pt")
            assert given["input_ids"][row][given["attention_mask"][row] == 1].tolist() == made["input_ids"][0].tolist()
            loss = coded.inner(**made).loss
            torch.testing.assert_close(ours[row], loss * made["labels"].shape[1], rtol=1e-5, atol=1e-5)
    coded.tokenizer.src_lang = before


def test_texts_are_written_as_from_the_forced_first_token(coded: Network) -> None:
    german, french, english = languages_of(coded)
    inputs = [("the card", french, german), ("new", english, german)]
    examples = generation.encode(coded, inputs, None, generation.Settings(), 32)
    settings = generation.Settings(beams=1, longest=5)
    written = generation.generate(coded, examples, settings).values
    for row, (text, into, origin) in enumerate(inputs):
        coded.tokenizer.src_lang = origin
        code = coded.tokenizer.convert_tokens_to_ids(into)
        begun = {"decoder_start_token_id": code} if coded.inner.config.decoder_start_token_id is None else {}
        forced = {} if begun else {"forced_bos_token_id": code}
        made = coded.inner.generate(
            **coded.tokenizer(text, return_tensors="pt"),
            max_new_tokens=5 if begun else 6,
            do_sample=False,
            num_beams=1,
            **begun,
            **forced,
        )
        assert written[row] == coded.tokenizer.batch_decode(made, skip_special_tokens=True)[0].strip()


def test_short_names_and_unknown_codes(coded: Network) -> None:
    if "Nllb" not in type(coded.tokenizer).__name__:
        assert translation.code_of(coded.tokenizer, "fr") == "fr_XX"
    with pytest.raises(UserError, match="language of the tokenizer: 'qq' is not known"):
        generation.encode(coded, [("the", "qq")], None, generation.Settings(), 32)
    said = translation.said([("a", languages_of(coded)[1])], "<2{language}> ", coded.tokenizer)
    assert said.endswith(f"told by the tokenizer's own codes, such as {languages_of(coded)[1]}")
