"""Wrong encodings are found and mended exactly, remains of web pages too; sound text of any language is left alone."""

from __future__ import annotations

import pytest

from tunewright.datasets.quality.damage import has_html, has_odd_characters, is_mojibake, mend_mojibake, without_html

SOUND = [
    "café, naïve, Ärger, São João, Ångström",
    "“quoted” – and … dashes — €5, £3, 20°",
    "Ã is a letter, so are Â and É",
    "ELÊTRICO AÇÃO CORAÇÃO",
    "русский, ελληνικά, 日本語, עברית, 🙂🚀",
    "NAÏVE® CAFÉ© ÜBER»",
    "plain ASCII",
]


@pytest.mark.parametrize("text", SOUND)
def test_sound_text_is_left_alone(text: str) -> None:
    assert not is_mojibake(text)
    assert mend_mojibake(text) == text
    assert not has_odd_characters(text)
    assert not has_html(text)


@pytest.mark.parametrize("wrong", ["cp1252", "latin-1"])
@pytest.mark.parametrize("text", ["café", "naïve Ärger", "it’s “so”", "20 £ – 5 €", "日本語", "🙂 fine"])
def test_utf8_read_in_another_encoding_is_mended_exactly(text: str, wrong: str) -> None:
    broken = "".join(bytes([byte]).decode(wrong, "ignore") or chr(byte) for byte in text.encode())
    assert is_mojibake(broken)
    assert mend_mojibake(broken) == text


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("so<br />good", "so good"),
        ("<p class='x'>so</p>", " so "),
        ("Tom &amp; Jerry", "Tom & Jerry"),
        ("it&#39;s", "it's"),
        ("caf&eacute;", "café"),
        ("it #39;s", "it 's"),
        ("&lt;b&gt;bold&lt;/b&gt;", " bold "),
    ],
)
def test_remains_of_web_pages_are_found_and_taken_out(text: str, clean: str) -> None:
    assert has_html(text)
    assert without_html(text) == clean


@pytest.mark.parametrize("text", ["a < b and c > d", "AT&T; R&D", "#1; the best", "x <3 y", "<name>, dear", "&c.; etc", "a;b"])
def test_signs_that_only_look_like_it_are_left_alone(text: str) -> None:
    assert not has_html(text)


def test_odd_characters() -> None:
    for text in ("a\x00b", "a\x93b\x94", "caf\ufffd", "\ufeffstart", "icon \ue001"):
        assert has_odd_characters(text)
    assert not has_odd_characters("tab\tline\nend\r\n zero\u200djoined")
