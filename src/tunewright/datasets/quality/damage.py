"""What a text went through before it came here: a wrong encoding, pieces of a web page, characters that nobody types.

Source: UTF-8's lead and continuation bytes: RFC 3629, section 3; Windows-1252, by which they were read: the WHATWG Encoding
standard, index-windows-1252; entities and tags: the HTML standard, sections 13.1.2 and 13.1.4.
"""

from __future__ import annotations

import html
import re

_CONTINUATION = "".join(
    {byte: None for number in range(0x80, 0xC0) for byte in (chr(number), bytes([number]).decode("cp1252", "ignore"))}
)
_AFTER = f"[{re.escape(_CONTINUATION)}]"
# 'Ã' or 'Â' before one such character, or a lead of three or four bytes before two or three; other pairs also stand in words.
_MOJIBAKE = re.compile(f"(?:[ÂÃ]{_AFTER}|[à-ï]{_AFTER}{{2}}|[ð-ô]{_AFTER}{{3}})+")

_TAGS = "a abbr b blockquote body br center code div em font form h1 h2 h3 h4 h5 h6 head hr html i iframe img input li link meta"
_TAGS += " ol option p pre script section select small span strong style sub sup table tbody td th title tr tt u ul video"
_TAG = re.compile(rf"</?(?:{_TAGS.replace(' ', '|')})(?:\s[^<>]{{0,500}})?/?>|<!--|<!doctype\b", re.IGNORECASE)
_ENTITY = re.compile(
    r"&(?:[A-Za-z]{2,8}\d{0,2}|#\d{2,6}|#[xX][0-9a-fA-F]{2,6});"
    r"|(?<![\w&#])#(?:3[3-9]|4[0-7]|58|59|6[0-4]|9[1-6]|12[3-6]|1[6-9]\d|2[0-5]\d|8\d\d\d);"
)
# Controls but for tab and ends of lines, the mark of an undecodable byte, marks of byte order, private and no characters.
_ODD = re.compile("[\x00-\x08\x0b\x0e-\x1f\x7f-\x84\x86-\x9f\ufffd\ufeff\ue000-\uf8ff\ufdd0-\ufdef\ufffe\uffff]")


def is_mojibake(text: str) -> bool:
    """Whether a piece of the text is UTF-8 that was read as Windows-1252: 'cafÃ©'."""
    return not text.isascii() and mend_mojibake(text) != text


def mend_mojibake(text: str) -> str:
    """The text with such pieces read again as UTF-8; what is no UTF-8 stays as it is."""
    return text if text.isascii() else _MOJIBAKE.sub(_read_again, text)


def _read_again(match: re.Match[str]) -> str:
    try:
        return b"".join(_byte(character) for character in match[0]).decode("utf-8")
    except UnicodeError:
        return match[0]


def _byte(character: str) -> bytes:
    """A character as Windows-1252 has it; five bytes that have none there are those of Latin-1."""
    try:
        return character.encode("cp1252")
    except UnicodeEncodeError:
        return character.encode("latin-1")


def has_html(text: str) -> bool:
    """Whether a tag or an entity of HTML is left, also one that lost its ampersand ('#39;')."""
    if "<" in text and _TAG.search(text) is not None:
        return True
    return ";" in text and any(_entity(match) != match[0] for match in _ENTITY.finditer(text))


def without_html(text: str) -> str:
    """The text with its entities read and then its tags taken out, a space in place of each."""
    return _TAG.sub(" ", _ENTITY.sub(_entity, text))


def _entity(match: re.Match[str]) -> str:
    return html.unescape(match[0]) if match[0].startswith("&") else html.unescape(f"&{match[0]}")


def has_odd_characters(text: str) -> bool:
    """Whether it holds control characters, replacement characters or others that nobody types."""
    return _ODD.search(text) is not None
