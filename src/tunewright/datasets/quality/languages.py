"""Which language a text is in, told by its script or by its commonest words; a text that shows neither is of none.

Meant to find strays and mixtures among rows, not to name every text: a language is told only on several of its words.

Source: the rank of frequent words tells a language: Cavnar and Trenkle 1994, N-gram-based text categorization, section 3;
scripts: the Unicode Standard, chapter 3 and its blocks.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Sequence

_READ = 1000  # characters of each text (a guess)
_FEWEST, _LEAD = (
    2,
    2,
)  # common words of a language, and how many more than of the rows' main language, before it is told (a guess)
_OWN_SHARE = 0.15  # of a text's different words that are common ones of its language; running text has a third (a guess)
_SCRIPT_SHARE = 0.5  # of a text's letters, from which a script other than Latin is that of the text

# The first character of each range and whose it is; '' where a range says nothing.
_BLOCKS = (
    (0x0000, ""),
    (0x0370, "Greek"),
    (0x0400, "Cyrillic script"),
    (0x0530, "Armenian"),
    (0x0590, "Hebrew"),
    (0x0600, "Arabic script"),
    (0x0700, ""),
    (0x0750, "Arabic script"),
    (0x0780, ""),
    (0x0900, "Devanagari script"),
    (0x0980, "Bengali script"),
    (0x0A00, "Gurmukhi"),
    (0x0A80, "Gujarati"),
    (0x0B00, ""),
    (0x0B80, "Tamil"),
    (0x0C00, "Telugu"),
    (0x0C80, "Kannada"),
    (0x0D00, "Malayalam"),
    (0x0D80, "Sinhala"),
    (0x0E00, "Thai"),
    (0x0E80, "Lao"),
    (0x0F00, ""),
    (0x1000, "Burmese"),
    (0x10A0, "Georgian"),
    (0x1100, "Korean"),
    (0x1200, "Ethiopic script"),
    (0x13A0, ""),
    (0x1780, "Khmer"),
    (0x1800, ""),
    (0x1F00, "Greek"),
    (0x2000, ""),
    (0x3040, "Japanese"),
    (0x3100, ""),
    (0x3130, "Korean"),
    (0x3190, ""),
    (0x3400, "Chinese"),
    (0xA000, ""),
    (0xAC00, "Korean"),
    (0xD7B0, ""),
    (0xF900, "Chinese"),
    (0xFB00, ""),
)
_STARTS, _SCRIPTS = zip(*_BLOCKS, strict=True)
_LETTER = re.compile(r"[^\W\d_]+")

COMMON_WORDS = {
    "English": "the of and to in a is that it for on with as was are be this have from by not but what all were when we there "
    "can an your which their if do will how about out them then she some so these would other into has more her two "
    "him see could no make than been its who now my over did down only way find use may long get had you they i he me "
    "our why where am don't i'm it's",
    "German": "der die das und ist nicht zu den von mit ich des sich ein eine auf für dem im als auch es an werden aus er hat "
    "dass sie nach wird bei einer um am sind noch wie einem über einen so zum war haben nur oder aber vor zur bis "
    "mehr durch man sein wurde wir kann mein meine mich mir ihr ihre auch wenn was habe keine uns du dir wo warum "
    "wann",
    "French": "le la les de des du et est en un une que qui dans pour pas sur au avec il se plus ce par ne je vous nous son sa "
    "ses aux mais ou été cette sont comme elle tout leur être deux même fait ont ils d'un d'une c'est qu'il mon ma "
    "mes était aussi très sans où quand pourquoi comment peut j'ai l'on leurs ces entre",
    "Spanish": "el la los las de que y en un una es se no por con para del al lo como más pero sus su le ya o este sí porque "
    "esta entre cuando muy sin sobre también me hasta hay donde quien desde todo nos durante uno ni contra ese eso mi "
    "qué ha está mis cómo puedo tengo fue ser son era tiene",
    "Italian": "il la le lo gli di che e è un una in per non con del della dei delle da si al alla sono come più ma anche nel "
    "nella su questo questa ha o se mi ho io ci degli dal dalla sua suo loro essere hanno stato era quando perché "
    "dove molto tra fra uno ed",
    "Portuguese": "o a os as de que e do da em um uma para é com não no na por mais dos das se como mas ao ele ela ou ser quando "
    "muito nos já está eu também só pelo pela até isso entre era depois sem mesmo aos ter seus sua seu minha meu são "
    "foi você nas num numa",
    "Dutch": "de het een en van in is dat op te zijn met voor niet die aan er om ook als maar dan bij nog door naar heeft "
    "worden werd wordt uit hij ze ik je mijn wij we kan hebben over tot geen wat deze dit haar hun zich waar hoe "
    "waarom wanneer meer mensen",
    "Swedish": "och att det i en som på är av för med den till inte har de ett om jag var han men vi från så sig kan när nu hade "
    "vid under också efter eller där alla hur mycket vara mig min mitt mina ska skulle hon deras två man utan än hans",
    "Danish": "og at det i en som på er af for med den til ikke har de et jeg var han men vi fra så sig kan når nu havde ved "
    "også efter eller der alle hvor meget være mig min mit mine skal skulle hun deres to man uden end hans blev hvad "
    "hvordan bliver",
    "Norwegian": "og at det i en som på er av for med den til ikke har de et jeg var han men vi fra så seg kan når nå hadde ved "
    "også etter eller der alle hvor mye være meg min mitt mine skal skulle hun deres to man uten enn hans ble hva "
    "hvordan blir",
    "Finnish": "ja on ei se että oli hän ovat mutta myös kun ole joka niin tai sen olla kuin sitä mitä voi jos minun minä olen "
    "hänen vain nyt mukaan jonka ollut kanssa ennen jälkeen sekä koska miten siitä tämä nämä",
    "Polish": "i w na z nie się do to że jest o jak za od po ale co przez tak dla są czy jego tym już był było była może ich "
    "także lub które który która przy bardzo tylko jeszcze jej ze mnie mam moje moja gdzie kiedy dlaczego oraz",
    "Czech": "a v na se je že s z do to o i ve za by pro jako ale od po co jsem jsou jeho tak jak když už byl bylo byla může "
    "jejich nebo které který která při velmi jen ještě její mi mám moje kde proč aby také není má ze ke jako",
    "Romanian": "și de în la a cu pe nu că un o din este mai pentru care se sunt ce au fost sau dar prin această acest ca după "
    "până fără când unde cum îi lui ei lor fi am ai foarte despre între fiind toate",
    "Hungarian": "a az és hogy nem is egy ez de van volt csak meg mint már még el ha ki azt vagy amely ezt lesz nagyon mert "
    "hogyan én miért ami aki után között minden több lehet ezek azok szerint így pedig",
    "Turkish": "ve bir bu için de da ile ne çok daha olarak var gibi o en sonra kadar olan değil ama mi ben mı her şey kendi "
    "benim nasıl neden zaman veya ise oldu olduğu göre diye iki yok",
    "Indonesian": "yang dan di untuk dari dengan ini itu tidak pada adalah ke akan dalam ada saya mereka juga karena atau kami "
    "bisa sudah oleh telah lebih seperti kita apa bagaimana sebuah dapat anda tersebut menjadi",
    "Vietnamese": "và của là có không được cho trong một các người với những này đã để khi từ đó nhiều về ra tại vào tôi như đến "
    "năm bị thể cũng sẽ làm phải hay nếu ở trên hơn",
}

# Letters that few other languages have; each that a text shows counts as a common word.
_LETTERS = {
    "German": "ß",
    "Spanish": "ñ¿¡",
    "Portuguese": "ãõ",
    "Danish": "øæ",
    "Norwegian": "øæ",
    "Polish": "łżźśńę",
    "Czech": "řěůťď",
    "Romanian": "țţă",
    "Hungarian": "őű",
    "Turkish": "ığş",
    "Vietnamese": "ạảấầẩẫậắằẳẵặẹẻẽếềểễệỉịọỏốồổỗộớờởỡợụủứừửữựỳỵỷỹđơư",
}


def _places() -> dict[str, tuple[int, ...]]:
    found: dict[str, list[int]] = defaultdict(list)
    for place, words in enumerate(COMMON_WORDS.values()):
        for word in dict.fromkeys(part for entry in words.split() for part in re.findall(r"[^\W\d_]+", entry)):
            found[word].append(place)
    for language, letters in _LETTERS.items():
        for letter in letters:
            found[letter].append(list(COMMON_WORDS).index(language))
    return {word: tuple(places) for word, places in found.items()}


_LANGUAGES = tuple(COMMON_WORDS)
_WORDS = _places()
_OWN_LETTERS = frozenset("".join(_LETTERS.values()))


def languages_of(texts: Sequence[str]) -> list[str | None]:
    """The language of each text as its neighbors suggest: where its own words leave doubt, it is the rows' main one, or none."""
    seen = [_looked_at(text[:_READ]) for text in texts]
    plain = Counter(found for found in (_alone(one) for one in seen) if found is not None)
    main = plain.most_common(1)[0][0] if plain else None
    return [_beside(one, main) for one in seen]


