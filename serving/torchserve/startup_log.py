"""Why a start failed, read from TorchServe's logs.

TorchServe keeps restarting a worker whose model does not load, and without its archive it still answers /ping with
200. Only the logs contain the reason.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

Mark = tuple[int, int]  # which file, by its inode, and its length in bytes

HANDLER_LOG = "handler_log.log"
MODEL_LOG = "model_log.log"
SERVER_LOG = "ts_log.log"

_REFUSED = re.compile(r"Failed to load model (?P<model>\S+), exception (?P<why>.+)")
_RAISED = re.compile(r"^(?:[A-Za-z_]\w*\.)*(?P<error>[A-Z]\w*): (?P<why>.+)$")
_NOT_LOADED = re.compile(r"Failed to load model: (?P<archive>.+)")
_JAVA = re.compile(r"^(?:Caused by: )?(?:[\w$]+\.)+(?P<error>\w+(?:Exception|Error)): (?P<why>.+)$")


def refusal(logs: Path, since: tuple[Mark, Mark] | None = None) -> str | None:
    """Why an archive does not load, in one line, once the logs say so; None before.

    Args:
        logs: TorchServe's folder of logs.
        since: only what was written after `position` gave this.
    """
    server, model = since or (None, None)
    return archive_refusal(_read(logs / SERVER_LOG, server)) or worker_refusal(_read(logs / MODEL_LOG, model))


def position(logs: Path) -> tuple[Mark, Mark]:
    """The present length of the server's log and of the models' log."""
    return _mark(logs / SERVER_LOG), _mark(logs / MODEL_LOG)


def stage(logs: Path, model: str) -> str:
    """What a starting worker of a model does, by the last event that its handler logged."""
    events = {"loading": "checking and loading the weights", "warming": "warming up"}
    said = "importing its libraries"
    for line in _read(logs / HANDLER_LOG, None).splitlines():
        with contextlib.suppress(ValueError):  # not written whole yet
            event = json.loads(line)
            if event["model"] == model:
                said = events.get(event["event"], said)
    return said


def worker_refusal(log: str) -> str | None:
    """The reason that a worker's handler gave for not starting, such as `CheckpointError: …`.

    A worker prints a traceback after "Backend worker process died."; its last line is the reason. Except
    for a RuntimeError: TorchServe omits its text there and prints it before.
    """
    texts = list(_texts(log))
    died = next((i for i, text in enumerate(texts) if text == "Backend worker process died."), None)
    if died is None:
        return None
    for text in texts[:died]:
        if found := _REFUSED.match(text):
            return found["why"].strip()
    raised = [found for text in texts[died:] if (found := _RAISED.match(text))]
    # lines of several workers are interleaved: the first line that looks like one ends the first traceback
    return f"{raised[0]['error']}: {raised[0]['why']}" if raised else None


def archive_refusal(log: str) -> str | None:
    """Why the server did not start a worker: the archive is missing, unreadable or not allowed."""
    lines = list(_texts(log))
    for i, line in enumerate(lines):
        if found := _NOT_LOADED.search(line):
            archive = found["archive"]
            reasons = (_JAVA.match(after.strip()) for after in lines[i + 1 : i + 3])
            why = next((reason["why"] for reason in reasons if reason), archive)
            return why if archive in why else f"{archive}: {why}"
    return None


def java_error(output: str) -> str | None:
    """The last cause in what the JVM printed before it exited."""
    causes = [found for line in output.splitlines() if (found := _JAVA.match(line.strip()))]
    if causes:
        return f"{causes[-1]['error']}: {causes[-1]['why']}"
    said = [line.strip() for line in output.splitlines() if line.strip()]
    return said[-1] if said else None


def _texts(log: str) -> Iterator[str]:
    """The messages of the lines: each is a JSON object (log4j2.xml), in which an exception has several lines."""
    for line in log.splitlines():
        try:
            said = json.loads(line)
        except ValueError:
            continue  # not written whole yet
        yield said["message"]
        yield from said.get("exception", "").splitlines()


def _mark(path: Path) -> Mark:
    try:
        about = path.stat()
    except FileNotFoundError:
        return 0, 0
    return about.st_ino, about.st_size


def _read(path: Path, since: Mark | None) -> str:
    inode, offset = since or (0, 0)
    try:
        with path.open("rb") as log:
            if os.fstat(log.fileno()).st_ino == inode:  # otherwise it is a new file, and all of it is read
                log.seek(offset)
            return log.read().decode("utf-8", "replace")
    except FileNotFoundError:
        return ""
