"""An answer → its best label, or a code for what is wrong with it, and what its headers say."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

BAD_ANSWER = "bad_answer"  # a success that names nobody


def read(status: int, body: bytes) -> tuple[str | None, str | None]:
    """Best label and error code; exactly one of them is None."""
    try:
        content = json.loads(body)
    except ValueError:
        content = None
    if isinstance(content, dict) and "error" in content and "code" in content:
        return None, str(content["code"])
    if not 200 <= status < 300:
        return None, f"http_{status}"
    label = first_label(content)
    return (label, None) if label is not None else (None, BAD_ANSWER)


def first_label(content: Any) -> str | None:
    """The first `label` in reading order: servers list the best one first, each wrapped in its own way."""
    if isinstance(content, dict):
        if isinstance(content.get("label"), str):
            return str(content["label"])
        content = list(content.values())
    if isinstance(content, list):
        return next((label for entry in content if (label := first_label(entry)) is not None), None)
    return None


def timings(headers: Mapping[str, str]) -> dict[str, Any]:
    """`decode_ms`, `inference_ms` and `batch_size`, as far as Server-Timing and X-Batch-Size say them."""
    said = headers.get("Server-Timing", "")
    found: dict[str, Any] = {
        f"{name}_ms": float(value) for name, value in re.findall(r"(decode|inference);dur=([\d.]+)", said)
    }
    batch = headers.get("X-Batch-Size", "")
    return found | ({"batch_size": int(batch)} if batch.isdigit() else {})
