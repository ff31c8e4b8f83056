"""What a user names to be written: regular files alone, links followed, never inside a run; modes and the umask are kept."""

from __future__ import annotations

import os
import socket
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tunewright.core import files
from tunewright.core.errors import UserError
from tunewright.core.files import write_bytes, write_json
from tunewright.core.outputs import MODEL, check_output_folder, holds_ours, output_file, write_output
from tunewright.core.storage import DISK
from tunewright.models.pooling import METADATA
from tunewright.training import checkpoint_folder

RUN = {"status": "done", "created": "now", "strategy": "lora", "more": 1}


@contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def special(kind: str, path: Path) -> int:
    """Make something that is no regular file; returns what the system calls it."""
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        try:
            os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 3))
        except PermissionError:
            pytest.skip("only root makes devices")
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(str(path))
    else:
        path.mkdir()
    return stat.S_IFMT(path.stat().st_mode)


@pytest.mark.parametrize("through_a_link", [False, True])
@pytest.mark.parametrize("kind", ["pipe", "device", "socket", "folder"])
def test_what_is_no_regular_file_is_refused_and_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, through_a_link: bool
) -> None:
    monkeypatch.chdir(tmp_path)  # a socket's name has to be short
    path = Path("there")
    made = special(kind, path)
    named = path
    if through_a_link:
        named = Path("link")
        named.symlink_to(path)
    with pytest.raises(UserError, match=f"is a {kind}"):
        write_output(named, b"new")
    assert stat.S_IFMT(path.stat().st_mode) == made
    if kind != "folder":  # our own files, which nobody names, are written without that look
        write_bytes(path, b"new")
        assert path.read_bytes() == b"new"


def test_a_link_stays_and_its_target_is_replaced(tmp_path: Path) -> None:
    below = tmp_path / "below"
    below.mkdir()
    (below / "target.csv").write_text("old")
    (tmp_path / "second").symlink_to(below / "target.csv")
    (tmp_path / "first").symlink_to("second")
    write_output(tmp_path / "first", b"new")
    assert (below / "target.csv").read_text() == "new"
    assert (tmp_path / "first").is_symlink()
    assert (tmp_path / "second").is_symlink()
    (tmp_path / "dangling").symlink_to(below / "not-yet" / "made.csv")
    write_output(tmp_path / "dangling", b"made")
    assert (below / "not-yet" / "made.csv").read_text() == "made"
    assert (tmp_path / "dangling").is_symlink()
    write_bytes(tmp_path / "first", b"ours")  # as our own files are written: the link would be gone
    assert not (tmp_path / "first").is_symlink()


def test_what_can_never_be_written_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "loop").symlink_to("loop")
    for name in ("file/answers.csv", "loop", "loop/answers.csv", "a\0b", "x" * 300):
        with pytest.raises(UserError):
            output_file(tmp_path / name)
    with pytest.raises(UserError, match="address"):
        output_file("http://example.org/answers.csv")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "loop"]
    assert output_file(tmp_path / "new" / "answers.csv") == (tmp_path / "new" / "answers.csv").resolve()


def test_a_file_that_lost_its_name_is_refused(tmp_path: Path) -> None:
    with (tmp_path / "gone").open("w") as file:
        (tmp_path / "gone").unlink()
        with pytest.raises(UserError, match="no name any more"):
            output_file(f"/proc/self/fd/{file.fileno()}")


def run_in(folder: Path) -> Path:
    write_json(folder / "manifest.json", RUN)
    (folder / "model").mkdir()
    (folder / "model" / MODEL).write_text("{}")
    return folder


def test_nothing_is_written_inside_a_run_or_a_saved_model(tmp_path: Path) -> None:
    run = run_in(tmp_path / "runs" / "mine")
    model = tmp_path / "copied"
    model.mkdir()
    (model / MODEL).write_text("{}")
    (tmp_path / "short").symlink_to(run)
    (run / "leads-out").symlink_to(tmp_path / "out.csv")
    (tmp_path / "leads-in").symlink_to(run / "model" / "adapter_model.safetensors")
    refused = [
        run / "model" / "adapter_model.safetensors",
        run / "answers.csv",
        run / "new" / "below" / "answers.csv",
        model / "answers.csv",
        tmp_path / "short" / "scores.json",
        run / "leads-out",
        tmp_path / "leads-in",
        tmp_path / "copied" / ".." / "runs" / "mine" / "scores.json",
    ]
    for path in refused:
        with pytest.raises(UserError, match="folder of a run or a saved model"):
            write_output(path, b"x")
    for path in (tmp_path / "runs" / "answers.csv", run / ".." / "beside.csv", tmp_path / "copied" / ".." / "there.csv"):
        write_output(path, b"x")
        assert path.read_bytes() == b"x"
    with pytest.raises(UserError, match="folder of a run"):
        check_output_folder(run / "again")
    check_output_folder(tmp_path / "runs" / "other")


