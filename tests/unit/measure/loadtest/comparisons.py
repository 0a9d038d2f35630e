"""What commands that compare conditions have recorded, for tests of their pages."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from measure.loadtest.comparison import Comparison, Run, served
from measure.results import save_json

MACHINE = {
    "commit": "0" * 12,
    "dirty": False,
    "cpu": "a processor",
    "cpu_flags": "",
    "cores": 2,
    "versions": "torch 2",
}
WHERE = "2026-01-02, a processor, 2 cores; torch 2; commit 000000000000"


def told(
    comparison: Comparison, folder: Path, settings: dict[str, Any], runs: Sequence[Run], **more: Any
) -> str:
    """The page's part about one server, once this is recorded of it and read again."""
    content = {
        "provenance": {"date": "2026-01-02T03:04:05Z", "machine": MACHINE},
        "foreign_cores": 0.5,
        "settings": settings,
        "runs": [each.row() for each in runs],
        **more,
    }
    save_json({served(settings): content}, folder / comparison.file.name)
    return comparison.text(folder)
