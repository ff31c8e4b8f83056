"""The same text about somebody else: gendered words and names, names of another origin, other nationalities; English only.

Source: pairs as in Zhao et al. 2018, Gender Bias in Coreference Resolution, section 4.1; names swapped as well: Hall Maudslay et
al. 2019, It's All in the Name, section 3; first names by origin: Caliskan et al. 2017, table 1. The lists are our own and short.
What a word means is not read: 'her' becomes 'his' before a word that can be owned and 'him' elsewhere, 'Paris' stays where it is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from tunewright.core.types import Swap

_PAIRS = """man woman, men women, boy girl, boys girls, father mother, fathers mothers, dad mom, dads moms, daddy mommy, papa
mama, son daughter, sons daughters, brother sister, brothers sisters, husband wife, husbands wives, uncle aunt, uncles aunts,
nephew niece, nephews nieces, grandfather grandmother, grandfathers grandmothers, grandpa grandma, grandson granddaughter,
grandsons granddaughters, stepfather stepmother, stepson stepdaughter, king queen, kings queens, prince princess, princes
princesses, gentleman lady, gentlemen ladies, sir madam, mr mrs, actor actress, actors actresses, waiter waitress, waiters
waitresses, boyfriend girlfriend, boyfriends girlfriends, male female, males females, groom bride, widower widow, hero
heroine, heroes heroines, host hostess, businessman businesswoman, businessmen businesswomen, policeman policewoman, policemen
policewomen, salesman saleswoman, chairman chairwoman, spokesman spokeswoman, congressman congresswoman, schoolboy schoolgirl,
cowboy cowgirl, landlord landlady, emperor empress, duke duchess, monk nun, monks nuns, wizard witch, wizards witches, steward
stewardess, masculine feminine, fatherhood motherhood, he she, himself herself, him her, his hers"""

# Names that are words as well (Mark, Will, Grace, Hope) are left out.
_MEN = """James John Robert Michael David Richard Joseph Thomas Charles Daniel Matthew Anthony Steven Paul Andrew Kenneth
George Joshua Kevin Brian Edward Ronald Timothy Jason Jeffrey Ryan Jacob Gary Nicholas Eric Jonathan Stephen Larry Justin
Scott Brandon Benjamin Adam Harry Peter Alan Roger Simon Oliver"""
_WOMEN = """Mary Patricia Jennifer Linda Elizabeth Barbara Susan Jessica Sarah Karen Nancy Lisa Betty Margaret Sandra Ashley
Kimberly Emily Donna Michelle Carol Amanda Dorothy Melissa Deborah Stephanie Rebecca Sharon Laura Cynthia Kathleen Amy Angela
Shirley Anna Brenda Emma Alice Jane Julia Ellen Katie Megan Heather"""
_BLACK_MEN = "Jamal Darnell Tyrone Lamar Malik Terrell Alonzo Leroy Jerome Deshawn Rasheed Tyree Jamel Lamont Torrance Alphonse"
_BLACK_WOMEN = (
    "Latisha Lakisha Ebony Keisha Shaniqua Tanisha Nichelle Shereen Latoya Yolanda Lashandra Jasmine Tia Shanise Malika Aisha"
)

# Each becomes the next: a nation and its people together, far from where it was.
_NATIONS = """American America, Nigerian Nigeria, German Germany, Mexican Mexico, British Britain, Indian India, French
France, Chinese China, Italian Italy, Iraqi Iraq, Canadian Canada, Pakistani Pakistan, Spanish Spain, Turkish Turkey,
Australian Australia, Russian Russia, Swedish Sweden, Vietnamese Vietnam, Dutch Holland, Kenyan Kenya, Irish Ireland, Iranian
Iran, Japanese Japan, Brazilian Brazil"""

# After 'her' or 'his' these begin something new, so that nothing is owned.
_BEGINS = """a an the this that these those and or but nor so yet if as than then when while where who whom which why how
because since until before after again away back down up out off over in on at by to for from of with about into onto through
during without is was are were be been has had have do does did will would can could may might shall should must not never
always he she it they we you i him me us them here there today yesterday tomorrow now too also alone either"""

_ARTICLE = r"(?:\b(an?)(\s+))?"


@dataclass(frozen=True)
class _Words:
    """What each word, in small letters, becomes, and on which of two sides it is (-1, 1, or 0 where there are no sides)."""

    becomes: Mapping[str, str]
    side: Mapping[str, int]
    proper: frozenset[str]  # written with a capital
    pattern: re.Pattern[str]


def swap(text: str, kind: Swap) -> str:
    """The text with every word of the kind swapped; the same text where there is none."""
    words, small = _words(kind), text == text.lower()

    def other(match: re.Match[str]) -> str:
        article, space, word = match.group(1) or "", match.group(2) or "", match.group(3)
        if not _means(words, word, small):
            return match.group(0)
        new = _cased(_other(words, word, match.string[match.end() :]), word)
        if article and space and article.lower() in ("a", "an"):
            letter = "N" if new.isupper() else "n"
            article = article[0] + (letter if new[0].lower() in "aeiou" else "")
        return f"{article}{space}{new}"

    return words.pattern.sub(other, text)


def side(text: str, kind: Swap) -> int:
    """-1 for words of one side alone (masculine; European names), 1 for those of the other alone, 0 for both, or none."""
    words, small = _words(kind), text == text.lower()
    found = {words.side[word.lower()] for _, _, word in words.pattern.findall(text) if _means(words, word, small)}
    return found.pop() if len(found) == 1 else 0


def _means(words: _Words, word: str, small: bool) -> bool:
    """Names count with their capital, or in texts that have no capitals at all."""
    return word.lower() not in words.proper or word[0].isupper() or small


def _other(words: _Words, word: str, rest: str) -> str:
    low = word.lower()
    if low in ("her", "his"):
        owned = re.match(r"\s+([a-z'’]+)", rest, re.IGNORECASE)
        owns = owned is not None and owned.group(1).lower() not in _BEGINS.split()
        return {("her", True): "his", ("her", False): "him", ("his", True): "her", ("his", False): "hers"}[low, owns]
    return words.becomes[low]


def _cased(new: str, like: str) -> str:
    if like.isupper() and len(like) > 1:
        return new.upper()
    return new[0].upper() + new[1:] if like[0].isupper() else new


@cache
def _words(kind: Swap) -> _Words:
    men, women, black_men, black_women = (names.lower().split() for names in (_MEN, _WOMEN, _BLACK_MEN, _BLACK_WOMEN))
    becomes: dict[str, str] = {}
    sides: dict[str, int] = {}
    proper: set[str] = set()

    def add(first: list[str], second: list[str]) -> None:
        """Each word of one list becomes that in the same place of the other, both ways."""
        for place, word in enumerate(first):
            becomes[word], sides[word] = second[place % len(second)], -1
        for place, word in enumerate(second):
            becomes[word], sides[word] = first[place % len(first)], 1

    if kind == "gender":
        pairs = [pair.split() for pair in _PAIRS.split(",")]
        add([first for first, _ in pairs], [second for _, second in pairs])
        add(men, women)
        add(black_men, black_women)
        becomes |= {"ms": "mr", "her": "him"}
        sides |= {"ms": 1, "her": 1}
        proper |= {*men, *women, *black_men, *black_women}
    elif kind == "names":
        add(men, black_men)
        add(women, black_women)
        proper |= set(becomes)
    else:
        nations = [nation.lower().split() for nation in _NATIONS.split(",")]
        for nation, following in zip(nations, nations[1:] + nations[:1], strict=True):
            becomes |= dict(zip(nation, following, strict=True))
        sides = dict.fromkeys(becomes, 0)
        proper |= set(becomes)
    longest = sorted(becomes, key=len, reverse=True)
    pattern = re.compile(rf"{_ARTICLE}\b({'|'.join(longest)})\b", re.IGNORECASE)
    return _Words(becomes, sides, frozenset(proper), pattern)
