"""Packages of extras: imported when there, named with their extra when missing."""

from __future__ import annotations

import json

import pytest

from tunewright.core.errors import UserError
from tunewright.core.optional_packages import require


def test_what_is_there_is_imported() -> None:
    assert require("json", "image", "images") is json


def test_what_is_missing_is_named_with_its_extra() -> None:
    with pytest.raises(UserError) as caught:
        require("no_such_package_here.inner", "image", "images")
    assert "images need the package 'no_such_package_here'" in str(caught.value)
    assert "pip install 'tunewright[image]'" in str(caught.value)
