"""Personal data that can be told by its form: addresses, phone numbers, accounts, cards, and numbers of persons.

Where a number carries a check digit it is computed: a card or an account that fails it is not told. National numbers are told
only where form and check together make chance unlikely; those with one check digit and no form of their own (as the German tax
number), or with none (as the American social security number), are not looked for. Names of persons are not either.

Source: IBAN: ISO 13616 and ISO 7064 (97-10); cards: ISO/IEC 7812-1, annex B (Luhn); reserved domains: RFC 2606.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv6Address

from tunewright.datasets.quality.national import national_numbers

KINDS = {
    "iban": "a bank account (IBAN)",
    "card": "a card number",
    "national_id": "a national number of a person",
    "email": "an e-mail address",
    "ip_address": "an IP address",
    "phone": "a phone number",
}


@dataclass(frozen=True)
class Found:
    """One piece of personal data: its kind, and where it stands in the text."""

    kind: str
    start: int
    end: int


# Characters that an IBAN of each country has, its code among them (the registry of ISO 13616).
_IBAN = {
    country: length
    for length, countries in {
        15: "NO",
        16: "BE",
        18: "DK FI FK FO GL NL SD",
        19: "MK SI",
        20: "AT BA EE KZ LT LU XK",
        21: "CH HR LI LV",
        22: "BG BH CR DE GB GE IE ME RS VA",
        23: "AE GI IL IQ OM SO TL",
        24: "AD CZ ES MD PK RO SA SE SK TN VG",
        25: "LY PT ST",
        26: "IS TR",
        27: "BI DJ FR GR IT MC MR SM",
        28: "AL AZ BY CY DO GT HU LB NI PL SV",
        29: "BR EG PS QA UA",
        30: "JO KW MU",
        31: "MT SC",
        32: "LC",
        33: "RU",
    }.items()
    for country in countries.split()
}
_IBAN_START = re.compile(r"(?<![A-Za-z0-9])[A-Z]{2}\d{2}(?: ?[A-Z0-9]){11,}")

_CARD = re.compile(r"(?<![\w.,+-])\d(?:[ -]?\d){12,18}(?![\d-])")
_CARD_GROUPS = {(4, 4, 4, 4), (4, 6, 5), (4, 6, 4), (4, 4, 4, 4, 3)}

_EMAIL = re.compile(
    r"(?<![\w.+%-])[^\W_][\w.%+-]{0,63}@(?P<domain>(?:[^\W_](?:[\w-]{0,61}[^\W_])?\.)+(?P<end>[^\W\d_]{2,24}))(?![\w@-])"
)
_FILES = frozenset(["png", "jpg", "jpeg", "gif", "svg", "webp", "pdf", "css", "js", "py"])  # logo@2x.png is a file
_RESERVED = re.compile(r"(?:^|\.)(?:example(?:\.(?:com|net|org))?|test|invalid|localhost)$", re.IGNORECASE)

_IPV4 = re.compile(r"(?<![\w.-])(?:\d{1,3}\.){3}\d{1,3}(?![\w-]|\.\d)")
_IPV6 = re.compile(r"(?<![\w:.])(?:[0-9A-Fa-f]{0,4}:){3,7}[0-9A-Fa-f]{0,4}(?![\w:])")
_VERSION = re.compile(r"(?:v|ver|version|release|build|section|chapter|firmware)[ .:]*$", re.IGNORECASE)

# Ways of writing a phone number: with the country, as in North America, and with the leading zero of most other countries.
_PHONES = (
    re.compile(r"(?<![\w+])\+(?:[ ().\-/]{0,2}\d){8,15}(?![\d])"),
    re.compile(r"(?<![\d.\-+(/])(?:1[ .-])?\([2-9]\d\d\) ?[2-9]\d\d[ .-]\d{4}(?![\d-])"),
    re.compile(r"(?<![\d.\-+(/])(?:1-)?[2-9]\d\d-[2-9]\d\d-\d{4}(?![\d-])|(?<![\d.\-+(/])[2-9]\d\d\.[2-9]\d\d\.\d{4}(?![\d.-])"),
    re.compile(r"(?<![\d.,\-+/])0[1-9](?:([ .-])\d\d)(?:\1\d\d){3}(?![\d-]|[.,]\d)"),
    re.compile(r"(?<![\d.,\-+/])\(?0[1-9]\d{1,4}\)?[ /-]\d{3,8}(?:[ -]\d{2,6}){0,2}(?![\d-]|[.,]\d)"),
    re.compile(r"(?<![\w.,\-+/£$€#])0[1-9]\d{8,9}(?![\w-]|[.,]\d)"),
)
_NAMED_PHONE = re.compile(
    r"\b(?:tel|telephone|phone|fax|mobile|mob|cell|call|whatsapp|telefon|handy|tél|téléphone)\b\W{0,3}"
    r"(?:(?:me|us|at|on|no|nr|number|is|now|free)\b\W{0,2}){0,3}(?P<number>\d(?:[ .\-/]?\d){6,13})(?![\d]|[.,]\d)",
    re.IGNORECASE,
)
_FEWEST_DIGITS, _MOST_DIGITS = 9, 15  # of a phone number written with its leading zero; of any (E.164)
_SOME_DIGITS, _MANY_DIGITS = re.compile(r"\d(?:\D{0,3}\d){5}"), re.compile(r"\d(?:\D{0,3}\d){6}")
_SEPARATOR = re.compile(r"[^0-9]+")


def find_personal(text: str) -> list[Found]:
    """All that looks like personal data, in the order of the text; what overlaps is told as the surer kind."""
    if "@" not in text and text.count(":") < 3 and not _SOME_DIGITS.search(text):
        return []
    found: list[Found] = []
    for kind, look in _LOOKS:
        for start, end in look(text):
            if all(end <= one.start or start >= one.end for one in found):
                found.append(Found(kind, start, end))
    return sorted(found, key=lambda one: one.start)


def mask_personal(text: str, found: Sequence[Found] | None = None) -> str:
    """The text with each piece of personal data replaced by its kind in brackets: 'write to [email]'."""
    for one in reversed(find_personal(text) if found is None else found):
        text = f"{text[: one.start]}[{one.kind}]{text[one.end :]}"
    return text


def luhn(digits: str) -> bool:
    """Whether the last digit is the check of the others: every second from the right doubled, the sum a multiple of ten."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + place % 2)
        total += value - 9 * (value > 9)
    return total % 10 == 0


