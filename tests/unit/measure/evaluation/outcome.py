"""What a run of the evaluation left, and what it asked the server."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from measure.evaluation.report import Report, read
from tests.unit.client.double import Server


def folder(tmp_path: Path) -> Path:
    (found,) = (tmp_path / "out" / "evaluation").iterdir()
    return found


def result(tmp_path: Path) -> Report:
    return read(folder(tmp_path) / "report.json")


def asked(server: Server) -> Counter[str]:
    """How often each clip was sent; the probe aside."""
    return Counter(body.decode() for _, _, body in server.requests if len(body) < 100)
