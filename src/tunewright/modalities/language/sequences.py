"""Tokenizers for sequences that are no language: DNA, RNA, proteins, molecules as SMILES; for models that bring none.

Characters: Rives et al. 2021, ESM, section 2 (one token for each amino acid). k-mers side by side, single letters where none
fits: Dalla-Torre et al. 2023, The Nucleotide Transformer, methods (k = 6). Atoms of SMILES: Schwaller et al. 2018, Found in
Translation, section 3.1. When: a new encoder is to read such sequences. When not: a pre-trained one, which has its own tokenizer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import product
from typing import Any, Literal

from tunewright.core.errors import UserError, unknown

Unit = Literal["characters", "atoms", "kmers"]

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_UNITS = ("characters", "atoms", "kmers")
_PATTERNS = {
    "characters": r".",
    "atoms": r"\[[^\]]*\]|Br|Cl|%[0-9]{2}|.",  # in brackets, of two letters, rings of two digits
}
_MOST = 4**8  # k-mers that a vocabulary may have; most would never be seen (a guess)


def sequence_tokenizer(
    sequences: Iterable[str],
    unit: Unit = "characters",
    *,
    k: int = 6,
    alphabet: str = "ACGT",
    rarest: int = 1,
    longest: int = 512,
) -> Any:
    """A fast tokenizer for ``sequences`` as transformers has them: [CLS] … [SEP], with padding, unknown and mask tokens.

    ``unit``: *characters*; *atoms* of SMILES; *kmers*, ``k`` letters of ``alphabet`` at once, in capitals, and single letters
    where a sequence ends or holds another letter. What occurs fewer than ``rarest`` times is unknown. ``longest`` counts tokens.
    """
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    if unit not in _UNITS:
        raise unknown("unit", unit, _UNITS)
    if unit == "kmers" and not (alphabet.isalpha() and 1 < len(alphabet) ** k <= _MOST and k >= 1):
        raise UserError(f"k-mers of {k} out of {alphabet!r}", expected=f"letters, and at most {_MOST:,} k-mers", try_="k=6")
    letters = "".join(dict.fromkeys(alphabet.upper()))
    pattern = f"[{letters}]{{{k}}}|." if unit == "kmers" else _PATTERNS[unit]
    splitting = pre_tokenizers.Split(Regex(pattern), behavior="isolated")
    capitals = [normalizers.Replace(one.lower(), one) for one in f"{letters}N"] if unit == "kmers" else []
    normal = normalizers.Sequence([normalizers.Strip(), *capitals])
    counts: Counter[str] = Counter()
    for sequence in sequences:
        counts.update(piece for piece, _ in splitting.pre_tokenize_str(normal.normalize_str(sequence)))
    every = ("".join(letters) for letters in product(letters, repeat=k)) if unit == "kmers" else ()
    seen = sorted(piece for piece, times in counts.items() if times >= rarest)
    if not seen:
        raise UserError("the sequences hold nothing to make tokens of", expected="sequences of letters")
    vocabulary = {
        piece: place
        for place, piece in enumerate(dict.fromkeys((*SPECIAL, *every, *(letters if unit == "kmers" else ()), *seen)))
    }
    raw = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    raw.normalizer, raw.pre_tokenizer = normal, splitting
    ids = [(token, vocabulary[token]) for token in ("[CLS]", "[SEP]")]
    raw.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=ids
    )
    names = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]", "mask_token": "[MASK]"}
    return PreTrainedTokenizerFast(tokenizer_object=raw, model_max_length=longest, clean_up_tokenization_spaces=False, **names)
