"""A long run: python -m tests.fuzz [--seconds N] [target …]. What is found is kept in the corpus, to be mended and tested.

Each target has its share of the time. With atheris installed (Python 3.11 to 3.13), coverage guides the changes; otherwise
hypothesis makes them alone.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import sys
import time
import traceback
from importlib.util import find_spec

_SHOWN = 3000  # characters of a finding


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("--seconds", type=float, default=600.0, help="for all targets together")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--by", choices=("atheris", "hypothesis"), default="atheris" if find_spec("atheris") else "hypothesis")
    parser.add_argument("targets", nargs="*")
    given = parser.parse_args()
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    if given.by == "atheris" and len(given.targets) == 1:
        return _guided(given.targets[0], given.seconds, given.seed)
    if given.by == "hypothesis":
        from tests.fuzz.targets import TARGETS

        names = given.targets or list(TARGETS)
        return max([_at_random(name, given.seconds / len(names), given.seed) for name in names])
    from tests.fuzz.targets import TARGETS

    names = given.targets or list(TARGETS)
    command = [sys.executable, "-m", "tests.fuzz", "--by", "atheris", "--seed", str(given.seed)]
    ends = [subprocess.run([*command, "--seconds", str(given.seconds / len(names)), name]).returncode for name in names]
    return max(map(abs, ends))


def _at_random(target: str, seconds: float, seed: int) -> int:
    """Inputs by hypothesis until the time is up; the first finding ends the target's turn."""
    from hypothesis import HealthCheck, given, settings
    from hypothesis import seed as seeded

    from tests.fuzz.inputs import inputs
    from tests.fuzz.targets import try_on

    until, tried, found = time.monotonic() + seconds, 0, [b""]
    while time.monotonic() < until:

        @seeded(seed + tried)
        @settings(max_examples=500, database=None, deadline=None, suppress_health_check=list(HealthCheck))
        @given(inputs(target))
        def run(content: bytes) -> None:
            if time.monotonic() < until:
                found[0] = content
                try_on(target, content)

        try:
            run()
        except Exception:
            _keep(target, found[0])
            return 1
        tried += 500
    sys.stdout.write(f"{target}: about {tried} inputs, nothing found\n")
    return 0


def _guided(target: str, seconds: float, seed: int) -> int:
    """Inputs by atheris, which sees what lines and comparisons of ours an input reaches."""
    import atheris

    with atheris.instrument_imports(include=["tunewright"]):
        from tests.fuzz.inputs import CORPUS
        from tests.fuzz.targets import try_on

    def one(content: bytes) -> None:
        try:
            try_on(target, content)
        except BaseException:
            _keep(target, content)
            raise

    options = [
        f"-max_total_time={max(1, int(seconds))}",
        f"-seed={seed % 2**31}",
        "-max_len=65536",
        "-rss_limit_mb=6000",
        "-timeout=60",
    ]
    begin = str(CORPUS / target)
    atheris.PreparedRun(
        [sys.argv[0], *options, "-artifact_prefix=/tmp/", "-verbosity=0", "-print_final_stats=1", _work(), begin], one
    )
    atheris.Fuzz()
    return 0


def _work() -> str:
    """A folder for what the run finds interesting, so that the corpus stays small."""
    import tempfile

    return tempfile.mkdtemp(prefix="tunewright-fuzz-")


def _keep(target: str, content: bytes) -> None:
    from tests.fuzz.inputs import CORPUS

    path = CORPUS / target / f"found-{hashlib.sha256(content).hexdigest()[:12]}"
    path.write_bytes(content)
    sys.stdout.write(f"{target}: FOUND, kept as {path}\n{traceback.format_exc()[-_SHOWN:]}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