def test_which_folders_are_ours(tmp_path: Path) -> None:
    assert MODEL == METADATA
    made = checkpoint_folder.write_folder(tmp_path / "checkpoints", 3, [("a", b"b")], {}, DISK)
    assert holds_ours(made)
    for name, content in {"web": '{"name": "app", "icons": []}', "list": "[1]", "broken": "{"}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "manifest.json").write_text(content)
        assert not holds_ours(tmp_path / name)
    (tmp_path / "broken" / "recipe.yaml").write_text("seed: 0")
    assert holds_ours(tmp_path / "broken")
    (tmp_path / "web" / "recipe.yaml").write_text("seed: 0")  # somebody's own project with a recipe in it
    assert not holds_ours(tmp_path / "web")


@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_a_runs_folder_is_a_folder(tmp_path: Path, kind: str) -> None:
    special(kind, tmp_path / "there")
    with pytest.raises(UserError, match=f"is a {kind}"):
        check_output_folder(tmp_path / "there")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    with pytest.raises(UserError, match="leads nowhere"):
        check_output_folder(tmp_path / "link")
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(UserError):
        check_output_folder(tmp_path / "loop")


@pytest.mark.parametrize(("mask", "wanted"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664), (0o027, 0o640)])
def test_a_new_file_has_the_mode_that_the_umask_leaves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mask: int, wanted: int
) -> None:
    with umask(mask):
        write_bytes(tmp_path / "plain", b"x")
        write_output(tmp_path / "output", b"x")
        DISK.write(tmp_path / "stored", b"x")
        assert [mode(path) for path in sorted(tmp_path.iterdir())] == [wanted] * 3

        def beside(path: Path, mode: int) -> tuple[int, Path]:
            """As files were made before."""
            handle, name = tempfile.mkstemp(dir=path.parent)
            os.fchmod(handle, 0o644)
            return handle, Path(name)

        monkeypatch.setattr(files, "_new_beside", beside)
        write_bytes(tmp_path / "before", b"x")
        assert (mode(tmp_path / "before") == wanted) is (mask == 0o022)


@pytest.mark.parametrize("kept", [0o600, 0o640, 0o444, 0o666, 0o755])
def test_a_file_that_was_there_keeps_its_mode(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: int) -> None:
    path = tmp_path / "answers.csv"
    path.write_text("old")
    path.chmod(kept)
    with umask(0o022):
        write_output(path, b"new")
        assert (path.read_bytes(), mode(path)) == (b"new", kept)
        monkeypatch.setattr(files, "_regular", lambda path: None)
        write_output(path, b"newer")
        assert mode(path) == 0o644  # without the look


def test_a_file_that_was_there_keeps_its_owner(tmp_path: Path) -> None:
    path = tmp_path / "answers.csv"
    path.write_text("old")
    try:
        os.chown(path, 12345, 23456)
    except PermissionError:
        pytest.skip("only root gives files away")
    path.chmod(0o640)
    write_output(path, b"new")
    told = path.stat()
    assert (told.st_uid, told.st_gid, mode(path)) == (12345, 23456, 0o640)


def test_a_private_files_new_content_is_never_open_to_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "secret.csv"
    path.write_text("old")
    path.chmod(0o600)
    seen: list[int] = []
    monkeypatch.setattr(files, "_make_like", lambda handle, old: seen.append(stat.S_IMODE(os.fstat(handle).st_mode)))
    write_output(path, b"new")
    assert seen == [0o600]


def test_a_folder_that_may_not_be_written_in_is_told(tmp_path: Path) -> None:
    folder = tmp_path / "closed"
    folder.mkdir(mode=0o500)
    if os.access(folder, os.W_OK):
        pytest.skip("root may write everywhere")
    with pytest.raises(UserError, match="nothing can be made"):
        output_file(folder / "answers.csv")
