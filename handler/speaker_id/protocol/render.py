"""Rankings → a body in the caller's form, no larger than the server can send."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from speaker_id.errors import NonFiniteAudio, RequestTooLarge
from speaker_id.protocol import binary
from speaker_id.protocol.request import (
    BY_NAME,
    EMBEDDING,
    Class,
    Embedding,
    Model,
    Output,
    Ranking,
    Rankings,
    Request,
    Space,
)

DATATYPES = {"label": "BYTES", "score": "FP32", EMBEDDING: "FP32"}
NONE: Mapping[str, list[list[Class]]] = {}


class Answer(NamedTuple):
    """An answer that has not been written yet.

    Attributes:
        value: its JSON value.
        tensors: the bytes of its binary tensors; None if it has none.
    """

    value: Any
    tensors: bytes | None = None


class Embeddings(NamedTuple):
    """Those of a request's clips, and of what space they are."""

    space: Space
    vectors: list[Embedding]


def render(
    request: Request,
    rankings: list[Rankings],
    model: Model,
    classes: Mapping[str, list[list[Class]]] = NONE,
    embeddings: Embeddings | None = None,
) -> Answer:
    """Return the answer in the caller's form.

    Args:
        request: decides the form.
        rankings: one a clip, in order; those of one head have equal lengths.
        model: named in a v2 answer.
        classes: of the outputs that ask for them, by name; one list a clip.
        embeddings: where the request asks for them.

    Raises:
        NonFiniteAudio: a score in a binary tensor or a class is NaN or infinite.
    """
    if request.form in ("ranking", "v1"):
        answers: list[Any] = [*rankings]
        if embeddings is not None:
            named = embeddings.space.described()
            answers = [{**named, EMBEDDING: vector} for vector in embeddings.vectors]
        return Answer(answers[0] if request.form == "ranking" else {"predictions": answers})
    answer: dict[str, Any] = {"model_name": model.name, "model_version": model.version}
    if request.id is not None:
        answer["id"] = request.id
    tensors = (
        embedded(output, embeddings)
        if output.name == EMBEDDING and embeddings is not None
        else classification(output, classes[output.name])
        if output.classes
        else tensor(output, rankings)
        for output in request.outputs
    )
    described, packed = zip(*tensors, strict=True)
    answer["outputs"] = list(described)
    return Answer(answer, b"".join(packed) if any(output.binary for output in request.outputs) else None)


def tensor(output: Output, rankings: list[Rankings]) -> tuple[dict[str, Any], bytes]:
    """Return a v2 tensor of shape [clips, top_k] as JSON, and its bytes where they are not in there."""
    head, _, field = output.name.rpartition(".")
    rows: list[Ranking] = [found[head] if isinstance(found, dict) else found for found in rankings]
    shape = [len(rows), len(rows[0]) if rows else 0]
    values = [entry[field] for row in rows for entry in row]
    if field == "label":
        return sent(output, DATATYPES[field], shape, values, binary.packed_text)
    if output.binary:
        check_finite(values)
    return sent(output, DATATYPES[field], shape, values, binary.packed_numbers)


def classification(output: Output, clips: list[list[Class]]) -> tuple[dict[str, Any], bytes]:
    """Return a v2 tensor of shape [clips, classes], as Triton's classification extension has it."""
    check_finite(score for clip in clips for score, _, _ in clip)
    # nine digits are all that a float32 has
    texts = [f"{score:.9g}:{index}:{label}" for clip in clips for score, index, label in clip]
    return sent(output, "BYTES", [len(clips), len(clips[0]) if clips else 0], texts, binary.packed_text)


def embedded(output: Output, embeddings: Embeddings) -> tuple[dict[str, Any], bytes]:
    """Return a v2 tensor of shape [clips, dim], whose parameters say of what space it is."""
    space, vectors = embeddings
    values = [value for vector in vectors for value in vector]
    if output.binary:
        check_finite(values)
    described, packed = sent(output, "FP32", [len(vectors), space.width], values, binary.packed_numbers)
    return {**described, "parameters": {**space.described(), **described.get("parameters", {})}}, packed


def sent(
    output: Output, datatype: str, shape: list[int], values: list[Any], pack: Callable[[list[Any]], bytes]
) -> tuple[dict[str, Any], bytes]:
    """Return a tensor's JSON, and its bytes where its values are not in there."""
    described: dict[str, Any] = {"name": output.name, "datatype": datatype, "shape": shape}
    if not output.binary:
        return {**described, "data": values}, b""
    packed = pack(values)
    return {**described, "parameters": {"binary_data_size": len(packed)}}, packed


def check_finite(scores: Iterable[float]) -> None:
    if not all(map(math.isfinite, scores)):
        raise not_finite()


def not_finite() -> NonFiniteAudio:
    return NonFiniteAudio("the model's scores for this audio are not finite: scale the samples to ±1")


def least_bytes(request: Request, heads: Mapping[str, int], top_k: int, shortest: int, width: int = 0) -> int:
    """Return a lower bound of the answer's length in bytes, known before anything is decoded.

    Args:
        request: decides the form.
        heads: how many labels each head has; "" where there is one head only.
        top_k: how many of them a ranking has at most.
        shortest: characters of the model's shortest label.
        width: of the model's embedding.
    """
    label, score = len(f'"{"x" * shortest}",'), len("1.0,")
    if request.form in BY_NAME:
        one = sum(least_entry(output, heads, top_k, shortest, width) for output in request.outputs)
    elif request.embeds:
        one = width * len("0.0,")
    else:
        entries = sum(min(top_k, heads[head]) for head in request.heads)
        one = entries * (len('{"label":,"score":}') + label + score - 1)
    return len(request.clips) * one


def least_entry(output: Output, heads: Mapping[str, int], top_k: int, shortest: int, width: int) -> int:
    """Return a lower bound of what one clip adds to a tensor, in bytes."""
    head, _, field = output.name.rpartition(".")
    if field == EMBEDDING:
        return width * (binary.FP32.itemsize if output.binary else len("0.0,"))
    around = binary.LENGTH if output.binary else len('"",')
    if output.classes:
        return min(output.classes, heads[head]) * (around + len("1:0:") + shortest)
    if field == "label":
        return min(top_k, heads[head]) * (around + shortest)
    if field == "scores":
        return heads[head] * binary.FP32.itemsize
    return min(top_k, heads[head]) * (binary.FP32.itemsize if output.binary else len("1.0,"))


def check_size(size: int, limit: int) -> None:
    """Raise RequestTooLarge past the limit: TorchServe would end the worker instead of sending the answer."""
    if size > limit:
        raise RequestTooLarge(
            f"the answer would have at least {size} bytes, but the maximum is {limit}: request a smaller top_k, "
            "fewer clips or fewer outputs"
        )


def dump(answer: Answer, limit: int) -> tuple[bytes, int | None]:
    """Write an answer: its JSON text, and its binary tensors after it.

    Returns:
        All of it, and how long the JSON is where binary tensors follow; None for JSON alone.

    Raises:
        RequestTooLarge: it is longer than `limit` bytes.
        NonFiniteAudio: a score is NaN or infinite, which JSON cannot represent.
    """
    try:
        text = json.dumps(answer.value, separators=(",", ":"), allow_nan=False)
    except ValueError as exc:
        raise not_finite() from exc
    # in ASCII a character is a byte
    check_size(len(text) + len(answer.tensors or b""), limit)
    content = text.encode("ascii")
    return (content, None) if answer.tensors is None else (content + answer.tensors, len(content))
