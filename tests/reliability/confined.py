"""A stranger's files in a child that is watched: how it ended, what it took, what it wrote, and whether it called anybody."""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.reliability.harness import Problems, new_folder, start, warm
from tunewright.core.files import hash_file

SECONDS, MEGABYTES = 5.0, 1024  # of the processor's time, and of memory beyond what the child began with
_ROOM = 6 << 30  # address space that a child may take, so that a defence that fails takes nobody else's memory
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Took:
    """A child's end, what it said, the processor's seconds and the memory that it took, and what it left where it stood."""

    code: int
    said: str
    seconds: float
    megabytes: float
    left: tuple[str, ...]


def confined(work: Callable[[], object]) -> Took:
    """Run ``work`` in a child that must not open a connection, in an empty folder."""
    warm()
    here = new_folder()

    def limited() -> None:
        used = int(Path("/proc/self/statm").read_text().split()[0]) * _PAGE
        resource.setrlimit(resource.RLIMIT_AS, (used + _ROOM, resource.RLIM_INFINITY))
        sys.addaudithook(_alone)
        os.chdir(here)
        work()

    resident = int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE
    child, written = start(limited)
    _, status, taken = os.wait4(child, 0)
    said = written.read_text(errors="replace") if written.is_file() else ""
    grown = taken.ru_maxrss / 1024 - resident / 2**20
    return Took(os.waitstatus_to_exitcode(status), said, taken.ru_utime + taken.ru_stime, grown, tuple(map(str, here.iterdir())))


def _alone(event: str, _: tuple[Any, ...]) -> None:
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto"):
        sys.stderr.write(f"REACHED OUT: {event}\n")
        sys.stderr.flush()
        os._exit(99)


def command(*arguments: object) -> Callable[[], None]:
    """`tunewright …`, to be run in a child."""

    def run() -> None:
        from tunewright.cli.main import main

        sys.argv = ["tunewright", *map(str, arguments)]
        main()

    return run


def refused(work: Callable[[], object], place: Path, *said: str) -> Problems:
    """Exit code 2, one clear error with all of ``said`` in it, quick, in little memory, and nothing in ``place`` changed."""
    before = _content(place)
    took = confined(work)
    problems = [] if took.code == 2 else [f"exit code {took.code}, not 2: {took.said[-400:]}"]
    problems += [f"'{text}' is not said in: {took.said[-400:]}" for text in said if text not in took.said]
    problems += ["a traceback was shown"] if "Traceback" in took.said else []
    return problems + _too_much(took) + ([] if _content(place) == before else ["something was written"])


def harmless(work: Callable[[], object], place: Path) -> Problems:
    """It goes well, and what ``work`` itself checks holds; else nothing may be written either."""
    before = _content(place)
    took = confined(work)
    problems = [] if took.code == 0 else [f"exit code {took.code}, not 0: {took.said[-600:]}"]
    return problems + _too_much(took) + ([] if _content(place) == before else ["something was written"])


def bounded(work: Callable[[], object]) -> Problems:
    """It ends well, quick and in little memory; whatever it writes is its own."""
    took = confined(work)
    return ([] if took.code == 0 else [f"exit code {took.code}: {took.said[-600:]}"]) + _too_much(took)


def _too_much(took: Took) -> Problems:
    problems = [] if took.seconds < SECONDS else [f"{took.seconds:.1f} seconds of the processor"]
    problems += [f"{name} was left" for name in took.left]
    return problems + ([] if took.megabytes < MEGABYTES else [f"{took.megabytes:.0f} MB of memory"])


def _content(place: Path) -> dict[str, str]:
    files: Iterable[Path] = (path for path in place.rglob("*") if path.is_file() and not path.is_symlink())
    return {str(path): hash_file(path) for path in files}
