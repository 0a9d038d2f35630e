"""Replicas whose figures are easy to follow by hand."""

from __future__ import annotations

from typing import Any

from measure.autoscale.service import Service


def service(**changes: Any) -> Service:
    """One worker that takes a second for a batch of one, without noise, unless told otherwise."""
    plain: dict[str, Any] = {
        "model": "model", "batch": 1, "delay": 0.0, "queue": 100, "workers": 1, "fixed": 1.0, "per_request": 0.0,
        "per_second": 0.0, "overhead": 0.0, "noise": (1.0, 1.0), "startup": 5.0, "cpu": 2.0,
        "cores": 2, "batches": 100, "error": 0.0,
    }  # fmt: skip
    return Service(**{**plain, **changes})