_Seen = str | tuple[dict[int, int], int] | None  # a script's language, or different common words by language, of how many words


def _looked_at(text: str) -> _Seen:
    script = None if text.isascii() else _script(text)
    if script is not None:
        return script
    hits: dict[int, int] = {}
    lower = text.lower()
    words = set(_LETTER.findall(lower))
    for word in words if text.isascii() else words | _OWN_LETTERS.intersection(lower):
        for place in _WORDS.get(word, ()):
            hits[place] = hits.get(place, 0) + 1
    return (hits, len(words)) if hits else None


def _script(text: str) -> str | None:
    """The script that most letters are of, None for Latin; kana among Chinese characters are Japanese."""
    counts = Counter(_SCRIPTS[bisect_right(_STARTS, ord(one)) - 1] for one in text if one.isalpha())
    total, counts[""] = sum(counts.values()), 0
    if counts["Japanese"] and counts["Japanese"] + counts["Chinese"] >= _SCRIPT_SHARE * total:
        return "Japanese"
    name, many = counts.most_common(1)[0]
    return name if name and many >= _SCRIPT_SHARE * total else None


def _alone(seen: _Seen) -> str | None:
    """The language by the text alone; None where two are as likely."""
    if seen is None or isinstance(seen, str):
        return seen
    ranked = sorted(seen[0].items(), key=lambda item: -item[1])
    if ranked[0][1] < _FEWEST or (len(ranked) > 1 and ranked[1][1] == ranked[0][1]):
        return None
    return _LANGUAGES[ranked[0][0]]


def _beside(seen: _Seen, main: str | None) -> str | None:
    """The language, where it is clearly another than the main one or clearly that."""
    if seen is None or isinstance(seen, str):
        return seen
    hits, words = seen
    own = hits.get(_LANGUAGES.index(main), 0) if main in _LANGUAGES else 0
    best = _alone(seen)
    if best is not None and best != main:
        most = max(hits.values())
        return best if most >= own + _LEAD and most >= _OWN_SHARE * words else None
    return main if own and best is not None else None
