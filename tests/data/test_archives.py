"""Archives: read without unpacking; names that lead out, links, bombs and damage are refused."""

from __future__ import annotations

import stat
import warnings
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tunewright.core.errors import UserError
from tunewright.datasets.formats import archives
from tunewright.datasets.formats.archives import Member, members


def packed(path: Path, files: dict[str, bytes], **settings: Any) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, **settings) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def test_members_and_their_content(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.zip", {"x/": b"", "x/1.jpg": b"one", "2.jpg": b"two"})
    assert members(path) == ["x/1.jpg", "2.jpg"]
    assert Member(path, "x/1.jpg").read() == b"one"
    assert str(Member(path, "x/1.jpg")).endswith("a.zip/x/1.jpg")
    with pytest.raises(UserError, match=r"holds no 'x/2.jpg'"):
        Member(path, "x/2.jpg").read()


def test_an_archive_that_changed_is_read_anew(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.zip", {"1.jpg": b"one"})
    assert members(path) == ["1.jpg"]
    packed(path, {"2.jpg": b"longer than before"})
    assert members(path) == ["2.jpg"]


@pytest.mark.parametrize("name", ["../a.jpg", "/etc/a.jpg", "x/../../a.jpg", "C:/a.jpg", "x\\a.jpg"])
def test_a_name_that_leads_out_is_refused(tmp_path: Path, name: str) -> None:
    entry = zipfile.ZipInfo("placeholder")
    entry.filename = name
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(entry, b"x")
    with pytest.raises(UserError, match=r"leads out|backslash"):
        members(tmp_path / "a.zip")


def test_links_doubled_names_and_encryption_are_refused(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("link.jpg")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "link.zip", "w") as archive:
        archive.writestr(link, b"/etc/passwd")
    with zipfile.ZipFile(tmp_path / "two.zip", "w") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        archive.writestr("a.jpg", b"1")
        archive.writestr("a.jpg", b"2")
    locked = bytearray(packed(tmp_path / "locked.zip", {"a.jpg": b"1"}).read_bytes())
    locked[locked.index(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "locked.zip").write_bytes(locked)
    for name, fragment in (("link.zip", "symbolic link"), ("two.zip", "two files of one name"), ("locked.zip", "is encrypted")):
        with pytest.raises(UserError, match=fragment):
            members(tmp_path / name)


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "LARGEST_FILE", 10_000)
    path = packed(tmp_path / "a.zip", {"a.jpg": b"\0" * 10_001})
    assert path.stat().st_size < 300
    with pytest.raises(UserError, match=r"unpacks to 10,001 bytes"):
        members(path)


def test_what_is_no_archive_or_damaged_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(b"PK\x03\x04 nothing more")
    with pytest.raises(UserError, match="not a whole zip archive"):
        members(tmp_path / "a.zip")
    with pytest.raises(UserError, match="cannot be read"):
        members(tmp_path / "none.zip")
    broken = bytearray(packed(tmp_path / "b.zip", {"a.jpg": b"some content that is long enough" * 9}).read_bytes())
    broken[40:50] = b"\xff" * 10
    (tmp_path / "b.zip").write_bytes(broken)
    with pytest.raises(UserError, match=r"a\.jpg is damaged"):
        Member(tmp_path / "b.zip", "a.jpg").read()
