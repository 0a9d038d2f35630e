"""Rankings → the body of the caller's own form."""

from __future__ import annotations

from typing import Any

from speaker_id.protocol.request import Model, Ranking, Rankings, Request

DATATYPES = {"label": "BYTES", "score": "FP32"}


def render(request: Request, rankings: list[Rankings], model: Model) -> Any:
    """The answer's JSON value.

    Args:
        request: decides the form.
        rankings: one a clip, in order; of one head all are of one length.
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
    """A v2 tensor of shape [clips, top_k]: `label` or `score`, or of a head as in `action.label`."""
    head, _, field = name.rpartition(".")
    rows: list[Ranking] = [found[head] if isinstance(found, dict) else found for found in rankings]
    return {
        "name": name,
        "datatype": DATATYPES[field],
        "shape": [len(rows), len(rows[0]) if rows else 0],
        "data": [entry[field] for row in rows for entry in row],
    }
