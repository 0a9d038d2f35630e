"""Rankings → a body in the caller's form, no larger than the server can send."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from speaker_id.errors import NonFiniteAudio, RequestTooLarge
from speaker_id.protocol.request import Model, Ranking, Rankings, Request

DATATYPES = {"label": "BYTES", "score": "FP32"}


def render(request: Request, rankings: list[Rankings], model: Model) -> Any:
    """Return the answer's JSON value.

    Args:
        request: decides the form.
        rankings: one a clip, in order; those of one head have equal lengths.
        model: named in a v2 answer.
    """
    if request.form == "ranking":
        return rankings[0]
    if request.form == "v1":
        return {"predictions": rankings}
    answer: dict[str, Any] = {"model_name": model.name, "model_version": model.version}
    if request.id is not None:
        answer["id"] = request.id
    answer["outputs"] = [output(name, rankings) for name in request.outputs]
    return answer


def output(name: str, rankings: list[Rankings]) -> dict[str, Any]:
    """Return a v2 tensor of shape [clips, top_k]: `label` or `score`, or of one head as in `action.label`."""
    head, _, field = name.rpartition(".")
    rows: list[Ranking] = [found[head] if isinstance(found, dict) else found for found in rankings]
    return {
        "name": name,
        "datatype": DATATYPES[field],
        "shape": [len(rows), len(rows[0]) if rows else 0],
        "data": [entry[field] for row in rows for entry in row],
    }


def least_bytes(request: Request, entries: Mapping[str, int], shortest: int) -> int:
    """Return a lower bound of the answer's length in bytes, known before anything is decoded.

    Args:
        request: decides the form.
        entries: labels that each head's ranking of a clip will have, by head; "" where there is one head only.
        shortest: characters of the model's shortest label.
    """
    label, score = len(f'"{"x" * shortest}",'), len("1.0,")
    if request.form in ("v2", "tensors"):
        fields = [name.rpartition(".") for name in request.outputs]
        one = sum(entries[head] * (label if field == "label" else score) for head, _, field in fields)
    else:
        one = sum(entries.values()) * (len('{"label":,"score":}') + label + score - 1)
    return len(request.clips) * one


def check_size(size: int, limit: int) -> None:
    """Raise RequestTooLarge past the limit: TorchServe would end the worker instead of sending the answer."""
    if size > limit:
        raise RequestTooLarge(
            f"the answer would have at least {size} bytes, but the maximum is {limit}: request a smaller top_k, "
            "fewer clips or fewer outputs"
        )


def dump(body: Any, limit: int) -> bytes:
    """Return the JSON text of an answer.

    Raises:
        RequestTooLarge: it is longer than `limit` bytes.
        NonFiniteAudio: a score is NaN or infinite, which JSON cannot represent.
    """
    try:
        text = json.dumps(body, separators=(",", ":"), allow_nan=False)
    except ValueError as exc:
        raise NonFiniteAudio(
            "the model's scores for this audio are not finite: scale the samples to ±1"
        ) from exc
    check_size(len(text), limit)  # in ASCII a character is a byte
    return text.encode("ascii")
