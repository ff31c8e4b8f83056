"""Numbers that a state gives to persons, where form and check digits together make chance unlikely.

Source: Italy: decree 345 of 23 December 1976 (codice fiscale); France: INSEE, numéro d'inscription au répertoire; Spain: royal
decree 1553/2005 (letter modulo 23); Brazil: Receita Federal (CPF, modulo 11); Belgium: royal decree of 8 January 2006 (modulo
97); Switzerland: the AHV number is an EAN-13 that starts with 756; Finland: the Digital and Population Data Services Agency
(character modulo 31).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

_ITALY = re.compile(r"\b[A-Z]{6}\d\d[ABCDEHLMPRST]\d\d[A-Z]\d{3}[A-Z]\b")
_FRANCE = re.compile(r"(?<!\d)[12] ?\d\d ?(?:0[1-9]|1[0-2]) ?(?:\d\d|2[AB]) ?\d{3} ?\d{3} ?\d\d(?!\d)")
_SPAIN = re.compile(r"(?<![\w-])(?:[XYZ]-?\d{7}|\d{8})-?[A-HJ-NP-TV-Z](?![\w-])")
_BRAZIL = re.compile(r"(?<![\d.])\d{3}\.\d{3}\.\d{3}-\d\d(?!\d)")
_BELGIUM = re.compile(r"(?<![\d.])\d\d\.(?:0\d|1[0-2])\.[0-3]\d-\d{3}\.\d\d(?!\d)")
_SWITZERLAND = re.compile(r"(?<!\d)756\.\d{4}\.\d{4}\.\d\d(?!\d)")
_FINLAND = re.compile(r"(?<![\w-])(?:[0-2]\d|3[01])(?:0[1-9]|1[0-2])\d\d[-+A-FU-Y]\d{3}[0-9A-Y](?![\w-])")

# What each character of a codice fiscale counts for in odd places; digits count as the letters of their place.
_ODD = (1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23)
_SPANISH, _FINNISH = "TRWAGMYFPDXBNJZSQVHLCKE", "0123456789ABCDEFHJKLMNPRSTUVWXY"


def national_numbers(text: str) -> Iterator[tuple[int, int]]:
    """Where such numbers stand."""
    for pattern, is_right in _NUMBERS:
        for match in pattern.finditer(text):
            if is_right(match[0]):
                yield match.span()


def italian(text: str) -> bool:
    values = [int(one) if one.isdigit() else ord(one) - ord("A") for one in text]
    return (sum(_ODD[value] for value in values[:15:2]) + sum(values[1:15:2])) % 26 == values[15]


def french(text: str) -> bool:
    plain = text.replace(" ", "")
    number = int(plain[:13].replace("2A", "19").replace("2B", "18"))
    return int(plain[13:]) == 97 - number % 97


def spanish(text: str) -> bool:
    plain = text.replace("-", "")
    digits = plain[:-1].translate(str.maketrans("XYZ", "012"))
    return _SPANISH[int(digits) % 23] == plain[-1]


def brazilian(text: str) -> bool:
    digits = [int(one) for one in text if one.isdigit()]
    checks = [-sum(digit * (length + 1 - place) for place, digit in enumerate(digits[:length])) % 11 % 10 for length in (9, 10)]
    return len(set(digits)) > 1 and checks == digits[9:]


def belgian(text: str) -> bool:
    digits = "".join(one for one in text if one.isdigit())
    return int(digits[9:]) in (97 - int(digits[:9]) % 97, 97 - int("2" + digits[:9]) % 97)


def swiss(text: str) -> bool:
    digits = [int(one) for one in text if one.isdigit()]
    return (sum(digits[::2]) + 3 * sum(digits[1::2])) % 10 == 0


def finnish(text: str) -> bool:
    return _FINNISH[int(text[:6] + text[7:10]) % 31] == text[10]


_NUMBERS: tuple[tuple[re.Pattern[str], Callable[[str], bool]], ...] = (
    (_ITALY, italian),
    (_FRANCE, french),
    (_SPAIN, spanish),
    (_BRAZIL, brazilian),
    (_BELGIUM, belgian),
    (_SWITZERLAND, swiss),
    (_FINLAND, finnish),
)
