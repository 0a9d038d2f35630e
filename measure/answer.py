"""An answer of any server → its best label, or a code for what is wrong with it, and what its headers say."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

BAD_ANSWER = "bad_answer"  # a success without a label


class Label(NamedTuple):
    """A label, and its score, NaN where the server gives none."""

    label: str
    score: float = math.nan


def read(status: int, body: bytes) -> tuple[str | None, str | None]:
    """Best label and error code; exactly one of them is None."""
    content = parsed(body)
    if isinstance(content, dict) and "error" in content and "code" in content:
        return None, str(content["code"])
    if not 200 <= status < 300:
        return None, f"http_{status}"
    found = best(content)
    return (found.label, None) if found else (None, BAD_ANSWER)


def parsed(body: bytes | str) -> Any:
    """The content of a JSON text; None if it is invalid."""
    try:
        return json.loads(body)
    except ValueError:
        return None


def best(content: Any) -> Label | None:
    """The first `label` in reading order, with the score beside it, through lists, objects and JSON within text.

    Servers list the best label first, each wrapped in its own way.
    """
    if isinstance(content, str) and content.startswith("["):
        content = parsed(content)
    if isinstance(content, dict):
        if isinstance(content.get("label"), str):
            score = content.get("score")
            return Label(content["label"], score if isinstance(score, float) else math.nan)
        content = list(content.values())
    if isinstance(content, list):
        return next((found for entry in content if (found := best(entry))), None)
    return None


def timings(headers: Mapping[str, str]) -> dict[str, Any]:
    """`decode_ms`, `inference_ms` and `batch_size`, as far as Server-Timing and X-Batch-Size say them."""
    said = headers.get("Server-Timing", "")
    found: dict[str, Any] = {
        f"{name}_ms": float(value) for name, value in re.findall(r"(decode|inference);dur=([\d.]+)", said)
    }
    batch = headers.get("X-Batch-Size", "")
    return found | ({"batch_size": int(batch)} if batch.isdigit() else {})