def iban_is_right(iban: str) -> bool:
    """Whether length and check digits are those of the country: the number that its letters spell leaves 1 modulo 97."""
    if _IBAN.get(iban[:2]) != len(iban):
        return False
    return int("".join(str(int(character, 36)) for character in iban[4:] + iban[:4])) % 97 == 1


def _ibans(text: str) -> Iterator[tuple[int, int]]:
    for match in _IBAN_START.finditer(text):
        wanted, taken, end = _IBAN.get(match[0][:2], 0), "", match.start()
        while end < match.end() and len(taken) < wanted:
            taken += text[end].strip()
            end += 1
        if iban_is_right(taken) and not (end < len(text) and text[end].isalnum()):
            yield match.start(), end


def _cards(text: str) -> Iterator[tuple[int, int]]:
    for match in _CARD.finditer(text):
        groups = _SEPARATOR.split(match[0])
        digits, separators = "".join(groups), set(_SEPARATOR.findall(match[0]))
        written = len(groups) == 1 or (len(separators) == 1 and tuple(map(len, groups)) in _CARD_GROUPS)
        if written and _is_issued(digits) and luhn(digits):
            yield match.span()


def _is_issued(digits: str) -> bool:
    """Whether a card company gives out numbers of this beginning and length."""
    two, four, length = int(digits[:2]), int(digits[:4]), len(digits)
    if digits[0] == "4":
        return length in (13, 16, 19)
    if 51 <= two <= 55 or 2221 <= four <= 2720:
        return length == 16
    if two in (34, 37):
        return length == 15
    if two in (36, 38) or 300 <= int(digits[:3]) <= 305:
        return length == 14
    return length == 16 and (two in (35, 62, 65) or four == 6011)


def _emails(text: str) -> Iterator[tuple[int, int]]:
    if "@" not in text:
        return
    for match in _EMAIL.finditer(text):
        if match["end"].lower() not in _FILES and not _RESERVED.search(match["domain"]):
            yield match.span()


def _addresses(text: str) -> Iterator[tuple[int, int]]:
    """Addresses of the open network; four short numbers are rather those of a version or a section."""
    if text.count(".") >= 3:
        for match in _IPV4.finditer(text):
            long = sum(len(part) > 1 for part in match[0].split("."))
            if (
                long >= 2
                and _is_open(IPv4Address, match[0])
                and not _VERSION.search(text[max(0, match.start() - 12) : match.start()])
            ):
                yield match.span()
    if text.count(":") >= 3:
        for match in _IPV6.finditer(text):
            if len(match[0].replace(":", "")) >= 6 and _is_open(IPv6Address, match[0]):
                yield match.span()


def _is_open(kind: type[IPv4Address] | type[IPv6Address], text: str) -> bool:
    try:
        return kind(text).is_global
    except AddressValueError:
        return False


def _phones(text: str) -> Iterator[tuple[int, int]]:
    if not _MANY_DIGITS.search(text):
        return
    for place, pattern in enumerate(_PHONES):
        for match in pattern.finditer(text):
            digits = _SEPARATOR.sub("", match[0])
            if _is_phone(digits, with_country=place == 0) and not (match[0].isdigit() and _is_isbn(digits)):
                yield match.span()
    for match in _NAMED_PHONE.finditer(text):
        yield match.span("number")


def _is_phone(digits: str, *, with_country: bool) -> bool:
    if with_country:
        american = digits[0] == "1"
        return digits[0] != "0" and (not american or (len(digits) == 11 and digits[1] in "23456789" and digits[4] in "23456789"))
    return _FEWEST_DIGITS <= len(digits) <= _MOST_DIGITS and len(set(digits)) > 2


def _is_isbn(digits: str) -> bool:
    """Whether ten digits are the number of a book: their sum weighted from 10 down is a multiple of 11."""
    return len(digits) == 10 and sum(int(digit) * (10 - place) for place, digit in enumerate(digits)) % 11 == 0


_LOOKS: tuple[tuple[str, Callable[[str], Iterator[tuple[int, int]]]], ...] = (
    ("iban", _ibans),
    ("card", _cards),
    ("national_id", national_numbers),
    ("email", _emails),
    ("ip_address", _addresses),
    ("phone", _phones),
)
