"""Characters: the alphabet in which a speech recognizer spells, as transformers' ``Wav2Vec2CTCTokenizer`` keeps it in its files.

Source: Graves et al. 2006, Connectionist temporal classification, section 2 (the blank); Baevski et al. 2020, wav2vec 2.0,
section 4.4 (characters and a sign between words).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from tunewright.core.errors import UserError
from tunewright.core.files import read_json, write_json

_VOCABULARY, _SETTINGS = "vocab.json", "tokenizer_config.json"
_BLANK, _UNKNOWN, _BETWEEN = "<pad>", "<unk>", "|"  # transformers' names


@dataclass(frozen=True)
class Characters:
    """Tokens by their number. ``blank`` is CTC's; ``between`` stands for the space; ``folded``: only capitals are known.

    ``plain``: texts are written in small letters where the alphabet has capitals alone, because the training texts are.
    """

    tokens: tuple[str, ...]
    blank: int
    between: str = _BETWEEN
    folded: bool = False
    plain: bool = False
    settings: dict[str, Any] = field(default_factory=dict, compare=False)

    def __len__(self) -> int:
        return len(self.tokens)

    @cached_property
    def numbers(self) -> dict[str, int]:
        """Number of each token that stands for one character."""
        return {token: number for number, token in enumerate(self.tokens) if len(token) == 1}

    def known(self, character: str) -> bool:
        """Whether a character can be spelt."""
        return bool(self.ids(character)) or character.isspace()

    def ids(self, text: str) -> list[int]:
        """Numbers of a text's characters; those that are not in the alphabet are left out, spaces become one."""
        written = text.upper() if self.folded else text
        known = (one for one in written if one.isspace() or (one in self.numbers and one != self.between))
        return [self.numbers[self.between if one == " " else one] for one in " ".join("".join(known).split())]

    def text(self, ids: Iterable[int]) -> str:
        """The text of some tokens, blanks and other signs left out."""
        spelt = "".join(token for token in (self.tokens[number] for number in ids) if len(token) == 1)
        words = " ".join(spelt.replace(self.between, " ").split())
        return words.lower() if self.folded and self.plain else words

    def save(self, folder: Path) -> None:
        """Write the files that transformers' tokenizer reads."""
        own = {"tokenizer_class": "Wav2Vec2CTCTokenizer", "word_delimiter_token": self.between}
        signs = {"pad_token": self.tokens[self.blank], "unk_token": _UNKNOWN, "bos_token": None, "eos_token": None}
        write_json(folder / _VOCABULARY, {token: number for number, token in enumerate(self.tokens)})
        write_json(folder / _SETTINGS, {**signs, **self.settings, **own, "do_lower_case": self.folded})


def from_folder(folder: Path, names: Sequence[str] = ()) -> Characters | None:
    """The alphabet of a model folder, None where it has none; ``names`` are the characters of the training texts."""
    path = folder / _VOCABULARY
    if not path.is_file() or (folder / "merges.txt").is_file():
        return None
    vocabulary = read_json(path)
    if any(isinstance(value, dict) for value in vocabulary.values()):
        raise UserError(f"{path} holds the alphabets of several languages", expected="one: save the model with that of yours")
    numbers = sorted(vocabulary.values())
    if numbers != list(range(len(numbers))):
        raise UserError(f"{path} does not number its {len(numbers)} tokens from 0 without gaps")
    tokens = tuple(sorted(vocabulary, key=lambda token: int(vocabulary[token])))
    settings = read_json(folder / _SETTINGS) if (folder / _SETTINGS).is_file() else {}
    settings = {key: value for key, value in settings.items() if key != "auto_map"}
    blank = _name(settings.get("pad_token", _BLANK))
    if blank not in tokens:
        raise UserError(f"{path} has no '{blank}'", expected="a token for CTC's blank, named pad_token in tokenizer_config.json")
    letters = [token for token in tokens if len(token) == 1]
    folded = not any(letter.islower() for letter in letters) and any(letter.isupper() for letter in letters)
    plain = folded and not any(name.isupper() for name in names)
    between = _name(settings.get("word_delimiter_token", _BETWEEN))
    return Characters(tokens, tokens.index(blank), between, folded, plain, settings)


def made_of(names: Iterable[str]) -> Characters:
    """A new alphabet of the characters given; '|' is said by the sign for the space, as transformers has it."""
    letters = sorted({name for name in names if len(name) == 1 and not name.isspace() and name != _BETWEEN})
    return Characters((_BLANK, _UNKNOWN, _BETWEEN, *letters), 0)


def _name(token: Any) -> str:
    """A token as its settings write it: a string, or an object with its content."""
    return str(token["content"] if isinstance(token, dict) else token)
