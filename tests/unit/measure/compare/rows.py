"""Rows as a run would have them."""

from __future__ import annotations

from typing import Any

from measure.compare.results import ContenderRow, StepRow

SHARED: dict[str, Any] = {
    "batch": 8,
    "layout": "1×2",
    "precision": "fp32",
    "answers": 100,
    "errors": 0,
    "changed": 0,
    "score_drift": 0.0001,
    "right": True,
    "peak_mb": 1000.0,
    "absent": "",
    "software": "",
    "bound": 10.0,
    "step_seconds": 30.0,
    "model": "a model",
    "clips": "48 clips",
    "run": "2026-01-02T03:04:05Z",
    "complete": True,
    "commit": "0123456789ab",
    "dirty": False,
    "cpu": "a processor",
    "cpu_flags": "avx2",
    "cores": 2,
    "foreign_cores": 0.01,
    "versions": "torch 2",
}


def row(name: str, throughputs: str, capacity: float | None = None, **changes: Any) -> ContenderRow:
    """A contender whose median of throughputs is the middle one."""
    values = sorted(float(value) for value in throughputs.split())
    own = {"throughput": values[len(values) // 2] if values else None, "throughputs": throughputs}
    return ContenderRow.model_validate(
        SHARED | own | {"name": name, "capacity": capacity, "breaks_at": None} | changes
    )


def step(name: str, share: float | None, p50: float, p99: float) -> StepRow:
    return StepRow(
        name=name, share=share, rate=1.0, requests=30, errors=0, p50=p50, p95=p50, p99=p99,
        changed=0, met=True, whole=True, run=SHARED["run"],
    )  # fmt: skip
