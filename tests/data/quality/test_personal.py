"""Personal data: what is planted is found as what it is, and what only looks like it is left alone."""

from __future__ import annotations

import random

import pytest

from tunewright.datasets.quality.national import belgian, brazilian, finnish, french, italian, spanish, swiss
from tunewright.datasets.quality.personal import KINDS, find_personal, iban_is_right, luhn, mask_personal

PLANTED = {
    "email": [
        "write to jane.doe+bills@mail.uni-halle.de today",
        "<o'neil_77@acme.co.uk>",
        "(müller@bücher.de)",
        "mail:a@b.io.",
    ],
    "phone": [
        "call +49 30 901820 now",
        "+1 (212) 555-0187",
        "my number is (415) 555-2671.",
        "415-555-2671",
        "tel. 0161 496 0123",
        "030/90182076",
        "01 42 68 53 00",
        "text 08712300220 to win",
        "phone: 5552671",
        "call me on 7700 900123",
    ],
    "iban": ["DE89370400440532013000", "IBAN: GB29 NWBK 6016 1331 9268 19, thanks", "FR14 2004 1010 0505 0001 3M02 606 PLEASE"],
    "card": ["4111 1111 1111 1111", "card 5555555555554444!", "3782-822463-10005", "6011 0009 9013 9424", "2223003122003222"],
    "ip_address": ["from 93.184.216.34 at noon", "2606:4700:4700::1111", "log: 185.199.108.153:443"],
    "national_id": [
        "RSSMRA85T10A562S",
        "1 85 05 78 006 084 91",
        "12345678Z",
        "X1234567L",
        "529.982.247-25",
        "85.07.30-033.28",
        "756.9217.0769.85",
        "131052-308T",
    ],
}
NEAR_MISSES = [
    "@jane_doe and bob@localhost",
    "logo@2x.png",
    "you@example.com",
    "someone@mail.example.org",
    "4111 1111 1111 1112",  # Luhn fails
    "9111111111111111",  # nobody issues it
    "order 1234567890123456",
    "41 11 11 11 11 11 11 11",  # grouped as no card is
    "DE89370400440532013001",  # check fails
    "DE8937040044053201300",  # too short
    "DE4815571544280597561",  # the same, and its digits pass as those of a card
    "192.168.0.1 and 127.0.0.1 and 10.0.0.255",
    "version 10.12.14.16",
    "section 1.2.3.4",
    "999.300.12.12",
    "at 12:30:45:10 sharp",
    "00:1A:2B:3C:4D:5E",
    "+100000000 to him",
    "+1,000,000",
    "2024-11-21 15:43:33",
    "21.11.2024 - 24.12.2024",
    "1234567 units of 7654321",
    "0306406152",  # the number of a book
    "ISBN 978-0-306-40615-7",
    "0.0123456789",
    "£0123456789",
    "05-2020 2021",
    "500 600 2000",
    "pi is 3.14159265358979",
    "12345678A",
    "RSSMRA85T10A562T",
    "529.982.247-26",
    "85.07.30-033.29",
    "756.9217.0769.86",
    "131052-308U",
    "2 99 05 78 006 084 37",
    "call 85069",
    "1800 rows, 2000 columns, 300 of 4000",
]


@pytest.mark.parametrize(("kind", "text"), [(kind, text) for kind, texts in PLANTED.items() for text in texts])
def test_what_is_planted_is_found_as_what_it_is(kind: str, text: str) -> None:
    assert [one.kind for one in find_personal(text)] == [kind]


@pytest.mark.parametrize("text", NEAR_MISSES)
def test_what_only_looks_like_it_is_left_alone(text: str) -> None:
    assert find_personal(text) == []


def test_several_in_one_text_are_masked_where_they_stand() -> None:
    text = "Mail jane@mail.de or call +49 30 901820; IBAN DE89 3704 0044 0532 0130 00, from 93.184.216.34."
    assert mask_personal(text) == "Mail [email] or call [phone]; IBAN [iban], from [ip_address]."
    assert {one.kind for one in find_personal(text)} < set(KINDS)
    assert mask_personal("nothing here") == "nothing here"


def test_one_digit_in_ten_makes_a_luhn_number() -> None:
    assert luhn("79927398713")
    assert sum(luhn(f"7992739871{digit}") for digit in range(10)) == 1


def test_a_changed_or_swapped_digit_of_an_iban_is_noticed() -> None:
    iban = "DE89370400440532013000"
    assert iban_is_right(iban)
    generator = random.Random(0)
    for _ in range(200):
        place = generator.randrange(4, len(iban))
        other = generator.choice([digit for digit in "0123456789" if digit != iban[place]])
        assert not iban_is_right(iban[:place] + other + iban[place + 1 :])
        swapped = iban[: place - 1] + iban[place] + iban[place - 1] + iban[place + 1 :] if place > 4 else iban
        assert swapped == iban or not iban_is_right(swapped)


def test_check_digits_of_national_numbers_leave_little_to_chance() -> None:
    generator = random.Random(1)
    digits = [f"{generator.randrange(10**11):011}" for _ in range(2000)]
    as_cpf = [f"{one[:3]}.{one[3:6]}.{one[6:9]}-{one[9:]}" for one in digits]
    as_belgian = [f"{one[:2]}.{one[2:4]}.{one[4:6]}-{one[6:9]}.{one[9:]}" for one in digits]
    assert sum(map(brazilian, as_cpf)) < 50  # one in a hundred
    assert sum(map(belgian, as_belgian)) < 80  # two in 97
    assert sum(spanish(f"{one[:8]}Z") for one in digits) < 150  # one in 23
    assert sum(swiss(f"756.{one[:4]}.{one[4:8]}.{one[8:10]}") for one in digits) < 260  # one in ten, of numbers that start so
    assert sum(finnish(f"131052-{one[:3]}T") for one in digits) < 110  # one in 31
    assert sum(french(f"{one}{one[:4]}") for one in digits) < 50  # one in 97
    assert sum(italian(f"RSSMRA85T10A{one[:3]}S") for one in digits) < 130  # one in 26
