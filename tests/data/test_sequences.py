"""Sequences of science through the text path: tokens as they are split by hand, saved and opened, pre-trained, tuned."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tunewright.core.errors import UserError
from tunewright.modalities.language.sequences import SPECIAL, sequence_tokenizer
from tunewright.models.new_encoder import new_encoder
from tunewright.pipeline.workflow import fit

MOLECULES = ["CC(=O)Nc1ccc(O)cc1", "ClCCBr", "C%12CCCCC%12", "[nH]1cccc1", "C[C@@H](N)C(=O)O"]


def test_characters_are_one_token_each() -> None:
    tokenizer = sequence_tokenizer(["MKV", "AMK "])
    assert tokenizer.tokenize("MKAV") == ["M", "K", "A", "V"]
    assert tokenizer.tokenize("M K") == ["M", "[UNK]", "K"]
    assert len(tokenizer) == len(SPECIAL) + 4
    ids = tokenizer("MK", "V")["input_ids"]
    assert tokenizer.convert_ids_to_tokens(ids) == ["[CLS]", "M", "K", "[SEP]", "V", "[SEP]"]


def test_smiles_are_split_at_atoms() -> None:
    tokenizer = sequence_tokenizer(MOLECULES, "atoms")
    assert tokenizer.tokenize("CC(=O)Nc1") == ["C", "C", "(", "=", "O", ")", "N", "c", "1"]
    assert tokenizer.tokenize("ClCCBr") == ["Cl", "C", "C", "Br"]
    assert tokenizer.tokenize("C%12C") == ["C", "%12", "C"]
    assert tokenizer.tokenize("[nH]1c") == ["[nH]", "1", "c"]
    assert tokenizer.tokenize("C[C@@H](N)[Se]") == ["C", "[C@@H]", "(", "N", ")", "[UNK]"]
    assert "[nH]" not in sequence_tokenizer([*MOLECULES, *MOLECULES[:4:2]], "atoms", rarest=2).get_vocab()


def test_kmers_stand_side_by_side_and_the_rest_is_letters() -> None:
    tokenizer = sequence_tokenizer(["ACGTNNACGT"], "kmers", k=4)
    assert tokenizer.tokenize("ACGTACGTAC") == ["ACGT", "ACGT", "A", "C"]
    assert tokenizer.tokenize("acgtNacgtg") == ["ACGT", "N", "ACGT", "G"]
    assert tokenizer.tokenize("ACNGTACG") == ["A", "C", "N", "GTAC", "G"]
    assert tokenizer.tokenize("ACGTX") == ["ACGT", "[UNK]"]
    assert len(tokenizer) == len(SPECIAL) + 4**4 + 5
    assert "GGGG" in tokenizer.get_vocab()  # not seen, and yet a token


def test_what_makes_no_tokenizer_is_refused() -> None:
    for wrong in ({"unit": "words"}, {"unit": "kmers", "k": 20}, {"unit": "kmers", "alphabet": "A-T"}):
        with pytest.raises(UserError):
            sequence_tokenizer(["ACGT"], **wrong)  # type: ignore[arg-type]
    with pytest.raises(UserError, match="nothing"):
        sequence_tokenizer(["", " "])
    with pytest.raises(UserError, match="heads"):
        new_encoder(sequence_tokenizer(["ACGT"]), Path("unused"), width=30, heads=4)


def test_a_new_encoder_is_pre_trained_then_tuned(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    rows = []
    for number in range(200):
        letters = ["".join(generator.choice(list("ACGT"), 4)) for _ in range(8)]
        letters[3] = ("TATA", "GCGC")[number % 2]
        rows.append({"sequence": "".join(letters), "kind": ("one", "two")[number % 2]})
    tokenizer = sequence_tokenizer([row["sequence"] for row in rows], "kmers", k=4, longest=32)
    folder = new_encoder(tokenizer, tmp_path / "new", layers=2, width=32)
    training = {"threads": 1, "batch_size": 32}
    first = fit(
        [{"sequence": row["sequence"]} for row in rows],
        method="full",
        model=folder,
        text="sequence",
        task="masked_lm",
        out=tmp_path / "first",
        training={**training, "max_steps": 4},
        data={"near_duplicates": "ignore"},
        evaluation={"resamples": 100},
    )
    assert first.manifest["certified"]["equal"]
    second = fit(
        rows,
        model=first.folder / "model",
        text="sequence",
        target="kind",
        strategy="full",
        out=tmp_path / "second",
        optimization={"learning_rate": 2e-3},
        training={**training, "epochs": 15},
        data={"near_duplicates": "ignore"},
        evaluation={"resamples": 100},
    )
    assert second.manifest["certified"]["equal"]
    assert second.scores[0].value is not None
    assert second.scores[0].value > 0.8
    assert second.predict([rows[0]["sequence"].lower()])[0]["predicted"] == second.predict([rows[0]["sequence"]])[0]["predicted"]
