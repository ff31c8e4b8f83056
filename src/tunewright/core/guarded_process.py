"""A child process for what a stranger wrote: it gets little memory and time, and is killed when it takes more.

The child reads a question of JSON in each line and answers in a line. It sees neither the parent's memory nor its environment's
secrets, may write no file, and a question that it does not answer in time costs nothing but the child.
Known limits: it may read what the user may read, and where the system cannot limit memory (macOS) only time is.
"""

from __future__ import annotations

import atexit
import json
import os
import select
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, final

_PASSED_ON = ("PATH", "LANG", "LC_ALL", "SYSTEMROOT", "VIRTUAL_ENV", "PYTHONHOME")
_LONGEST = 1 << 26  # bytes of an answer
_START = 120.0  # seconds in which a child has to be ready, on the slowest machine (a guess)


class Stopped(Exception):  # noqa: N818 - a state of the child
    """The child was late, died or answered without end; the message says which."""


@final
class Worker:
    """The child that runs ``module``, started when it is first asked; one question at a time."""

    def __init__(self, module: str, memory: int) -> None:
        self._module, self._memory = module, memory
        self._lock = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._owner = 0  # a process that was forked after the child was started needs one of its own

    def ask(self, question: Any, seconds: float) -> Any:
        """The child's answer; ``Stopped`` where there is none within ``seconds``. The next question starts a new child."""
        with self._lock:
            try:
                child = self._running()
                return json.loads(self._exchanged(child, json.dumps(question).encode() + b"\n", time.monotonic() + seconds))
            except BaseException:
                self.close()
                raise

    def close(self) -> None:
        """End the child, if there is one."""
        child, self._child = self._child, None
        if child is None or self._owner != os.getpid():
            return
        child.kill()
        child.wait()
        for pipe in (child.stdin, child.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._child is None or self._owner != os.getpid() or self._child.poll() is not None:
            self.close()
            code = f"from tunewright.core.guarded_process import serve; serve({self._module!r}, {self._memory})"
            root = str(Path(__file__).resolve().parents[2])
            self._child = subprocess.Popen(
                [sys.executable, "-P", "-c", code],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                bufsize=0,
                env={name: os.environ[name] for name in _PASSED_ON if name in os.environ} | {"PYTHONPATH": root},
            )
            if self._owner == 0:
                atexit.register(self.close)
            self._owner = os.getpid()
            self._exchanged(self._child, b"", time.monotonic() + _START)
        return self._child

    def _exchanged(self, child: subprocess.Popen[bytes], question: bytes, until: float) -> bytes:
        """Write the question and read the answer, both as far as the child takes and gives."""
        assert child.stdin is not None and child.stdout is not None
        into, out = child.stdin.fileno(), child.stdout.fileno()
        os.set_blocking(into, False)
        answer = bytearray()
        left = memoryview(question)
        while not answer.endswith(b"\n"):
            ready, takes, _ = select.select([out], [into] if left else [], [], max(0.0, until - time.monotonic()))
            if not ready and not takes:
                raise Stopped("took too long")
            if takes:
                try:
                    left = left[os.write(into, left[: 1 << 16]) :]
                except BrokenPipeError:
                    raise Stopped("died") from None
            if ready:
                piece = os.read(out, 1 << 16)
                answer += piece
                if not piece:
                    raise Stopped("died, as for want of memory")
                if len(answer) > _LONGEST:
                    raise Stopped("answered without end")
        return bytes(answer)


def serve(module: str, memory: int) -> None:
    """What the child does: limit itself, then answer with the module's ``answer`` until nobody asks any more."""
    from importlib import import_module

    answer: Callable[[Any], Any] = import_module(module).answer
    _limit(memory)
    sys.stdout.write("\n")  # ready
    sys.stdout.flush()
    for line in sys.stdin.buffer:
        sys.stdout.write(json.dumps(answer(json.loads(line))) + "\n")
        sys.stdout.flush()


def _limit(memory: int) -> None:
    import resource

    for kind, value in ((resource.RLIMIT_AS, memory), (resource.RLIMIT_FSIZE, 0), (resource.RLIMIT_CORE, 0)):
        with suppress(OSError, ValueError):
            resource.setrlimit(kind, (value, value))
