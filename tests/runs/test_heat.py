"""Weights over rows: the sign in the class of the underline, the size in its level and number, and no text that is not text."""

from __future__ import annotations

from base64 import b64encode

from tunewright.analysis.heatmap import drawn_heat


def test_words_tell_sign_and_size_without_colour() -> None:
    parts = [("good", 2.0), ("but", -1.5), ("the", 0.1), ("<b>", 0.6)]
    drawn = str(drawn_heat({"title": "row 1", "parts": parts}))
    assert '<span class="for h4" title="+2">good<sub>+2</sub></span>' in drawn
    assert '<span class="against h3" title="-1.5">but<sub>-1.5</sub></span>' in drawn
    assert " the " in drawn
    assert '<span class="for h1" title="+0.6">&lt;b&gt;</span>' in drawn
    assert drawn_heat({"title": "", "parts": [("all", 0.0)]}) == '<p class="heat">all</p>'


def test_squares_lie_row_by_row_over_the_picture() -> None:
    image = b64encode(b"picture").decode()
    parts = [("row 1, column 1", 1.0), ("row 1, column 2", 0.0), ("row 2, column 1", -1.0), ("row 2, column 2", 0.2)]
    drawn = str(drawn_heat({"title": '"quoted"', "parts": parts, "image": image, "side": 2}))
    assert f"data:image/png;base64,{image}" in drawn
    assert 'aria-label="&#34;quoted&#34;"' in drawn
    assert '<rect class="against" x="0.0" y="64.0" width="64.0" height="64.0" fill-opacity="0.75">' in drawn
    assert drawn.count('class="sign"') == 2
    assert "row 2, column 1: -1</title>" in drawn
