"""Rankings → the body of the caller's own form."""

from __future__ import annotations

from typing import Any

from speaker_id.protocol.request import Model, Ranking, Request


def render(request: Request, rankings: list[Ranking], model: Model) -> Any:
    """The answer's JSON value.

    Args:
        request: decides the form.
        rankings: one a clip, in order, all of one length.
        model: named in a v2 answer.
    """
    if request.form == "ranking":
        return rankings[0]
    if request.form == "v1":
        return {"predictions": rankings}
    answer: dict[str, Any] = {"model_name": model.name, "model_version": model.version}
    if request.id is not None:
        answer["id"] = request.id
    shape = [len(rankings), len(rankings[0]) if rankings else 0]
    datatypes = {"label": "BYTES", "score": "FP32"}
    answer["outputs"] = [
        {
            "name": name,
            "datatype": datatypes[name],
            "shape": shape,
            "data": [entry[name] for ranking in rankings for entry in ranking],
        }
        for name in request.outputs
    ]
    return answer
