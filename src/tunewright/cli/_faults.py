"""Exit codes: 0 done, 1 our fault or a proof that failed, 2 the user's input, 130 interrupted, 143 ended by SIGTERM."""

from __future__ import annotations

import errno
import functools
import os
import signal
import traceback
from collections.abc import Callable

import typer

from tunewright.cli._output import print_json, say
from tunewright.core.errors import Faults, UserError
from tunewright.training.interrupts import ending_on_term

FAILED, USER, BY_SIGNAL = 1, 2, 128  # by a signal: 128 and its number, as shells have it

# What the file system refuses is for the user to mend: rights, room, names too long or of the wrong kind, a disk that fails.
_NAMED = "EACCES EPERM ENOSPC EDQUOT EFBIG EIO EROFS ENAMETOOLONG ENOTDIR EISDIR ELOOP"
_REFUSALS = {getattr(errno, name) for name in _NAMED.split()}


def guarded(run: Callable[..., None]) -> Callable[..., None]:
    """``run`` with every error turned into a short message and its exit code; no traceback unless TUNEWRIGHT_DEBUG=1."""

    @functools.wraps(run)
    def command(**options: object) -> None:
        as_json = bool(options.get("as_json"))
        try:
            with ending_on_term():
                run(**options)
        except (typer.Exit, typer.Abort, BrokenPipeError):
            raise
        except KeyboardInterrupt as stop:
            _end(as_json, "interrupted", str(stop) or "Interrupted.", BY_SIGNAL + getattr(stop, "signal", signal.SIGINT))
        except UserError as error:
            _end(as_json, "input", str(error), USER, error)
        except OSError as error:
            if error.errno not in _REFUSALS:
                _end_as_ours(as_json, error)
            _end(as_json, "input", f"{error.filename or 'a file'}: {error.strerror}.", USER)
        except Exception as error:
            _end_as_ours(as_json, error)
        except BaseException as error:
            if type(error).__name__ != "PanicException":  # how the libraries written in Rust break down
                raise
            said = f"a file of the model or the data made a library break down: {str(error).splitlines()[0][:200]}"
            _end(as_json, "input", said, USER)

    return command


def _end_as_ours(as_json: bool, error: Exception) -> None:
    lines = [f"tunewright failed: {type(error).__name__}: {error}", "This is our fault, not yours."]
    if not _debugging():
        lines.append("TUNEWRIGHT_DEBUG=1 shows where it happened.")
    said = "\n".join((*lines, "Please report it with the command and `tunewright --version`."))
    _end(as_json, "internal", said, FAILED)


def _end(as_json: bool, kind: str, said: str, code: int, error: UserError | None = None) -> None:
    """Say what happened on standard error, and with --json also as the one document on standard output."""
    if _debugging():
        say(traceback.format_exc().rstrip())
    say(f"{'Error: ' if code == USER else ''}{said}")
    if as_json:
        faults = error.faults if isinstance(error, Faults) else () if error is None else (error,)
        print_json({"error": {"kind": kind, "message": said, "faults": [_describe(fault) for fault in faults]}})
    raise typer.Exit(code)


def _describe(fault: UserError) -> dict[str, str | None]:
    return {"what": fault.what, "expected": fault.expected or None, "nearest": fault.nearest, "try": fault.try_ or None}


def _debugging() -> bool:
    return os.environ.get("TUNEWRIGHT_DEBUG", "") not in ("", "0")
