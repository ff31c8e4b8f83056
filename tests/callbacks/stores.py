"""What each tracker's own store holds after a run: {(step, name): value}, read without our code."""

from __future__ import annotations

import json
import re
import sqlite3
import struct
from collections.abc import Iterator
from pathlib import Path

Numbers = dict[tuple[int, str], float]


def tensorboard(folder: Path) -> tuple[Numbers, str]:
    """Of all event files in their order, without what a later start purges; and the status."""
    from tensorboardX.proto.event_pb2 import Event, SessionLog

    found: Numbers = {}
    status = ""
    for file in sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime_ns):
        for record in _records(file.read_bytes()):
            event = Event.FromString(record)
            if event.HasField("session_log") and event.session_log.status == SessionLog.START:
                found = {key: value for key, value in found.items() if key[0] < event.step}
            for value in event.summary.value:
                if value.WhichOneof("value") == "simple_value":
                    found[event.step, value.tag] = value.simple_value
                elif value.tag.startswith("run/status"):
                    status = value.tensor.string_val[0].decode()
    return found, status


def _records(content: bytes) -> Iterator[bytes]:
    """Length, checksum, data, checksum: TensorFlow's records."""
    place = 0
    while place < len(content):
        (length,) = struct.unpack_from("<Q", content, place)
        yield content[place + 12 : place + 12 + length]
        place += 12 + length + 4


def mlflow(folder: Path, run: str) -> tuple[Numbers, str]:
    (place,) = folder.glob(f"*/{run}")
    found: Numbers = {}
    for file in (path for path in (place / "metrics").rglob("*") if path.is_file()):
        for line in file.read_text().splitlines():
            _, value, step, *_ = line.split()
            found[int(step), file.relative_to(place / "metrics").as_posix()] = float(value)
    (status,) = re.findall(r"^status: (\d+)$", (place / "meta.yaml").read_text(), re.MULTILINE)
    return found, {"3": "finished", "4": "failed", "5": "interrupted", "1": "running"}[status]


def trackio(database: Path, run: str) -> tuple[Numbers, str]:
    connection = sqlite3.connect(database)
    try:
        lines = connection.execute("SELECT step, metrics FROM metrics WHERE run_name = ? ORDER BY id", (run,)).fetchall()
    finally:
        connection.close()
    found = {(step, name): value for step, told in lines for name, value in json.loads(told).items()}
    statuses = [json.loads(told)["status"] for _, told in lines if "status" in json.loads(told)]
    return {key: value for key, value in found.items() if key[1] != "status"}, statuses[-1]


def wandb(folder: Path) -> tuple[Numbers, str]:
    """Of the files that are sent later, in their order; the exit code is the status."""
    from wandb.proto.wandb_internal_pb2 import Record

    found: Numbers = {}
    code = -1
    for file in sorted(folder.glob("offline-run-*/*.wandb")):
        for data in _log_records(file.read_bytes()):
            record = Record.FromString(data)
            if record.HasField("exit"):
                code = record.exit.exit_code
            if record.HasField("history"):
                row = {".".join(item.nested_key) or item.key: json.loads(item.value_json) for item in record.history.item}
                found |= {(row["_step"], name): value for name, value in row.items() if not name.startswith("_")}
    return found, {0: "finished", 1: "failed", 130: "interrupted"}[code]


def _log_records(content: bytes) -> Iterator[bytes]:
    """Records of LevelDB's log format: blocks of 32 KiB, each piece with checksum, length and kind; 7 bytes stand before all."""
    place, whole = 7, b""
    while place + 7 <= len(content):
        left = 32768 - place % 32768
        if left < 7:
            place += left
            continue
        length, kind = struct.unpack_from("<HB", content, place + 4)
        piece = content[place + 7 : place + 7 + length]
        place += 7 + length
        whole = piece if kind in (1, 2) else whole + piece
        if kind in (1, 4):
            yield whole


def python_logger(file: Path) -> tuple[Numbers, str]:
    found: Numbers = {}
    text = file.read_text()
    for line in text.splitlines():
        if match := re.search(r" step=(\d+) (.*)$", line):
            pairs = (pair.rpartition("=") for pair in match[2].split(" "))
            found |= {(int(match[1]), name): float(value) for name, _, value in pairs}
    return found, re.findall(r" status=(\w+)$", text, re.MULTILINE)[-1]
