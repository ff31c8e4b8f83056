"""Languages told by script and by common words; what shows neither is of none."""

from __future__ import annotations

import pytest

from tunewright.datasets.quality.languages import COMMON_WORDS, languages_of

ENGLISH = ["Where is the card that you sent to me?", "I have not been told what it would cost.", "They were here when we came."]
OTHERS = {
    "German": "Ich habe meine Karte noch nicht bekommen, wo ist sie?",
    "French": "Je ne sais pas où est la carte que vous avez envoyée.",
    "Spanish": "¿Dónde está la tarjeta que me han enviado?",
    "Italian": "Non ho ancora ricevuto la carta che mi avete mandato.",
    "Portuguese": "Não sei onde está o cartão que você enviou.",
    "Dutch": "Ik heb de kaart nog niet ontvangen, waar is die?",
    "Swedish": "Jag har inte fått kortet och det är för sent.",
    "Polish": "Nie wiem, gdzie jest moja karta i czy jest już w drodze.",
    "Turkish": "Kartım nerede ve ne zaman gelecek, bunun için çok bekledim.",
    "Greek": "Πού είναι η κάρτα μου;",
    "Cyrillic script": "Где моя карта?",
    "Arabic script": "أين بطاقتي؟",
    "Hebrew": "איפה הכרטיס שלי?",
    "Chinese": "我的卡在哪里？",
    "Japanese": "私のカードはどこですか？",
    "Korean": "내 카드는 어디에 있나요?",
    "Thai": "บัตรของฉันอยู่ที่ไหน",
    "Devanagari script": "मेरा कार्ड कहाँ है?",
}


@pytest.mark.parametrize("language", OTHERS)
def test_a_stray_among_english_rows_is_told(language: str) -> None:
    told = languages_of([*ENGLISH, OTHERS[language]])
    assert told == ["English", "English", "English", language]


def test_what_shows_no_language_is_of_none() -> None:
    assert languages_of(["", "12345", "acgtacgtac", "!!!", "Kraków 2024 Düsseldorf"]) == [None] * 5
    assert languages_of([]) == []


def test_names_and_borrowed_words_do_not_make_a_text_foreign() -> None:
    texts = [
        *ENGLISH,
        "The café at Champs de Mars was not open.",
        "She was born in Łódź and lives in São Paulo.",
        "I read about the Große Freiheit in Hamburg.",
        "im so tired and im going home",
    ]
    assert set(languages_of(texts)) <= {"English", None}


def test_each_language_has_words_of_its_own() -> None:
    for name, words in COMMON_WORDS.items():
        others = {word for other, more in COMMON_WORDS.items() if other != name for word in more.split()}
        assert len(set(words.split()) - others) >= 8, name
